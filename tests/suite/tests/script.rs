//! Plugins that a request selects: the run is made out of child runs.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{CancelToken, Finished, OnError, RecordStore as _, Refused, RunRequest, RunState},
};
use atelier_suite::{Log, every_way, host};
use atelier_testkit::TestHost;
use serde_json::{Value, json};

fn id(text: &str) -> PluginId {
    PluginId::new(text).expect("an id")
}

/// A request that selects the plugin and lists the children it makes.
fn selecting(host: &TestHost, children: &Value) -> RunRequest {
    let mut request = RunRequest { script_name: Some(id("selectable")), ..host.request() };
    let args = json!({ "children": children.to_string() });
    let args = args.as_object().cloned().expect("an object");
    request.plugin_args.insert(id("selectable"), GivenArgs::Named(args));
    request
}

fn children(host: &TestHost, parent: &Finished) -> Vec<atelier_host::run::RunRecord> {
    let records = host.atelier().records().last(50).expect("records");
    let mut children: Vec<_> =
        records.into_iter().filter(|run| run.parent.as_ref() == Some(&parent.record.id)).collect();
    children.reverse();
    children
}

#[test]
fn children_are_runs_of_their_own_with_the_other_plugins_in_them() {
    every_way(|wiring| {
        let host = host(&["selectable", "probe-a", "watermark"], wiring);
        let log = Log::new(&host, "log");
        let wanted = json!([
            { "seed": 3, "steps": 2 },
            { "prompt": "a dog", "override_settings": { "watermark_text": "child" } },
        ]);
        let mut request = selecting(&host, &wanted);
        log.script(&mut request, "probe-a", &json!({}));
        let finished = host.draw(request);
        assert_eq!(finished.record.failures, []);

        // The parent has the selected plugin alone, and no snapshot of another run.
        let plugins: Vec<_> = finished.record.plugins.iter().map(|plugin| &*plugin.id).collect();
        assert_eq!(plugins, ["selectable"]);
        let children = children(&host, &finished);
        assert_eq!(children.len(), 2, "{wiring:?}");
        let ids: Vec<_> = children.iter().map(|child| child.id.clone()).collect();
        assert_eq!(finished.record.children, ids);
        for child in &children {
            let plugins: Vec<_> = child.plugins.iter().map(|plugin| &*plugin.id).collect();
            assert_eq!(plugins, ["probe-a", "watermark"]);
            assert_eq!(child.state, RunState::Done);
        }
        let seeds = |run: &atelier_host::run::RunRecord| {
            run.prepared.as_ref().expect("prepared").pictures.all_seeds.clone()
        };
        assert_eq!((seeds(&children[0]), seeds(&children[1])), (vec![3], vec![7]));
        // Each has a snapshot of its own; the parent's is not the second child's.
        assert_eq!(finished.record.snapshot, children[0].snapshot);
        assert_ne!(finished.record.snapshot, children[1].snapshot);

        // What the children drew is what they draw alone.
        let alone = host.draw(RunRequest { seed: 3, steps: 2, ..host.request() });
        assert_eq!(finished.pictures.len(), 2);
        assert_eq!(finished.pictures[0].image, alone.pictures[0].image);
        assert!(finished.pictures[1].infotext.starts_with("a dog\n"));
        assert!(finished.pictures.iter().all(|picture| picture.path.is_some()));
        assert_eq!(log.hooks("probe-a").iter().filter(|hook| *hook == "process").count(), 2);
    });
}

#[test]
fn a_selectable_plugin_takes_no_part_where_it_is_not_selected() {
    every_way(|wiring| {
        let host = host(&["selectable", "watermark"], wiring);
        let finished = host.draw(host.request());
        assert_eq!(finished.record.failures, []);
        let plugins: Vec<_> = finished.record.plugins.iter().map(|plugin| &*plugin.id).collect();
        assert_eq!(plugins, ["watermark"]);
        // Its options are there all the same.
        assert_eq!(host.option("selectable_text"), "as it was");
    });
}

#[test]
fn only_plugins_with_the_hook_can_be_selected() {
    every_way(|wiring| {
        let host = host(&["selectable", "watermark"], wiring);
        for (name, words) in [("watermark", "cannot be selected"), ("ghost", "is not loaded")] {
            let request = RunRequest { script_name: Some(id(name)), ..host.request() };
            let refused = host.runner().run(request, &CancelToken::new()).expect_err("refused");
            assert!(matches!(refused, Refused::Script { .. }));
            let text = refused.to_string();
            assert!(text.contains(words) && text.contains("selectable are: selectable"), "{text}");
        }
    });
}

/// A child that is refused is the hook's failure, with words; the answer before it is undone.
#[test]
fn a_child_that_makes_no_sense_is_refused_with_words() {
    every_way(|wiring| {
        let host = host(&["selectable"], wiring);
        for (child, words) in [
            (json!({ "seeds": 3 }), "unknown field `seeds`"),
            (json!({ "steps": 0 }), "steps: 0 is not from 1"),
            (json!({ "override_settings": { "no_such": 1 } }), "no_such"),
            (json!({ "script_name": "selectable" }), "unknown field `script_name`"),
        ] {
            let finished =
                host.run(selecting(&host, &json!([{ "seed": 1 }, child]))).expect("a run");
            assert_eq!(finished.record.state, RunState::Failed, "nothing is left of the run");
            let [failure] = &finished.record.failures[..] else { panic!("{child}: no failure") };
            assert_eq!(&*failure.hook, "run");
            assert!(failure.message.contains(words), "{wiring:?}: {}", failure.message);
            assert!(finished.pictures.is_empty(), "{child}");
        }
    });
}

#[test]
fn a_child_that_fails_is_an_answer_and_no_failure_of_its_parent() {
    every_way(|wiring| {
        let host = host(&["selectable", "probe-a"], wiring);
        let mut request = RunRequest {
            on_error: OnError::FailRun,
            ..selecting(&host, &json!([{ "seed": 1 }, { "seed": 2 }]))
        };
        let script = json!({ "process": [{ "stop": "not this one" }] });
        Log::new(&host, "log").script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        assert_eq!(finished.record.state, RunState::Done);
        assert!(finished.pictures.is_empty(), "{wiring:?}");
        let states: Vec<_> = children(&host, &finished).iter().map(|child| child.state).collect();
        assert_eq!(states, [RunState::Failed, RunState::Failed]);
    });
}

#[test]
fn a_cancelled_run_has_no_more_children() {
    every_way(|wiring| {
        let host = host(&["selectable", "probe-a"], wiring);
        let mut request = selecting(&host, &json!([{ "seed": 1 }, { "seed": 2 }, { "seed": 3 }]));
        let script = json!({ "after_step": [{ "sleep_ms": 5 }] });
        Log::new(&host, "log").script(&mut request, "probe-a", &script);
        request.steps = 40;
        let cancel = CancelToken::new();
        let finished = std::thread::scope(|scope| {
            let running = scope.spawn(|| host.runner().run(request, &cancel).expect("a run"));
            let records = host.atelier().records();
            while !records.last(9).expect("records").iter().any(|run| run.parent.is_some()) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            cancel.cancel();
            running.join().expect("no panic")
        });
        assert_eq!(finished.record.state, RunState::Cancelled, "{wiring:?}");
        let states: Vec<_> = children(&host, &finished).iter().map(|child| child.state).collect();
        assert_eq!(states, [RunState::Cancelled], "{wiring:?}");
    });
}
