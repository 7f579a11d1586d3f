//! Whole plots on the fake engine with the real library.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod cells;
mod support;
mod trouble;

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::RunRequest,
};
use atelier_testkit::both_ways;
use serde_json::json;
use support::{SIDE, alone, bare, cell, children, draw, host, params, part, plot, request};

#[test]
fn a_plot_has_a_child_run_for_every_cell_and_each_in_its_place() {
    both_ways(|wiring| {
        let host = host(&["watermark"], wiring);
        let axes = json!({
            "x_type": "Steps", "x_values": "2-4 (+2)", "y_type": "CFG scale", "y_values": "1,5,9",
        });
        let finished = plot(&host, &axes);
        let children = children(&host, &finished);
        let expected = [(2, 1.0), (4, 1.0), (2, 5.0), (4, 5.0), (2, 9.0), (4, 9.0)];
        assert_eq!(children.iter().map(params).collect::<Vec<_>>(), expected, "{wiring:?}");
        assert!(children.iter().all(|child| child.outputs.iter().all(|out| out.path.is_none())));

        let [picture] = &finished.pictures[..] else { panic!("one picture") };
        assert_eq!(picture.image.dimensions(), (2 * SIDE, 3 * SIDE));
        assert!(picture.path.is_some() && picture.grid);
        for (at, (steps, cfg_scale)) in (0..).zip(expected) {
            let alone = alone(&host, RunRequest { steps, cfg_scale, ..host.request() });
            assert!(cell(&finished, (2, 3), (at % 2, at / 2), 0) == alone, "{wiring:?}: {at}");
        }
        let keys = "Script: X/Y plot, X Type: Steps, X Values: 2-4 (+2), Y Type: CFG Scale, \
                    Y Values: \"1,5,9\"";
        assert!(picture.infotext.contains(keys), "{}", picture.infotext);
        assert!(!picture.infotext.contains("Fixed X"));
    });
}

#[test]
fn legends_and_margins_leave_the_cells_as_they_are() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({
            "x_type": "Steps", "x_values": "2,3", "y_type": "CFG Scale", "y_values": "1,9",
            "margin_size": 7,
        });
        let (with, without) = (draw(&host, request(&host, &axes)), plot(&host, &axes));
        let (large, small) = (&with.pictures[0].image, &without.pictures[0].image);
        assert_eq!(small.dimensions(), (2 * SIDE + 7, 2 * SIDE + 7));
        assert!(large.width() > small.width() + 30 && large.height() > small.height() + 20);
        for place in [(0, 0), (1, 0), (0, 1), (1, 1)] {
            let [with, without] = [&with, &without].map(|plot| cell(plot, (2, 2), place, 7));
            assert!(with == without, "{wiring:?}: {place:?}");
        }
        // The legends are black on white, and there are some.
        let (left, top) = (large.width() - small.width(), large.height() - small.height());
        for area in [(large.width(), top), (left, large.height())] {
            let bytes = part(&with.pictures[0], (0, 0), area);
            assert!(bytes.iter().all(|byte| [0, 255].contains(byte)), "{wiring:?}");
            assert!(bytes.contains(&0) && bytes.contains(&255), "{wiring:?}");
        }
        let margin = part(&without.pictures[0], (SIDE, 0), (7, 2 * SIDE + 7));
        assert!(margin.iter().all(|byte| *byte == 255));
    });
}

#[test]
fn one_axis_alone_is_a_row_or_a_column_and_none_is_a_cell() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        for (axes, size) in [
            (json!({ "x_type": "Steps", "x_values": "1,2,3" }), (3, 1)),
            (json!({ "y_type": "Steps", "y_values": "1,2,3" }), (1, 3)),
            (json!({}), (1, 1)),
        ] {
            let finished = plot(&host, &axes);
            let found = finished.pictures[0].image.dimensions();
            assert_eq!(found, (size.0 * SIDE, size.1 * SIDE), "{wiring:?}");
            let steps: Vec<_> =
                children(&host, &finished).iter().map(|run| params(run).0).collect();
            assert_eq!(steps, if size == (1, 1) { vec![2] } else { vec![1, 2, 3] });
        }
    });
}

#[test]
fn arguments_by_position_come_in_the_order_of_the_original() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let mut asking = request(&host, &json!({}));
        let values = vec![json!("Steps"), json!("1,2"), json!("Seed"), json!("3,4"), json!(false)];
        let id = PluginId::new("x-y-plot").expect("an id");
        asking.plugin_args.insert(id, GivenArgs::Positional(values));
        let picture = draw(&host, asking).pictures.remove(0);
        assert_eq!(picture.image.dimensions(), (2 * SIDE, 2 * SIDE), "{wiring:?}");
        assert!(picture.infotext.contains("Y Values: \"3,4\", Fixed Y Values: \"3, 4\""));
    });
}

#[test]
fn single_pictures_follow_the_plot_where_they_are_asked_for() {
    both_ways(|wiring| {
        let host = host(&["watermark"], wiring);
        let axes = json!({
            "x_type": "Steps", "x_values": "1,2", "include_lone_images": true,
        });
        let finished = draw(&host, request(&host, &axes));
        assert_eq!(finished.pictures.len(), 3, "{wiring:?}");
        for (steps, picture) in (1..).zip(&finished.pictures[1..]) {
            let alone = alone(&host, RunRequest { steps, ..host.request() });
            assert!(*picture.image.as_raw() == alone, "{wiring:?}: {steps}");
            assert!(picture.infotext.contains(&format!("Steps: {steps},")));
            assert!(!picture.infotext.contains("X Type"));
        }
        // Everything that is answered is saved once.
        let children = children(&host, &finished);
        assert!(children.iter().all(|child| child.outputs.iter().all(|out| out.path.is_none())));
        assert!(finished.pictures.iter().all(|picture| picture.path.is_some()));
    });
}

/// The plugin is not migrated: what is set live, or overridden, is what it sees.
#[test]
fn options_are_read_live() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let mut asking = request(
            &host,
            &bare(&json!({ "x_type": "Steps", "x_values": "1,2", "margin_size": 3 })),
        );
        let colour = json!("#204060");
        asking.override_settings.insert("grid_background_color".to_owned(), colour);
        let finished = draw(&host, asking);
        let margin = part(&finished.pictures[0], (SIDE, 0), (3, SIDE));
        assert_eq!(margin, [0x20, 0x40, 0x60].repeat(3 * SIDE as usize), "{wiring:?}");
        let rows = finished.record.ledger.iter().filter(|row| row.reader == "x-y-plot");
        let read: Vec<_> = rows.map(|row| (row.option.as_str(), row.live, row.snapshot)).collect();
        for option in ["x_y_plot_max_cells", "grid_background_color", "img_max_size_mp"] {
            assert!(read.contains(&(option, 1, 0)), "{read:?}");
        }
    });
}
