//! Whole runs on the fake engine with the real library.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, RunRequest},
};
use atelier_testkit::{TestHost, Wiring, both_ways, build, script};
use serde_json::{Value, json};

const METHODS: [&str; 5] = ["Straight", "Straight Abs.", "Cross", "Cross Abs.", "Ones"];

/// A host with the plugin, and with a probe that does what a script says.
fn host(wiring: Wiring) -> TestHost {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let plugins = BUILT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        build::cdylibs(here, &["color-grade", "probe-a"], &[]).into_values().collect()
    });
    TestHost::new(plugins, wiring)
}

/// A request with these settings.
fn request(host: &TestHost, settings: &Value) -> RunRequest {
    let mut request = host.request();
    for (name, value) in settings.as_object().expect("settings by name") {
        request.override_settings.insert(format!("color_grade_{name}"), value.clone());
    }
    request
}

/// Draws a request in which no hook may fail.
fn draw(host: &TestHost, request: RunRequest) -> Finished {
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, []);
    finished
}

fn drawn(host: &TestHost, settings: &Value) -> Finished {
    draw(host, request(host, settings))
}

fn same(one: &Finished, other: &Finished) -> bool {
    one.pictures[0].image == other.pictures[0].image
}

#[test]
fn switched_off_or_neutral_it_leaves_the_picture_alone() {
    both_ways(|wiring| {
        let (host, without) = (host(wiring), TestHost::new(&[], wiring));
        let plain = draw(&without, without.request());
        let off = drawn(&host, &json!({ "brightness": 3.0 }));
        assert!(same(&off, &plain), "{wiring:?}");
        assert!(!off.pictures[0].infotext.contains("Color grade"));
        let read = off.record.ledger.iter().filter(|row| row.reader == "color-grade");
        assert!(read.clone().all(|row| row.option == "color_grade_enabled"));
        assert_eq!(read.map(|row| row.live).sum::<u64>(), 5, "once per step and once before");
        for method in METHODS {
            for alt in [false, true] {
                let neutral = json!({ "enabled": true, "method": method, "alt": alt });
                assert!(same(&drawn(&host, &neutral), &plain), "{method}, {alt}, {wiring:?}");
            }
        }
    });
}

#[test]
fn every_setting_makes_a_difference() {
    both_ways(|wiring| {
        let host = host(wiring);
        let base = json!({ "enabled": true, "brightness": 1.0 });
        let picture = drawn(&host, &base);
        let methods = METHODS.into_iter().filter(|method| *method != "Straight Abs.");
        let methods = methods.map(|method| ("method", json!(method)));
        let scalings = ["Cos", "Sin", "1 - Cos", "1 - Sin"];
        let scalings = scalings.map(|scaling| ("scaling", json!(scaling)));
        let amounts = [
            ("enabled", json!(false)),
            ("alt", json!(true)),
            ("brightness", json!(-1.0)),
            ("contrast", json!(2.0)),
            ("saturation", json!(0.5)),
            ("red", json!(1.0)),
            ("green", json!(1.0)),
            ("blue", json!(1.0)),
            ("space", json!("atelier-emoji")),
        ];
        for (name, value) in amounts.into_iter().chain(methods).chain(scalings) {
            let mut changed = base.clone();
            changed[name] = value;
            assert!(!same(&picture, &drawn(&host, &changed)), "{changed}, {wiring:?}");
        }
    });
}

#[test]
fn the_space_goes_by_the_name_of_the_checkpoint() {
    both_ways(|wiring| {
        let host = host(wiring);
        let [auto, sd1] = ["auto", "sd1"].map(|space| {
            drawn(&host, &json!({ "enabled": true, "brightness": 1.0, "space": space }))
        });
        assert!(same(&auto, &sd1), "the fake checkpoint is not atelier-emoji, {wiring:?}");
    });
}

#[test]
fn the_arguments_go_before_the_options() {
    both_ways(|wiring| {
        let host = host(wiring);
        let settings = json!({
            "enabled": true, "brightness": 1.0, "contrast": -1.0, "saturation": 1.5,
            "red": 1.0, "green": -0.5, "blue": 2.0,
        });
        let mut asking = request(&host, &json!({ "brightness": 5.0, "method": "Straight Abs." }));
        let id = PluginId::new("color-grade").expect("an id");
        let args = [json!(true), json!(1.0), json!(-1.0), json!(1.5), json!(1.0), json!(-0.5)];
        let args = args.into_iter().chain([json!(2.0)]).collect();
        asking.plugin_args.insert(id, GivenArgs::Positional(args));
        assert!(same(&draw(&host, asking), &drawn(&host, &settings)), "{wiring:?}");
    });
}

#[test]
fn the_infotext_has_all_settings() {
    both_ways(|wiring| {
        let settings = json!({ "enabled": true, "brightness": 1.5, "red": -1.0, "alt": true });
        let infotext = &drawn(&host(wiring), &settings).pictures[0].infotext;
        let expected = "Color grade: True, Color grade alt: True, Color grade brightness: 1.5, \
            Color grade contrast: 0.0, Color grade saturation: 1.0, Color grade red: -1.0, \
            Color grade green: 0.0, Color grade blue: 0.0, Color grade method: Straight Abs., \
            Color grade scaling: Flat, Color grade space: auto";
        assert!(infotext.contains(expected), "{infotext}");
    });
}

#[test]
fn every_step_reads_the_options_as_they_are_then() {
    both_ways(|wiring| {
        let host = host(wiring);
        let settings = json!({ "enabled": true });
        let mut changing = request(&host, &settings);
        let write = json!({ "set_live": ["color_grade_blue", 4.0], "step": 1 });
        let log = host.folder().join("log");
        script(&mut changing, "probe-a", &log, &json!({ "after_step": [write] }));
        let changed = draw(&host, changing);
        assert!(!same(&changed, &drawn(&host, &settings)), "{wiring:?}");
        let mut rows = changed.record.ledger.iter().filter(|row| row.hook == "cfg_combine");
        let row = rows.find(|row| row.option == "color_grade_blue").expect("a row of the ledger");
        assert_eq!((row.live, row.snapshot, row.diverged), (4, 0, 2));
        assert!(changed.pictures[0].infotext.contains("Color grade blue: 0.0"));
    });
}

#[test]
fn a_picture_is_the_same_alone_and_in_a_batch() {
    both_ways(|wiring| {
        let host = host(wiring);
        for (method, alt) in [("Ones", false), ("Cross Abs.", false), ("Cross", true)] {
            let settings = json!({
                "enabled": true, "contrast": 2.0, "red": 1.0, "method": method, "alt": alt,
            });
            let request = || request(&host, &settings);
            let batch = RunRequest { batch_size: 3, do_not_save_grid: true, ..request() };
            for (index, picture) in draw(&host, batch).pictures.iter().enumerate() {
                let mut alone = request();
                alone.seed += index as i64;
                alone.subseed += index as i64;
                assert!(picture.image == draw(&host, alone).pictures[0].image, "picture {index}");
            }
        }
    });
}

#[test]
fn latents_of_any_size_are_graded_by_any_amount() {
    both_ways(|wiring| {
        let host = host(wiring);
        for (width, height, steps) in [(8, 8, 1), (24, 40, 3)] {
            for method in METHODS {
                for alt in [false, true] {
                    let settings = json!({
                        "enabled": true, "alt": alt, "method": method, "brightness": 5.0,
                        "contrast": 5.0, "saturation": 1.75, "red": 4.0, "green": -4.0, "blue": 4.0,
                    });
                    let (width, height) = (Some(width), Some(height));
                    let request = request(&host, &settings);
                    draw(&host, RunRequest { width, height, steps, ..request });
                }
            }
        }
    });
}
