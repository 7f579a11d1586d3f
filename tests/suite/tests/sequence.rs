//! The exact order of hooks, as reference A1111 v1.10.1 has it, seen by a plugin that has them all.

use atelier_host::run::{CancelToken, InitImages, OnError, RunRequest, RunState};
use atelier_suite::{Log, every_way, host};
use image::RgbImage;
use serde_json::json;

const STEP: [&str; 5] =
    ["cfg_denoiser", "cfg_denoised", "cfg_combine", "cfg_after_cfg", "after_step"];

/// Hooks of an iteration with these steps and pictures.
fn iteration(steps: usize, pictures: usize) -> Vec<&'static str> {
    let mut hooks = vec!["before_process_batch", "process_batch", "process_before_every_sampling"];
    for _ in 0..steps {
        hooks.extend(STEP);
    }
    hooks.extend(["post_sample", "postprocess_batch", "postprocess_batch_list"]);
    for _ in 0..pictures {
        hooks.extend(["postprocess_image", "before_image_saved", "image_saved"]);
    }
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
        hooks.extend(&iteration(2, 0)[..3 + 2 * STEP.len()]);
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
