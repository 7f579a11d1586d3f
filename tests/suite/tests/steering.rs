//! Live writes by plugins: whom they reach, and which runs they steer.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use atelier_host::{
    options::Writer,
    run::{CancelToken, Finished, RunRequest},
};
use atelier_suite::{
    Log, every_way,
    gate::{Gate, draw_through, run_through},
    host,
    options::{endings, overriding, pixels, row, set, snapshot},
};
use atelier_testkit::TestHost;
use serde_json::{Value, json};

fn run(host: &TestHost, name: &str, overrides: &Value, script: &Value) -> (Log, Finished) {
    let (log, request) = scripted(host, name, overrides, script);
    (log, host.draw(request))
}

fn scripted(host: &TestHost, name: &str, overrides: &Value, script: &Value) -> (Log, RunRequest) {
    let log = Log::new(host, name);
    let mut request = overriding(RunRequest { steps: 2, ..host.request() }, overrides);
    log.script(&mut request, "probe-a", script);
    (log, request)
}

#[test]
fn a_write_outside_the_layer_reaches_everybody_and_steers_the_runs_own_host() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let gate = Gate::new(&host, "gate");
        let other = Log::new(&host, "other");
        let (log, mut request) = scripted(
            &host,
            "log",
            &json!({}),
            &json!({ "process": [
                { "set_live": ["samples_format", "jpg"] },
                { "live": "samples_format" },
                gate.action(),
            ] }),
        );
        let look = json!([{ "live": "samples_format" }, { "snapshot": "samples_format" }]);
        other.script(&mut request, "probe-b", &json!({ "process_batch": look }));
        let finished = draw_through(&host, request, &gate, || {
            assert_eq!(host.option("samples_format"), "jpg");
        });
        assert_eq!(log.results("probe-a", "process")[1], "jpg");
        assert_eq!(other.results("probe-b", "process_batch"), [json!("jpg"), json!("png")]);
        assert_eq!(endings(&finished), [Some("jpg")]);
        assert_eq!(snapshot(&host, &finished.record)["samples_format"], "png");
        // The host's own reads are in the ledger, with the writer that steered it.
        let saved = row(&finished.record, "host", "save", "samples_format").expect("a row");
        assert_eq!((saved.live, saved.diverged), (1, 1));
        let divergence = saved.divergence.clone().expect("a divergence");
        assert_eq!(divergence.writer, Writer::plugin("probe-a", Some(&finished.record.id)));
        // It stays, and the next run begins with it.
        assert_eq!(host.option("samples_format"), "jpg");
        let next = host.draw(host.request());
        assert_eq!(endings(&next), [Some("jpg")]);
        assert_eq!(snapshot(&host, &next.record)["samples_format"], "jpg");
    });
}

#[test]
fn a_write_outside_the_layer_does_not_steer_a_run_that_began_before() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let before = json!({
            "process": [gate.action()],
            "process_batch": [{ "live": "samples_format" }, { "live": "samples_save" }],
        });
        let (log, request) = scripted(&host, "before", &json!({}), &before);
        let finished = draw_through(&host, request, &gate, || {
            let write = json!({ "process": [
                { "set_live": ["samples_format", "jpg"] },
                { "set_live": ["CLIP_stop_at_last_layers", 5] },
                { "set_live": ["samples_save", false] },
            ] });
            let (_, writing) = run(&host, "writing", &json!({}), &write);
            assert_eq!(endings(&writing), [None]);
        });
        // Its plugins see the store, as in A1111; its host does not.
        assert_eq!(log.results("probe-a", "process_batch"), [json!("jpg"), json!(false)]);
        assert_eq!(endings(&finished), [Some("png")]);
        for key in ["samples_format", "samples_save"] {
            let saved = row(&finished.record, "host", "save", key).expect("a row");
            assert_eq!((saved.live, saved.diverged), (1, 0), "{key}");
        }
        set(&host, "CLIP_stop_at_last_layers", json!(1), Writer::Api);
        let undisturbed = host.draw(RunRequest { steps: 2, ..host.request() });
        assert_eq!(pixels(&finished), pixels(&undisturbed));
    });
}

#[test]
fn a_foreign_write_in_mid_run_never_steers_the_host() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let plain = host.draw(RunRequest { steps: 2, n_iter: 2, ..host.request() });
        let gates = ["process", "process_batch", "before_image_saved"];
        let gates = gates.map(|name| (name, Gate::new(&host, name)));
        let mut script: serde_json::Map<String, Value> = gates
            .iter()
            .map(|(name, gate)| {
                let mut action = gate.action();
                action["iteration"] = 0.into();
                ((*name).to_owned(), json!([action]))
            })
            .collect();
        script.insert("finish".to_owned(), json!([{ "live": "samples_format" }]));
        let (log, request) = scripted(&host, "log", &json!({}), &script.into());
        let write = || {
            for (key, value) in [
                ("samples_format", json!("webp")),
                ("samples_save", json!(false)),
                ("CLIP_stop_at_last_layers", json!(6)),
                ("return_grid", json!(false)),
                ("outdir_txt2img_samples", json!("elsewhere")),
            ] {
                set(&host, key, value, Writer::Api);
                set(&host, "eta_noise_seed_delta", json!(31337), Writer::Cli);
            }
        };
        let gates =
            [(&gates[0].1, &write as &dyn Fn()), (&gates[1].1, &write), (&gates[2].1, &write)];
        let request = RunRequest { n_iter: 2, ..request };
        let finished = run_through(&host, request, &CancelToken::new(), &gates);
        assert_eq!(log.results("probe-a", "finish"), [json!("webp")]);
        assert_eq!(pixels(&finished), pixels(&plain));
        assert_eq!(endings(&finished), [Some("png"); 3]);
        assert_eq!(finished.record.snapshot, plain.record.snapshot);
        assert!(!host.folder().join("elsewhere").exists());
        let host_rows = finished.record.ledger.iter().filter(|row| row.reader == "host");
        assert!(host_rows.clone().count() > 20 && host_rows.clone().all(|row| row.diverged == 0));
    });
}

#[test]
fn a_write_to_an_overridden_option_stays_in_the_run() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let gate = Gate::new(&host, "gate");
        let other = Log::new(&host, "other");
        let (log, mut request) = scripted(
            &host,
            "log",
            &json!({ "samples_format": "jpg" }),
            &json!({ "process": [
                { "live": "samples_format" },
                { "set_live": ["samples_format", "webp"] },
                { "live": "samples_format" },
                gate.action(),
            ] }),
        );
        other.script(&mut request, "probe-b", &json!({ "finish": [{ "live": "samples_format" }] }));
        let finished = draw_through(&host, request, &gate, || {
            assert_eq!(host.option("samples_format"), "png");
            // A write to the store does not reach into the layer either.
            set(&host, "samples_format", json!("jpeg"), Writer::Api);
        });
        let process = log.results("probe-a", "process");
        assert_eq!([&process[0], &process[2]], [&json!("jpg"), &json!("webp")]);
        assert_eq!(other.results("probe-b", "finish"), [json!("webp")]);
        assert_eq!(endings(&finished), [Some("webp")]);
        assert_eq!(snapshot(&host, &finished.record)["samples_format"], "jpg");
        assert_eq!(host.option("samples_format"), "jpeg");
    });
}

#[test]
fn run_options_are_seen_by_host_and_plugins_of_the_run_alone() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let gate = Gate::new(&host, "gate");
        let other = Log::new(&host, "other");
        let (log, mut request) = scripted(
            &host,
            "log",
            &json!({}),
            &json!({ "process": [
                { "set_run": ["samples_format", "webp"] },
                { "live": "samples_format" },
                { "snapshot": "samples_format" },
                gate.action(),
                // From now on a live write is the run's own too.
                { "set_live": ["samples_format", "jpg"] },
            ] }),
        );
        other.script(&mut request, "probe-b", &json!({ "finish": [{ "live": "samples_format" }] }));
        let finished = draw_through(&host, request, &gate, || {
            assert_eq!(host.option("samples_format"), "png");
            let meanwhile = host.draw(host.request());
            assert_eq!(endings(&meanwhile), [Some("png")]);
        });
        let process = log.results("probe-a", "process");
        assert_eq!(process[1..3], [json!("webp"), json!("png")]);
        assert_eq!(other.results("probe-b", "finish"), [json!("jpg")]);
        assert_eq!(endings(&finished), [Some("jpg")]);
        assert_eq!(host.option("samples_format"), "png");
        assert!(finished.record.overrides.is_empty(), "it came after the snapshot");
    });
}

#[test]
fn what_is_written_for_the_run_steers_it_over_what_was_written_live() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let script = json!({ "process": [
            { "set_live": ["samples_format", "jpg"] },
            { "set_run": ["samples_format", "webp"] },
            { "live": "samples_format" },
        ] });
        let (log, finished) = run(&host, "log", &json!({}), &script);
        assert_eq!(log.results("probe-a", "process")[2], "webp");
        assert_eq!(endings(&finished), [Some("webp")]);
        assert_eq!(host.option("samples_format"), "jpg");
    });
}

#[test]
fn a_plugin_steers_sampling_until_it_begins() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let overrides = json!({ "CLIP_stop_at_last_layers": 3, "eta_ancestral": 0.2 });
        let sampled = |script: &Value, overrides: &Value| {
            let (_, request) = scripted(&host, "log", overrides, script);
            host.draw(RunRequest { sampler_name: "Euler a".to_owned(), ..request })
        };
        let plain = sampled(&json!({}), &json!({}));
        let overridden = sampled(&json!({}), &overrides);
        assert_ne!(pixels(&overridden), pixels(&plain));
        let writes = |way: &str| {
            let writes = overrides.as_object().unwrap().iter();
            writes.map(|(key, value)| json!({ way: [key, value] })).collect::<Vec<_>>()
        };
        for hook in ["process", "before_process_batch", "process_batch"] {
            let steered = sampled(&json!({ hook: writes("set_run") }), &json!({}));
            assert_eq!(pixels(&steered), pixels(&overridden), "{hook}");
        }
        let steered = sampled(&json!({ "process_batch": writes("set_live") }), &json!({}));
        assert_eq!(pixels(&steered), pixels(&overridden));
    });
}

#[test]
fn what_was_overwritten_before_the_base_is_frozen_steers_nothing() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let script = json!({
            "before_process": [{ "set_live": ["samples_format", "jpg"] }, gate.action()],
        });
        let (_, request) = scripted(&host, "log", &json!({}), &script);
        let finished = draw_through(&host, request, &gate, || {
            set(&host, "samples_format", json!("webp"), Writer::Api);
        });
        assert_eq!(endings(&finished), [Some("webp")]);
        assert_eq!(snapshot(&host, &finished.record)["samples_format"], "webp");
        let saved = row(&finished.record, "host", "save", "samples_format").expect("a row");
        assert_eq!(saved.diverged, 0);
    });
}

#[test]
fn plugins_live_writes_change_memory_only() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let write = json!({ "process": [{ "set_live": ["samples_format", "jpg"] }] });
        run(&host, "log", &json!({}), &write);
        host.atelier().store().save(host.atelier().config()).expect("saved");
        let kept = std::fs::read_to_string(host.folder().join("config.json")).expect("a file");
        assert_eq!(serde_json::from_str::<Value>(&kept).expect("JSON"), json!({}));
    });
}

#[test]
fn what_is_written_under_one_name_of_a_buffer_is_read_under_the_other() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let look = |buffer: &str| json!({ "look": true, "buffer": buffer });
        let script = json!({ "process_before_every_sampling": [
            look("x"),
            { "add": 1.0, "buffer": "noise" },
            look("x"),
            { "fill": 0.25, "buffer": "x" },
            look("noise"),
        ] });
        // The second run has what it uses before it asks, and what the first one used, too.
        for name in ["first", "second"] {
            let (log, _) = run(&host, name, &json!({}), &script);
            let seen = log.results("probe-a", "process_before_every_sampling");
            let mean = |at: usize| seen[at]["mean"].as_f64().expect("a mean");
            assert!((mean(2) - mean(0) - 1.0).abs() < 1e-5, "{name} {wiring:?}: {seen:?}");
            assert!((mean(4) - 0.25).abs() < 1e-6, "{name} {wiring:?}: {seen:?}");
        }
    });
}

#[test]
fn a_buffer_that_only_an_earlier_call_changed_is_left_alone() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let after = |name: &str, action: Value| {
            let script = json!({ "after_step": [action, { "look": true }] });
            let (_, finished) = run(&host, name, &json!({}), &script);
            pixels(&finished).into_iter().cloned().collect::<Vec<_>>()
        };
        let nothing = json!({ "log": "nothing" });
        let untouched = after("a", nothing.clone());
        assert_ne!(untouched, after("b", json!({ "fill": 0.5 })));
        assert_eq!(after("c", nothing), untouched, "{wiring:?}");
    });
}
