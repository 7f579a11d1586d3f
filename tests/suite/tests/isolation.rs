//! Two runs with contrary overrides of the same options, side by side.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use atelier_host::run::{CancelToken, Finished, OnError, RunRequest, RunState};
use atelier_suite::{
    Log, every_way,
    gate::Gate,
    host,
    options::{endings, live, overriding},
};
use atelier_testkit::TestHost;
use serde_json::{Value, json};

const ROUNDS: usize = 100;

/// How one of the two runs of a round ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Done,
    Failed,
    Panicked,
    Cancelled,
}

/// One of the two runs.
struct Side {
    request: RunRequest,
    log: Log,
    expected: Vec<Value>,
    format: &'static str,
}

const KEYS: [&str; 4] = ["probe_a_text", "probe_a_list", "probe_a_number", "samples_format"];

/// A run that reads its options between two points where it meets the other run.
fn side(host: &TestHost, round: usize, right: bool, end: End, gate: &Gate) -> Side {
    let (us, them) = if right { ("right", "left") } else { ("left", "right") };
    let format = if right { "jpg" } else { "webp" };
    let overrides = json!({
        "probe_a_text": us,
        "probe_a_list": [us, round.to_string()],
        "probe_a_number": if right { 2.0 } else { 3.0 },
        "samples_format": format,
    });
    let meet = |name: &str| {
        let file = |who: &str| host.folder().join(format!("{round}-{name}-{who}"));
        json!({ "barrier": [file(us), file(them)] })
    };
    let mut read: Vec<Value> = KEYS.iter().map(|key| json!({ "live": key })).collect();
    read.extend(KEYS.iter().map(|key| json!({ "snapshot": key })));
    let between = |first: Value, last: Value| {
        let mut actions = vec![first];
        actions.extend(read.clone());
        actions.push(last);
        actions
    };
    // Both write a key of theirs: in the layer it is theirs alone.
    let mut process = between(meet("first"), json!({ "set_live": ["probe_a_number", 0.5] }));
    process.push(json!({ "set_run": ["probe_a_flag", right] }));
    let mut batch = vec![meet("second"), json!({ "live": "probe_a_number" })];
    batch.push(json!({ "live": "probe_a_flag" }));
    match end {
        End::Done => batch.push(meet("third")),
        End::Failed => batch.push(json!({ "error": "no" })),
        End::Panicked => batch.push(json!({ "panic": "no" })),
        End::Cancelled => batch.push(gate.action()),
    }
    let log = Log::new(host, &format!("{round}-{us}"));
    let mut request = RunRequest {
        steps: 1,
        on_error: OnError::FailRun,
        ..overriding(host.request(), &overrides)
    };
    let script = json!({ "process": process, "process_batch": batch, "finish": read });
    log.script(&mut request, "probe-a", &script);
    let expected = KEYS.iter().map(|key| overrides[key].clone()).collect();
    Side { request, log, expected, format }
}

fn check(side: &Side, right: bool, end: End, finished: &Finished) {
    let mine = &side.expected;
    let process = side.log.results("probe-a", "process");
    assert_eq!(process[0], Value::Null, "the runs met");
    assert_eq!(process[1..5], mine[..]);
    assert_eq!(process[5..9], mine[..]);
    let batch = side.log.results("probe-a", "process_batch");
    assert_eq!(batch[..3], [Value::Null, json!(0.5), json!(right)]);
    let last = side.log.results("probe-a", "finish");
    if end == End::Panicked {
        assert_eq!(last, Vec::<Value>::new());
    } else {
        assert_eq!(last[..2], mine[..2]);
        assert_eq!(last[4..], mine[..]);
    }
    let (state, files) = match end {
        End::Done => (RunState::Done, vec![Some(side.format)]),
        End::Failed | End::Panicked => (RunState::Failed, vec![]),
        End::Cancelled => (RunState::Cancelled, vec![]),
    };
    assert_eq!(finished.record.state, state);
    assert_eq!(endings(finished), files);
}

/// Raises its flag when it is dropped, be it by a panic: the reader outside must come to its end.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn neither_run_nor_anybody_outside_ever_sees_the_others_overrides() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let before = live(&host);
        let (over, looks) = (AtomicBool::new(false), AtomicU64::new(0));
        thread::scope(|threads| {
            let outside = threads.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for key in KEYS.iter().chain(&["probe_a_flag"]) {
                        assert_eq!(host.option(key), before[*key], "seen from outside");
                    }
                    looks.fetch_add(1, Ordering::Relaxed);
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let _over = Raised(&over);
            for round in 0..ROUNDS {
                let looked = looks.load(Ordering::Relaxed);
                let ends = match round % 5 {
                    1 => [End::Failed; 2],
                    2 => [End::Cancelled, End::Failed],
                    3 => [End::Panicked, End::Cancelled],
                    _ => [End::Done; 2],
                };
                let gates = [0, 1].map(|at| Gate::new(&host, &format!("{round}-{at}")));
                let sides = [0, 1].map(|at| side(&host, round, at == 1, ends[at], &gates[at]));
                let cancels = [CancelToken::new(), CancelToken::new()];
                let runs = [0, 1].map(|at| {
                    let (request, cancel) = (sides[at].request.clone(), cancels[at].clone());
                    let host = &host;
                    threads.spawn(move || host.runner().run(request, &cancel).expect("accepted"))
                });
                for at in [0, 1] {
                    if ends[at] == End::Cancelled {
                        gates[at].wait();
                        cancels[at].cancel();
                        gates[at].open();
                    }
                }
                for (at, run) in runs.into_iter().enumerate() {
                    let finished = run.join().expect("no panic");
                    check(&sides[at], at == 1, ends[at], &finished);
                }
                while looks.load(Ordering::Relaxed) == looked && !outside.is_finished() {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(live(&host), before);
    });
}
