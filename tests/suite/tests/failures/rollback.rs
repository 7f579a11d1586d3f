//! A failed hook counts as if it had not run, whatever it changed before it failed.

use std::collections::BTreeMap;

use atelier_host::run::{Finished, RunRequest};
use atelier_suite::{Kind, Log, every_way, host, outcome::Outcome};
use atelier_testkit::{TestHost, Wiring};
use serde_json::{Value, json};

use crate::request;

/// Hooks that can change something.
const HOOKS: [&str; 25] = [
    "before_process",
    "start",
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

/// One change of every kind that a hook can make.
fn changes(hook: &str) -> Vec<Value> {
    let layer = |key: &str, value: Value| json!({ "set_run": [key, value] });
    let mut changes = match hook {
        "before_process" => vec![
            json!({ "set": ["prompt", "garbage"] }),
            json!({ "set": ["negative_prompt", "garbage"] }),
            json!({ "set": ["seed", 1] }),
            json!({ "set": ["subseed", 1] }),
            json!({ "set": ["subseed_strength", 0.5] }),
            json!({ "set": ["steps", 1] }),
            json!({ "set": ["cfg_scale", 1.0] }),
            json!({ "set": ["width", 32] }),
            json!({ "set": ["height", 32] }),
            json!({ "set": ["batch_size", 1] }),
            json!({ "set": ["n_iter", 2] }),
            json!({ "set": ["sampler", "Euler a"] }),
            json!({ "override": ["samples_format", "webp"] }),
        ],
        "process" => vec![
            json!({ "set_prompt": ["garbage"] }),
            json!({ "set_negative_prompt": ["garbage"] }),
            json!({ "set_seed": [1, 2] }),
            json!({ "set": ["subseeds", 0, 1] }),
            json!({ "set": ["steps", 1] }),
            json!({ "set": ["cfg_scale", 1.0] }),
            json!({ "set": ["sampler", "DDIM"] }),
            json!({ "set": ["scheduler", "Karras"] }),
            json!({ "set": ["do_not_save_samples", true] }),
        ],
        "before_process_batch" | "process_batch" => vec![
            json!({ "set_prompt": ["garbage"] }),
            json!({ "set_negative_prompt": ["garbage"] }),
            json!({ "set_seed": [1, 2] }),
            json!({ "set": ["subseeds", 0, 1] }),
            json!({ "set": ["steps", 1] }),
            json!({ "set": ["do_not_save_grid", true] }),
        ],
        "process_before_every_sampling" => vec![
            json!({ "fill": 9.0 }),
            json!({ "fill": 9.0, "buffer": "noise" }),
            json!({ "fill": 9.0, "buffer": "cond" }),
            json!({ "fill": 9.0, "buffer": "uncond" }),
            json!({ "replace_cond": 154 }),
            json!({ "replace_uncond": 3 }),
        ],
        "cfg_denoiser" => vec![
            json!({ "fill": 9.0 }),
            json!({ "replace_cond": 154 }),
            json!({ "fill": 9.0, "buffer": "cond" }),
            json!({ "fill": 9.0, "buffer": "uncond" }),
            json!({ "set": ["sigma", 100.0] }),
        ],
        "cfg_denoised" => vec![json!({ "fill": 9.0 }), json!({ "fill": 9.0, "buffer": "uncond" })],
        "postprocess_batch_list" => vec![
            json!({ "set_prompt": ["garbage"] }),
            json!({ "set_seed": [1, 2] }),
            json!({ "fill": 1.0 }),
            json!({ "push": [16, 16, 0] }),
            json!({ "remove": 0 }),
            json!({ "replace": [0, 32, 32] }),
        ],
        "before_hr" => vec![
            json!({ "set": ["cfg_scale", 1.0] }),
            json!({ "set": ["denoising_strength", 0.1] }),
        ],
        "postprocess_image" | "postprocess_image_after_composite" => {
            vec![json!({ "fill": 1.0 }), json!({ "replace": [0, 32, 32] })]
        }
        "postprocess_maskoverlay" => {
            vec![json!({ "fill": 1.0 }), json!({ "fill": 1.0, "buffer": "mask" })]
        }
        "before_image_saved" => vec![
            json!({ "fill": 1.0 }),
            json!({ "replace": [0, 32, 32] }),
            json!({ "set": ["file_name", "garbage"] }),
            json!({ "set": ["infotext", "garbage"] }),
        ],
        "image_grid" => vec![
            json!({ "fill": 1.0 }),
            json!({ "set": ["columns", 1] }),
            json!({ "set": ["rows", 2] }),
        ],
        "postprocess" => {
            vec![json!({ "fill": 1.0 }), json!({ "set": ["infotexts", 0, "garbage"] })]
        }
        // Nothing but the run's layer.
        "start" | "finish" | "after_extra_networks_activate" => vec![],
        _ => vec![json!({ "fill": 9.0 })],
    };
    let infotext = [
        "process",
        "before_process_batch",
        "after_extra_networks_activate",
        "process_batch",
        "before_hr",
        "process_before_every_sampling",
        "extra_noise",
        "on_mask_blend",
        "post_sample",
        "postprocess_batch",
        "postprocess_batch_list",
        "postprocess_image",
        "postprocess_maskoverlay",
        "postprocess_image_after_composite",
    ];
    if infotext.contains(&hook) {
        changes.push(json!({ "infotext": ["Garbage", "yes"] }));
    }
    if hook != "before_process" {
        changes.push(layer("samples_format", json!("webp")));
        changes.push(layer("CLIP_stop_at_last_layers", json!(2)));
        changes.push(layer("eta_ancestral", json!(0.25)));
    }
    changes
}

fn with(mut actions: Vec<Value>, last: Value) -> Vec<Value> {
    actions.push(last);
    actions
}

fn draw(host: &TestHost, log: &Log, kind: Kind, script: &Value) -> Finished {
    let mut request = kind.of(request(host));
    log.script(&mut request, "probe-a", script);
    host.draw(request)
}

/// What comes of each kind of run.
fn by_kind(draw: impl Fn(Kind) -> Finished) -> BTreeMap<Kind, Outcome> {
    let kinds = [Kind::Plain, Kind::Hires, Kind::Masked].into_iter();
    kinds.map(|kind| (kind, Outcome::of(&draw(kind)))).collect()
}

fn clear(host: &TestHost) -> Log {
    let _ = std::fs::remove_file(host.folder().join("log"));
    Log::new(host, "log")
}

/// No action but the last may have been refused: then the test would show nothing.
fn all_done(log: &Log, hook: &str) {
    let refused: Vec<Value> =
        log.lines().into_iter().filter(|line| line.get("error").is_some()).collect();
    assert_eq!(refused, Vec::<Value>::new(), "{hook}");
}

/// Pixels of a run without any plugin.
fn pixels_alone(wiring: Wiring) -> Vec<((u32, u32), Vec<u8>)> {
    let host = host(&[], wiring);
    Outcome::of(&host.draw(request(&host))).pictures
}

#[test]
fn nothing_remains_of_a_hook_that_changed_everything_and_failed() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let undisturbed = by_kind(|kind| draw(&host, &clear(&host), kind, &json!({})));
        assert!(undisturbed[&Kind::Plain].pictures == pixels_alone(wiring));
        for hook in HOOKS {
            let kind = Kind::with(hook);
            for last in [json!({ "error": "no" }), json!({ "panic": "no" })] {
                let log = clear(&host);
                let script = json!({ hook: with(changes(hook), last) });
                let finished = draw(&host, &log, kind, &script);
                all_done(&log, hook);
                assert!(Outcome::of(&finished) == undisturbed[&kind], "{hook} {wiring:?}");
                assert!(!finished.record.failures.is_empty(), "{hook}");
                let failed = finished.record.failures.iter().all(|failure| failure.hook == hook);
                assert!(failed, "{:?}", finished.record.failures);
            }
        }
    });
}

#[test]
fn the_same_changes_count_where_the_hook_succeeds() {
    let host = host(&["probe-a"], Wiring::Direct);
    let undisturbed = by_kind(|kind| draw(&host, &clear(&host), kind, &json!({})));
    for hook in HOOKS {
        let kind = Kind::with(hook);
        let log = clear(&host);
        let finished = draw(&host, &log, kind, &json!({ hook: changes(hook) }));
        all_done(&log, hook);
        // Nothing comes after `finish`.
        assert_eq!(Outcome::of(&finished) == undisturbed[&kind], hook == "finish", "{hook}");
    }
}

#[test]
fn a_failed_hook_of_img2img_leaves_latents_and_noise_apart() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let picture = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 9]));
        let draw = |script: Value| {
            let log = clear(&host);
            let init = atelier_host::run::InitImages(vec![picture.clone()]);
            let mut request = RunRequest { init_images: Some(init), ..request(&host) };
            log.script(&mut request, "probe-a", &script);
            let outcome = Outcome::of(&host.draw(request));
            all_done(&log, "img2img");
            outcome
        };
        let undisturbed = draw(json!({}));
        let hook = "process_before_every_sampling";
        assert_ne!(draw(json!({ hook: changes(hook) })), undisturbed);
        let script = json!({ hook: with(changes(hook), json!({ "error": "no" })) });
        assert_eq!(draw(script), undisturbed);
    });
}

/// Two plugins: what one changed stays, what the other changed before it failed does not, whichever of
/// them comes first.
#[test]
fn a_failure_undoes_its_own_changes_and_no_other_plugins() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let draw = |kind: Kind, first: &Value, second: &Value| {
            let log = clear(&host);
            let mut request = kind.of(request(&host));
            log.script(&mut request, "probe-a", first);
            log.script(&mut request, "probe-b", second);
            let finished = host.draw(request);
            all_done(&log, "two plugins");
            finished
        };
        let nothing = json!({});
        let good = json!({
            "before_process": [{ "set": ["cfg_scale", 5.0] }],
            "process": [
                { "set": ["prompts", 0, "a dog"] },
                { "infotext": ["Kept", 1] },
                { "set_run": ["samples_format", "jpg"] },
            ],
            "process_before_every_sampling": [{ "add": 0.1, "buffer": "cond" }],
            "cfg_combine": [{ "add": 0.1 }],
            "after_step": [{ "add": 0.05 }],
            "postprocess_batch": [{ "add": 0.05 }],
            "postprocess_batch_list": [{ "push": [16, 16, 1] }],
            "postprocess_image": [{ "add": 0.1 }],
            "before_image_saved": [{ "set": ["file_name", "kept"] }],
        });
        let nobody = by_kind(|kind| draw(kind, &nothing, &nothing));
        let before = by_kind(|kind| draw(kind, &good, &nothing));
        let behind = by_kind(|kind| draw(kind, &nothing, &good));
        for hook in HOOKS {
            let kind = Kind::with(hook);
            assert!(before[&kind] != nobody[&kind] && behind[&kind] != nobody[&kind], "{kind:?}");
            let bad = json!({ hook: with(changes(hook), json!({ "error": "no" })) });
            let (first, last) = (draw(kind, &good, &bad), draw(kind, &bad, &good));
            assert!(Outcome::of(&first) == before[&kind], "{hook} {wiring:?}");
            assert!(Outcome::of(&last) == behind[&kind], "{hook} {wiring:?}");
        }
    });
}

#[test]
fn the_runs_layer_is_as_before_for_whoever_reads_next() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = clear(&host);
        let mut request = request(&host);
        request.override_settings.insert("probe_a_text".to_owned(), json!("override"));
        let write = json!([
            // In the layer, by both ways of writing; and a key that is new to it.
            { "set_live": ["probe_a_text", "live"] },
            { "set_run": ["probe_a_text", "run"] },
            { "set_run": ["probe_a_number", 3.0] },
            { "error": "no" },
        ]);
        let reads = json!([{ "live": "probe_a_text" }, { "live": "probe_a_number" }]);
        log.script(&mut request, "probe-a", &json!({ "process": write, "post_sample": reads }));
        log.script(&mut request, "probe-b", &json!({ "process": reads, "post_sample": reads }));
        request.override_settings_restore_afterwards = false;
        host.draw(request);
        let as_before = [json!("override"), json!(1.0)];
        assert_eq!(log.results("probe-b", "process"), as_before);
        assert_eq!(log.results("probe-b", "post_sample"), as_before);
        assert_eq!(log.results("probe-a", "post_sample"), as_before);
        // What the run leaves behind is the override, not what the failed hook made of it.
        assert_eq!(host.option("probe_a_text"), "override");
        assert_eq!(host.option("probe_a_number"), 1.0);
    });
}

#[test]
fn what_a_failed_hook_wrote_into_the_store_was_everybodys_and_stays() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let write = json!([{ "set_live": ["probe_a_text", "live"] }, { "error": "no" }]);
        draw(&host, &clear(&host), Kind::Plain, &json!({ "process": write }));
        assert_eq!(host.option("probe_a_text"), "live");
    });
}

#[test]
fn numbers_that_are_not_finite_are_the_hooks_failure() {
    const FLOATS: [(&str, &[&str]); 10] = [
        ("process_before_every_sampling", &["x", "noise", "cond", "uncond"]),
        ("extra_noise", &["noise"]),
        ("cfg_denoiser", &["x", "cond", "uncond"]),
        ("cfg_denoised", &["cond", "uncond"]),
        ("cfg_combine", &["combined"]),
        ("on_mask_blend", &["blended"]),
        ("cfg_after_cfg", &["denoised"]),
        ("after_step", &["x"]),
        ("post_sample", &["samples"]),
        ("postprocess_batch", &["pixels"]),
    ];
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let undisturbed = by_kind(|kind| draw(&host, &clear(&host), kind, &json!({})));
        for (hook, buffers) in FLOATS {
            let kind = Kind::with(hook);
            for buffer in buffers {
                let log = clear(&host);
                let script = json!({ hook: [{ "nan": true, "buffer": buffer }] });
                let finished = draw(&host, &log, kind, &script);
                all_done(&log, hook);
                assert!(Outcome::of(&finished) == undisturbed[&kind], "{hook} {buffer} {wiring:?}");
                let failure = &finished.record.failures[0];
                assert_eq!((&*failure.hook, &*failure.status), (hook, "failed"));
                assert!(failure.message.contains("not finite"), "{}", failure.message);
                // It is a plain failure: the instance is called again.
                assert!(log.hooks("probe-a").ends_with(&["finish".to_owned(), "drop".to_owned()]));
            }
        }
    });
}
