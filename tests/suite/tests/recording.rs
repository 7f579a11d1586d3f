//! A run without a snapshot: the same pictures, for every plugin that does not ask for one.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;

use atelier_host::{
    plugins::PluginId,
    run::{
        Finished, InitImages, OnError, Refused, RunRequest, RunState, record::FailureAction,
        seam::SeamMode,
    },
};
use atelier_suite::{
    Log, every_way, host_with,
    options::{endings, overriding, pixels},
};
use atelier_testkit::{TestHost, Wiring};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

const LIVE_READERS: [&str; 3] = ["prompt-styles", "option-drift", "probe-a"];

fn overrides() -> Value {
    json!({
        "samples_format": "jpg",
        "jpeg_quality": 37,
        "CLIP_stop_at_last_layers": 3,
        "eta_ancestral": 0.3,
        "initial_noise_multiplier": 0.6,
        "prompt_styles_prefix": "ink",
        "prompt_styles_suffix": "paper",
        "option_drift_level": 0.4,
        "option_drift_step": 99,
    })
}

fn start_picture() -> InitImages {
    InitImages(vec![RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8 * 4, y as u8 * 4, 90]))])
}

/// What old plugins do: they read options live everywhere, and steer the run by writing them.
fn busy_script() -> Value {
    json!({
        "before_process": [{ "live": "samples_format" }, { "override": ["grid_format", "webp"] }],
        "start": [{ "live_all": true }],
        "process": [
            { "live": "jpeg_quality" },
            { "set_live": ["eta_ancestral", 0.7] },
            { "set_live": ["prompt_styles_suffix", "canvas"] },
        ],
        "process_batch": [{ "set_run": ["CLIP_stop_at_last_layers", 4], "iteration": 1 }],
        "after_step": [{ "live": "probe_a_number", "as": "float" }, { "add": 0.01 }],
    })
}

fn request(host: &TestHost, img2img: bool, overrides: &Value) -> RunRequest {
    RunRequest {
        sampler_name: "Euler a".to_owned(),
        n_iter: 2,
        init_images: img2img.then(start_picture),
        denoising_strength: 0.8,
        ..overriding(host.request(), overrides)
    }
}

/// The pictures, then the bytes that their files decode to.
fn drawn(finished: &Finished) -> Vec<RgbImage> {
    let mut all: Vec<RgbImage> = pixels(finished).into_iter().cloned().collect();
    for picture in &finished.pictures {
        let path = picture.path.as_ref().expect("a saved picture");
        all.push(image::open(path).expect("a picture").into_rgb8());
    }
    all
}

#[test]
fn live_reading_plugins_draw_the_same_pictures_without_it() {
    every_way(|wiring| {
        for img2img in [false, true] {
            let draw = |recording: bool, overrides: &Value| {
                let host = host_with(&LIVE_READERS, wiring, &json!({}), recording);
                let log = Log::new(&host, "log");
                let mut request = request(&host, img2img, overrides);
                log.script(&mut request, "probe-a", &busy_script());
                let finished = host.draw(request);
                assert_eq!(finished.record.failures, []);
                assert_eq!(finished.record.snapshot.is_some(), recording);
                assert_eq!(host.folder().join("snapshots").exists(), recording);
                (drawn(&finished), log.lines().len(), finished)
            };
            let (with, with_lines, recorded) = draw(true, &overrides());
            let (without, without_lines, _) = draw(false, &overrides());
            assert!(with == without, "img2img {img2img}: other pixels");
            assert_eq!(with_lines, without_lines);
            assert_eq!(endings(&recorded), [Some("webp"), Some("jpg"), Some("jpg")]);
        }
    });
}

#[test]
fn every_one_of_these_overrides_matters() {
    let img2img = true;
    let plugins = ["prompt-styles", "option-drift"];
    let files = |overrides: &Value| {
        let host = host_with(&plugins, Wiring::Direct, &json!({}), true);
        drawn(&host.draw(request(&host, img2img, overrides)))
    };
    let all = files(&overrides());
    for key in overrides().as_object().unwrap().keys() {
        let mut less = overrides();
        less.as_object_mut().unwrap().remove(key);
        assert!(files(&less) != all, "{key} changes nothing");
    }
}

#[test]
fn a_plugin_that_asks_for_the_snapshot_is_skipped_whatever_the_policy() {
    every_way(|wiring| {
        for on_error in [OnError::Skip, OnError::FailRun, OnError::Disable] {
            let host = host_with(&["watermark", "probe-a"], wiring, &json!({}), false);
            let plain = host_with(&["probe-a"], wiring, &json!({}), false);
            let plain = plain.draw(plain.request());
            // Twice: it is not disabled for the process either.
            for _ in 0..2 {
                let finished = host.draw(RunRequest { on_error, ..host.request() });
                let [failure] = &finished.record.failures[..] else { panic!("one failure") };
                assert_eq!(
                    (failure.plugin.as_str(), failure.hook.as_str()),
                    ("watermark", "start")
                );
                assert_eq!(failure.action, FailureAction::Skipped);
                assert!(failure.message.contains("recording is switched off"), "{failure:?}");
                assert_eq!(pixels(&finished), pixels(&plain));
                let infotext = &finished.pictures[0].infotext;
                assert!(infotext.contains("Plugin failures: watermark at start"), "{infotext}");
                assert!(!infotext.contains("Options snapshot"));
                let calls: u64 = finished
                    .record
                    .hooks
                    .iter()
                    .filter(|timing| timing.plugin == "watermark" && timing.hook != "start")
                    .map(|timing| timing.calls)
                    .sum();
                assert_eq!(calls, 0);
            }
        }
    });
}

#[test]
fn a_hook_that_asks_for_the_snapshot_is_left_out_and_the_others_are_called() {
    every_way(|wiring| {
        for on_error in [OnError::Skip, OnError::FailRun, OnError::Disable] {
            let host = host_with(&["probe-a"], wiring, &json!({}), false);
            let log = Log::new(&host, "log");
            let mut request = RunRequest { on_error, ..host.request() };
            let script = json!({
                "process": [{ "set": ["steps", 1] }, { "wants_snapshot": true }],
                "process_batch": [{ "snapshot": "n_rows" }, { "live": "n_rows" }],
            });
            log.script(&mut request, "probe-a", &script);
            let record = host.draw(request).record;
            assert_eq!(record.state, RunState::Done);
            let steps = log.hooks("probe-a").iter().filter(|hook| *hook == "after_step").count();
            assert_eq!(steps, 4, "as if `process` had not run");
            let failures: Vec<_> =
                record.failures.iter().map(|f| (f.hook.as_str(), f.action)).collect();
            assert_eq!(failures, [("process", FailureAction::Skipped)]);
            let batch = log.results("probe-a", "process_batch");
            assert!(batch[0]["error"].as_str().is_some_and(|e| e.contains("switched off")));
            assert_eq!(batch[1], -1);
        }
    });
}

#[test]
fn with_recording_the_same_plugin_works() {
    every_way(|wiring| {
        let host = host_with(&["watermark"], wiring, &json!({}), true);
        let plain = host_with(&[], wiring, &json!({}), true);
        let finished = host.draw(host.request());
        assert_eq!(finished.record.failures, []);
        assert_ne!(pixels(&finished), pixels(&plain.draw(plain.request())));
        let digest = finished.record.snapshot.expect("a digest").short();
        let infotext = &finished.pictures[0].infotext;
        assert!(infotext.contains(&format!("Options snapshot: {digest}")), "{infotext}");
    });
}

#[test]
fn pinning_without_recording_is_refused_before_anything_starts() {
    every_way(|wiring| {
        let host = host_with(&["probe-a"], wiring, &json!({}), false);
        let pin_one = BTreeMap::from([(PluginId::new("probe-a").unwrap(), SeamMode::Pin)]);
        for request in [
            RunRequest { seam: SeamMode::Pin, ..host.request() },
            RunRequest { seam_of: pin_one, ..host.request() },
        ] {
            let refused = host.run(request).expect_err("refused");
            assert!(matches!(refused, Refused::PinWithoutSnapshot));
            assert!(refused.to_string().contains("recording is switched off"));
        }
        assert!(!host.folder().join("runs").exists());
        host.draw(RunRequest { seam: SeamMode::Warn, ..host.request() });
    });
}
