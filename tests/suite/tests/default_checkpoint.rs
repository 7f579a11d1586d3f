//! The same on the real engine, with the checkpoint that ships with the project: services from hooks,
//! and that equal runs draw equal pictures, in whatever process and on however many threads.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use atelier_host::{engine::Precision, run::RunRequest};
use atelier_suite::{Log, child, command, engine_host as host};
use atelier_testkit::{TestHost, Wiring, both_ways};
use serde_json::{Value, json};

fn request(host: &TestHost) -> RunRequest {
    RunRequest {
        prompt: "red heart".to_owned(),
        steps: 3,
        width: Some(64),
        height: Some(64),
        sampler_name: "Euler a".to_owned(),
        ..host.request()
    }
}

#[test]
fn services_work_on_the_default_checkpoint() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = request(&host);
        let script = json!({
            "process_before_every_sampling": [
                { "look": true, "buffer": "cond" },
                { "encode_text": "red heart" },
                { "encode_text": "blue star" },
            ],
            "after_step": [{ "decode": true, "step": 1 }],
            "post_sample": [
                { "look": true },
                { "decode": true },
                { "decode": [1, 9, 8, 8] },
                { "encode": [1, 3, 63, 64] },
                { "save_picture": "-grey" },
            ],
            "postprocess_batch": [{ "look": true }, { "encode": true }],
        });
        log.script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        assert_eq!(finished.record.failures, []);

        let texts = log.results("probe-a", "process_before_every_sampling");
        assert_eq!(texts[0]["hash"], texts[1]["hash"], "{wiring:?}");
        assert_ne!(texts[0]["hash"], texts[2]["hash"]);
        let step = log.results("probe-a", "after_step");
        assert_eq!(step[0]["shape"], json!([1, 3, 64, 64]));
        assert_eq!(step[0]["finite"], true);

        let sampled = log.results("probe-a", "post_sample");
        let pixels = log.results("probe-a", "postprocess_batch");
        assert_eq!(sampled[1]["hash"], pixels[0]["hash"], "{wiring:?}");
        assert_eq!(pixels[1]["shape"], sampled[0]["shape"]);
        // The autoencoder loses something, but not the picture.
        let (there, back) = (&sampled[0]["mean"], &pixels[1]["mean"]);
        let apart = there.as_f64().unwrap_or(9.0) - back.as_f64().unwrap_or(-9.0);
        assert!(apart.abs() < 0.2, "{there} and back {back}");
        for refused in &sampled[2..4] {
            assert!(refused["error"].is_string(), "{refused}");
        }
        let path = sampled[4].as_str().expect("a path");
        assert_eq!(image::open(path).expect("a picture").to_rgb8().dimensions(), (8, 8));
    });
}

/// What a run in a process of its own comes to: digest of the snapshot, hashes of the pixels.
fn told_by(threads: &str, wiring: &str) -> Value {
    let variables = [("RAYON_NUM_THREADS", threads), ("WIRING", wiring)];
    let told = child::run("equal_runs_draw_equal_pictures", &variables);
    let line = told.lines().find_map(|line| line.split_once("RESULT ").map(|(_, json)| json));
    serde_json::from_str(line.expect("a result")).expect("JSON")
}

#[test]
fn equal_runs_draw_equal_pictures() {
    if child::is_this() {
        let loopback = std::env::var("WIRING").is_ok_and(|wiring| wiring == "loopback");
        let wiring = if loopback { Wiring::Loopback } else { Wiring::Direct };
        let host = host(&["prompt-styles", "latent-noise", "watermark"], wiring);
        let draw = || {
            let request = RunRequest { batch_size: 2, ..request(&host) };
            let record = host.draw(request).record;
            let pixels: Vec<_> = record.outputs.iter().map(|out| out.pixels.clone()).collect();
            json!({ "snapshot": record.snapshot, "pixels": pixels })
        };
        let (first, second) = (draw(), draw());
        assert_eq!(first, second, "twice in one process");
        println!("\nRESULT {first}");
        return;
    }
    let first = told_by("1", "direct");
    assert_eq!(first["pixels"].as_array().map(Vec::len), Some(3), "two pictures and a grid");
    assert!(first["snapshot"].is_string());
    assert_eq!(told_by("1", "direct"), first, "twice on one thread");
    assert_eq!(told_by("2", "direct"), first, "on two threads");
    assert_eq!(told_by("2", "loopback"), first, "through bytes");
}

#[test]
fn another_seed_or_option_is_another_picture() {
    let host = host(&[], Wiring::Direct);
    let draw = |change: &dyn Fn(&mut RunRequest)| {
        let mut request = request(&host);
        change(&mut request);
        let record = host.draw(request).record;
        (record.outputs[0].pixels.clone(), record.snapshot)
    };
    let first = draw(&|_| {});
    let seed = draw(&|request| request.seed += 1);
    assert_ne!(seed.0, first.0);
    assert_eq!(seed.1, first.1);
    let option = draw(&|request| {
        request.override_settings.insert("eta_ancestral".to_owned(), json!(0.5));
    });
    assert_ne!(option.0, first.0);
    assert_ne!(option.1, first.1);
}

#[test]
fn brackets_in_a_prompt_weigh_as_the_option_says() {
    let host = host(&[], Wiring::Direct);
    let draw = |prompt: &str, emphasis: &str| {
        let mut request = RunRequest { prompt: prompt.to_owned(), ..request(&host) };
        request.override_settings.insert("emphasis".to_owned(), emphasis.into());
        let finished = host.draw(request);
        let told = finished.pictures[0].infotext.contains(&format!("Emphasis: {emphasis}"));
        (finished.pictures[0].image.clone(), told)
    };
    let (plain, told) = draw("red heart", "No norm");
    assert!(!told, "it made no difference");
    let (original, told) = draw("red (heart:1.6)", "Original");
    assert!(!told, "it is the default");
    let (without_mean, told) = draw("red (heart:1.6)", "No norm");
    assert!(told);
    let (ignored, told) = draw("red (heart:1.6)", "Ignore");
    assert!(told);
    assert_eq!(ignored, plain);
    assert!(original != plain && without_mean != plain && original != without_mean);
    let finished = host.run(RunRequest { prompt: "a (cat:1.2.3)".to_owned(), ..request(&host) });
    let error = finished.expect("a run").error.expect("an error").to_string();
    assert!(error.contains("“:1.2.3)” in the prompt is no weight"), "{error}");
}

#[test]
fn comments_in_a_prompt_are_not_drawn() {
    let host = host(&[], Wiring::Direct);
    let draw = |prompt: &str, comments: bool| {
        let mut request = RunRequest { prompt: prompt.to_owned(), ..request(&host) };
        request.negative_prompt = "blue # not red".to_owned();
        request.override_settings.insert("enable_prompt_comments".to_owned(), json!(comments));
        host.draw(request)
    };
    let plain = draw("red heart", true);
    let commented = draw("red heart # and a green star", true);
    assert_eq!(commented.pictures[0].image, plain.pictures[0].image);
    let infotext = &commented.pictures[0].infotext;
    assert!(infotext.starts_with("red heart \n") && !infotext.contains('#'), "{infotext}");
    let prepared = commented.record.prepared.as_ref().expect("a prepared run");
    assert_eq!(prepared.pictures.all_prompts, ["red heart # and a green star"]);
    let drawn = draw("red heart # and a green star", false);
    assert_ne!(drawn.pictures[0].image, plain.pictures[0].image);
    assert!(drawn.pictures[0].infotext.contains("# and a green star"));
}

#[test]
fn a_prompt_that_changes_is_drawn_so_and_plugins_are_told_call_by_call() {
    both_ways(|wiring| {
        let host = host(&["probe-a"], wiring);
        let look = json!({
            "process_before_every_sampling": [{ "look": true, "buffer": "cond" }],
            "cfg_denoiser": [{ "look": true, "buffer": "cond" }],
            "cfg_denoised": [{ "look": true }],
        });
        let draw = |name: &str, prompt: &str| {
            let mut request = RunRequest { prompt: prompt.to_owned(), ..request(&host) };
            let log = Log::new(&host, name);
            log.script(&mut request, "probe-a", &look);
            let picture = host.draw(request).pictures[0].image.clone();
            let seen = |hook| log.results("probe-a", hook);
            (
                picture,
                seen("process_before_every_sampling"),
                seen("cfg_denoiser"),
                seen("cfg_denoised"),
            )
        };
        let (heart, begins, ..) = draw("heart", "red heart");
        let (star, others, ..) = draw("star", "blue star");
        // With three steps: the calls 0 and 1, then call 2.
        let (changing, first, told, _) = draw("changing", "[red heart:blue star:1]");
        assert!(changing != heart && changing != star);
        let hashes: Vec<_> = told.iter().map(|it| &it["hash"]).collect();
        let (begin, other) = (&begins[0]["hash"], &others[0]["hash"]);
        assert_eq!(&first[0]["hash"], begin, "{wiring:?}");
        assert_eq!(hashes, [begin, begin, other]);
        // The parts of a prompt are rows for the model, and one answer for each picture.
        let (parts, first, told, answers) = draw("parts", "red heart AND blue star:0.5");
        assert!(parts != heart && parts != star);
        assert_eq!(first[0]["shape"][0], 2);
        assert_eq!(told[0]["shape"][0], 2);
        assert_eq!(answers[0]["shape"][0], 1);
    });
}

#[test]
fn the_infotext_tells_what_the_prompt_options_changed() {
    let host = host(&[], Wiring::Direct);
    let draw = |prompt: &str, option: &str| {
        let mut request = RunRequest { prompt: prompt.to_owned(), ..request(&host) };
        request.override_settings.insert(option.to_owned(), json!(true));
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let long = "red heart, ".repeat(40);
    for (prompt, option, told) in [
        (long.as_str(), "pad_cond_uncond", "Pad conds: True"),
        (long.as_str(), "pad_cond_uncond_v0", "Pad conds v0: True"),
        ("[red heart:blue star:1.5]", "use_old_scheduling", "Old prompt editing timelines: True"),
    ] {
        let (plain, infotext) = draw(prompt, "save_write_log_csv");
        assert!(!infotext.contains(told), "{infotext}");
        let (changed, infotext) = draw(prompt, option);
        assert!(infotext.contains(told), "{infotext}");
        assert_ne!(changed, plain, "{option}");
        let (_, infotext) = draw("red heart", option);
        assert!(!infotext.contains(told), "it made no difference: {infotext}");
    }
}

#[test]
fn styles_and_tags_of_networks_are_no_words_to_draw() {
    let host = host(&[], Wiring::Direct);
    std::fs::write(
        host.folder().join("styles.csv"),
        "name,prompt,negative_prompt\nfine,\"fine {prompt}\",blue\nlate,<lora:x:1> cat,\n",
    )
    .expect("a file of styles");
    let draw = |prompt: &str, negative: &str, styles: &[&str]| {
        let mut request = request(&host);
        (request.prompt, request.negative_prompt) = (prompt.to_owned(), negative.to_owned());
        request.styles = styles.iter().map(|style| (*style).to_owned()).collect();
        host.draw(request).pictures.remove(0)
    };
    let plain = draw("fine red heart,  cat", "blue", &[]);
    let styled = draw("red heart", "", &["fine", "not there", "late"]);
    assert_eq!(styled.image, plain.image);
    let told = "fine red heart, <lora:x:1> cat\nNegative prompt: blue\n";
    assert!(styled.infotext.starts_with(told), "{}", styled.infotext);

    std::fs::write(host.folder().join("styles.csv"), "prompt\nx").expect("a file");
    let request = RunRequest { styles: vec!["fine".to_owned()], ..request(&host) };
    let error = host.run(request).expect("a run").error.expect("an error").to_string();
    assert!(error.contains("styles: ") && error.contains("name, prompt"), "{error}");
}

#[test]
fn the_noise_may_be_drawn_for_another_size() {
    let host = host(&[], Wiring::Direct);
    let draw = |seed_resize_from| {
        let request = RunRequest { seed_resize_from, ..request(&host) };
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (plain, infotext) = draw((0, 0));
    assert!(!infotext.contains("Seed resize"), "{infotext}");
    let (resized, infotext) = draw((32, 48));
    assert!(infotext.contains("Seed resize from: 32x48"), "{infotext}");
    assert!(resized != plain);
    assert_eq!(draw((64, 64)).0, plain);
    let refused = host.run(RunRequest { seed_resize_from: (1, 64), ..request(&host) });
    assert!(refused.expect_err("refused").to_string().contains("seed_resize_from"));
}

#[test]
fn tiles_are_asked_for_or_an_option() {
    let host = host(&[], Wiring::Direct);
    let draw = |tiling: Option<bool>, option: bool| {
        let mut request = RunRequest { tiling, ..request(&host) };
        request.override_settings.insert("tiling".to_owned(), json!(option));
        let picture = host.draw(request).pictures.remove(0);
        assert_eq!(picture.infotext.contains("Tiling: True"), tiling.unwrap_or(option));
        picture.image
    };
    let (plain, tile) = (draw(None, false), draw(Some(true), false));
    assert!(tile != plain);
    assert_eq!(draw(None, true), tile);
    assert_eq!(draw(Some(false), true), plain);
}

#[test]
fn the_noise_schedule_is_an_option() {
    let host = host(&[], Wiring::Direct);
    let draw = |option: &str, value: Value| {
        let mut request = request(&host);
        request.override_settings.insert(option.to_owned(), value);
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let plain = draw("save_write_log_csv", json!(true)).0;
    let (zero, infotext) = draw("sd_noise_schedule", json!("Zero Terminal SNR"));
    assert!(infotext.contains("Noise Schedule: Zero Terminal SNR"), "{infotext}");
    let (halved, infotext) = draw("use_downcasted_alpha_bar", json!(true));
    assert!(infotext.contains("Downcast alphas_cumprod: True"), "{infotext}");
    assert!(zero != plain && halved != plain && zero != halved);
}

#[test]
fn the_infotext_tells_the_settings_that_the_sampler_heeds() {
    let host = host(&[], Wiring::Direct);
    let infotext = |sampler: &str| {
        let mut request = RunRequest { sampler_name: sampler.to_owned(), ..request(&host) };
        let options = json!({
            "eta_ancestral": 0.5, "s_churn": 2.0, "s_noise": 0.9, "eta_noise_seed_delta": 31337,
            "sigma_min": 0.1, "uni_pc_variant": "bh2", "uni_pc_skip_type": "logSNR", "uni_pc_order": 2,
            "uni_pc_lower_order_final": false,
        });
        request.override_settings.extend(options.as_object().cloned().unwrap_or_default());
        host.draw(request).pictures.remove(0).infotext
    };
    for (sampler, told, untold) in [
        ("DPM2 a", vec!["Eta: 0.5", "Sigma noise: 0.9", "ENSD: 31337", "min sigma: 0.1"], "churn"),
        ("Heun", vec!["Sigma churn: 2.0", "Sigma noise: 0.9"], "ENSD"),
        ("DDIM", vec![], "sigma"),
        ("UniPC", vec!["variant: bh2", "type: logSNR", "order: 2", "final: False"], "Eta"),
    ] {
        let infotext = infotext(sampler);
        assert!(told.iter().all(|told| infotext.contains(told)), "{infotext}");
        assert!(!infotext.contains(untold), "{infotext}");
    }
}

#[test]
fn a_picture_in_bf16_is_another_and_its_record_says_so() {
    let data = tempfile::tempdir().expect("a folder");
    let draw = |precision: &str| {
        let args = ["txt2img", "red heart", "--seed", "5", "--steps", "4", "--no-save", "--json"];
        let mut command = command::command(data.path());
        command.args(args).args(["--precision", precision]).output().expect("a process")
    };
    let full = command::json(&draw("full"));
    let built = full["engine"].as_str().expect("a build");
    let rounded = draw("bf16");
    if !Precision::Bf16.is_available() {
        let errors = command::errors(&rounded);
        assert!(errors.contains("cpu cannot compute in bf16"), "{errors}");
        return;
    }
    let rounded = command::json(&rounded);
    assert_eq!(rounded["engine"], format!("{built}, in bf16"));
    assert_ne!(rounded["outputs"][0]["pixels"], full["outputs"][0]["pixels"]);
}
