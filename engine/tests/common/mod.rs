//! What the tests of the default checkpoint share.

#![allow(dead_code, unreachable_pub, reason = "every test target uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use atelier_engine::{
    Engine, ImageRng, NoiseSource, Observer, Padding, Pass, SampleError, SampleJob, Sampler,
    SamplerSettings, ScheduledConditioning, Scheduler, Side, Start, Tensor, TextSettings,
    Unobserved,
};

/// The folder of the default checkpoint.
pub fn checkpoint() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/atelier-emoji-64")
}

/// A folder of the parity data, which is quick to load and to copy.
pub fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/sd15")
}

/// The default checkpoint, loaded once.
pub fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::load(&checkpoint()).unwrap())
}

/// What to draw; the default is a red heart in eight steps.
#[derive(Clone)]
pub struct Draw<'a> {
    pub prompt: &'a str,
    pub negative: &'a str,
    pub seeds: Vec<i64>,
    pub sampler: Sampler,
    pub steps: u32,
    pub cfg_scale: f64,
    /// Sides of the picture.
    pub size: usize,
    pub init: Option<(Tensor, f64)>,
    pub mask: Option<Tensor>,
    pub settings: SamplerSettings,
}

impl Default for Draw<'_> {
    fn default() -> Self {
        Self {
            prompt: "red heart",
            negative: "",
            seeds: vec![1],
            sampler: Sampler::Euler,
            steps: 8,
            cfg_scale: 5.0,
            size: 64,
            init: None,
            mask: None,
            settings: SamplerSettings::default(),
        }
    }
}

impl Draw<'_> {
    /// Samples latents.
    pub fn latents(&self, observer: &mut dyn Observer) -> Result<Tensor, SampleError> {
        self.latents_of(engine(), observer)
    }

    /// The same with another engine.
    pub fn latents_of(
        &self,
        engine: &Engine,
        observer: &mut dyn Observer,
    ) -> Result<Tensor, SampleError> {
        let pass = Pass { steps: self.sampler.calls_of(self.steps as usize), ..Pass::default() };
        let text = |prompt: &str, side| -> Result<ScheduledConditioning, SampleError> {
            let prompts = vec![prompt; self.seeds.len()];
            Ok(engine.encode_schedules(&prompts, side, TextSettings::default(), pass)?)
        };
        let shape = engine.info().latent_shape(self.size, self.size);
        let mut rng = ImageRng::new(shape, &self.seeds, &[], 0.0, NoiseSource::Cpu, 0);
        let noise = rng.first();
        let start = match &self.init {
            None => Start::Noise(noise),
            Some((init, denoising_strength)) => Start::Latents {
                init: init.clone(),
                noise,
                denoising_strength: *denoising_strength,
                mask: self.mask.clone(),
            },
        };
        let job = SampleJob {
            sampler: self.sampler,
            scheduler: Scheduler::Automatic,
            steps: self.steps,
            cfg_scale: self.cfg_scale,
            cond: text(self.prompt, Side::Positive)?,
            uncond: text(self.negative, Side::Negative)?,
            padding: Padding::default(),
            start,
            shown: None,
            refiner: None,
            rng: &mut rng,
            settings: self.settings.clone(),
        };
        engine.sample(job, observer)
    }

    /// Samples and decodes, unobserved.
    pub fn picture(&self) -> Tensor {
        self.picture_of(engine())
    }

    /// The same with another engine.
    pub fn picture_of(&self, engine: &Engine) -> Tensor {
        engine.decode(&self.latents_of(engine, &mut Unobserved).unwrap()).unwrap()
    }
}

/// The largest difference of two tensors.
pub fn apart(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |most, (a, b)| most.max((a - b).abs()))
}

/// The mean of the absolute differences.
pub fn mean_apart(a: &Tensor, b: &Tensor) -> f32 {
    let sum: f32 = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).sum();
    sum / a.data().len() as f32
}
