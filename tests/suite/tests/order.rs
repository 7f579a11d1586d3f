//! In which order plugins are called, and which are not called at all.

use std::{path::PathBuf, sync::Arc};

use atelier_host::run::Finished;
use atelier_suite::{Log, every_way, plugin};
use atelier_testkit::{FakeProvider, TestHost, Wiring};
use serde_json::{Value, json};

fn host(plugins: &[&str], wiring: Wiring, config: &Value) -> TestHost {
    let plugins: Vec<PathBuf> = plugins.iter().map(|name| plugin(name)).collect();
    TestHost::with(&plugins, wiring, config, true, Arc::new(FakeProvider::default()))
}

/// Draws with both probes; returns which of them was called at each hook, in order.
fn calls(host: &TestHost) -> (Finished, Vec<(String, String)>) {
    let log = Log::new(host, "log");
    let mut request = host.request();
    for probe in ["probe-a", "probe-b"] {
        log.script(&mut request, probe, &json!({}));
    }
    let finished = host.draw(request);
    let lines = log.lines().into_iter();
    let text = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let calls = lines.map(|line| (text(&line, "hook"), text(&line, "plugin"))).collect();
    (finished, calls)
}

/// The first two calls of a hook, by plugin.
fn at<'a>(calls: &'a [(String, String)], hook: &str) -> Vec<&'a str> {
    let calls = calls.iter().filter(|(called, _)| called == hook);
    calls.map(|(_, plugin)| plugin.as_str()).take(2).collect()
}

fn recorded<'a>(finished: &'a Finished, hook: &str) -> Vec<&'a str> {
    finished.record.order.get(hook).into_iter().flatten().map(String::as_str).collect()
}

#[test]
fn without_wishes_ids_decide_and_finish_goes_backwards() {
    every_way(|wiring| {
        // Whatever the order in which they were found.
        let host = host(&["probe-b", "probe-a"], wiring, &json!({}));
        let (finished, calls) = calls(&host);
        for hook in ["before_process", "start", "process", "after_step", "postprocess"] {
            assert_eq!(at(&calls, hook), ["probe-a", "probe-b"], "{hook} {wiring:?}");
            assert_eq!(recorded(&finished, hook), ["probe-a", "probe-b"], "{hook}");
        }
        for hook in ["finish", "drop"] {
            assert_eq!(at(&calls, hook), ["probe-b", "probe-a"], "{hook}");
        }
        assert_eq!(recorded(&finished, "finish"), ["probe-b", "probe-a"]);
    });
}

#[test]
fn the_users_wish_counts_at_its_hook() {
    every_way(|wiring| {
        let config = json!({
            "prioritized_callbacks_process": ["probe-b"],
            "prioritized_callbacks_finish": ["probe-b"],
            "prioritized_callbacks_after_step": ["ghost", "probe-b", "probe-a"],
        });
        let host = host(&["probe-a", "probe-b"], wiring, &config);
        let (finished, calls) = calls(&host);
        assert_eq!(at(&calls, "process"), ["probe-b", "probe-a"], "{wiring:?}");
        assert_eq!(at(&calls, "after_step"), ["probe-b", "probe-a"]);
        assert_eq!(at(&calls, "post_sample"), ["probe-a", "probe-b"]);
        // `finish` is the reverse of its order, whoever made that.
        assert_eq!(at(&calls, "finish"), ["probe-a", "probe-b"]);
        assert_eq!(recorded(&finished, "process"), ["probe-b", "probe-a"]);
        assert_eq!(recorded(&finished, "post_sample"), ["probe-a", "probe-b"]);
    });
}

#[test]
fn a_plugins_wish_beats_ids_and_the_users() {
    every_way(|wiring| {
        let config = json!({ "prioritized_callbacks_process": ["probe-b", "probe-a"] });
        let host = host(&["probe-a", "probe-b", "order-first"], wiring, &config);
        let (finished, _) = calls(&host);
        // It wants to come before probe-a; about probe-b it says nothing.
        let process = recorded(&finished, "process");
        assert_eq!(process, ["probe-b", "z-order-first", "probe-a"], "{wiring:?}");
        assert_eq!(recorded(&finished, "start"), ["probe-b", "z-order-first", "probe-a"]);
        // It has no such hook.
        assert_eq!(recorded(&finished, "post_sample"), ["probe-b", "probe-a"]);
    });
}

#[test]
fn members_of_a_cycle_are_left_out_and_told_why() {
    every_way(|wiring| {
        let host = host(&["cycle-a", "probe-a", "cycle-b"], wiring, &json!({}));
        for entry in host.atelier().plugins() {
            let id = entry.manifest.as_ref().map_or("", |manifest| manifest.id.as_str());
            let expected = if id == "probe-a" { "active" } else { "cycle" };
            assert_eq!(entry.state.word(), expected, "{id}");
            let Some(reason) = entry.state.reason() else { continue };
            let round = ["cycle-a → cycle-b → cycle-a", "cycle-b → cycle-a → cycle-b"];
            assert!(round.iter().any(|path| reason.contains(path)), "{reason}");
            assert!(reason.contains("disable one of them"), "{reason}");
        }
        let log = Log::new(&host, "log");
        let mut request = host.request();
        log.script(&mut request, "probe-a", &json!({}));
        let finished = host.draw(request);
        assert_eq!(recorded(&finished, "process"), ["probe-a"]);
        let ids: Vec<_> = finished.record.plugins.iter().map(|plugin| &*plugin.id).collect();
        assert_eq!(ids, ["probe-a"], "{wiring:?}");
    });
}

#[test]
fn disabling_one_member_of_a_cycle_frees_the_other() {
    let config = json!({ "disabled_extensions": ["cycle-b"] });
    let host = host(&["cycle-a", "cycle-b"], Wiring::Direct, &config);
    let words: Vec<_> = host.atelier().plugins().iter().map(|entry| entry.state.word()).collect();
    assert_eq!(words, ["active", "disabled"]);
    assert_eq!(recorded(&host.draw(host.request()), "process"), ["cycle-a"]);
}

#[test]
fn a_wish_for_a_plugin_that_nobody_has_is_a_notice() {
    let host = host(&["wants-ghost"], Wiring::Direct, &json!({}));
    let state = host.atelier().store().load_full();
    let notices = &state.companion.order().notices;
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("wants-ghost") && notices[0].contains("“ghost”"));
    assert_eq!(recorded(&host.draw(host.request()), "process"), ["wants-ghost"]);
}

#[test]
fn disabled_plugins_are_looked_at_and_not_loaded() {
    every_way(|wiring| {
        let config = json!({ "disabled_extensions": ["probe-a"] });
        let host = host(&["probe-a", "probe-b"], wiring, &config);
        let [first, second] = host.atelier().plugins() else { panic!("two entries") };
        assert_eq!((first.state.word(), second.state.word()), ("disabled", "active"));
        let reason = first.state.reason();
        assert!(reason.is_some_and(|reason| reason.contains("disabled_extensions")));
        assert!(first.manifest.is_some() && first.hash.is_some());
        let finished = host.draw(host.request());
        assert_eq!(recorded(&finished, "process"), ["probe-b"], "{wiring:?}");
        // Arguments for it are refused by name.
        let mut request = host.request();
        Log::new(&host, "log").script(&mut request, "probe-a", &json!({}));
        let refused = host.run(request).expect_err("it is not loaded").to_string();
        assert!(refused.contains("probe-a") && refused.contains("probe-b"), "{refused}");
    });
}

#[test]
fn all_plugins_can_be_disabled_at_once() {
    for (which, word) in [("all", "disabled"), ("extra", "disabled"), ("none", "active")] {
        let config = json!({ "disable_all_extensions": which });
        let host = host(&["probe-a", "constructor-error"], Wiring::Direct, &config);
        let [first, second] = host.atelier().plugins() else { panic!("two entries") };
        assert_eq!(first.state.word(), word, "{which}");
        assert_eq!(second.state.word(), if word == "active" { "failed" } else { word });
        assert_eq!(host.draw(host.request()).record.plugins.len(), usize::from(word == "active"));
    }
}

/// The order belongs to the set of plugins, which follows the options as they were when it was made:
/// a wish that is written later counts from the next start.
#[test]
fn a_run_keeps_the_order_it_began_with() {
    let host = host(&["probe-a", "probe-b"], Wiring::Direct, &json!({}));
    let log = Log::new(&host, "log");
    let mut request = host.request();
    let script = json!({
        "process": [{ "set_live": ["prioritized_callbacks_post_sample", ["probe-b"]] }]
    });
    log.script(&mut request, "probe-a", &script);
    log.script(&mut request, "probe-b", &json!({}));
    let finished = host.draw(request);
    assert_eq!(recorded(&finished, "post_sample"), ["probe-a", "probe-b"]);
    let calls: Vec<_> = log.lines().into_iter().filter(|l| l["hook"] == "post_sample").collect();
    assert_eq!(calls[0]["plugin"], "probe-a");
}
