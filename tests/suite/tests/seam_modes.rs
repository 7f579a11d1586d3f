//! How live reads are answered: `record`, `warn` and `pin`, for all plugins or for one.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::{cell::RefCell, collections::BTreeMap, io, sync::Once};

use atelier_host::{
    options::Writer,
    plugins::PluginId,
    run::{RunRequest, seam::SeamMode},
};
use atelier_suite::{
    Log, every_way,
    gate::{Gate, draw_through},
    host,
    options::{pixels, row, set},
};
use serde_json::json;

#[test]
fn pin_makes_a_drifting_reader_repeatable() {
    every_way(|wiring| {
        let host = host(&["option-drift"], wiring);
        let drawn = |seam| host.draw(RunRequest { seam, ..host.request() });
        let live = [drawn(SeamMode::Record), drawn(SeamMode::Record)];
        assert_ne!(pixels(&live[0]), pixels(&live[1]));
        let warned = drawn(SeamMode::Warn);
        assert_ne!(pixels(&warned), pixels(&live[1]), "warn answers as record does");
        let pinned = [drawn(SeamMode::Pin), drawn(SeamMode::Pin)];
        assert_eq!(pixels(&pinned[0]), pixels(&pinned[1]));
        for finished in &pinned {
            let rows = &finished.record.ledger;
            let diverged: u64 = rows
                .iter()
                .filter(|row| row.reader == "option-drift")
                .map(|row| row.diverged)
                .sum();
            assert!(diverged > 0, "what it would have seen is still told");
        }
    });
}

#[test]
fn pin_answers_from_the_snapshot_even_after_an_own_write() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let log = Log::new(&host, "log");
        let mut request = RunRequest { seam: SeamMode::Pin, ..host.request() };
        let script = json!({
            "before_process": [
                { "set_live": ["probe_a_flag", true] },
                { "live": "probe_a_flag" },
                { "override": ["probe_a_number", 2.0] },
            ],
            "process": [
                { "set_live": ["probe_a_text", "own"] },
                { "live": "probe_a_text" },
                { "set_live": ["probe_a_number", 3.0] },
                { "live": "probe_a_number" },
                { "set_run": ["probe_a_list", ["own"]] },
                { "live": "probe_a_list" },
                { "live_all": true },
                gate.action(),
                { "live": "jpeg_quality" },
            ],
        });
        log.script(&mut request, "probe-a", &script);
        let finished = draw_through(&host, request, &gate, || {
            set(&host, "jpeg_quality", json!(5), Writer::Api);
        });
        assert_eq!(log.results("probe-a", "before_process")[1], true, "nothing to pin to yet");
        let seen = log.results("probe-a", "process");
        assert_eq!([&seen[1], &seen[3]], [&json!("default"), &json!(2.0)]);
        assert_eq!([&seen[5], &seen[8]], [&json!(["one", "two"]), &json!(80)]);
        let own = json!({
            "probe_a_text": "default",
            "probe_a_number": 2.0,
            "probe_a_flag": true,
            "probe_a_list": ["one", "two"],
        });
        assert_eq!(seen[6]["own"], own);
        assert_eq!(host.option("probe_a_text"), "own", "the write itself is done");
        for (key, live) in [
            ("probe_a_text", json!("own")),
            ("probe_a_number", json!(3.0)),
            ("probe_a_list", json!(["own"])),
            ("jpeg_quality", json!(5)),
        ] {
            let row = row(&finished.record, "probe-a", "process", key).expect(key);
            assert_eq!((row.live, row.diverged), (1, 1), "{key}");
            assert_eq!(row.divergence.as_ref().expect(key).live.to_json(), live);
        }
        let whole = row(&finished.record, "probe-a", "process", "*").expect("a row");
        assert_eq!((whole.live, whole.diverged), (1, 1));
    });
}

#[test]
fn a_write_from_outside_that_pin_hid_is_none_that_was_seen() {
    every_way(|wiring| {
        for (seam, seen) in [(SeamMode::Record, 2), (SeamMode::Pin, 0)] {
            let host = host(&["probe-a"], wiring);
            let gate = Gate::new(&host, "gate");
            let log = Log::new(&host, "log");
            let mut request = RunRequest { seam, ..host.request() };
            let look = json!([gate.action(), { "live": "jpeg_quality" }, { "live_all": true }]);
            log.script(&mut request, "probe-a", &json!({ "process": look }));
            let record = draw_through(&host, request, &gate, || {
                set(&host, "jpeg_quality", json!(5), Writer::Api);
                set(&host, "tiling", json!(true), Writer::Api);
            })
            .record;
            assert_eq!(record.outside_writes.len(), seen, "{seam}: {:?}", record.outside_writes);
        }
    });
}

#[test]
fn one_plugin_may_be_pinned_while_another_is_not() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        for (all, one) in [(SeamMode::Record, SeamMode::Pin), (SeamMode::Pin, SeamMode::Record)] {
            set(&host, "n_rows", json!(2), Writer::Api);
            let mut request = RunRequest {
                seam: all,
                seam_of: BTreeMap::from([(PluginId::new("probe-a").unwrap(), one)]),
                ..host.request()
            };
            let look = json!([{ "live": "n_rows" }]);
            let write = json!({ "start": [{ "set_live": ["n_rows", 7] }], "process": look });
            let logs = ["a", "b"].map(|name| Log::new(&host, &format!("{name}-{all}")));
            logs[0].script(&mut request, "probe-a", &write);
            logs[1].script(&mut request, "probe-b", &json!({ "process": look }));
            let record = host.draw(request).record;
            let (a, b) = if one == SeamMode::Pin { (2, 7) } else { (7, 2) };
            assert_eq!(logs[0].results("probe-a", "process"), [json!(a)]);
            assert_eq!(logs[1].results("probe-b", "process"), [json!(b)]);
            let modes: Vec<_> = record.plugins.iter().map(|p| (p.id.as_str(), p.seam)).collect();
            assert_eq!(modes, [("probe-a", one), ("probe-b", all)]);
        }
        assert_eq!(log.lines().len(), 0);
    });
}

thread_local! {
    /// What this thread logs, while somebody wants to know.
    static LOGGED: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Writes to the thread's own log.
#[derive(Clone, Copy)]
struct Captured;

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOGGED.with_borrow_mut(|log| log.iter_mut().for_each(|log| log.extend_from_slice(bytes)));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The warnings while `act` runs, in this thread. One subscriber for all threads: with one for this
/// thread alone, a place in the code that another test comes to first would stay silent here too.
fn warnings(act: impl FnOnce()) -> Vec<String> {
    static SUBSCRIBED: Once = Once::new();
    SUBSCRIBED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::WARN)
            .with_writer(|| Captured)
            .with_ansi(false)
            .init();
    });
    LOGGED.set(Some(Vec::new()));
    act();
    let text = LOGGED.take().expect("this thread's log");
    String::from_utf8(text).expect("text").lines().map(str::to_owned).collect()
}

#[test]
fn warn_logs_what_differs_and_record_does_not() {
    every_way(|wiring| {
        for (seam, expected) in [(SeamMode::Record, 0), (SeamMode::Pin, 0), (SeamMode::Warn, 3)] {
            let host = host(&["probe-a"], wiring);
            let log = Log::new(&host, "log");
            let mut request = RunRequest { seam, steps: 1, ..host.request() };
            let script = json!({
                "before_process": [{ "live": "n_rows" }],
                "start": [{ "live": "n_rows" }, { "live_all": true }],
                "process": [{ "set_live": ["n_rows", 4] }, { "live": "n_rows" }, { "live": "tiling" }],
                "after_step": [{ "live": "n_rows" }, { "live_all": true }],
            });
            log.script(&mut request, "probe-a", &script);
            let lines = warnings(|| drop(host.draw(request)));
            assert_eq!(lines.len(), expected, "{seam}: {lines:#?}");
            for (line, part) in
                lines.iter().zip(["hook=process ", "hook=after_step ", "hook=after_step "])
            {
                assert!(line.contains("WARN") && line.contains(part), "{line}");
                assert!(line.contains("plugin=probe-a") && line.contains("n_rows"), "{line}");
            }
            if let Some(line) = lines.first() {
                for part in ["option=\"n_rows\"", "is 4", "has -1", "writer=plugin probe-a in run"]
                {
                    assert!(line.contains(part), "{part}: {line}");
                }
            }
        }
    });
}
