//! The second pass ("hires fix") on the default checkpoint.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use atelier_host::{
    engine::EngineProvider,
    run::{Hires, InitImages, RunRequest},
};
use atelier_suite::{Log, command, engine_host as host, root};
use atelier_testkit::{TestHost, Wiring, both_ways};
use image::RgbImage;
use serde_json::{Value, json};

fn request(host: &TestHost, hires: Option<Hires>) -> RunRequest {
    RunRequest {
        prompt: "red heart".to_owned(),
        steps: 2,
        width: Some(32),
        height: Some(32),
        denoising_strength: 0.6,
        hires,
        ..host.request()
    }
}

fn draw(host: &TestHost, hires: Hires) -> (RgbImage, String) {
    let picture = host.draw(request(host, Some(hires))).pictures.remove(0);
    (picture.image, picture.infotext)
}

#[test]
fn the_picture_is_drawn_over_larger() {
    let host = host(&[], Wiring::Direct);
    let (picture, infotext) = draw(&host, Hires::default());
    assert_eq!(picture.dimensions(), (64, 64));
    for told in ["Size: 32x32", "Denoising strength: 0.6", "Hires upscale: 2.0"] {
        assert!(infotext.contains(told), "{infotext}");
    }
    assert!(!infotext.contains("Hires steps") && !infotext.contains("Hires upscaler"));
    assert_eq!(draw(&host, Hires::default()).0, picture, "equal requests draw equal pictures");

    // With its own number of steps, sampler, schedule and prompts.
    let own = Hires {
        hr_second_pass_steps: 3,
        hr_sampler_name: Some("heun".to_owned()),
        hr_scheduler: Some("karras".to_owned()),
        hr_prompt: "blue star".to_owned(),
        hr_negative_prompt: "red".to_owned(),
        hr_upscaler: Some("Latent (bicubic)".to_owned()),
        ..Hires::default()
    };
    let (other, infotext) = draw(&host, own);
    assert!(other != picture);
    for told in [
        "Hires sampler: Heun",
        "Hires prompt: blue star",
        "Hires negative prompt: red",
        "Hires schedule type: karras",
        "Hires steps: 3",
        "Hires upscaler: Latent (bicubic)",
    ] {
        assert!(infotext.contains(told), "{infotext}");
    }
}

#[test]
fn tokens_are_merged_where_an_option_says_so() {
    // The default checkpoint attends where there are fewer tokens only, which are not merged.
    let models = tempfile::tempdir().expect("a folder");
    let small = root().join("engine/tests/parity/sd15");
    let provider = EngineProvider::new(models.path()).with_checkpoint(small);
    let host = TestHost::with(&[], Wiring::Direct, &json!({}), true, Arc::new(provider));
    let draw = |hires: Option<Hires>, options: Value| {
        let mut request = request(&host, hires);
        request.override_settings = options.as_object().cloned().unwrap_or_default();
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (plain, infotext) = draw(None, json!({}));
    assert!(!infotext.contains("Token merging"), "{infotext}");
    let (merged, infotext) = draw(None, json!({ "token_merging_ratio": 0.5 }));
    assert!(infotext.contains("Token merging ratio: 0.5,"), "{infotext}");
    assert!(merged != plain);

    let (larger, _) = draw(Some(Hires::default()), json!({}));
    let both = json!({ "token_merging_ratio": 0.5, "token_merging_ratio_hr": 0.25 });
    for (options, told) in [
        (json!({ "token_merging_ratio_hr": 0.25 }), "Token merging ratio hr: 0.25"),
        (both, "Token merging ratio: 0.5, Token merging ratio hr: 0.25"),
        (
            json!({ "token_merging_ratio": 0.5 }),
            "Token merging ratio: 0.5, Token merging ratio hr: 0.5",
        ),
    ] {
        let (picture, infotext) = draw(Some(Hires::default()), options);
        assert!(infotext.contains(told), "{infotext}");
        assert!(picture != larger);
    }
}

#[test]
fn the_first_pass_is_saved_where_an_option_says_so() {
    let host = host(&[], Wiring::Direct);
    let mut request = request(&host, Some(Hires::default()));
    request.override_settings.insert("save_images_before_highres_fix".to_owned(), json!(true));
    let finished = host.draw(request);
    assert_eq!(finished.pictures.len(), 1);
    let saved = &finished.record.outputs;
    let sizes: Vec<_> = saved.iter().map(|output| (output.width, output.height)).collect();
    assert_eq!(sizes, [(32, 32), (64, 64)]);
    let path = saved[0].path.as_ref().expect("a file");
    assert!(path.to_string_lossy().contains("-before-highres-fix"), "{}", path.display());
}

#[test]
fn every_way_to_make_it_larger_is_another() {
    let host = host(&[], Wiring::Direct);
    let mut pictures: Vec<RgbImage> = Vec::new();
    for upscaler in ["Latent", "Latent (bicubic)", "Latent (nearest)", "Lanczos", "Nearest"] {
        let hires = Hires { hr_upscaler: Some(upscaler.to_owned()), ..Hires::default() };
        let (picture, _) = draw(&host, hires);
        assert_eq!(picture.dimensions(), (64, 64), "{upscaler}");
        assert!(!pictures.contains(&picture), "{upscaler}");
        pictures.push(picture);
    }
    let cut = Hires { hr_resize_x: 64, hr_resize_y: 48, ..Hires::default() };
    let (picture, infotext) = draw(&host, cut);
    assert_eq!(picture.dimensions(), (64, 48));
    assert!(infotext.contains("Hires resize: 64x48"), "{infotext}");
}

#[test]
fn hooks_see_both_passes() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let hires = Hires { hr_second_pass_steps: 3, ..Hires::default() };
        let mut request = request(&host, Some(hires));
        let look = json!([{ "look": true }]);
        let script = json!({
            "process_before_every_sampling": look,
            "after_step": look,
            "post_sample": look,
        });
        log.script(&mut request, "probe-a", &script);
        host.draw(request);
        let shapes = |hook: &str| -> Vec<String> {
            let seen = log.results("probe-a", hook);
            seen.iter().map(|seen| seen["shape"].to_string()).collect()
        };
        let (small, large) = ("[1,4,8,8]", "[1,4,16,16]");
        assert_eq!(shapes("process_before_every_sampling"), [small, large], "{wiring:?}");
        assert_eq!(shapes("after_step"), [small, small, large, large, large]);
        assert_eq!(shapes("post_sample"), [large]);
    });
}

#[test]
fn what_cannot_be_is_refused_with_words() {
    let host = host(&[], Wiring::Direct);
    let refused = |request: RunRequest| host.run(request).expect_err("refused").to_string();
    let with = |hires: Hires| refused(request(&host, Some(hires)));
    let told = with(Hires { hr_upscaler: Some("Best".to_owned()), ..Hires::default() });
    assert!(told.contains("hr_upscaler") && told.contains("Lanczos"), "{told}");
    let told = with(Hires { hr_sampler_name: Some("Best".to_owned()), ..Hires::default() });
    assert!(told.contains("there is no sampler “Best”"), "{told}");
    for hr_scale in [1e9, f64::NAN, -1.0, f64::INFINITY] {
        let told = with(Hires { hr_scale, ..Hires::default() });
        assert!(told.contains("hr_scale") || told.contains("hires"), "{told}");
    }
    let mut from_picture = request(&host, Some(Hires::default()));
    from_picture.init_images = Some(InitImages(vec![RgbImage::new(32, 32)]));
    let told = refused(from_picture);
    assert!(told.contains("a run from a picture has no second pass"), "{told}");
}

#[test]
fn the_command_makes_a_second_pass() {
    let data = tempfile::tempdir().expect("a folder");
    let out = data.path().join("out.png");
    let run = |more: &[&str]| {
        let mut command = command::command(data.path());
        command.args(["txt2img", "red heart", "--steps", "2", "--seed", "1", "--width", "32"]);
        command.args(["--height", "32", "--out"]).arg(&out).args(more);
        command.output().expect("a process")
    };
    let output = run(&["--hires=1.5", "--hires-steps", "1", "--hires-upscaler", "Lanczos"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(image::open(&out).expect("a picture").to_rgb8().dimensions(), (48, 48));
    let output = run(&["--hires-steps", "1"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("--hires"));
}
