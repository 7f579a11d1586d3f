//! `on_error`, and plugins that stop a run on purpose.

use atelier_host::run::{OnError, RunRequest, RunState, record::FailureAction};
use atelier_suite::{Log, every_way, host};
use serde_json::json;

use crate::request;

/// Hooks before which there are no pictures yet, and ones behind which there are.
const HOOKS: [&str; 9] = [
    "before_process",
    "start",
    "process",
    "cfg_denoiser",
    "after_step",
    "post_sample",
    "before_image_saved",
    "image_grid",
    "postprocess",
];

#[test]
fn fail_run_fails_the_run_with_the_plugins_words() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        for hook in HOOKS {
            for (word, status) in [("error", "failed"), ("panic", "panicked")] {
                let log = Log::new(&host, &format!("{hook}-{word}"));
                let mut request = RunRequest { on_error: OnError::FailRun, ..request(&host) };
                let script = json!({ hook: [{ word: "out of paint" }] });
                log.script(&mut request, "probe-a", &script);
                log.script(&mut request, "probe-b", &json!({}));
                let finished = host.run(request).expect("accepted");
                assert_eq!(finished.record.state, RunState::Failed, "{hook}");
                let error = finished.error.expect("an error").to_string();
                assert_eq!(error, format!("probe-a failed at {hook}: out of paint"));
                assert_eq!(finished.record.error, Some(error));
                let [failure] = &finished.record.failures[..] else { panic!("one failure") };
                assert_eq!(failure.action, FailureAction::RunFailed);
                assert_eq!(failure.status, status);
                // Whoever was started before is finished and dropped.
                let other = log.hooks("probe-b");
                let started = !["before_process", "start"].contains(&hook);
                let end = if started { &other[other.len() - 2..] } else { &[] };
                assert_eq!(end.iter().any(|hook| hook == "finish"), started, "{hook} {other:?}");
                assert_eq!(end.iter().any(|hook| hook == "drop"), started, "{hook} {other:?}");
            }
        }
    });
}

#[test]
fn a_run_that_fails_late_keeps_the_pictures_it_has() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        for (hook, kept) in [("image_grid", 2), ("postprocess", 3), ("image_saved", 1)] {
            let log = Log::new(&host, hook);
            let mut request = RunRequest { on_error: OnError::FailRun, ..request(&host) };
            log.script(&mut request, "probe-a", &json!({ hook: [{ "error": "no" }] }));
            let finished = host.run(request).expect("accepted");
            assert_eq!(finished.record.state, RunState::Failed);
            assert_eq!(finished.pictures.len(), kept, "{hook}");
            assert_eq!(finished.record.outputs.len(), kept, "{hook}");
            for picture in &finished.pictures {
                assert_ne!(picture.image.dimensions(), (0, 0), "{hook}");
                assert!(picture.path.as_ref().is_some_and(|path| path.exists()), "{hook}");
            }
        }
    });
}

#[test]
fn disable_lasts_as_long_as_the_runner() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let run = |name: &str, script: serde_json::Value| {
            let log = Log::new(&host, name);
            let mut request = RunRequest { on_error: OnError::Disable, ..request(&host) };
            log.script(&mut request, "probe-a", &script);
            log.script(&mut request, "probe-b", &json!({}));
            (host.draw(request), log)
        };
        let (first, log) = run("first", json!({ "process": [{ "error": "no" }] }));
        assert_eq!(first.record.failures[0].action, FailureAction::Disabled);
        // Not called again in this run either, but dropped.
        assert_eq!(log.hooks("probe-a"), ["before_process", "start", "process", "drop"]);
        assert!(log.hooks("probe-b").contains(&"finish".to_owned()));

        let (second, log) = run("second", json!({}));
        assert_eq!(log.hooks("probe-a"), [""; 0], "{wiring:?}");
        let ids: Vec<&str> = second.record.plugins.iter().map(|plugin| &*plugin.id).collect();
        assert_eq!(ids, ["probe-b"]);
        assert!(log.hooks("probe-b").contains(&"finish".to_owned()));
        assert_eq!(second.record.failures, []);

        // A failure under another policy disables nobody.
        let log = Log::new(&host, "third");
        let mut request = request(&host);
        log.script(&mut request, "probe-b", &json!({ "process": [{ "error": "no" }] }));
        host.draw(request);
        let (_, log) = run("fourth", json!({}));
        assert!(log.hooks("probe-b").contains(&"finish".to_owned()));
    });
}

#[test]
fn a_plugin_stops_the_run_whatever_the_policy() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        for policy in [OnError::Skip, OnError::FailRun, OnError::Disable] {
            for hook in HOOKS {
                let log = Log::new(&host, &format!("{hook}-{policy:?}"));
                let mut request = RunRequest { on_error: policy, ..request(&host) };
                let script = json!({ hook: [{ "stop": "this prompt is not drawn here" }] });
                log.script(&mut request, "probe-a", &script);
                log.script(&mut request, "probe-b", &json!({}));
                let finished = host.run(request).expect("accepted");
                let error = finished.error.expect("an error").to_string();
                let words = "this prompt is not drawn here";
                assert_eq!(error, format!("probe-a stopped the run at {hook}: {words}"));
                assert_eq!(finished.record.state, RunState::Failed);
                assert_eq!(finished.record.failures[0].action, FailureAction::RunStopped);
                // It did what it wanted to: it is finished like everybody, and not disabled.
                if !["before_process", "start"].contains(&hook) {
                    assert!(log.hooks("probe-a").contains(&"finish".to_owned()), "{hook}");
                    assert!(log.hooks("probe-b").contains(&"finish".to_owned()), "{hook}");
                }
            }
        }
        let log = Log::new(&host, "after");
        let mut request = request(&host);
        log.script(&mut request, "probe-a", &json!({}));
        host.draw(request);
        assert!(log.hooks("probe-a").contains(&"finish".to_owned()), "{wiring:?}");
    });
}

/// The run is over by then: there is nothing left to stop or to fail.
#[test]
fn a_failing_finish_neither_ends_the_run_nor_the_finish_of_others() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        for policy in [OnError::Skip, OnError::FailRun, OnError::Disable] {
            for word in ["error", "panic", "stop"] {
                let log = Log::new(&host, &format!("{word}-{policy:?}"));
                let mut request = RunRequest { on_error: policy, ..request(&host) };
                log.script(&mut request, "probe-a", &json!({}));
                // `finish` goes from the last plugin to the first.
                log.script(&mut request, "probe-b", &json!({ "finish": [{ word: "no" }] }));
                let finished = host.draw(request);
                assert_eq!(finished.record.state, RunState::Done);
                for probe in ["probe-a", "probe-b"] {
                    let hooks = log.hooks(probe);
                    assert_eq!(hooks[hooks.len() - 2..], ["finish", "drop"], "{word} {wiring:?}");
                }
                let [failure] = &finished.record.failures[..] else { panic!("one failure") };
                assert_ne!(failure.action, FailureAction::RunStopped, "{policy:?}");
                assert_ne!(failure.action, FailureAction::RunFailed, "{policy:?}");
                // It is not called any more from here on.
                if policy == OnError::Disable {
                    return;
                }
            }
        }
    });
}
