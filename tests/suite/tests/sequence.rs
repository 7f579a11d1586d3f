//! The exact order of hooks, as reference A1111 v1.10.1 has it, seen by a plugin that has them all.

use atelier_host::run::{CancelToken, Hires, InitImages, OnError, RunRequest, RunState};
use atelier_suite::{Log, every_way, host, masked};
use image::RgbImage;
use serde_json::json;

const STEP: [&str; 5] =
    ["cfg_denoiser", "cfg_denoised", "cfg_combine", "cfg_after_cfg", "after_step"];
/// The same where part of a picture stays.
const MASKED_STEP: [&str; 6] =
    ["cfg_denoiser", "cfg_denoised", "cfg_combine", "on_mask_blend", "cfg_after_cfg", "after_step"];
const BATCH: [&str; 3] = ["before_process_batch", "after_extra_networks_activate", "process_batch"];
const DECODED: [&str; 3] = ["post_sample", "postprocess_batch", "postprocess_batch_list"];
const PICTURE: [&str; 5] = [
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "before_image_saved",
    "image_saved",
];

/// Hooks of an iteration with these steps and pictures.
fn iteration(steps: usize, pictures: usize) -> Vec<&'static str> {
    let mut hooks = BATCH.to_vec();
    hooks.push("process_before_every_sampling");
    hooks.extend(STEP.repeat(steps));
    hooks.extend(DECODED);
    hooks.extend(PICTURE.repeat(pictures));
    hooks
}

fn whole(iterations: usize, steps: usize, pictures: usize) -> Vec<&'static str> {
    let mut hooks = vec!["before_process", "start", "process"];
    for _ in 0..iterations {
        hooks.extend(iteration(steps, pictures));
    }
    if iterations * pictures > 1 {
        hooks.extend(["image_grid", "before_image_saved", "image_saved"]);
    }
    hooks.extend(["postprocess", "finish", "drop"]);
    hooks
}

#[test]
fn txt2img_calls_every_hook_in_order() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        log.script(&mut request, "probe-a", &json!({}));
        let finished = host.draw(request);
        assert_eq!(log.hooks("probe-a"), whole(1, 4, 1), "{wiring:?}");
        assert_eq!(finished.record.failures, []);
        assert_eq!(finished.pictures.len(), 1);
    });
}

#[test]
fn img2img_calls_the_same_hooks_for_the_steps_that_its_strength_leaves() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest {
            init_images: Some(InitImages(vec![RgbImage::new(64, 64)])),
            denoising_strength: 0.5,
            ..host.request()
        };
        log.script(&mut request, "probe-a", &json!({}));
        host.draw(request);
        assert_eq!(log.hooks("probe-a"), whole(1, 2, 1));
    });
}

#[test]
fn a_second_pass_has_hooks_of_its_own_before_it_samples_again() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let hires = Hires { hr_scale: 2.0, hr_second_pass_steps: 4, ..Hires::default() };
        // Some way to make pictures larger that the fake engine has.
        let hires = Hires { hr_upscaler: Some("Nearest".to_owned()), ..hires };
        let mut request = RunRequest {
            hires: Some(hires),
            prompt: "a cat <lora:none:0.5:te=1>".to_owned(),
            steps: 2,
            denoising_strength: 0.5,
            ..host.request()
        };
        request.override_settings.insert("img2img_extra_noise".to_owned(), json!(0.25));
        let script = json!({
            "after_extra_networks_activate": [{ "params": true }],
            "before_hr": [{ "params": true }],
        });
        log.script(&mut request, "probe-a", &script);
        host.draw(request);
        let mut hooks = vec!["before_process", "start", "process"];
        hooks.extend(BATCH);
        hooks.push("process_before_every_sampling");
        hooks.extend(STEP.repeat(2));
        hooks.extend(["after_extra_networks_activate", "before_hr"]);
        hooks.extend(["process_before_every_sampling", "extra_noise"]);
        hooks.extend(STEP.repeat(2));
        hooks.extend(DECODED);
        hooks.extend(PICTURE);
        hooks.extend(["postprocess", "finish", "drop"]);
        assert_eq!(log.hooks("probe-a"), hooks, "{wiring:?}");
        let networks = log.results("probe-a", "after_extra_networks_activate");
        assert_eq!(networks[0]["networks"], json!({ "lora": [["none", "0.5", "te=1"]] }));
        assert_eq!(
            (&networks[0]["prompts"], &networks[0]["seeds"]),
            (&json!(["a cat "]), &json!([7]))
        );
        let second: Vec<_> = networks.iter().map(|told| &told["is_second_pass"]).collect();
        assert_eq!(second, [false, true]);
        assert_eq!(networks[0]["networks"], networks[1]["networks"]);
        let told = &log.results("probe-a", "before_hr")[0];
        assert_eq!((&told["hr_width"], &told["hr_height"]), (&json!(128), &json!(128)));
        assert_eq!((&told["hr_steps"], &told["steps"]), (&json!(4), &json!(2)));
    });
}

#[test]
fn what_stays_of_a_picture_is_put_together_at_every_call_and_once_more() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = masked(RunRequest { denoising_strength: 0.5, ..host.request() });
        let look = |buffer: &str| json!({ "look": true, "buffer": buffer });
        let script = json!({
            "extra_noise": [look("noise"), look("x"), look("noised")],
            "on_mask_blend": [{ "params": true }, look("mask"), look("init"), look("current"), look("")],
            "postprocess_maskoverlay": [look("mask"), look("")],
        });
        log.script(&mut request, "probe-a", &script);
        host.draw(request);
        let mut hooks = vec!["before_process", "start", "process"];
        hooks.extend(BATCH);
        hooks.extend(["process_before_every_sampling", "extra_noise"]);
        hooks.extend(MASKED_STEP.repeat(2));
        hooks.push("on_mask_blend");
        hooks.extend(DECODED);
        hooks.extend(PICTURE);
        hooks.extend(["postprocess", "finish", "drop"]);
        assert_eq!(log.hooks("probe-a"), hooks, "{wiring:?}");
        let noise = log.results("probe-a", "extra_noise");
        assert!(noise.iter().all(|it| it["shape"] == json!([1, 4, 8, 8])), "{noise:?}");
        assert!(noise[0]["hash"] != noise[2]["hash"] && noise[1]["hash"] != noise[2]["hash"]);
        let blends = log.results("probe-a", "on_mask_blend");
        let finals: Vec<_> = blends.chunks(5).map(|blend| &blend[0]["is_final_blend"]).collect();
        assert_eq!(finals, [&json!(false), &json!(false), &json!(true)]);
        for blend in blends.chunks(5) {
            let [_, mask, init, current, blended] = blend else { panic!("five answers") };
            // Half of it stays.
            assert_eq!((&mask["shape"], &mask["mean"]), (&json!([1, 1, 8, 8]), &json!(0.5)));
            assert!(blended["hash"] != init["hash"]);
            assert_eq!((&init["shape"], &current["shape"]), (&blended["shape"], &blended["shape"]));
        }
        let overlay = log.results("probe-a", "postprocess_maskoverlay");
        assert!(overlay.iter().all(|it| (&it["width"], &it["height"]) == (&json!(64), &json!(64))));
    });
}

#[test]
fn two_batches_of_two_make_a_grid() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { batch_size: 2, n_iter: 2, steps: 2, ..host.request() };
        log.script(&mut request, "probe-a", &json!({}));
        let finished = host.draw(request);
        assert_eq!(log.hooks("probe-a"), whole(2, 2, 2));
        let grid = &finished.pictures[0];
        assert!(grid.grid && grid.image.dimensions() == (128, 128));
        assert_eq!(finished.pictures.len(), 5);
        let seeds: Vec<i64> = finished.pictures[1..].iter().map(|picture| picture.seed).collect();
        assert_eq!(seeds, [7, 8, 9, 10]);
    });
}

#[test]
fn a_cancelled_run_ends_between_two_steps_and_is_finished() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let (created, go) = (host.folder().join("reached"), host.folder().join("go"));
        let mut request = host.request();
        let barrier = json!({ "barrier": [created, go], "step": 1 });
        log.script(&mut request, "probe-a", &json!({ "after_step": [barrier] }));
        let cancel = CancelToken::new();
        let finished = std::thread::scope(|threads| {
            let run = threads.spawn(|| host.runner().run(request, &cancel));
            while !created.exists() {
                std::thread::yield_now();
            }
            cancel.cancel();
            std::fs::write(&go, "").expect("the file that lets the run go on");
            run.join().expect("no panic").expect("accepted")
        });
        let mut hooks = vec!["before_process", "start", "process"];
        hooks.extend(&iteration(2, 0)[..4 + 2 * STEP.len()]);
        hooks.extend(["finish", "drop"]);
        assert_eq!(log.hooks("probe-a"), hooks);
        assert_eq!(finished.record.state, RunState::Cancelled);
        assert!(finished.error.is_none() && finished.pictures.is_empty());
    });
}

#[test]
fn a_failing_hook_is_left_out_and_the_others_are_called() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        log.script(&mut request, "probe-a", &json!({ "process_batch": [{ "error": "no" }] }));
        log.script(&mut request, "probe-b", &json!({}));
        let finished = host.draw(request);
        assert_eq!(log.hooks("probe-a"), whole(1, 4, 1));
        assert_eq!(log.hooks("probe-b"), whole(1, 4, 1));
        let [failure] = &finished.record.failures[..] else { panic!("one failure") };
        assert_eq!((failure.plugin.as_str(), failure.hook.as_str()), ("probe-a", "process_batch"));
        assert!(finished.pictures[0].infotext.contains("Plugin failures"));
    });
}

#[test]
fn a_failed_run_calls_nothing_more_but_finish() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { on_error: OnError::FailRun, ..host.request() };
        log.script(&mut request, "probe-a", &json!({ "process": [{ "error": "no" }] }));
        log.script(&mut request, "probe-b", &json!({}));
        let finished = host.run(request).expect("accepted");
        assert_eq!(finished.record.state, RunState::Failed);
        assert!(finished.error.is_some_and(|e| e.to_string() == "probe-a failed at process: no"));
        assert_eq!(log.hooks("probe-a"), ["before_process", "start", "process", "finish", "drop"]);
        assert_eq!(log.hooks("probe-b"), ["before_process", "start", "finish", "drop"]);
    });
}
