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

/// A host with the plugin, and with a probe that does what a script says.
fn host(wiring: Wiring) -> TestHost {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let plugins = BUILT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        build::cdylibs(here, &["dynamic-thresholding", "probe-a"], &[]).into_values().collect()
    });
    TestHost::new(plugins, wiring)
}

/// A request with these settings. The fake engine's two predictions differ by one number, which
/// guiding only moves, so the probe makes the one with the negative prompt flat.
fn request(host: &TestHost, settings: &Value) -> RunRequest {
    let mut request = RunRequest { cfg_scale: 12.0, ..host.request() };
    for (name, value) in settings.as_object().expect("settings by name") {
        request.override_settings.insert(format!("dynamic_thresholding_{name}"), value.clone());
    }
    play(host, &mut request, &json!({ "cfg_denoised": [{ "fill": 0.0, "buffer": "uncond" }] }));
    request
}

fn play(host: &TestHost, request: &mut RunRequest, actions: &Value) {
    script(request, "probe-a", &host.folder().join("log"), actions);
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
fn switched_off_it_leaves_the_picture_alone() {
    both_ways(|wiring| {
        let (host, without) = (host(wiring), TestHost::new(&[], wiring));
        let off = draw(&host, host.request());
        assert!(same(&off, &draw(&without, without.request())), "{wiring:?}");
        assert!(!off.pictures[0].infotext.contains("Mimic"));
        let read = off.record.ledger.iter().filter(|row| row.reader == "dynamic-thresholding");
        assert!(read.clone().all(|row| row.option == "dynamic_thresholding_enabled"));
        assert_eq!(read.map(|row| row.live).sum::<u64>(), 5, "once per step and once before");
    });
}

#[test]
fn every_setting_makes_a_difference() {
    both_ways(|wiring| {
        let host = host(wiring);
        let base = json!({
            "enabled": true, "mimic_scale": 3.0, "mimic_mode": "Power Up",
            "threshold_percentile": 90.0,
        });
        let picture = drawn(&host, &base);
        for (name, value) in [
            ("enabled", json!(false)),
            ("mimic_scale", json!(4.0)),
            ("threshold_percentile", json!(100.0)),
            ("mimic_mode", json!("Sawtooth")),
            ("mimic_scale_min", json!(2.0)),
            ("cfg_mode", json!("Half Cosine Down")),
            ("sched_val", json!(1.5)),
            ("separate_feature_channels", json!(false)),
            ("scaling_startpoint", json!("ZERO")),
            ("variability_measure", json!("STD")),
            ("interpolate_phi", json!(0.5)),
        ] {
            let mut changed = base.clone();
            changed[name] = value;
            assert!(!same(&picture, &drawn(&host, &changed)), "{name}, {wiring:?}");
        }
        let mut scheduled = base.clone();
        scheduled["cfg_mode"] = json!("Linear Down");
        let picture = drawn(&host, &scheduled);
        scheduled["cfg_scale_min"] = json!(8.0);
        assert!(!same(&picture, &drawn(&host, &scheduled)), "cfg_scale_min, {wiring:?}");
    });
}

#[test]
fn the_range_of_the_same_scale_changes_nothing() {
    both_ways(|wiring| {
        let host = host(wiring);
        let guided = drawn(&host, &json!({ "enabled": true, "interpolate_phi": 0.0 }));
        let same_scale = drawn(&host, &json!({ "enabled": true, "mimic_scale": 12.0 }));
        assert!(same(&guided, &same_scale), "{wiring:?}");
    });
}

#[test]
fn the_infotext_has_what_the_extension_writes() {
    both_ways(|wiring| {
        let host = host(wiring);
        let plain = drawn(&host, &json!({ "enabled": true }));
        let expected = "Dynamic thresholding enabled: True, Mimic scale: 7.0, \
            Separate Feature Channels: True, Scaling Startpoint: MEAN, Variability Measure: AD, \
            Interpolate Phi: 1.0, Threshold percentile: 100.0, ";
        let infotext = &plain.pictures[0].infotext;
        assert!(infotext.contains(expected), "{infotext}");
        assert!(!infotext.contains("mode") && !infotext.contains("Scheduler value"), "{infotext}");

        let scheduled = drawn(&host, &json!({ "enabled": true, "cfg_mode": "Power Up" }));
        let expected = "CFG mode: Power Up, CFG scale minimum: 0.0, Scheduler value: 4.0";
        let infotext = &scheduled.pictures[0].infotext;
        assert!(infotext.contains(expected), "{infotext}");
    });
}

#[test]
fn the_arguments_of_the_extension_mean_the_same() {
    both_ways(|wiring| {
        let host = host(wiring);
        let args = json!([
            true,
            5.0,
            95.0,
            "Linear Down",
            1.0,
            "Cosine Up",
            3.0,
            2.0,
            false,
            "ZERO",
            "STD",
            0.75
        ]);
        let settings = json!({
            "enabled": true, "mimic_scale": 5.0, "threshold_percentile": 95.0,
            "mimic_mode": "Linear Down", "mimic_scale_min": 1.0,
            "cfg_mode": "Cosine Up", "cfg_scale_min": 3.0, "sched_val": 2.0,
            "separate_feature_channels": false, "scaling_startpoint": "ZERO",
            "variability_measure": "STD", "interpolate_phi": 0.75,
        });
        let mut asking = request(&host, &json!({}));
        let id = PluginId::new("dynamic-thresholding").expect("an id");
        let args = args.as_array().cloned().expect("a list");
        asking.plugin_args.insert(id, GivenArgs::Positional(args));
        let asked = draw(&host, asking);
        assert!(same(&asked, &drawn(&host, &settings)), "{wiring:?}");
        assert!(asked.record.ledger.iter().all(|row| row.reader != "dynamic-thresholding"));
    });
}

#[test]
fn every_step_reads_the_options_as_they_are_then() {
    both_ways(|wiring| {
        let host = host(wiring);
        let settings = json!({ "enabled": true });
        let mut changing = request(&host, &settings);
        let write = json!({ "set_live": ["dynamic_thresholding_mimic_scale", 2.0], "step": 1 });
        let flat = json!({ "fill": 0.0, "buffer": "uncond" });
        play(&host, &mut changing, &json!({ "cfg_denoised": [flat], "after_step": [write] }));
        let changed = draw(&host, changing);
        assert!(!same(&changed, &drawn(&host, &settings)), "{wiring:?}");
        let mut rows = changed.record.ledger.iter().filter(|row| row.hook == "cfg_combine");
        let row = rows.find(|row| row.option == "dynamic_thresholding_mimic_scale");
        let row = row.expect("a row of the ledger");
        assert_eq!((row.live, row.snapshot, row.diverged), (4, 0, 2));
        assert!(changed.pictures[0].infotext.contains("Mimic scale: 7.0"));
    });
}

#[test]
fn a_picture_is_the_same_alone_and_in_a_batch() {
    both_ways(|wiring| {
        let host = host(wiring);
        let settings = json!({
            "enabled": true, "mimic_scale": 3.0, "separate_feature_channels": false,
        });
        let batch =
            RunRequest { batch_size: 3, do_not_save_grid: true, ..request(&host, &settings) };
        for (index, picture) in draw(&host, batch).pictures.iter().enumerate() {
            let mut alone = request(&host, &settings);
            alone.seed += index as i64;
            alone.subseed += index as i64;
            assert!(picture.image == draw(&host, alone).pictures[0].image, "picture {index}");
        }
    });
}

#[test]
fn latents_of_any_size_steps_of_any_number_and_no_variation_are_drawn() {
    both_ways(|wiring| {
        let host = host(wiring);
        let fill = |buffer: &str, value: f64| json!({ "fill": value, "buffer": buffer });
        for (width, height, steps) in [(8, 8, 1), (24, 40, 3)] {
            for flat in [vec![], vec![fill("cond", 0.5), fill("uncond", 0.25)]] {
                for measure in ["AD", "STD"] {
                    for startpoint in ["MEAN", "ZERO"] {
                        let mut request = RunRequest {
                            width: Some(width),
                            height: Some(height),
                            steps,
                            ..request(
                                &host,
                                &json!({
                                    "enabled": true, "threshold_percentile": 90.0,
                                    "mimic_mode": "Cosine Up", "cfg_mode": "Linear Repeating",
                                    "variability_measure": measure, "scaling_startpoint": startpoint,
                                }),
                            )
                        };
                        play(&host, &mut request, &json!({ "cfg_denoised": flat }));
                        draw(&host, request);
                    }
                }
            }
        }
    });
}
