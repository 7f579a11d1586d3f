//! The plugin `misbehaving`, which fails in every way there is, in a process of its own for each.

use atelier_host::run::{RunState, record::HookFailure};
use atelier_suite::{Kind, child, every_way, host, outcome::Outcome};
use atelier_testkit::Wiring;

use crate::request;

const VARIABLE: &str = "ATELIER_MISBEHAVE";

/// Hooks in which it changes something before it fails.
const CHANGING: [&str; 24] = [
    "before_process",
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
    "on_mask_blend",
    "cfg_after_cfg",
    "after_step",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "before_image_saved",
    "image_grid",
    "postprocess",
    "finish",
];

/// Draws the same picture with the plugin and without it; returns the plugin's failures.
fn equal_to_a_run_without_it(wiring: Wiring) -> Vec<HookFailure> {
    equal_without_it(&[Kind::Plain], wiring)
}

/// The same for several kinds of runs.
fn equal_without_it(kinds: &[Kind], wiring: Wiring) -> Vec<HookFailure> {
    let alone = host(&[], wiring);
    let beside = host(&["misbehaving"], wiring);
    let mut failures = Vec::new();
    for kind in kinds {
        let expected = Outcome::of(&alone.draw(kind.of(request(&alone))));
        let finished = beside.draw(kind.of(request(&beside)));
        assert!(Outcome::of(&finished) == expected, "{kind:?} {wiring:?}");
        failures.extend(finished.record.failures);
    }
    failures
}

fn list(word: &str, hooks: &[&str]) -> String {
    hooks.iter().map(|hook| format!("{word}:{hook}")).collect::<Vec<_>>().join(",")
}

#[test]
fn errors_after_changes_in_every_hook_at_once_leave_the_picture_alone() {
    if child::is_this() {
        return every_way(|wiring| {
            let failures = equal_without_it(&[Kind::Plain, Kind::Hires, Kind::Masked], wiring);
            for hook in CHANGING {
                assert!(failures.iter().any(|f| f.hook == hook), "{hook}: {failures:?}");
            }
        });
    }
    let faults = list("change-then-error", &CHANGING);
    let name = "misbehaving::errors_after_changes_in_every_hook_at_once_leave_the_picture_alone";
    child::run(name, &[(VARIABLE, &faults)]);
}

#[test]
fn a_panic_after_changes_leaves_the_picture_alone() {
    if child::is_this() {
        return every_way(|wiring| {
            let fault = std::env::var(VARIABLE).expect("set by the parent");
            let kind = fault.rsplit(':').next().map_or(Kind::Plain, Kind::with);
            let failures = equal_without_it(&[kind], wiring);
            let [failure] = &failures[..] else { panic!("{failures:?}") };
            assert_eq!(failure.status, "panicked");
            assert!(failure.place.contains("misbehaving/src/lib.rs:"), "{}", failure.place);
        });
    }
    for hook in CHANGING {
        let faults = format!("change-then-panic:{hook}");
        let name = "misbehaving::a_panic_after_changes_leaves_the_picture_alone";
        child::run(name, &[(VARIABLE, &faults)]);
    }
}

#[test]
fn nan_in_every_hook_at_once_leaves_the_picture_alone() {
    const FLOATS: [&str; 8] = [
        "process_before_every_sampling",
        "cfg_denoiser",
        "cfg_denoised",
        "cfg_combine",
        "cfg_after_cfg",
        "after_step",
        "post_sample",
        "postprocess_batch",
    ];
    if child::is_this() {
        return every_way(|wiring| {
            let failures = equal_to_a_run_without_it(wiring);
            // Two steps of five hooks, and three hooks once.
            assert_eq!(failures.iter().map(|f| f.times).sum::<u64>(), 13, "{failures:?}");
            assert!(failures.len() == 8 && failures.iter().all(|f| f.status == "failed"));
        });
    }
    let name = "misbehaving::nan_in_every_hook_at_once_leaves_the_picture_alone";
    child::run(name, &[(VARIABLE, &list("nan", &FLOATS))]);
}

/// Panics that are hard to contain: in Drop, with a payload whose Drop panics, in a hook of the plugin
/// itself, while the instance is made.
#[test]
fn panics_of_every_kind_are_contained_and_reported() {
    if child::is_this() {
        return every_way(|wiring| {
            let failures = equal_to_a_run_without_it(wiring);
            let [failure] = &failures[..] else { panic!("{failures:?}") };
            let expected = std::env::var("EXPECTED_HOOK").expect("set by the parent");
            assert_eq!((&*failure.hook, &*failure.status), (&*expected, "panicked"));
            assert!(failure.place.contains("misbehaving/src/lib.rs:"), "{}", failure.place);
        });
    }
    for (fault, hook) in [
        ("panic-in-drop", "drop"),
        ("panic-in-start", "start"),
        ("panic:model_loaded", "model_loaded"),
        ("panic:before_process", "before_process"),
        ("panic:image_saved", "image_saved"),
        ("panic-payload-drop:before_process", "before_process"),
        ("panic-payload-drop:start", "start"),
        ("panic-payload-drop:process", "process"),
        ("panic-payload-drop:after_step", "after_step"),
        ("panic-payload-drop:finish", "finish"),
    ] {
        let name = "misbehaving::panics_of_every_kind_are_contained_and_reported";
        child::run(name, &[(VARIABLE, fault), ("EXPECTED_HOOK", hook)]);
    }
}

/// The instance is dropped after the panic of a hook, and that panics too: both are told.
#[test]
fn a_panic_of_a_hook_and_then_of_drop_are_two_failures() {
    if child::is_this() {
        return every_way(|wiring| {
            let failures = equal_to_a_run_without_it(wiring);
            let hooks: Vec<&str> = failures.iter().map(|f| &*f.hook).collect();
            assert_eq!(hooks, ["process", "drop"]);
        });
    }
    let name = "misbehaving::a_panic_of_a_hook_and_then_of_drop_are_two_failures";
    child::run(name, &[(VARIABLE, "panic:process,panic-in-drop")]);
}

#[test]
fn errors_of_plugin_and_start_leave_a_run_without_it() {
    if child::is_this() {
        return every_way(|wiring| {
            let failures = equal_to_a_run_without_it(wiring);
            let hooks: Vec<&str> = failures.iter().map(|f| &*f.hook).collect();
            assert_eq!(hooks, ["before_process", "model_loaded", "start"]);
        });
    }
    let name = "misbehaving::errors_of_plugin_and_start_leave_a_run_without_it";
    let faults = "error:model_loaded,change-then-error:before_process,error-in-start";
    child::run(name, &[(VARIABLE, faults)]);
}

#[test]
fn a_stop_while_the_model_is_loaded_ends_the_run() {
    if child::is_this() {
        return every_way(|wiring| {
            let host = host(&["misbehaving"], wiring);
            let finished = host.run(request(&host)).expect("accepted");
            assert_eq!(finished.record.state, RunState::Failed);
            let error = finished.error.expect("an error").to_string();
            assert!(error.starts_with("misbehaving stopped the run at model_loaded: "), "{error}");
        });
    }
    let name = "misbehaving::a_stop_while_the_model_is_loaded_ends_the_run";
    child::run(name, &[(VARIABLE, "stop:model_loaded")]);
}
