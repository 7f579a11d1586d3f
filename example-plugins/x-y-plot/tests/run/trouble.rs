//! Cells that cannot be drawn, and plots that make no sense.

use std::{thread::sleep, time::Duration};

use atelier_host::run::{CancelToken, RecordStore as _, RunRequest, RunState};
use atelier_testkit::{both_ways, script};
use serde_json::json;

use crate::support::{alone, cell, children, draw, host, request, stopped};

#[test]
fn a_cell_that_fails_is_empty_and_says_why() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let axes = json!({
            "x_type": "Steps", "x_values": "1,2", "y_type": "arg:probe-a.script",
            "y_values": r#""{}","{""process"":[{""stop"":""not this one""}]}""#,
        });
        let finished = draw(&host, request(&host, &axes));
        let states: Vec<_> = children(&host, &finished).iter().map(|child| child.state).collect();
        let (done, failed) = (RunState::Done, RunState::Failed);
        assert_eq!(states, [done, done, failed, failed], "{wiring:?}");
        let drawn = alone(&host, RunRequest { steps: 2, ..host.request() });
        assert!(cell(&finished, (2, 2), (1, 0), 0) == drawn, "{wiring:?}");
        // The reason stands in the place of the picture.
        let empty = cell(&finished, (2, 2), (0, 1), 0);
        assert!(empty.contains(&0) && empty.iter().all(|byte| [0, 255].contains(byte)));
        let infotext = &finished.pictures[0].infotext;
        assert!(infotext.contains("Empty cells: \"Steps 1, probe-a.script "), "{infotext}");
        assert!(infotext.contains("not this one (and 1 more)"), "{infotext}");
    });
}

#[test]
fn a_cell_whose_pictures_a_plugin_takes_away_is_empty() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let axes = json!({
            "x_type": "arg:probe-a.script",
            "x_values": r#""{}","{""postprocess_batch_list"":[{""remove"":0}]}""#,
        });
        let infotext = draw(&host, request(&host, &axes)).pictures.remove(0).infotext;
        assert!(infotext.contains("it has no picture"), "{wiring:?}: {infotext}");
    });
}

#[test]
fn a_plot_that_grows_too_large_ends_with_the_cell_that_is_too_large() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let axes = json!({ "x_type": "Seed", "x_values": "1-5" });
        let mut asking = request(&host, &axes);
        let enlarge = json!({ "postprocess_image": [{ "replace": [0, 9000, 8] }] });
        script(&mut asking, "probe-a", &host.folder().join("log"), &enlarge);
        let words = stopped(&host, asking);
        assert!(words.contains("no side may have more than 16384"), "{wiring:?}: {words}");
        let records = host.atelier().records().last(99).expect("records");
        assert_eq!(records.iter().filter(|run| run.parent.is_some()).count(), 1, "{wiring:?}");
    });
}

#[test]
fn a_value_that_the_host_refuses_leaves_its_cells_empty() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({ "x_type": "Sampler", "x_values": "Euler, Eulr, DDIM" });
        let finished = draw(&host, request(&host, &axes));
        assert_eq!(children(&host, &finished).len(), 2, "{wiring:?}");
        let infotext = &finished.pictures[0].infotext;
        assert!(infotext.contains("Empty cells: \"Sampler Eulr: "), "{infotext}");
        let last = alone(
            &host,
            RunRequest { steps: 2, sampler_name: "DDIM".to_owned(), ..host.request() },
        );
        assert!(cell(&finished, (3, 1), (2, 0), 0) == last, "{wiring:?}");
    });
}

#[test]
fn a_plot_without_any_cell_fails_with_the_first_reason() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({ "x_type": "Sampler", "x_values": "Eulr, DIMM" });
        let words = stopped(&host, request(&host, &axes));
        assert!(
            words.contains("no cell could be drawn; the first one (Sampler Eulr): "),
            "{words}"
        );
        assert!(words.contains("DPM++ 2M"), "it says what there is: {words}");
    });
}

#[test]
fn what_makes_no_sense_stops_the_run_before_anything_is_drawn() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        for (axes, words) in [
            (json!({ "x_type": "Stpes", "x_values": "1" }), "there is no axis “Stpes”"),
            (json!({ "y_type": "Steps", "y_values": "1,x" }), "y_values, character 3: “x” is no"),
            (json!({ "x_type": "option:no_such", "x_values": "1" }), "no_such"),
            (json!({ "x_type": "Steps", "x_values": "1-401" }), "more than 400 values"),
            (
                json!({
                    "x_type": "Steps", "x_values": "1-21", "y_type": "Seed", "y_values": "1-20",
                }),
                "21 × 20 cells are more than 400; give fewer values, or raise the option \
                 x_y_plot_max_cells",
            ),
            (json!({ "x_type": "Size", "x_values": "16384x64,64x64" }), "no side may have more"),
            (json!({ "x_type": "Size", "x_values": "16000x13000" }), "raise the option img_max"),
        ] {
            let found = stopped(&host, request(&host, &axes));
            assert!(found.contains(words), "{wiring:?}: {found}");
        }
        let records = host.atelier().records().last(99).expect("records");
        assert!(records.iter().all(|run| run.parent.is_none()), "{wiring:?}");
        assert!(records.iter().all(|run| run.state == RunState::Failed));
    });
}

#[test]
fn the_number_of_cells_is_the_options_to_limit() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({ "x_type": "Steps", "x_values": "1,2,3" });
        let mut asking = request(&host, &axes);
        asking.override_settings.insert("x_y_plot_max_cells".to_owned(), json!(2));
        let words = stopped(&host, asking);
        assert!(words.contains("3 × 1 cells are more than 2"), "{wiring:?}: {words}");
    });
}

#[test]
fn a_cancelled_plot_draws_no_more_cells() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let axes = json!({ "x_type": "Seed", "x_values": "1-5" });
        let mut asking = RunRequest { steps: 40, ..request(&host, &axes) };
        let slow = json!({ "after_step": [{ "sleep_ms": 5 }] });
        script(&mut asking, "probe-a", &host.folder().join("log"), &slow);
        let cancel = CancelToken::new();
        let finished = std::thread::scope(|scope| {
            let running = scope.spawn(|| host.runner().run(asking, &cancel).expect("a run"));
            let records = host.atelier().records();
            while !records.last(9).expect("records").iter().any(|run| run.parent.is_some()) {
                sleep(Duration::from_millis(2));
            }
            cancel.cancel();
            running.join().expect("no panic")
        });
        assert_eq!(finished.record.state, RunState::Cancelled, "{wiring:?}");
        assert_eq!(finished.record.failures, [], "{wiring:?}");
        assert_eq!(children(&host, &finished).len(), 1, "{wiring:?}");
    });
}
