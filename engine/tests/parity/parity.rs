//! Holds every network, schedule and sampler against the reference data of this folder.
//!
//! A unit test module of the crate (see `lib.rs`), so that single network calls can be compared.

#[path = "checkpoints.rs"]
mod checkpoints;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor as Array};

use crate::checkpoint::{Config, Source};
use crate::prompt::TextSettings;
use crate::sampling::{DiscreteSchedule, Unobserved};
use crate::unet::Unet;
use crate::vae::Vae;
use crate::{
    Engine, ImageRng, NoiseSource, Padding, Resample, SampleJob, Sampler, SamplerSettings,
    ScheduledConditioning, Scheduler, Start, Tensor, UniPc, UniPcSpacing, UniPcVariant,
};

/// The largest difference allowed, as a share of the largest value.
const TOLERANCE: f64 = 1e-3;
const CASES: [&str; 3] = ["sd15", "groups", "sd2"];
const PROMPTS: [&str; 3] = ["red heart", "", "A photo of the CAT, cafe\u{301} 12?"];
const SEEDS: [i64; 2] = [7, 8];

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(case)
}

struct Reference {
    case: &'static str,
    tensors: HashMap<String, Array>,
}

impl Reference {
    fn of(case: &'static str) -> Self {
        Self::read(case, &folder(case).join("reference.safetensors"))
    }

    fn read(case: &'static str, file: &Path) -> Self {
        Self { case, tensors: candle_core::safetensors::load(file, &Device::Cpu).unwrap() }
    }

    fn array(&self, key: &str) -> &Array {
        &self.tensors[key]
    }

    fn tensor(&self, key: &str) -> Tensor {
        Tensor::from_array(self.array(key)).unwrap()
    }

    #[track_caller]
    fn compare(&self, key: &str, found: &[f32]) {
        let expected: Vec<f32> = self.array(key).flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(expected.len(), found.len(), "{key}");
        let largest = expected.iter().fold(0.0, |m: f64, v| m.max(f64::from(v.abs())));
        let apart = expected
            .iter()
            .zip(found)
            .fold(0.0, |m: f64, (a, b)| m.max((f64::from(*a) - f64::from(*b)).abs()));
        let error = apart / largest;
        println!("{:>7} {key:<24} {error:.1e}", self.case);
        assert!(error <= TOLERANCE, "{}: {key} is {error:.2e} off", self.case);
    }

    fn compare_array(&self, key: &str, found: &Array) {
        self.compare(key, &found.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
}

fn source(case: &str, part: &str) -> Source {
    Source::folder(&folder(case).join(part), "diffusion_pytorch_model").unwrap()
}

#[test]
fn text_encoder_agrees_with_transformers() {
    for case in CASES {
        let (reference, engine) = (Reference::of(case), Engine::load(&folder(case)).unwrap());
        let encode = |prompts: &[&str], clip_skip| {
            let settings = TextSettings { clip_skip, ..TextSettings::default() };
            engine.encode_prompts(prompts, settings).unwrap()
        };
        reference.compare("text_last", encode(&PROMPTS, 1).data());
        // A1111 takes OpenCLIP's as it is.
        let skipped = if case == "sd2" { "text_last" } else { "text_skip2" };
        reference.compare(skipped, encode(&PROMPTS, 2).data());
        let long = vec!["red heart and the smiling dog"; 15].join(" ");
        reference.compare("text_long", encode(&[&long], 1).data());
    }
}

#[test]
fn unet_agrees_with_diffusers() {
    for case in CASES {
        let (reference, unet) = (Reference::of(case), Unet::load(&source(case, "unet")).unwrap());
        let context = reference.array("context");
        for (key, x, t) in
            [("unet_481", "x", 481.0), ("unet_481_37", "x", 481.37), ("unet_odd", "x_odd", 10.5)]
        {
            let found = unet.forward(reference.array(x), t, context, None).unwrap();
            reference.compare_array(key, &found);
        }
        for (key, x, t) in [("unet_merged", "x", 481.0), ("unet_merged_odd", "x_odd", 10.5)] {
            let x = reference.array(x);
            let found = unet.forward_merging(x, t, context, None, 0.5).unwrap();
            reference.compare_array(key, &found);
        }
    }
}

/// Wide networks are computed in other ways than those of the tiny checkpoints.
#[test]
fn the_default_checkpoint_agrees_with_diffusers() {
    let reference = Reference::read("emoji", &folder("emoji.safetensors"));
    let checkpoint = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/atelier-emoji-64");
    let part =
        |part: &str| Source::folder(&checkpoint.join(part), "diffusion_pytorch_model").unwrap();
    let (unet, vae) = (Unet::load(&part("unet")).unwrap(), Vae::load(&part("vae")).unwrap());
    let (x, context) = (reference.array("x"), reference.array("context"));
    reference.compare_array("unet_481", &unet.forward(x, 481.0, context, None).unwrap());
    reference.compare_array("vae_decoded", &vae.decode(reference.array("z")).unwrap());
}

#[test]
fn autoencoder_agrees_with_diffusers() {
    for case in CASES {
        let (reference, vae) = (Reference::of(case), Vae::load(&source(case, "vae")).unwrap());
        let decoded = vae.decode(reference.array("z")).unwrap();
        reference.compare_array("vae_decoded", &decoded);

        let engine = Engine::load(&folder(case)).unwrap();
        let (image, noise) = (reference.tensor("image"), reference.tensor("image_noise"));
        reference.compare("vae_mean", engine.encode_image(&image, None).unwrap().data());
        let sample = engine.encode_image(&image, Some(&noise)).unwrap();
        reference.compare("vae_sample", sample.data());
        let shown = engine.decode(&reference.tensor("z")).unwrap();
        let expected = Tensor::from_array(&decoded).unwrap();
        for (a, b) in shown.data().iter().zip(expected.data()) {
            assert!((a - (b * 0.5 + 0.5).clamp(0.0, 1.0)).abs() < 1e-6);
        }
    }
}

#[test]
fn schedules_agree_with_k_diffusion() {
    let reference = Reference::of("sd15");
    let file = folder("sd15").join("scheduler/scheduler_config.json");
    let schedule = DiscreteSchedule::load(&Config::read(&file).unwrap()).unwrap();
    for (key, scheduler) in [
        ("sigmas_uniform", Scheduler::Automatic),
        ("sigmas_uniform", Scheduler::Uniform),
        ("sigmas_karras", Scheduler::Karras),
        ("sigmas_exponential", Scheduler::Exponential),
        ("sigmas_align_your_steps", Scheduler::AlignYourSteps),
        ("sigmas_polyexponential", Scheduler::Polyexponential),
        ("sigmas_beta", Scheduler::Beta),
    ] {
        compare_sigmas(&reference, key, scheduler, &schedule);
    }
    let of_xl = schedule.of_xl(true);
    let key = "sigmas_align_your_steps_xl";
    compare_sigmas(&reference, key, Scheduler::AlignYourSteps, &of_xl);
}

fn compare_sigmas(
    reference: &Reference,
    key: &str,
    scheduler: Scheduler,
    schedule: &DiscreteSchedule,
) {
    let settings = SamplerSettings { beta_beta: 0.8, ..SamplerSettings::default() };
    let sigmas = scheduler.sigmas(Sampler::Euler, 8, schedule, &settings);
    reference.compare(key, &sigmas.iter().map(|s| *s as f32).collect::<Vec<_>>());
}

#[test]
fn every_schedule_falls_from_the_models_highest_sigma() {
    let file = folder("sd15").join("scheduler/scheduler_config.json");
    let schedule = DiscreteSchedule::load(&Config::read(&file).unwrap()).unwrap();
    for scheduler in Scheduler::ALL {
        for steps in [1, 2, 7, 20, 50] {
            for discard_next_to_last_sigma in [false, true] {
                let settings =
                    SamplerSettings { discard_next_to_last_sigma, ..SamplerSettings::default() };
                let sigmas = scheduler.sigmas(Sampler::Euler, steps, &schedule, &settings);
                assert!(sigmas.windows(2).all(|pair| pair[1] < pair[0]), "{scheduler} {sigmas:?}");
                if scheduler != Scheduler::Ddim {
                    assert_eq!(sigmas.len(), steps + 1, "{scheduler}");
                    // Align Your Steps has ends of its own, rounded to three digits.
                    let off = if scheduler == Scheduler::AlignYourSteps { 1e-3 } else { 1e-6 };
                    assert!((sigmas[0] - schedule.sigma_max()).abs() < off, "{scheduler}");
                }
            }
        }
    }
}

#[test]
fn whole_runs_agree_with_k_diffusion_and_diffusers() {
    for case in CASES {
        let (reference, engine) = (Reference::of(case), Engine::load(&folder(case)).unwrap());
        for (key, sampler, steps) in [
            ("run_euler", Sampler::Euler, 8),
            ("run_euler_a", Sampler::EulerA, 8),
            ("run_dpmpp_2m", Sampler::DpmPp2M, 8),
            ("run_dpmpp_2s_a", Sampler::DpmPp2SA, 8),
            ("run_lms", Sampler::Lms, 8),
            ("run_heun", Sampler::Heun, 8),
            ("run_dpm_2", Sampler::Dpm2, 8),
            ("run_dpm_2_a", Sampler::Dpm2A, 8),
            ("run_dpmpp_sde", Sampler::DpmPpSde, 8),
            ("run_dpmpp_2m_sde", Sampler::DpmPp2MSde, 8),
            ("run_dpmpp_2m_sde_heun", Sampler::DpmPp2MSdeHeun, 8),
            ("run_dpmpp_3m_sde", Sampler::DpmPp3MSde, 8),
            ("run_restart", Sampler::Restart, 20),
            ("run_ddim", Sampler::Ddim, 10),
            ("run_ddim_cfgpp", Sampler::DdimCfgPp, 10),
            ("run_plms", Sampler::Plms, 10),
            ("run_unipc", Sampler::UniPc, 8),
            ("run_unipc_bh2", Sampler::UniPc, 8),
            ("run_dpm_fast", Sampler::DpmFast, 8),
            ("run_dpm_adaptive", Sampler::DpmAdaptive, 8),
            ("run_dpm_adaptive_straight", Sampler::DpmAdaptive, 8),
            ("run_lcm", Sampler::Lcm, 8),
            ("run_euler_zero_snr", Sampler::Euler, 8),
        ] {
            // The other networks are no measure of it: see make.py.
            if sampler == Sampler::DpmAdaptive && case != "sd15" {
                continue;
            }
            let mut rng = ImageRng::new([4, 8, 8], &SEEDS, &[], 0.0, NoiseSource::Cpu, 0);
            let job = SampleJob {
                sampler,
                scheduler: Scheduler::Automatic,
                steps,
                cfg_scale: 3.0,
                cond: twice(&engine, PROMPTS[0]),
                uncond: twice(&engine, PROMPTS[1]),
                padding: Padding::default(),
                start: Start::Noise(rng.first()),
                shown: None,
                refiner: None,
                rng: &mut rng,
                settings: settings_of(key),
            };
            reference.compare(key, engine.sample(job, &mut Unobserved).unwrap().data());
        }
    }
}

/// What the reference was made with.
fn settings_of(key: &str) -> SamplerSettings {
    let usual = SamplerSettings { eta_ddim: 0.5, ..SamplerSettings::default() };
    let fresh = SamplerSettings { eta_ancestral: 0.8, s_noise: 0.95, ..usual.clone() };
    match key {
        "run_dpmpp_sde"
        | "run_dpmpp_2m_sde"
        | "run_dpmpp_2m_sde_heun"
        | "run_dpmpp_3m_sde"
        | "run_dpm_fast" => fresh,
        "run_dpm_adaptive" => SamplerSettings { s_noise: 1.0, ..fresh },
        "run_dpm_adaptive_straight" => SamplerSettings { eta_ancestral: 0.0, ..usual },
        "run_unipc_bh2" => {
            let (variant, spacing) = (UniPcVariant::Bh2, UniPcSpacing::TimeQuadratic);
            let uni_pc = UniPc { variant, spacing, order: 2, ..usual.uni_pc };
            SamplerSettings { uni_pc, ..usual }
        }
        "run_euler_zero_snr" => SamplerSettings { zero_terminal_snr: true, ..usual },
        _ => usual,
    }
}

fn twice(engine: &Engine, prompt: &str) -> ScheduledConditioning {
    engine.encode_prompts(&[prompt, prompt], TextSettings::default()).unwrap().into()
}

#[test]
fn cpu_noise_is_torchs() {
    let file = folder("randn.safetensors");
    for (key, expected) in candle_core::safetensors::load(file, &Device::Cpu).unwrap() {
        let (seed, count) = key.split_once('_').unwrap();
        let (seed, count): (i64, usize) = (seed.parse().unwrap(), count.parse().unwrap());
        let mut rng = ImageRng::new([1, 1, count], &[seed], &[], 0.0, NoiseSource::Cpu, 0);
        let found = [rng.first().into_data(), rng.next().into_data()].concat();
        for (a, b) in expected.to_vec1::<f32>().unwrap().into_iter().zip(found) {
            let allowed = if count < 16 { 0.0 } else { 1e-6 };
            assert!((a - b).abs() <= allowed, "{key}: {a} {b}");
        }
    }
}

#[test]
fn motion_is_torchsdes() {
    let file = folder("motion.safetensors");
    for (key, expected) in candle_core::safetensors::load(file, &Device::Cpu).unwrap() {
        let parts: Vec<f64> = key.split('_').map(|part| part.parse().unwrap()).collect();
        let [seed, a, b] = parts[..] else { panic!("{key}") };
        let single = |value: f64| f64::from(value as f32);
        let rng = ImageRng::new([4, 2, 3], &[seed as i64], &[], 0.0, NoiseSource::Cpu, 0);
        let tree = rng.brownian(single(0.03), single(14.6)).remove(0);
        let (low, high) = (single(a.min(b)), single(a.max(b)));
        let sign = if a < b { 1.0 } else { -1.0 };
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        for (found, expected) in tree.between(low, high).into_iter().zip(expected) {
            assert!((sign * found - expected).abs() < 2e-6, "{key}: {found} {expected}");
        }
    }
}

#[test]
fn latents_are_resized_as_torch_does_it() {
    let file = folder("resized.safetensors");
    let all = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let x = Tensor::from_array(&all["x"]).unwrap();
    let mut compared = 0;
    for (key, expected) in all.iter().filter(|(key, _)| *key != "x") {
        let (mode, size) = key.split_once('_').unwrap();
        let (height, width) = size.split_once('x').unwrap();
        let how = match mode {
            "nearest" => Resample::Nearest,
            "nearest-exact" => Resample::NearestExact,
            "bilinear" => Resample::Bilinear,
            "bilinear-antialiased" => Resample::BilinearAntialiased,
            "bicubic" => Resample::Bicubic,
            "bicubic-antialiased" => Resample::BicubicAntialiased,
            other => panic!("{other}"),
        };
        let found = x.resized(how, height.parse().unwrap(), width.parse().unwrap());
        let expected: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(found.data().len(), expected.len(), "{key}");
        for (a, b) in found.data().iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{key}: {a} {b}");
        }
        compared += 1;
    }
    assert_eq!(compared, 24);
}
