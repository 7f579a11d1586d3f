//! The default checkpoint draws.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod common;

use atelier_engine::{
    Compute, ComputeError, Device, Emphasis, Engine, EngineError, LoadError, NoiseSource, Padding,
    Precision, Resample, Sampler, SamplerSettings, Tensor, TextSettings, Unobserved,
};
use common::{Draw, apart, checkpoint, engine, mean_apart};

/// The share of pixels whose red, green and blue fulfil `is`.
fn share(picture: &Tensor, is: impl Fn(f32, f32, f32) -> bool) -> f64 {
    let plane = picture.shape()[2] * picture.shape()[3];
    let (r, rest) = picture.data()[..3 * plane].split_at(plane);
    let (g, b) = rest.split_at(plane);
    let count = (0..plane).filter(|i| is(r[*i], g[*i], b[*i])).count();
    count as f64 / plane as f64
}

#[test]
fn a_red_heart_is_red_on_white() {
    let picture = Draw { steps: 12, ..Draw::default() }.picture();
    assert_eq!(picture.shape(), [1, 3, 64, 64]);
    let red = share(&picture, |r, g, b| r > 0.5 && g < 0.35 && r > b + 0.1);
    let white = share(&picture, |r, g, b| r.min(g).min(b) > 0.85);
    assert!((0.25..0.75).contains(&red), "{red}");
    assert!((0.2..0.7).contains(&white), "{white}");
}

#[test]
fn every_sampler_draws_the_same_kind_of_picture() {
    for sampler in Sampler::ALL {
        // LCM is for models that were taught for it; PLMS begins with rough steps.
        let steps = match sampler {
            Sampler::Lcm => continue,
            Sampler::Plms => 24,
            _ => 12,
        };
        let picture = Draw { sampler, steps, ..Draw::default() }.picture();
        let red = share(&picture, |r, g, _| r > 0.5 && g < 0.35);
        let white = share(&picture, |r, g, b| r.min(g).min(b) > 0.8);
        assert!(red > 0.2 && white > 0.15, "{sampler}: {red} {white}");
    }
}

#[test]
fn the_same_seed_gives_the_same_pixels() {
    let draw = Draw { sampler: Sampler::EulerA, ..Draw::default() };
    let picture = draw.picture();
    assert_eq!(picture, draw.picture());
    assert_ne!(picture, Draw { seeds: vec![2], ..draw }.picture());
}

#[test]
fn in_bf16_it_is_about_the_same_picture() {
    let compute = Compute { precision: Precision::Bf16, ..Compute::default() };
    let loaded = Engine::load_for(&checkpoint(), compute);
    if !Precision::Bf16.is_available() {
        assert!(matches!(loaded, Err(LoadError::Compute(ComputeError::Bf16 { .. }))), "{loaded:?}");
        return;
    }
    let rounded = loaded.expect("a checkpoint");
    assert_eq!(rounded.info().compute, compute);
    let draw = Draw { steps: 12, ..Draw::default() };
    let (full, picture) = (draw.picture(), draw.picture_of(&rounded));
    let far = mean_apart(&full, &picture);
    assert!(far > 0.0 && far < 0.005, "{far}");
    // What is made of it computes in bf16 as well, with shared layers and with its own.
    let tiled = rounded.with_tiling();
    assert_eq!(tiled.info().compute, compute);
    assert!(
        mean_apart(&draw.picture_of(&engine().with_tiling()), &draw.picture_of(&tiled)) < 0.005
    );
    let same_vae = rounded
        .with_vae(&checkpoint().join("vae/diffusion_pytorch_model.safetensors"))
        .expect("an autoencoder");
    assert_eq!(draw.picture_of(&same_vae), picture);
}

#[test]
fn a_device_that_is_not_there_is_refused_with_what_to_do() {
    for device in [Device::Cuda(99), Device::Metal(99)] {
        let compute = Compute { device, ..Compute::default() };
        let error = Engine::load_for(&checkpoint(), compute).expect_err("no such card");
        let text = error.to_string();
        assert!(matches!(error, LoadError::Compute(_)) && text.contains(":99"), "{text}");
        assert!(text.contains("cpu"), "{text}");
    }
    // The processor alone has instructions for bf16 that are used.
    let compute = Compute { precision: Precision::Bf16, device: Device::Cuda(0) };
    assert!(matches!(compute.check(), Err(ComputeError::Bf16 { device: Device::Cuda(0) })));
}

#[test]
fn a_batch_of_two_is_two_single_pictures() {
    for sampler in [Sampler::EulerA, Sampler::DpmPp2M] {
        let draw = |seeds: Vec<i64>| Draw { seeds, sampler, ..Draw::default() }.picture();
        let (both, first, second) = (draw(vec![5, 6]), draw(vec![5]), draw(vec![6]));
        for (index, single) in [first, second].iter().enumerate() {
            let far = apart(both.item(index).unwrap(), single.data());
            assert!(far < 1e-3, "{sampler}: {far}");
        }
    }
}

#[test]
fn a_low_denoising_strength_keeps_more_of_the_picture() {
    let heart = Draw::default().picture();
    let init = engine().encode_image(&heart, None).unwrap();
    for sampler in [Sampler::Euler, Sampler::Ddim] {
        let again = |strength| {
            let draw = Draw {
                prompt: "cat face",
                sampler,
                seeds: vec![3],
                init: Some((init.clone(), strength)),
                ..Draw::default()
            };
            mean_apart(&draw.picture(), &heart)
        };
        let (low, middle, high) = (again(0.2), again(0.6), again(1.0));
        assert!(low < middle && middle < high, "{sampler}: {low} {middle} {high}");
        assert!(low < 0.08 && high > 0.15, "{sampler}: {low} {high}");
    }
}

#[test]
fn what_the_mask_leaves_stays() {
    let init = engine().encode_image(&Draw::default().picture(), None).unwrap();
    let right = |value: f32, at: usize| if at % 16 < 8 { 0.0 } else { value };
    for sampler in [Sampler::Euler, Sampler::DpmPp2M, Sampler::Ddim, Sampler::Plms, Sampler::UniPc]
    {
        let draw = |mask: Option<Tensor>| {
            let init = Some((init.clone(), 0.8));
            let draw =
                Draw { prompt: "cat face", sampler, seeds: vec![3], init, mask, ..Draw::default() };
            draw.latents(&mut Unobserved).unwrap()
        };
        let mask =
            |value: f32| Tensor::new([1, 1, 16, 16], (0..256).map(|at| right(value, at)).collect());
        let found = draw(Some(mask(1.0).unwrap()));
        let pairs = found.data().iter().zip(init.data()).enumerate();
        let (mut kept, mut changed) = (0, 0);
        for (at, (found, init)) in pairs {
            if at % 16 < 8 {
                assert!((found - init).abs() < 1e-6, "{sampler}");
                kept += 1;
            } else if (found - init).abs() > 0.05 {
                changed += 1;
            }
        }
        assert!(kept == 512 && changed > 256, "{sampler}: {changed}");
        let half = draw(Some(mask(0.5).unwrap()));
        assert!(half != found && half != init, "{sampler}");
        let whole = Tensor::new([1, 1, 16, 16], vec![1.0; 256]).unwrap();
        assert_eq!(draw(Some(whole)), draw(None), "{sampler}");
    }
    let init = Some((init, 0.8));
    let mask = Some(Tensor::zeros([1, 1, 8, 16]));
    let error = Draw { init, mask, ..Draw::default() }.latents(&mut Unobserved).unwrap_err();
    assert!(error.to_string().starts_with("start.mask is [1, 1, 8, 16]"), "{error}");
}

#[test]
fn fixed_steps_without_denoising_give_the_latents_back() {
    let init = engine().encode_image(&Draw::default().picture(), None).unwrap();
    let settings = SamplerSettings { fix_steps: true, ..SamplerSettings::default() };
    let draw = Draw { init: Some((init.clone(), 0.0)), settings, ..Draw::default() };
    assert_eq!(draw.latents(&mut Unobserved).unwrap(), init);
}

#[test]
fn the_autoencoder_gives_back_what_it_took() {
    let heart = Draw::default().picture();
    let latents = engine().encode_image(&heart, None).unwrap();
    assert_eq!(latents.shape(), [1, 4, 16, 16]);
    assert!(mean_apart(&engine().decode(&latents).unwrap(), &heart) < 0.04);
    let noise = Tensor::new([1, 4, 16, 16], vec![1.0; 1024]).unwrap();
    let sampled = engine().encode_image(&heart, Some(&noise)).unwrap();
    assert!(sampled.data().iter().zip(latents.data()).all(|(s, m)| s > m));
}

#[test]
fn other_sizes_and_long_prompts_run() {
    let engine = engine();
    let long = "red heart, ".repeat(40);
    let cond = engine.encode_prompts(&[&long], skipping(2)).unwrap();
    let uncond = engine.encode_prompts(&["blue"], skipping(1)).unwrap();
    assert_eq!((cond.tokens(), uncond.tokens()), (154, 77));
    let mut drawn = Vec::new();
    for padding in [Padding::Apart, engine.padding().unwrap(), Padding::LastToken] {
        let mut rng =
            atelier_engine::ImageRng::new([4, 18, 11], &[1], &[], 0.0, NoiseSource::Nv, 0);
        let job = atelier_engine::SampleJob {
            sampler: Sampler::Euler,
            scheduler: atelier_engine::Scheduler::Karras,
            steps: 2,
            cfg_scale: 4.0,
            cond: cond.clone().into(),
            uncond: uncond.clone().into(),
            padding,
            start: atelier_engine::Start::Noise(rng.first()),
            shown: None,
            refiner: None,
            rng: &mut rng,
            settings: SamplerSettings::default(),
        };
        drawn.push(engine.sample(job, &mut Unobserved).unwrap());
    }
    assert!(drawn[0] != drawn[1] && drawn[1] != drawn[2] && drawn[0] != drawn[2]);
    assert_eq!(engine.decode(&drawn[0]).unwrap().shape(), [1, 3, 72, 44]);
}

fn skipping(clip_skip: u32) -> TextSettings {
    TextSettings { clip_skip, ..TextSettings::default() }
}

/// The encoded prompt, one row of 128 values for each token.
fn encoded(prompt: &str, emphasis: Emphasis) -> Vec<f32> {
    let settings = TextSettings { emphasis, ..TextSettings::default() };
    engine().encode_prompts(&[prompt], settings).expect("a prompt that can be read").into_data()
}

fn mean(values: &[f32]) -> f64 {
    values.iter().map(|value| f64::from(*value)).sum::<f64>() / values.len() as f64
}

#[test]
fn brackets_weigh_the_tokens_in_them() {
    let plain = encoded("red heart", Emphasis::Original);
    // The begin token, "red", "heart".
    let weighed = encoded("red (heart:1.5)", Emphasis::NoNorm);
    for (at, (weighed, plain)) in weighed.iter().zip(&plain).enumerate() {
        let expected = if at / 128 == 2 { plain * 1.5 } else { *plain };
        assert!((weighed - expected).abs() < 1e-6, "value {at}: {weighed}, not {expected}");
    }
    let original = encoded("red (heart:1.5)", Emphasis::Original);
    assert!((mean(&original) - mean(&plain)).abs() < 1e-6);
    let ratio = original[0] / weighed[0];
    assert!((ratio - 1.0).abs() > 1e-6, "the mean was moved back");
    for (original, weighed) in original.iter().zip(&weighed) {
        assert!((original - weighed * ratio).abs() < 1e-5);
    }
    assert_eq!(encoded("red (heart:1.5)", Emphasis::Ignore), plain);
    assert_ne!(encoded("red (heart:1.5)", Emphasis::None), plain);
    assert_eq!(
        encoded(r"red \(heart\)", Emphasis::Original),
        encoded("red (heart)", Emphasis::None)
    );
}

#[test]
fn a_break_begins_a_chunk() {
    let broken = encoded("red BREAK heart", Emphasis::Original);
    let (red, heart) = (encoded("red", Emphasis::Original), encoded("heart", Emphasis::Original));
    assert_eq!(broken, [red, heart].concat());
}

#[test]
fn a_weight_that_is_no_number_is_refused_in_words() {
    let error = engine().encode_prompts(&["a (cat:1.2.3)"], TextSettings::default()).unwrap_err();
    assert!(matches!(error, EngineError::Prompt(_)));
    assert!(error.to_string().contains("“:1.2.3)”"), "{error}");
}

#[test]
fn without_guidance_the_negative_prompt_has_no_weight() {
    let draw = |negative| Draw { negative, cfg_scale: 1.0, ..Draw::default() }.picture();
    assert_eq!(draw(""), draw("blue circle"));
}

#[test]
fn the_checkpoint_tells_its_facts() {
    let info = engine().info();
    assert_eq!(info.name, "atelier-emoji-64");
    assert_eq!((info.native_width, info.native_height), (64, 64));
    assert_eq!((info.vae_factor, info.latent_channels), (4, 4));
    assert_eq!((info.text_width, info.text_layers), (128, 3));
    let hash = info.weights_hash().unwrap();
    assert_eq!(hash.len(), 64);
    assert_eq!(info.files[0].sha256().unwrap(), hash);
    let count = |prompt| engine().count_tokens(prompt, TextSettings::default()).unwrap();
    assert_eq!(count("red heart, a photo"), (5, 75));
    assert_eq!(count("(red:1.3) heart BREAK a photo"), (4, 150));
}

/// Draws in child processes, since the number of threads is fixed at a process's first picture.
#[test]
fn the_number_of_threads_does_not_change_a_pixel() {
    const CHILD: &str = "ATELIER_TEST_PICTURE";
    if let Some(out) = std::env::var_os(CHILD) {
        let picture = Draw { sampler: Sampler::EulerA, steps: 4, ..Draw::default() }.picture();
        let bytes: Vec<u8> = picture.data().iter().flat_map(|v| v.to_le_bytes()).collect();
        std::fs::write(out, bytes).unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let pictures = ["1", "2", "3"].map(|threads| {
        let out = folder.path().join(threads);
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_number_of_threads_does_not_change_a_pixel"])
            .env(CHILD, &out)
            .env("RAYON_NUM_THREADS", threads)
            .env("CANDLE_NUM_THREADS", threads)
            .output()
            .unwrap()
            .status;
        assert!(status.success());
        std::fs::read(out).unwrap()
    });
    assert!(!pictures[0].is_empty());
    assert!(pictures.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn an_engine_is_shared_between_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Engine>();
    assert!(checkpoint().is_dir());
    let draw = Draw { steps: 2, ..Draw::default() };
    let alone = draw.picture();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| draw.picture());
        assert_eq!(draw.picture(), alone);
        assert_eq!(other.join().unwrap(), alone);
    });
}

#[test]
fn tiles_go_on_at_their_other_side() {
    // Latents that are moved around the edge are a tile that is moved around the edge.
    let tiles = engine().with_tiling();
    let latents = Draw::default().latents(&mut Unobserved).unwrap();
    let around = |tensor: &Tensor, by: usize| {
        let [n, c, h, w] = tensor.shape();
        let at = |i: usize| i / w * w + (i % w + by) % w;
        let data = (0..n * c * h * w).map(|i| tensor.data()[at(i)]).collect();
        Tensor::new([n, c, h, w], data).unwrap()
    };
    let off = |engine: &atelier_engine::Engine| {
        let picture = engine.decode(&latents).unwrap();
        let moved = engine.decode(&around(&latents, 4)).unwrap();
        apart(around(&picture, 16).data(), moved.data())
    };
    assert!(off(&tiles) < 1e-4, "{}", off(&tiles));
    assert!(off(engine()) > 0.05, "{}", off(engine()));
    assert_eq!(tiles.with_tiling().decode(&latents).unwrap(), tiles.decode(&latents).unwrap());
}

#[test]
fn a_preview_has_the_colours_of_the_picture() {
    let draw = Draw { steps: 12, seeds: vec![3, 4], ..Draw::default() };
    let latents = draw.latents(&mut Unobserved).expect("latents");
    let preview = engine().preview(&latents).expect("a preview");
    let [n, _, height, width] = latents.shape();
    assert_eq!(preview.shape(), [n, 3, height, width]);
    let picture = engine().decode(&latents).expect("a picture");
    let small = picture.resized(Resample::BilinearAntialiased, height, width);
    let off = mean_apart(&preview, &small);
    let grey = Tensor::new(small.shape(), vec![mean(small.data()) as f32; small.data().len()]);
    let off_grey = mean_apart(&grey.expect("a picture"), &small);
    assert!(off < 0.1 && off * 2.0 < off_grey, "{off}, and a grey picture {off_grey}");
}
