//! Overrides of a run: seen inside of it, never outside, and left behind only where that is asked.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use atelier_host::{
    options::{SetError, Watch, Writer},
    run::{CancelToken, Finished, OnError, Refused, RunRequest, RunState},
};
use atelier_suite::{
    Log, every_way,
    gate::{Gate, draw_through, run_through},
    host, host_with,
    options::{live, overriding, snapshot},
};
use atelier_testkit::TestHost;
use serde_json::{Value, json};

fn version(host: &TestHost) -> u64 {
    host.atelier().store().load().options.version()
}

#[test]
fn inside_the_run_a_live_read_is_the_override_and_outside_nobody_sees_it() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let (before, version_before) = (live(&host), version(&host));
        let gate = Gate::new(&host, "gate");
        let log = Log::new(&host, "log");
        let overrides = json!({ "probe_a_text": "mine", "probe_a_list": ["a", "b", "c"] });
        let mut request = overriding(RunRequest { steps: 1, ..host.request() }, &overrides);
        let look = [json!({ "live": "probe_a_text" }), json!({ "live": "probe_a_list" })];
        let hooks = ["before_process", "start", "process", "after_step", "postprocess", "finish"];
        let mut script: serde_json::Map<_, _> =
            hooks.iter().map(|hook| ((*hook).to_owned(), json!(look))).collect();
        script["process"].as_array_mut().unwrap().push(gate.action());
        log.script(&mut request, "probe-a", &script.into());
        draw_through(&host, request, &gate, || assert_eq!(live(&host), before));
        for hook in hooks {
            let seen = log.results("probe-a", hook);
            assert_eq!(seen[..2], [json!("mine"), json!(["a", "b", "c"])], "{hook}");
        }
        assert_eq!(live(&host), before);
        assert_eq!(version(&host), version_before, "nothing was set and set back");
    });
}

/// A run that ends as it is told to, after a plugin wrote overridden options live, and some for the
/// run only.
fn ending(host: &TestHost, state: RunState, restore_afterwards: bool) -> Finished {
    let gate = Gate::new(host, state.word());
    let log = Log::new(host, state.word());
    let overrides = json!({
        "probe_a_text": "asked",
        "probe_a_number": 3.0,
        "probe_a_list": ["asked"],
    });
    let mut request = RunRequest {
        on_error: OnError::FailRun,
        override_settings_restore_afterwards: restore_afterwards,
        steps: 1,
        ..overriding(host.request(), &overrides)
    };
    let mut process = vec![
        json!({ "set_live": ["probe_a_text", "live"] }),
        json!({ "set_run": ["probe_a_number", 9.0] }),
        json!({ "set_run": ["probe_a_flag", true] }),
        // The run's own by now: a live write stays in the run.
        json!({ "set_live": ["probe_a_flag", true] }),
        json!({ "live": "probe_a_number" }),
    ];
    let mut later = vec![gate.action()];
    if state == RunState::Failed {
        later.push(json!({ "error": "no" }));
    }
    process.push(json!({ "override": ["probe_a_text", "too late"] }));
    log.script(
        &mut request,
        "probe-a",
        &json!({
            "before_process": [{ "override": ["n_rows", 5] }],
            "process": process,
            "process_batch": later,
        }),
    );
    let cancel = CancelToken::new();
    let finished = run_through(
        host,
        request,
        &cancel,
        &[(&gate, &|| {
            if state == RunState::Cancelled {
                cancel.cancel();
            }
        })],
    );
    assert_eq!(finished.record.state, state);
    assert_eq!(log.results("probe-a", "process")[4], 9.0);
    assert!(log.results("probe-a", "process")[5]["error"].is_string());
    finished
}

#[test]
fn they_end_with_the_run_whatever_its_outcome() {
    every_way(|wiring| {
        for state in [RunState::Done, RunState::Failed, RunState::Cancelled] {
            let host = host(&["probe-a"], wiring);
            let before = live(&host);
            let version_before = version(&host);
            ending(&host, state, true);
            assert_eq!(live(&host), before, "{state:?}");
            assert_eq!(version(&host), version_before, "{state:?}");
        }
    });
}

#[test]
fn a_run_may_leave_their_final_values_behind_whatever_its_outcome() {
    every_way(|wiring| {
        for state in [RunState::Done, RunState::Failed, RunState::Cancelled] {
            let host = host(&["probe-a"], wiring);
            let mut expected = live(&host);
            let finished = ending(&host, state, false);
            for (key, value) in [
                // What a plugin wrote live is final,
                ("probe_a_text", json!("live")),
                // what it wrote for its run only is not.
                ("probe_a_number", json!(3.0)),
                ("probe_a_list", json!(["asked"])),
                ("n_rows", json!(5)),
            ] {
                expected.insert(key.to_owned(), value);
            }
            assert_eq!(live(&host), expected, "{state:?}");
            let state = host.atelier().store().load();
            let id = state.options.schema().id("probe_a_text").expect("an option");
            let run = finished.record.id.as_str().into();
            assert_eq!(*state.options.writer(id), Writer::Run { run });
        }
    });
}

#[test]
fn what_the_last_hook_writes_is_final_too() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest {
            override_settings_restore_afterwards: false,
            ..overriding(host.request(), &json!({ "probe_a_text": "asked" }))
        };
        let script = json!({ "finish": [{ "set_live": ["probe_a_text", "last"] }] });
        log.script(&mut request, "probe-a", &script);
        host.draw(request);
        assert_eq!(host.option("probe_a_text"), "last");
    });
}

#[test]
fn what_a_run_leaves_behind_comes_in_one_swap() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let keys = ["jpeg_quality", "probe_a_text", "samples_format"];
        let seen = Arc::new(Mutex::new(Vec::new()));
        for key in keys {
            let (store, seen) = (host.atelier().store().clone(), seen.clone());
            host.atelier().store().on_change("test", Watch::key(key), move |change| {
                let state = store.load();
                let now = keys.map(|key| state.options.by_key(key).unwrap().to_json());
                seen.lock().unwrap().push((change.key().to_owned(), now));
                Ok(())
            });
        }
        let overrides = json!({ "jpeg_quality": 1, "probe_a_text": "x", "samples_format": "webp" });
        host.draw(RunRequest {
            override_settings_restore_afterwards: false,
            ..overriding(host.request(), &overrides)
        });
        let all = [json!(1), json!("x"), json!("webp")];
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(seen, keys.map(|key| (key.to_owned(), all.clone())));
    });
}

#[test]
fn without_overrides_nothing_is_touched() {
    every_way(|wiring| {
        for restore_afterwards in [true, false] {
            let host = host(&["probe-a"], wiring);
            let (before, version_before) = (live(&host), version(&host));
            let record = host
                .draw(RunRequest {
                    override_settings_restore_afterwards: restore_afterwards,
                    ..host.request()
                })
                .record;
            assert!(record.overrides.is_empty());
            assert_eq!(live(&host), before);
            assert_eq!(version(&host), version_before);
        }
    });
}

/// Errors of a request that must be refused, with nothing begun.
fn refused(host: &TestHost, overrides: &Value) -> Vec<SetError> {
    let log = Log::new(host, "log");
    let before = live(host);
    let mut request = RunRequest {
        override_settings_restore_afterwards: false,
        ..overriding(host.request(), overrides)
    };
    log.script(
        &mut request,
        "probe-a",
        &json!({ "before_process": [{ "override": ["n_rows", 2] }] }),
    );
    let Err(Refused::Overrides(errors)) = host.run(request) else { panic!("accepted") };
    assert_eq!(log.hooks("probe-a"), Vec::<String>::new());
    assert!(host.runner().records().last(9).expect("readable").is_empty());
    assert!(!host.folder().join("runs").exists() && !host.folder().join("snapshots").exists());
    assert_eq!(live(host), before);
    errors
}

#[test]
fn an_unknown_key_is_refused_before_anything_starts_and_the_nearest_is_named() {
    every_way(|wiring| {
        let stored = json!({ "samples_formal": "a key of config.json that is no option" });
        let host = host_with(&["probe-a"], wiring, &stored, true);
        let errors = refused(&host, &json!({ "sample_format": "jpg" }));
        assert_eq!(errors.len(), 1);
        assert_eq!(
            errors[0],
            SetError::UnknownKey {
                key: "sample_format".to_owned(),
                nearest: Some("samples_format".to_owned())
            }
        );
        assert!(matches!(
            &refused(&host, &json!({ "samples_formal": "jpg" }))[..],
            [SetError::UnknownKey { .. }]
        ));
    });
}

#[test]
fn a_value_of_the_wrong_type_or_range_is_refused_before_anything_starts() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let error = |overrides: Value| refused(&host, &overrides).remove(0).to_string();
        assert!(error(json!({ "jpeg_quality": "high" })).contains("\"jpeg_quality\" takes"));
        assert!(error(json!({ "probe_a_list": "one" })).contains("\"probe_a_list\" takes"));
        assert!(error(json!({ "jpeg_quality": 101 })).ends_with("not 101"));
        assert!(error(json!({ "api_useragent": "x" })).contains("api_useragent"));
    });
}

#[test]
fn an_option_that_counts_when_the_host_starts_is_refused_before_anything_starts() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        for (key, value) in [
            ("disabled_extensions", json!(["probe-a"])),
            ("disable_all_extensions", json!("all")),
            ("prioritized_callbacks_process", json!(["probe-a"])),
        ] {
            let errors = refused(&host, &json!({ key: value }));
            assert_eq!(errors, [SetError::AtStart { key: key.to_owned() }]);
        }
    });
}

#[test]
fn one_bad_override_of_several_is_enough_and_every_bad_one_is_named() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let overrides = json!({ "samples_format": "jpg", "no_such": 1, "n_rows": [], "n_row": 1 });
        let errors = refused(&host, &overrides);
        let text: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors.len(), 3, "{text:?}");
        for (text, key) in text.iter().zip(["no_such", "n_rows", "n_row"]) {
            assert!(text.contains(&format!("\"{key}\"")), "{text}");
        }
        // The good one alone is fine.
        host.draw(overriding(host.request(), &json!({ "samples_format": "jpg" })));
    });
}

#[test]
fn an_override_of_a_key_that_config_json_lacks_does_not_leak() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let (before, plain) = (live(&host), host.draw(host.request()).record.snapshot);
        let record =
            host.draw(overriding(host.request(), &json!({ "eta_ancestral": 0.25 }))).record;
        assert_eq!(snapshot(&host, &record)["eta_ancestral"], 0.25);
        assert_eq!(live(&host), before);
        let state = host.atelier().store().load();
        let id = state.options.schema().id("eta_ancestral").expect("an option");
        assert!(!state.options.explicit(id));
        assert_eq!(host.draw(host.request()).record.snapshot, plain);
        host.atelier().store().save(host.atelier().config()).expect("saved");
        let kept = std::fs::read_to_string(host.folder().join("config.json")).expect("a file");
        assert_eq!(serde_json::from_str::<Value>(&kept).expect("JSON"), json!({}));
    });
}

#[test]
fn a_failed_hook_leaves_none_and_changes_none() {
    every_way(|wiring| {
        for (fault, word) in [("error", "failed"), ("panic", "panicked")] {
            let host = host(&["probe-a", "probe-b"], wiring);
            let before = live(&host);
            let log = Log::new(&host, "log");
            let mut request = RunRequest {
                override_settings_restore_afterwards: false,
                ..overriding(host.request(), &json!({ "probe_a_text": "asked", "n_rows": 3 }))
            };
            log.script(
                &mut request,
                "probe-a",
                &json!({
                    "before_process": [
                        { "override": ["probe_a_flag", true] },
                        { "override": ["n_rows", 4] },
                        { "error": "no" },
                    ],
                    "process": [
                        { "set_live": ["probe_a_text", "bad"] },
                        { "set_run": ["probe_a_number", 5.0] },
                        { fault: "no" },
                    ],
                }),
            );
            let look = ["probe_a_text", "probe_a_number", "probe_a_flag", "n_rows"];
            let look: Vec<_> = look.iter().map(|key| json!({ "live": key })).collect();
            log.script(&mut request, "probe-b", &json!({ "start": look, "process_batch": look }));
            let record = host.draw(request).record;
            let asked = [json!("asked"), json!(1.0), json!(false), json!(3)];
            assert_eq!(log.results("probe-b", "start"), asked);
            assert_eq!(log.results("probe-b", "process_batch"), asked, "{fault}");
            let statuses: Vec<_> = record.failures.iter().map(|f| f.status.as_str()).collect();
            assert_eq!(statuses, ["failed", word]);
            let mut expected = before;
            expected.insert("probe_a_text".to_owned(), json!("asked"));
            expected.insert("n_rows".to_owned(), json!(3));
            assert_eq!(live(&host), expected, "{fault}");
        }
    });
}
