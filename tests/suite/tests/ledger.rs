//! The ledger: who read and wrote which option at which hook, and where live answers differed from
//! the snapshot, and why.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use atelier_host::{
    options::{OptionSpec, Owner, Writer},
    run::{RunRecord, RunRequest, seam::LedgerRow},
};
use atelier_suite::{
    Kind, Log, every_way,
    gate::{Gate, draw_through, run_through},
    host, host_with,
    options::{overriding, row, set},
};
use atelier_testkit::TestHost;
use serde_json::{Map, Value, json};

const HOOKS: [&str; 25] = [
    "before_process",
    "start",
    "process",
    "before_process_batch",
    "after_extra_networks_activate",
    "process_batch",
    "before_hr",
    "process_before_every_sampling",
    "extra_noise",
    "cfg_denoiser",
    "cfg_denoised",
    "cfg_combine",
    "cfg_after_cfg",
    "after_step",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "before_image_saved",
    "image_saved",
    "image_grid",
    "postprocess",
    "finish",
];

/// Reads and writes by (plugin, hook, option).
type Counts = BTreeMap<(String, String, String), [u64; 5]>;

/// What the probes themselves say they did: early, live and snapshot reads, live and run writes.
fn counted_by_probes(log: &Log) -> Counts {
    let mut counts = Counts::new();
    for line in log.lines() {
        let (Some(action), Some(_)) = (line["action"].as_object(), line.get("ok")) else {
            continue;
        };
        let (name, value) = action.iter().next().expect("an action");
        let early = line["hook"] == "before_process";
        let (option, column) = match name.as_str() {
            "live" => (value, usize::from(!early)),
            "live_all" => (&json!("*"), usize::from(!early)),
            "snapshot" => (value, 2),
            "snapshot_all" => (&json!("*"), 2),
            "set_live" => (&value[0], 3),
            "set_run" | "override" => (&value[0], 4),
            _ => continue,
        };
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let key = (text(&line["plugin"]), text(&line["hook"]), text(option));
        counts.entry(key).or_default()[column] += 1;
    }
    counts
}

fn counted_by_host(record: &RunRecord) -> Counts {
    let plugins = record.ledger.iter().filter(|row| row.reader != "host");
    let entry = |row: &LedgerRow| {
        let key = (row.reader.clone(), row.hook.clone(), row.option.clone());
        (key, [row.early, row.live, row.snapshot, row.writes, row.run_writes])
    };
    plugins.map(entry).collect()
}

#[test]
fn counts_are_those_of_the_plugins_themselves_at_every_hook() {
    every_way(|wiring| {
        let stored = json!({ "key_of_a_lost_plugin": 1 });
        let host = host_with(&["probe-a", "probe-b"], wiring, &stored, true);
        let log = Log::new(&host, "log");
        let mut request =
            overriding(host.request(), &json!({ "probe_b_text": "asked", "jpeg_quality": 60 }));
        request.override_settings.insert("img2img_extra_noise".to_owned(), json!(0.25));
        request = RunRequest { batch_size: 2, steps: 2, ..Kind::Hires.of(request) };
        let actions = |hook: &str| match hook {
            "before_process" => json!([
                { "live": "n_rows" },
                { "live": "n_rows" },
                { "live": "key_of_a_lost_plugin" },
                { "live_all": true },
                { "set_live": ["probe_a_number", 1.5] },
                { "override": ["probe_a_flag", true] },
            ]),
            _ => json!([
                { "live": "n_rows" },
                { "live": "jpeg_quality" },
                { "live": "jpeg_quality" },
                { "live": "key_of_a_lost_plugin" },
                { "live": "no_such_option" },
                { "live_all": true },
                { "snapshot": "n_rows" },
                { "snapshot": "key_of_a_lost_plugin" },
                { "snapshot_all": true },
                { "snapshot_all": true },
                { "set_live": ["probe_a_number", 2.5] },
                { "set_run": ["probe_a_text", hook] },
            ]),
        };
        let script: Map<_, _> =
            HOOKS.iter().map(|hook| ((*hook).to_owned(), actions(hook))).collect();
        log.script(&mut request, "probe-a", &script.into());
        // What a hook did before it failed was done.
        let other = json!({
            "process": [{ "live": "probe_b_text" }, { "error": "no" }],
            "after_step": [{ "live": "probe_b_text" }, { "set_run": ["probe_b_text", "x"] }],
            "image_grid": [{ "snapshot": "probe_b_text" }],
        });
        log.script(&mut request, "probe-b", &other);
        let record = host.draw(request).record;
        let own = counted_by_probes(&log);
        for hook in HOOKS {
            let key = ("probe-a".to_owned(), hook.to_owned(), "*".to_owned());
            assert!(own.contains_key(&key), "{hook} was not called");
        }
        assert_eq!(counted_by_host(&record), own);
        let calls = |hook: &str| log.hooks("probe-a").iter().filter(|h| *h == hook).count() as u64;
        assert_eq!(calls("after_step"), 3);
        assert_eq!(calls("before_image_saved"), 3);
        let saves = row(&record, "probe-a", "before_image_saved", "jpeg_quality").expect("a row");
        assert_eq!(saves.live, 6);
        assert_eq!(row(&record, "probe-a", "process", "no_such_option"), None);
    });
}

/// The parts of a run that the host's own reads count for.
const PARTS: [&str; 5] = ["open", "prepare", "execute", "services", "save"];

#[test]
fn the_host_is_a_reader_too() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { steps: 1, n_iter: 2, ..host.request() };
        let write = json!([{ "set_live": ["CLIP_stop_at_last_layers", 4], "iteration": 1 }]);
        log.script(&mut request, "probe-a", &json!({ "process_batch": write }));
        let record = host.draw(request).record;
        let counts = |part: &str, option: &str| {
            let row = row(&record, "host", part, option).unwrap_or_else(|| panic!("{option}"));
            (row.early, row.live, row.diverged)
        };
        // Before there is a snapshot reads are early, the host's own ones too.
        assert_eq!(counts("prepare", "s_churn"), (1, 0, 0));
        assert_eq!(counts("prepare", "sd_model_checkpoint"), (1, 0, 0));
        assert_eq!(counts("execute", "randn_source"), (0, 2, 0));
        assert_eq!(counts("execute", "CLIP_stop_at_last_layers"), (0, 2, 1));
        assert_eq!(counts("save", "samples_save"), (0, 2, 0));
        assert_eq!(counts("save", "samples_format"), (0, 2, 0));
        assert_eq!(counts("save", "grid_format"), (0, 1, 0));
        let parts: Vec<_> =
            record.ledger.iter().filter(|row| row.reader == "host").map(|row| &*row.hook).collect();
        assert!(parts.iter().all(|part| PARTS.contains(part)));
    });
}

/// The probe reads `n_rows` in `process`, is at the gate, reads it again in `process_batch`.
fn divergence_after(
    host: &TestHost,
    name: &str,
    script_b: &Value,
    act: impl Fn(),
) -> (RunRecord, LedgerRow) {
    let gate = Gate::new(host, name);
    let log = Log::new(host, name);
    let mut request = RunRequest { steps: 1, ..host.request() };
    let script = json!({
        "process": [{ "live": "n_rows" }, gate.action()],
        "process_batch": [{ "live": "n_rows" }],
    });
    log.script(&mut request, "probe-a", &script);
    log.script(&mut request, "probe-b", script_b);
    let record = draw_through(host, request, &gate, act).record;
    let first = row(&record, "probe-a", "process", "n_rows").expect("a row");
    assert_eq!((first.live, first.diverged, &first.divergence), (1, 0, &None));
    let second = row(&record, "probe-a", "process_batch", "n_rows").expect("a row").clone();
    assert_eq!(second.live, 1);
    (record, second)
}

#[test]
fn a_divergence_names_who_caused_it() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let diverged = |row: &LedgerRow, live: i64, snapshot: i64, writer: Writer| {
            let divergence = row.divergence.clone().expect("a divergence");
            assert_eq!(row.diverged, 1);
            assert_eq!(divergence.live.to_json(), live);
            assert_eq!(divergence.snapshot.to_json(), snapshot);
            assert_eq!(divergence.writer, writer);
        };
        let outside = [Writer::Api, Writer::Cli, Writer::File, Writer::plugin("probe-b", None)];
        for (number, writer) in outside.into_iter().enumerate() {
            let number = number as i64;
            let (_, row) =
                divergence_after(&host, &format!("outside-{number}"), &json!({}), || {
                    set(&host, "n_rows", json!(number), writer.clone());
                });
            diverged(&row, number, number - 1, writer);
        }
        set(&host, "n_rows", json!(-1), Writer::Api);

        // Another plugin of the run, for everybody and for the run.
        for (live, way) in [(5, "set_live"), (6, "set_run")] {
            let before = host.option("n_rows").as_i64().unwrap();
            let script = json!({ "before_process_batch": [{ way: ["n_rows", live] }] });
            let (record, row) = divergence_after(&host, way, &script, || ());
            diverged(&row, live, before, Writer::plugin("probe-b", Some(&record.id)));
        }

        // Another plugin in another run, and another run that leaves its overrides behind.
        let before = host.option("n_rows").as_i64().unwrap();
        let log = Log::new(&host, "other");
        let other = std::sync::Mutex::new(String::new());
        let (_, row) = divergence_after(&host, "other-run", &json!({}), || {
            let mut request = host.request();
            log.script(
                &mut request,
                "probe-b",
                &json!({ "finish": [{ "set_live": ["n_rows", 7] }] }),
            );
            *other.lock().unwrap() = host.draw(request).record.id;
        });
        diverged(&row, 7, before, Writer::plugin("probe-b", Some(&other.lock().unwrap())));
        let (_, row) = divergence_after(&host, "leaving", &json!({}), || {
            let request = RunRequest {
                override_settings_restore_afterwards: false,
                ..overriding(host.request(), &json!({ "n_rows": 8 }))
            };
            *other.lock().unwrap() = host.draw(request).record.id;
        });
        diverged(&row, 8, 7, Writer::Run { run: other.lock().unwrap().as_str().into() });
    });
}

#[test]
fn a_plugin_may_be_the_cause_itself() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request =
            overriding(RunRequest { steps: 3, ..host.request() }, &json!({ "jpeg_quality": 30 }));
        let script = json!({
            "process": [{ "set_live": ["n_rows", 3] }, { "set_live": ["jpeg_quality", 31] }],
            "after_step": [{ "live": "n_rows" }, { "live": "jpeg_quality" }, { "live": "tiling" }],
        });
        log.script(&mut request, "probe-a", &script);
        let record = host.draw(request).record;
        for (key, live, snapshot) in [("n_rows", 3, -1), ("jpeg_quality", 31, 30)] {
            let row = row(&record, "probe-a", "after_step", key).expect(key);
            assert_eq!((row.live, row.diverged), (3, 3));
            let divergence = row.divergence.clone().expect("a divergence");
            assert_eq!(divergence.live.to_json(), live);
            assert_eq!(divergence.snapshot.to_json(), snapshot);
            assert_eq!(divergence.writer, Writer::plugin("probe-a", Some(&record.id)));
        }
        assert_eq!(row(&record, "probe-a", "after_step", "tiling").expect("a row").diverged, 0);
        assert_eq!(record.outside_writes, [], "its own writes are not from outside");
    });
}

#[test]
fn of_several_divergences_the_last_is_kept() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { steps: 3, ..host.request() };
        let write = |value: i64, step: u32| json!({ "set_live": ["n_rows", value], "step": step });
        let script = json!({ "after_step": [write(3, 0), write(4, 1), { "live": "n_rows" }] });
        log.script(&mut request, "probe-b", &script);
        let last = json!({ "after_step": [{ "set_live": ["n_rows", 5], "step": 2 }] });
        log.script(&mut request, "probe-a", &last);
        let record = host.draw(request).record;
        let row = row(&record, "probe-b", "after_step", "n_rows").expect("a row");
        assert_eq!((row.live, row.diverged), (3, 3));
        let divergence = row.divergence.as_ref().expect("a divergence");
        assert_eq!(
            (divergence.live.to_json(), divergence.snapshot.to_json()),
            (json!(5), json!(-1))
        );
        assert_eq!(divergence.writer, Writer::plugin("probe-a", Some(&record.id)));
    });
}

#[test]
fn what_does_not_change_never_diverges() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let gates = ["one", "two", "three"].map(|name| Gate::new(&host, name));
        let log = Log::new(&host, "log");
        let overrides = json!({ "probe_a_text": "asked" });
        let mut request = overriding(RunRequest { steps: 1, ..host.request() }, &overrides);
        let look = |gate: &Gate| {
            json!([
                gate.action(),
                { "live": "n_rows" },
                { "live": "probe_a_text" },
                { "live": "probe_a_list" },
                { "live": "eta_ancestral" },
            ])
        };
        let script = json!({
            "process": look(&gates[0]),
            "process_batch": look(&gates[1]),
            "finish": look(&gates[2]),
        });
        log.script(&mut request, "probe-a", &script);
        let write = |key: &str, value: Value| set(&host, key, value, Writer::Api);
        let finished = run_through(
            &host,
            request,
            &atelier_host::run::CancelToken::new(),
            &[
                // Other options, and an overridden one.
                (&gates[0], &|| {
                    write("tiling", json!(true));
                    write("probe_a_text", json!("elsewhere"));
                }),
                // The same values again, one of them in another spelling.
                (&gates[1], &|| {
                    write("n_rows", json!("-1"));
                    write("probe_a_list", json!(["one", "two"]));
                    write("eta_ancestral", json!(1));
                }),
                // There and back again.
                (&gates[2], &|| {
                    write("n_rows", json!(4));
                    write("n_rows", json!(-1));
                    write("probe_a_list", json!([]));
                    write("probe_a_list", json!(["one", "two"]));
                }),
            ],
        );
        let record = finished.record;
        assert_eq!(log.results("probe-a", "finish")[1..3], [json!(-1), json!("asked")]);
        for row in &record.ledger {
            assert_eq!((row.diverged, &row.divergence), (0, &None), "{row:?}");
        }
        let rows = record.ledger.iter().filter(|row| row.reader == "probe-a");
        assert_eq!(rows.clone().count(), 12);
        assert!(rows.clone().all(|row| row.live == 1));
        assert_eq!(record.outside_writes, []);
    });
}

#[test]
fn a_read_of_all_options_names_those_that_differ() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let log = Log::new(&host, "log");
        let mut request = overriding(host.request(), &json!({ "n_rows": 2, "jpeg_quality": 9 }));
        let script = json!({
            "start": [{ "live_all": true }],
            "process": [
                { "set_live": ["n_rows", 3] },
                { "live_all": true },
                gate.action(),
                { "live_all": true },
                { "live_all": true },
            ],
            "finish": [{ "set_live": ["tiling", false] }, { "live_all": true }],
        });
        log.script(&mut request, "probe-a", &script);
        let record = draw_through(&host, request, &gate, || {
            set(&host, "tiling", json!(true), Writer::Api);
            set(&host, "jpeg_quality", json!(10), Writer::Api);
        })
        .record;
        let whole = |hook: &str| {
            let row = row(&record, "probe-a", hook, "*").expect(hook);
            let mut keys = row.diverged_keys.clone();
            keys.sort();
            (row.live, row.diverged, keys.join(" "))
        };
        assert_eq!(whole("start"), (1, 0, String::new()));
        assert_eq!(whole("process"), (3, 3, "n_rows tiling".to_owned()));
        assert_eq!(whole("finish"), (1, 1, "n_rows".to_owned()));
    });
}

#[test]
fn outside_writes_are_those_that_live_readers_saw_in_order() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let gates = ["process", "process_batch", "post_sample", "postprocess", "finish"];
        let gates = gates.map(|hook| (hook, Gate::new(&host, hook)));
        let log = Log::new(&host, "log");
        let mut request =
            overriding(RunRequest { steps: 1, ..host.request() }, &json!({ "jpeg_quality": 60 }));
        let mut script: Map<String, Value> = gates
            .iter()
            .map(|(hook, gate)| ((*hook).to_owned(), json!([gate.action(), { "live": "n_rows" }])))
            .collect();
        let mut add = |hook: &str, actions: Value| {
            let list = script[hook].as_array_mut().unwrap();
            list.extend(actions.as_array().unwrap().clone());
        };
        add("process", json!([{ "live": "jpeg_quality" }, { "live": "n_rows" }]));
        add("process_batch", json!([{ "set_live": ["n_rows", 9] }, { "live": "n_rows" }]));
        add("finish", json!([{ "live_all": true }]));
        log.script(&mut request, "probe-a", &script.into());
        log.script(&mut request, "probe-b", &json!({ "process_batch": [{ "live": "n_rows" }] }));
        let write = |key: &str, value: Value| set(&host, key, value, Writer::Api);
        let finished = run_through(
            &host,
            request,
            &atelier_host::run::CancelToken::new(),
            &[
                (&gates[0].1, &|| {
                    write("n_rows", json!(1));
                    write("n_rows", json!(2));
                    // Nobody reads this one, and that one is overridden.
                    write("tiling", json!(true));
                    write("jpeg_quality", json!(1));
                }),
                // It comes back to what the snapshot has.
                (&gates[1].1, &|| write("n_rows", json!(-1))),
                // Over a write of the run's own,
                (&gates[2].1, &|| write("n_rows", json!(2))),
                (&gates[3].1, &|| ()),
                // and then what is seen in a read of everything, in the order of the options.
                (&gates[4].1, &|| write("grid_format", json!("webp"))),
            ],
        );
        let record = finished.record;
        assert!(record.error.is_none());
        let seen: Vec<_> = record
            .outside_writes
            .iter()
            .map(|w| (&*w.key, w.value.to_json(), &*w.seen_by, &*w.hook))
            .collect();
        assert_eq!(
            seen,
            [
                ("n_rows", json!(2), "probe-a", "process"),
                ("n_rows", json!(-1), "probe-a", "process_batch"),
                ("n_rows", json!(2), "probe-a", "post_sample"),
                ("grid_format", json!("webp"), "probe-a", "finish"),
                ("tiling", json!(true), "probe-a", "finish"),
            ]
        );
        assert!(record.outside_writes.iter().all(|write| write.writer == Writer::Api));
        // `after_calls` counts hook calls since the snapshot, of both plugins, before the one that
        // saw it.
        let calls: Vec<_> = log
            .lines()
            .into_iter()
            .filter(|line| line.get("frame").is_some() && line["hook"] != "before_process")
            .map(|line| (line["plugin"].clone(), line["hook"].clone()))
            .collect();
        for write in &record.outside_writes {
            let this = (json!(write.seen_by), json!(write.hook));
            let at = calls.iter().position(|call| *call == this).expect("a call") as u64;
            assert_eq!(write.after_calls, at, "{write:?}");
        }
    });
}

#[test]
fn what_the_base_has_is_never_from_outside() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gates = ["before", "after"].map(|name| Gate::new(&host, name));
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let script = json!({
            "before_process": [{ "set_live": ["n_rows", 5] }, gates[0].action()],
            "process": [gates[1].action(), { "live": "n_rows" }],
        });
        log.script(&mut request, "probe-a", &script);
        let write = |key: &str, value: Value| set(&host, key, value, Writer::Api);
        let finished = run_through(
            &host,
            request,
            &atelier_host::run::CancelToken::new(),
            &[
                // Over the plugin's own write, before the base is frozen;
                (&gates[0], &|| write("n_rows", json!(9))),
                // after it another option only.
                (&gates[1], &|| write("tiling", json!(true))),
            ],
        );
        assert_eq!(log.results("probe-a", "process")[1], 9);
        assert_eq!(finished.record.outside_writes, []);
    });
}

#[test]
fn an_option_that_is_declared_in_mid_run_was_not_written() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let script = json!({
            "process": [gate.action(), { "live": "late" }],
            "finish": [{ "live_all": true }],
        });
        log.script(&mut request, "probe-a", &script);
        let record = draw_through(&host, request, &gate, || {
            let late = [OptionSpec::int("late", 3)];
            let owner = Owner::Plugin("late".into());
            let declared = host.atelier().store().register(late, &owner).expect("a new option");
            assert_eq!(declared.added, 1);
        })
        .record;
        assert_eq!(log.results("probe-a", "process")[1], 3);
        assert_eq!(record.outside_writes, []);
    });
}
