//! After a panic an instance is not called again; it is dropped.

use atelier_host::run::RunRequest;
use atelier_suite::{Log, every_way, host};
use serde_json::json;

use crate::request;

#[test]
fn a_panicked_instance_is_not_called_again_but_dropped() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { n_iter: 2, ..request(&host) };
        log.script(&mut request, "probe-a", &json!({ "process_batch": [{ "panic": "enough" }] }));
        log.script(&mut request, "probe-b", &json!({}));
        let finished = host.draw(request);
        let called = log.hooks("probe-a");
        let expected = [
            "before_process",
            "start",
            "process",
            "before_process_batch",
            "after_extra_networks_activate",
            "process_batch",
            "drop",
        ];
        assert_eq!(called, expected, "{wiring:?}");
        // The other plugin does not notice.
        assert_eq!(log.hooks("probe-b").iter().filter(|hook| *hook == "after_step").count(), 4);
        assert!(log.hooks("probe-b").contains(&"finish".to_owned()));

        let counts = |plugin: &str, hook: &str| {
            let all = finished.record.hooks.iter();
            let found = all.clone().find(|timing| timing.plugin == plugin && timing.hook == hook);
            found.map_or((0, 0, 0), |timing| (timing.calls, timing.failures, timing.not_run))
        };
        assert_eq!(counts("probe-a", "process"), (1, 0, 0));
        assert_eq!(counts("probe-a", "process_batch"), (1, 1, 1));
        assert_eq!(counts("probe-a", "before_process_batch"), (1, 0, 1));
        assert_eq!(counts("probe-a", "after_step"), (0, 0, 4));
        assert_eq!(counts("probe-a", "postprocess_image"), (0, 0, 4));
        assert_eq!(counts("probe-a", "finish"), (0, 0, 1));
        assert_eq!(counts("probe-b", "after_step"), (4, 0, 0));
        // One panic is one failure, not one for every call that was left out.
        let [failure] = &finished.record.failures[..] else { panic!("one failure") };
        assert_eq!((&*failure.status, &*failure.message), ("panicked", "enough"));
        assert!(failure.place.contains("perform.rs") || failure.place.contains("probe.rs"));
    });
}

#[test]
fn the_next_run_has_an_instance_of_its_own() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut first = host.request();
        log.script(&mut first, "probe-a", &json!({ "process": [{ "panic": "enough" }] }));
        host.draw(first);
        let log = Log::new(&host, "next");
        let mut second = host.request();
        log.script(&mut second, "probe-a", &json!({}));
        let finished = host.draw(second);
        assert_eq!(finished.record.failures, []);
        assert!(log.hooks("probe-a").contains(&"finish".to_owned()));
    });
}

#[test]
fn without_an_instance_the_run_goes_on() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        for (hook, action, status) in [
            ("start", json!({ "error": "no licence" }), "failed"),
            ("start", json!({ "panic": "no licence" }), "panicked"),
            ("before_process", json!({ "panic": "no licence" }), "panicked"),
        ] {
            let log = Log::new(&host, &format!("{hook}-{status}"));
            let mut request = host.request();
            log.script(&mut request, "probe-a", &json!({ hook: [action] }));
            log.script(&mut request, "probe-b", &json!({}));
            let finished = host.draw(request);
            let called = log.hooks("probe-a");
            assert_eq!(called.last().map(String::as_str), Some(hook), "{called:?} {wiring:?}");
            assert!(log.hooks("probe-b").contains(&"finish".to_owned()));
            let [failure] = &finished.record.failures[..] else { panic!("one failure") };
            let told = (&*failure.hook, &*failure.status, &*failure.message);
            assert_eq!(told, (hook, status, "no licence"));
            let steps = finished.record.hooks.iter();
            let mut steps = steps.filter(|t| t.plugin == "probe-a" && t.hook == "after_step");
            assert_eq!(steps.next().map(|t| (t.calls, t.not_run)), Some((0, 4)));
        }
    });
}
