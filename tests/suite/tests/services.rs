//! Work that the host does for hooks.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::path::Path;

use atelier_host::run::{OnError, RunRequest};
use atelier_suite::{Kind, Log, every_way, host};
use atelier_testkit::TestHost;
use image::RgbImage;
use serde_json::{Value, json};

/// Hooks with services, and whether they have floats of four sizes.
const HOOKS: [(&str, bool); 20] = [
    ("process", false),
    ("before_process_batch", false),
    ("after_extra_networks_activate", false),
    ("process_batch", false),
    ("before_hr", false),
    ("process_before_every_sampling", true),
    ("extra_noise", true),
    ("cfg_denoiser", true),
    ("cfg_denoised", true),
    ("on_mask_blend", true),
    ("cfg_after_cfg", true),
    ("after_step", true),
    ("post_sample", true),
    ("postprocess_batch", false),
    ("postprocess_batch_list", false),
    ("postprocess_image", false),
    ("postprocess_maskoverlay", false),
    ("postprocess_image_after_composite", false),
    ("postprocess", false),
    // No service, but floats: refused.
    ("cfg_combine", true),
];

fn results(host: &TestHost, hook: &str, actions: &Value) -> Vec<Value> {
    let log = Log::new(host, "log");
    let _ = std::fs::remove_file(host.folder().join("log"));
    let mut request = Kind::with(hook).of(RunRequest { steps: 1, ..host.request() });
    log.script(&mut request, "probe-a", &json!({ hook: actions }));
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, [], "{hook}");
    log.results("probe-a", hook)
}

#[test]
fn every_hook_with_services_has_them_all() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        for (hook, floats) in HOOKS {
            let actions = json!([
                { "encode_text": "a dog" },
                { "decode": [1, 4, 8, 8] },
                { "encode": [1, 3, 64, 64] },
                { "save_picture": format!("-{hook}") },
            ]);
            let results = results(&host, hook, &actions);
            if hook == "cfg_combine" {
                let refused = results.iter().all(|line| line["error"].is_string());
                assert!(refused, "{results:?}");
                continue;
            }
            // Some hooks are called several times.
            let [text, pixels, latents, path] = &results[..4] else { panic!("{results:?}") };
            assert_eq!(text["shape"], json!([1, 77, 8]), "{hook} {wiring:?}");
            assert_eq!(pixels["shape"], json!([1, 3, 64, 64]), "{hook}");
            // The fake engine's decoder turns zeros into grey.
            assert_eq!((&pixels["min"], &pixels["max"]), (&json!(0.5), &json!(0.5)), "{hook}");
            assert_eq!(latents["shape"], json!([1, 4, 8, 8]), "{hook}");
            let path = path.as_str().expect("a path");
            assert!(path.ends_with(&format!("-7-{hook}.png")), "{path}");
            let picture = image::open(path).expect("a saved picture").to_rgb8();
            assert_ne!(picture.dimensions(), (0, 0));
            if floats {
                let own = self::results(&host, hook, &json!([{ "decode": true }]));
                assert_eq!(own[0]["shape"], json!([1, 3, 64, 64]), "{hook}");
                assert_eq!(own[0]["finite"], true);
            }
        }
    });
}

#[test]
fn a_text_is_encoded_as_the_run_encodes_its_prompt() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let actions = json!([
            { "look": true, "buffer": "cond" },
            { "encode_text": "a cat" },
            { "encode_text": "a dog" },
        ]);
        let results = results(&host, "process_before_every_sampling", &actions);
        assert_eq!(results[0]["hash"], results[1]["hash"], "{wiring:?}");
        assert_ne!(results[0]["hash"], results[2]["hash"]);
    });
}

#[test]
fn latents_are_decoded_as_the_run_decodes_its_own() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let script = json!({
            "post_sample": [{ "decode": true }],
            "postprocess_batch": [{ "look": true }, { "encode": true }],
        });
        log.script(&mut request, "probe-a", &script);
        host.draw(request);
        let decoded = log.results("probe-a", "post_sample");
        let own = log.results("probe-a", "postprocess_batch");
        assert_eq!(decoded[0]["hash"], own[0]["hash"], "{wiring:?}");
        assert_eq!(own[1]["shape"], json!([1, 4, 8, 8]));
    });
}

#[test]
fn a_service_changes_nothing_of_the_run() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let draw = |script: Value| -> RgbImage {
            let mut request = host.request();
            Log::new(&host, "log").script(&mut request, "probe-a", &script);
            host.draw(request).pictures.remove(0).image
        };
        let work = json!([
            { "encode_text": "a dog" },
            { "decode": true },
            { "encode": [1, 3, 64, 64] },
            { "save_picture": "-extra" },
        ]);
        assert_eq!(draw(json!({ "after_step": work, "post_sample": work })), draw(json!({})));
    });
}

#[test]
fn a_picture_of_a_plugin_is_beside_the_runs_own_and_in_the_record() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        // The name of a file cannot lead out of its folder.
        let script = json!({ "postprocess_image": [{ "save_picture": "/../../before" }] });
        log.script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        let saved = &finished.record.saved_by_plugins;
        let [path] = &saved[..] else { panic!("one picture: {saved:?}") };
        assert!(path.starts_with(host.folder()), "{}", path.display());
        let told = log.results("probe-a", "postprocess_image");
        assert_eq!(told, [json!(path.display().to_string())], "{wiring:?}");
        let picture = image::open(path).expect("a picture").to_rgb8();
        assert_eq!(picture, finished.pictures[0].image);
        assert_eq!(infotext(path).as_deref(), Some(&*finished.pictures[0].infotext));
    });
}

/// The infotext in a PNG.
fn infotext(path: &Path) -> Option<String> {
    let bytes = std::fs::read(path).expect("a picture");
    let texts = atelier_host::output::png::read(&bytes).expect("a PNG").texts;
    texts.into_iter().find(|(key, _)| key == "parameters").map(|(_, text)| text)
}

/// Every picture of a run has its own seed and prompt, and so has what a plugin saves beside it.
#[test]
fn what_a_plugin_saves_tells_of_the_picture_at_hand() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let mut request = RunRequest { n_iter: 2, batch_size: 2, ..host.request() };
        let script = json!({ "postprocess_image": [{ "save_picture": "-beside" }] });
        Log::new(&host, "log").script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        let seeds: Vec<_> = finished
            .record
            .saved_by_plugins
            .iter()
            .map(|path| infotext(path).expect("infotext"))
            .map(|text| {
                text.split("Seed: ")
                    .nth(1)
                    .and_then(|rest| rest.split(',').next())
                    .map(str::to_owned)
            })
            .collect();
        let expected = ["7", "8", "9", "10"].map(|seed| Some(seed.to_owned()));
        assert_eq!(seeds, expected, "{wiring:?}");
    });
}

#[test]
fn nothing_is_saved_for_a_plugin_where_nothing_is_to_be_saved() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let script = json!({ "postprocess_image": [{ "save_picture": "-extra" }] });
        for by_option in [false, true] {
            let log = Log::new(&host, &format!("log-{by_option}"));
            let mut request = RunRequest { do_not_save_samples: !by_option, ..host.request() };
            if by_option {
                request.override_settings.insert("samples_save".to_owned(), false.into());
            }
            log.script(&mut request, "probe-a", &script);
            let finished = host.draw(request);
            assert_eq!(finished.record.failures, []);
            assert_eq!(log.results("probe-a", "postprocess_image"), [Value::Null]);
            assert!(finished.record.saved_by_plugins.is_empty(), "{wiring:?}");
        }
    });
}

/// The engine is asked for something that it cannot do: a refusal, which the hook may take or fail of.
#[test]
fn work_that_makes_no_sense_is_refused() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        for stage in ["before_process", "before_image_saved", "finish"] {
            let results = results(&host, stage, &json!([{ "encode_text": "a dog" }]));
            assert!(results[0]["error"].is_string(), "{stage} {wiring:?}");
        }
        for action in [
            json!({ "decode": [1, 3, 8, 8] }),
            json!({ "decode": [0, 4, 8, 8] }),
            json!({ "decode": [1, 4, 0, 8] }),
            json!({ "encode": [1, 4, 64, 64] }),
            json!({ "encode": [1, 3, 60, 64] }),
        ] {
            let results = results(&host, "post_sample", &json!([action]));
            assert!(results[0]["error"].is_string(), "{action} {wiring:?}: {results:?}");
        }
        // Not even where failures end the run.
        let mut request = RunRequest { on_error: OnError::FailRun, ..host.request() };
        let script = json!({ "post_sample": [{ "decode": [1, 3, 8, 8] }] });
        Log::new(&host, "log").script(&mut request, "probe-a", &script);
        host.draw(request);
    });
}
