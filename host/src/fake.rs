//! An engine that computes next to nothing, but everything a run asks for.
//!
//! What it draws depends on prompt, seed, steps and on everything that a hook may change, so that equal
//! pixels mean that nothing was changed. The checks of `validate` and the test kit run on it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::run::pipeline::{
    BlendParts, Catalogue, Checkpoint, Conditioning, Heeds, Lent, ModelInfo, ModelProvider,
    NoiseStream, Pipeline, PipelineError, Point, SampleJob, ScheduledConditioning, Seeds, Start,
    StepInfo, StepObserver, Stop, Tensor, TextSettings,
};

/// Pixels per latent.
const FACTOR: usize = 8;
const CHANNELS: usize = 4;
const TOKENS: usize = 77;
const WIDTH: usize = 8;
const SAMPLERS: [&str; 4] = ["DPM++ 2M", "Euler a", "Euler", "DDIM"];
const SCHEDULERS: [&str; 2] = ["Automatic", "Karras"];

/// A pipeline whose pictures depend on prompts, seeds, steps, guidance and on whatever hooks change.
#[derive(Debug)]
pub struct FakePipeline {
    model: ModelInfo,
}

impl FakePipeline {
    /// A checkpoint of that name. Another name draws other pictures.
    pub fn new(name: &str) -> Self {
        let sha256 = format!("{:016x}", hash(name.as_bytes())).repeat(4);
        Self {
            model: ModelInfo {
                inpaints: false,
                name: name.to_owned(),
                sha256,
                native_size: (64, 64),
                vae_factor: FACTOR as u32,
                size_multiple: FACTOR as u32,
                latent_channels: CHANNELS as u32,
                vae: None,
            },
        }
    }
}

/// FNV-1a: stable, short, good enough to tell texts apart.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// `SplitMix64`.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// Near enough to normal: twelve uniforms.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }
}

#[derive(Debug)]
struct FakeNoise {
    shape: [usize; 4],
    streams: Vec<Random>,
}

impl FakeNoise {
    fn next(&mut self) -> Tensor {
        let size: usize = self.shape[1..].iter().product();
        let data = self.streams.iter_mut().flat_map(|random| (0..size).map(|_| random.normal()));
        Tensor { shape: self.shape, data: data.collect() }
    }
}

impl NoiseStream for FakeNoise {
    fn first(&mut self) -> Tensor {
        self.next()
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// One number for a row of conditioning.
fn gist(cond: &Conditioning, row: usize) -> f32 {
    let size = cond.shape[1] * cond.shape[2];
    let row = cond.data.get(row * size..(row + 1) * size).unwrap_or_default();
    row.iter().sum::<f32>() / row.len().max(1) as f32
}

fn lent(tensor: &mut Tensor) -> Lent<'_> {
    Lent { shape: tensor.shape, data: &mut tensor.data }
}

impl Pipeline for FakePipeline {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn encode_prompts(
        &self,
        prompts: &[String],
        settings: &TextSettings,
    ) -> Result<Conditioning, PipelineError> {
        let row = |prompt: &String| {
            let mut random = Random(hash(prompt.as_bytes()) ^ u64::from(settings.clip_skip));
            (0..TOKENS * WIDTH).map(move |_| random.uniform() * 2.0).collect::<Vec<_>>()
        };
        Ok(Conditioning {
            shape: [prompts.len(), TOKENS, WIDTH],
            data: prompts.iter().flat_map(row).collect(),
            vectors: Vec::new(),
        })
    }

    fn encode(&self, pixels: &Tensor) -> Result<Tensor, PipelineError> {
        let [n, _, height, width] = pixels.shape;
        let (h, w) = (height / FACTOR, width / FACTOR);
        let mut latents = Tensor::zeros([n, CHANNELS, h, w]);
        for (at, value) in latents.data.iter_mut().enumerate() {
            let (x, y) = (at % w, at / w % h);
            let (channel, image) = (at / (w * h) % CHANNELS, at / (w * h * CHANNELS));
            let from = ((image * 3 + channel % 3) * height + y * FACTOR) * width + x * FACTOR;
            *value = pixels.data[from] * 2.0 - 1.0;
        }
        Ok(latents)
    }

    fn decode(&self, latents: &Tensor) -> Result<Tensor, PipelineError> {
        let [n, channels, h, w] = latents.shape;
        let (height, width) = (h * FACTOR, w * FACTOR);
        let mut pixels = Tensor::zeros([n, 3, height, width]);
        for (at, value) in pixels.data.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width % height);
            let (channel, image) = (at / (width * height) % 3, at / (width * height * 3));
            let from = ((image * channels + channel) * h + y / FACTOR) * w + x / FACTOR;
            *value = (latents.data[from] * 0.5 + 0.5).clamp(0.0, 1.0);
        }
        Ok(pixels)
    }

    fn preview(&self, latents: &Tensor) -> Result<Option<Tensor>, PipelineError> {
        let [n, channels, h, w] = latents.shape;
        let pictures = latents.data.chunks_exact(channels * h * w);
        let colours = pictures.flat_map(|picture| &picture[..3 * h * w]);
        let data = colours.map(|value| (value * 0.5 + 0.5).clamp(0.0, 1.0)).collect();
        Ok(Some(Tensor { shape: [n, 3, h, w], data }))
    }

    fn noise(&self, seeds: &Seeds, width: u32, height: u32) -> Box<dyn NoiseStream> {
        let streams = seeds.seeds.iter().zip(&seeds.subseeds).map(|(seed, subseed)| {
            let varied = if seeds.subseed_strength > 0.0 { *subseed } else { 0 };
            Random(hash(&seed.to_le_bytes()) ^ hash(&varied.to_le_bytes()))
        });
        let streams: Vec<Random> = streams.collect();
        let (h, w) = (height as usize / FACTOR, width as usize / FACTOR);
        Box::new(FakeNoise { shape: [streams.len(), CHANNELS, h, w], streams })
    }

    fn sample(
        &self,
        job: SampleJob,
        observer: &mut dyn StepObserver,
    ) -> Result<Tensor, PipelineError> {
        let stopped = |stop| PipelineError::Stopped(stop);
        let (mut x, steps, kept) = match job.start {
            Start::Noise(noise) => (noise, job.steps, None),
            Start::Latents { init, mut noise, denoising_strength, mask } => {
                let mut x = init.clone();
                add(&mut x.data, &noise.data, denoising_strength as f32);
                let extra = job.settings.img2img_extra_noise as f32;
                if extra > 0.0 {
                    if observer.wants(Point::ExtraNoise) {
                        let noise = lent(&mut noise);
                        observer.extra_noise(noise, &init.data, &x.data).map_err(stopped)?;
                    }
                    add(&mut x.data, &noise.data, extra);
                }
                let steps = (f64::from(job.steps) * denoising_strength).max(1.0) as u32;
                (x, steps, mask.map(|mask| Kept::new(init, &mask)))
            }
        };
        let mut noise = job.noise.into_any().downcast::<FakeNoise>().ok();
        let tint = |model: &ModelInfo| hash(model.name.as_bytes()) as f32 / u64::MAX as f32 - 0.5;
        let (mut tint, mut refiner) =
            (tint(&self.model), job.refiner.map(|it| (tint(it.pipeline.model()), it)));
        let (mut text, mut negative) = (job.cond, job.uncond);
        for step in 0..steps {
            let sigma = f64::from(steps - step) / f64::from(steps);
            let at = StepInfo { step, total: steps, call: 0, sigma };
            let done = f64::from(step) / f64::from(steps);
            let turn = |at: Option<f64>| at.is_none_or(|at| done >= at);
            if let Some((own, next)) = refiner.take_if(|(_, next)| turn(next.switch_at)) {
                (tint, text, negative) = (own, next.cond, next.uncond);
                observer.refined();
            }
            let (mut input, mut told) = (x.clone(), sigma);
            let begins = |text: &ScheduledConditioning| text.texts.first().cloned();
            let (mut cond, mut uncond) =
                (begins(&text).unwrap_or_default(), begins(&negative).unwrap_or_default());
            if observer.wants(Point::Denoiser) {
                observer
                    .denoiser(at, lent(&mut input), &mut told, &mut cond, &mut uncond)
                    .map_err(stopped)?;
            }
            let predict = |cond: &Conditioning| {
                let size: usize = x.shape[1..].iter().product();
                let data = input.data.iter().enumerate().map(|(at, value)| {
                    let gist = gist(cond, at / size.max(1));
                    value * 0.3 / (1.0 + told as f32) + (gist - 1.0) * 4.0 + tint * 0.1
                });
                Tensor { shape: x.shape, data: data.collect() }
            };
            let (mut with, mut without) = (predict(&cond), predict(&uncond));
            if observer.wants(Point::Denoised) {
                observer.denoised(at, lent(&mut with), lent(&mut without)).map_err(stopped)?;
            }
            let scale = job.cfg_scale as f32;
            let pairs = without.data.iter().zip(&with.data);
            let combined = pairs.map(|(without, with)| without + scale * (with - without) * 0.1);
            let mut combined = Tensor { shape: x.shape, data: combined.collect() };
            if observer.wants(Point::Combine) {
                observer
                    .combine(at, &input.data, &with.data, &without.data, lent(&mut combined))
                    .map_err(stopped)?;
            }
            if let Some(kept) = &kept {
                kept.put_into(&mut combined, Some(at), observer).map_err(stopped)?;
            }
            if observer.wants(Point::AfterCfg) {
                observer.after_cfg(at, lent(&mut combined)).map_err(stopped)?;
            }
            let share = 1.0 / (steps - step) as f32;
            for (x, target) in x.data.iter_mut().zip(&combined.data) {
                *x += (target - *x) * share;
            }
            if let (true, Some(noise)) = (job.sampler == "Euler a", &mut noise) {
                add(&mut x.data, &noise.next().data, 0.02 * job.settings.eta_ancestral as f32);
            }
            observer.after_step(at, lent(&mut x)).map_err(stopped)?;
        }
        if let Some(kept) = &kept {
            kept.put_into(&mut x, None, observer).map_err(stopped)?;
        }
        Ok(x)
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn build(&self) -> String {
        "fake".to_owned()
    }
}

fn add(to: &mut [f32], noise: &[f32], amount: f32) {
    for (to, noise) in to.iter_mut().zip(noise) {
        *to += noise * amount;
    }
}

/// What stays of a picture.
struct Kept {
    init: Vec<f32>,
    /// How much of each place stays.
    mask: Vec<f32>,
}

impl Kept {
    fn new(init: Tensor, fresh: &Tensor) -> Self {
        Self { init: init.data, mask: fresh.data.iter().map(|fresh| 1.0 - fresh).collect() }
    }

    fn put_into(
        &self,
        x: &mut Tensor,
        at: Option<StepInfo>,
        observer: &mut dyn StepObserver,
    ) -> Result<(), Stop> {
        let current = x.data.clone();
        let plane = self.mask.len().max(1);
        for (at, (x, init)) in x.data.iter_mut().zip(&self.init).enumerate() {
            let stays = self.mask[at % plane];
            *x = *x * (1.0 - stays) + init * stays;
        }
        if !observer.wants(Point::Blend) {
            return Ok(());
        }
        let (shape, current, init, mask) = (x.shape, &current, &self.init, &self.mask);
        observer.blend(at, &BlendParts { shape, current, init, mask }, &mut x.data)
    }
}

/// Checkpoints of [`FakePipeline`]: `fake`, the default one, and `other`.
#[derive(Debug, Default)]
pub struct FakeProvider {
    loaded: AtomicU64,
}

const CATALOGUE: Catalogue = Catalogue {
    latent_upscalers: || vec!["Latent"],
    samplers: || SAMPLERS.to_vec(),
    schedulers: || SCHEDULERS.to_vec(),
    sampler: |name| SAMPLERS.into_iter().find(|known| known.eq_ignore_ascii_case(name)),
    scheduler: |name, sampler| {
        let known = SCHEDULERS.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        let own = known == "Automatic" && sampler == "DPM++ 2M";
        Some(if own { "Karras" } else { known })
    },
    heeds: |sampler, _| {
        let ancestral = sampler == "Euler a";
        Heeds { eta_ancestral: ancestral, ensd: ancestral, ..Heeds::default() }
    },
};

fn known(name: Option<&str>) -> Result<&str, PipelineError> {
    let name = name.unwrap_or("fake");
    if ["fake", "other"].contains(&name) {
        return Ok(name);
    }
    let (kind, known) = ("checkpoint", "fake, other".to_owned());
    Err(PipelineError::UnknownName { kind, name: name.to_owned(), known })
}

impl ModelProvider for FakeProvider {
    fn catalogue(&self) -> Catalogue {
        CATALOGUE
    }

    fn size_multiple(&self, name: Option<&str>) -> Result<u32, PipelineError> {
        Ok(FakePipeline::new(known(name)?).model.size_multiple)
    }

    fn get(&self, name: Option<&str>) -> Result<(Arc<dyn Pipeline>, bool), PipelineError> {
        let name = known(name)?;
        let before = self.loaded.swap(hash(name.as_bytes()), Ordering::Relaxed);
        Ok((Arc::new(FakePipeline::new(name)), before != hash(name.as_bytes())))
    }

    fn list(&self) -> Vec<Checkpoint> {
        let checkpoint = |name: &str| Checkpoint { name: name.to_owned(), path: name.into() };
        vec![checkpoint("fake"), checkpoint("other")]
    }
}
