//! The engine behind the run's interface, with the default checkpoint.

#![cfg(feature = "engine")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use atelier_host::{
    engine::EngineProvider,
    run::pipeline::{
        BlendParts, Conditioning, Lent, ModelProvider as _, NoiseSource, Padding, Pipeline,
        PipelineError, Point, SampleJob, SamplerSettings, Seeds, Start, StepInfo, StepObserver,
        Stop, Tensor, TextSettings,
    },
};

fn provider() -> (tempfile::TempDir, EngineProvider) {
    let data = tempfile::tempdir().unwrap();
    let provider = EngineProvider::new(data.path());
    (data, provider)
}

fn pipeline() -> Arc<dyn Pipeline> {
    provider().1.get(None).unwrap().0
}

fn settings() -> SamplerSettings {
    SamplerSettings {
        eta_ancestral: 1.0,
        s_noise: 1.0,
        beta_dist_alpha: 0.6,
        beta_dist_beta: 0.6,
        ..SamplerSettings::default()
    }
}

/// A batch of two at 32×32, which is quick.
fn job(pipeline: &dyn Pipeline, steps: u32) -> SampleJob {
    let encoding = TextSettings {
        clip_skip: 1,
        emphasis: "Original".to_owned(),
        comma_padding_backtrack: 20,
        xl_clip_skip: false,
        size: [32, 32],
        crop: [0, 0],
        aesthetic_score: [6.0, 2.5],
    };
    let texts =
        |text: &str| pipeline.encode_prompts(&[text.into(), text.into()], &encoding).unwrap();
    let seeds = Seeds {
        seeds: vec![1, 2],
        subseeds: vec![0, 0],
        resize_from: None,
        subseed_strength: 0.0,
        source: NoiseSource::Cpu,
        ensd: 0,
    };
    let mut noise = pipeline.noise(&seeds, 32, 32);
    let start = Start::Noise(noise.first());
    SampleJob {
        sampler: "Euler a".to_owned(),
        scheduler: "Automatic".to_owned(),
        steps,
        cfg_scale: 5.0,
        cond: texts("red heart").into(),
        uncond: texts("").into(),
        padding: Padding::Apart,
        start,
        shown: None,
        refiner: None,
        noise,
        settings: settings(),
    }
}

/// Notes what it is shown, and does at each point what it is told to.
#[derive(Default)]
struct Watcher {
    seen: Vec<(Point, u32)>,
    stop_at: Option<(Point, Stop)>,
    /// Tokens that the conditioning gets at its first call.
    tokens: Option<usize>,
    fill: Option<f32>,
}

impl Watcher {
    fn note(&mut self, point: Point, at: StepInfo) -> Result<(), Stop> {
        self.seen.push((point, at.step));
        match self.stop_at.take() {
            Some((wanted, stop)) if wanted == point => Err(stop),
            other => {
                self.stop_at = other;
                Ok(())
            }
        }
    }
}

impl StepObserver for Watcher {
    fn wants(&self, _: Point) -> bool {
        true
    }

    fn extra_noise(&mut self, _: Lent<'_>, _: &[f32], _: &[f32]) -> Result<(), Stop> {
        unreachable!("these runs start from noise")
    }

    fn blend(
        &mut self,
        _: Option<StepInfo>,
        _: &BlendParts<'_>,
        _: &mut [f32],
    ) -> Result<(), Stop> {
        unreachable!("these runs have no mask")
    }

    fn denoiser(
        &mut self,
        at: StepInfo,
        x: Lent<'_>,
        sigma: &mut f64,
        cond: &mut Conditioning,
        _: &mut Conditioning,
    ) -> Result<(), Stop> {
        assert_eq!((x.shape, x.data.len()), ([2, 4, 8, 8], 512));
        assert!((*sigma - at.sigma).abs() < 1e-9);
        let [rows, tokens, width] = cond.shape;
        assert_eq!((rows, tokens, cond.data.len()), (2, 77, 2 * 77 * width));
        if let Some(tokens) = self.tokens {
            let data = vec![0.1; rows * tokens * width];
            *cond = Conditioning { shape: [rows, tokens, width], data, ..Conditioning::default() };
        }
        self.note(Point::Denoiser, at)
    }

    fn denoised(&mut self, at: StepInfo, cond: Lent<'_>, uncond: Lent<'_>) -> Result<(), Stop> {
        assert_ne!(cond.data, uncond.data);
        self.note(Point::Denoised, at)
    }

    fn combine(
        &mut self,
        at: StepInfo,
        x: &[f32],
        cond: &[f32],
        uncond: &[f32],
        combined: Lent<'_>,
    ) -> Result<(), Stop> {
        assert_eq!(x.len(), combined.data.len());
        let expected = uncond[0] + 5.0 * (cond[0] - uncond[0]);
        assert!((combined.data[0] - expected).abs() < 1e-4);
        self.note(Point::Combine, at)
    }

    fn after_cfg(&mut self, at: StepInfo, _: Lent<'_>) -> Result<(), Stop> {
        self.note(Point::AfterCfg, at)
    }

    fn after_step(&mut self, at: StepInfo, x: Lent<'_>) -> Result<(), Stop> {
        if let Some(value) = self.fill {
            x.data.fill(value);
        }
        self.note(Point::AfterStep, at)
    }
}

fn sample(watcher: &mut Watcher) -> Result<Tensor, PipelineError> {
    let pipeline = pipeline();
    pipeline.sample(job(pipeline.as_ref(), 2), watcher)
}

#[test]
fn a_checkpoint_is_loaded_once_and_its_hash_is_remembered() {
    let (data, provider) = provider();
    let name = provider.list()[0].name.clone();
    let (first, fresh) = provider.get(None).unwrap();
    let (second, again) = provider.get(Some(&name)).unwrap();
    assert_eq!((fresh, again), (true, false));
    assert!(Arc::ptr_eq(&first, &second));
    let cache = std::fs::read_to_string(data.path().join("cache/hashes.json")).unwrap();
    assert!(cache.contains(&first.model().sha256), "{cache}");
    assert!(first.build().starts_with("atelier-engine "));
    let unknown = provider.get(Some("no-such-checkpoint")).unwrap_err();
    assert!(matches!(unknown, PipelineError::UnknownName { kind: "checkpoint", .. }));
}

#[test]
fn names_are_a1111s_in_any_case_and_automatic_is_resolved() {
    let data = tempfile::tempdir().unwrap();
    let catalogue = EngineProvider::new(data.path()).catalogue();
    assert_eq!((catalogue.sampler)("dpm++ 2m"), Some("DPM++ 2M"));
    assert_eq!((catalogue.scheduler)("automatic", "DPM++ 2M"), Some("Karras"));
    assert_eq!((catalogue.scheduler)("Automatic", "Euler"), Some("Automatic"));
    // The sampler's own error comes later, and says more.
    assert_eq!((catalogue.scheduler)("Automatic", "Oiler"), Some("Automatic"));
    assert_eq!((catalogue.scheduler)("Quick", "Euler"), None);
}

#[test]
fn every_point_of_every_step_is_shown_in_order() {
    use Point::{AfterCfg, AfterStep, Combine, Denoised, Denoiser};
    let mut watcher = Watcher::default();
    let latents = sample(&mut watcher).unwrap();
    assert_eq!(latents.shape, [2, 4, 8, 8]);
    let points = [Denoiser, Denoised, Combine, AfterCfg, AfterStep];
    let expected: Vec<_> = (0..2).flat_map(|step| points.map(|point| (point, step))).collect();
    assert_eq!(watcher.seen, expected);
}

#[test]
fn what_an_observer_changes_is_what_the_engine_goes_on_with() {
    let plain = sample(&mut Watcher::default()).unwrap();
    assert_eq!(plain, sample(&mut Watcher::default()).unwrap());
    let longer = sample(&mut Watcher { tokens: Some(154), ..Watcher::default() }).unwrap();
    assert_ne!(plain, longer);
    let filled = sample(&mut Watcher { fill: Some(0.25), ..Watcher::default() }).unwrap();
    assert!(filled.data.iter().all(|value| (value - 0.25).abs() < f32::EPSILON));
}

#[test]
fn a_stop_comes_back_as_the_one_that_was_asked_for() {
    for point in [Point::Denoiser, Point::Combine, Point::AfterStep] {
        let mut cancelled =
            Watcher { stop_at: Some((point, Stop::Cancelled)), ..Watcher::default() };
        let error = sample(&mut cancelled).unwrap_err();
        assert!(matches!(error, PipelineError::Stopped(Stop::Cancelled)), "{point:?}: {error}");
        let mut ended = Watcher { stop_at: Some((point, Stop::Ended)), ..Watcher::default() };
        let error = sample(&mut ended).unwrap_err();
        assert!(matches!(error, PipelineError::Stopped(Stop::Ended)), "{point:?}: {error}");
    }
}

#[test]
fn a_picture_goes_into_latents_and_back() {
    let pipeline = pipeline();
    let picture = Tensor { shape: [1, 3, 32, 32], data: vec![0.5; 3 * 32 * 32] };
    let latents = pipeline.encode(&picture).unwrap();
    assert_eq!(latents.shape, [1, 4, 8, 8]);
    let back = pipeline.decode(&latents).unwrap();
    assert_eq!(back.shape, picture.shape);
    let error: f32 = back.data.iter().zip(&picture.data).map(|(a, b)| (a - b).abs()).sum::<f32>()
        / back.data.len() as f32;
    assert!(error < 0.1, "mean error {error}");
    let odd = Tensor::zeros([1, 3, 31, 32]);
    assert!(matches!(pipeline.encode(&odd), Err(PipelineError::Engine(_))));
}
