//! Atelier's own engine as a [`Pipeline`]: real checkpoints, on candle.
//!
//! The run and the engine each have tensors of their own, alike in memory. Here data is moved from
//! one to the other, and lent to hooks where it lies; only what comes as a borrow is copied.

mod bridge;
mod build;
mod convert;
mod embeddings;
mod folders;
mod hashes;
mod loras;
mod provider;

use std::{
    any::Any,
    sync::{Arc, Mutex, PoisonError},
};

pub use atelier_engine::{Compute, Device, Precision};
use atelier_engine::{
    Engine, ImageRng, ModelFile, Part, Pass, Resample, Sampler, Scheduler, Side, schedules,
};
use bridge::Bridge;
use embeddings::WithEmbeddings;
pub use hashes::HashCache;
use loras::WithLoras;
pub use provider::{EngineProvider, checkpoint_name, is_checkpoint};

use crate::run::pipeline::{
    Catalogue, Conditioning, Heeds, LoraOutcome, LoraUse, ModelInfo, NetworkFile, NoiseSource,
    NoiseStream, Padding, Pipeline, PipelineError, PromptBatch, Refiner, SampleJob,
    ScheduledConditioning, Seeds, StepObserver, Tensor, TextSettings, VaeInfo,
};

/// A loaded checkpoint as runs draw with it.
#[derive(Debug)]
pub struct EnginePipeline {
    engine: Engine,
    model: ModelInfo,
    build: String,
    /// The last one with LoRAs: runs after another with the same ones share it.
    with_loras: Mutex<Option<WithLoras>>,
    /// The last one with another autoencoder.
    with_vae: Mutex<Option<(NetworkFile, Arc<EnginePipeline>)>>,
    /// The one for tiles.
    with_tiling: Mutex<Option<Arc<EnginePipeline>>>,
    /// The last one with embeddings.
    with_embeddings: Mutex<Option<WithEmbeddings>>,
}

impl EnginePipeline {
    /// Wraps a loaded checkpoint. `name` is what options and infotexts call it, `sha256` the hash of
    /// its denoising network's file as hex, from [`HashCache::sha256`].
    pub fn new(engine: Engine, name: String, sha256: String) -> Self {
        let info = engine.info();
        let size = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let model = ModelInfo {
            name,
            sha256,
            native_size: (size(info.native_width), size(info.native_height)),
            vae_factor: size(info.vae_factor),
            size_multiple: size(info.size_multiple()),
            latent_channels: size(info.latent_channels),
            inpaints: info.inpaints,
            vae: None,
        };
        let build = build::describe(info.compute);
        Self::of(engine, model, build)
    }

    fn of(engine: Engine, model: ModelInfo, build: String) -> Self {
        let (with_loras, with_vae) = (Mutex::default(), Mutex::default());
        let (with_tiling, with_embeddings) = (Mutex::default(), Mutex::default());
        Self { engine, model, build, with_loras, with_vae, with_tiling, with_embeddings }
    }

    /// A pipeline beside this one, of an engine that was made of its.
    fn with_engine(&self, engine: Engine, model: ModelInfo) -> Self {
        Self::of(engine, model, self.build.clone())
    }

    /// The engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// The engine's samplers and schedulers.
const CATALOGUE: Catalogue = Catalogue {
    latent_upscalers: || LATENT_UPSCALERS.iter().map(|(name, _)| *name).collect(),
    samplers: || Sampler::ALL.iter().map(|sampler| sampler.name()).collect(),
    schedulers: || Scheduler::ALL.iter().map(|scheduler| scheduler.label()).collect(),
    sampler: |name| Sampler::parse(name).map(Sampler::name),
    scheduler: |name, sampler| {
        let scheduler = Scheduler::parse(name)?;
        // A sampler that is not known is another error than a scheduler that is not.
        let resolved = Sampler::parse(sampler).map_or(scheduler, |known| scheduler.resolve(known));
        Some(resolved.label())
    },
    heeds: |sampler, scheduler| {
        let Some(sampler) = Sampler::parse(sampler) else { return Heeds::default() };
        let heeds = sampler.heeds();
        let scheduler = Scheduler::parse(scheduler).map(|scheduler| scheduler.resolve(sampler));
        let scheduler = scheduler.filter(|_| heeds.sigmas);
        Heeds {
            eta_ancestral: heeds.eta_ancestral,
            eta_ddim: heeds.eta_ddim,
            churn: heeds.churn,
            noise: heeds.noise,
            ensd: heeds.ensd,
            sigmas: heeds.sigmas,
            uni_pc: heeds.uni_pc,
            ends: scheduler.is_some_and(Scheduler::has_ends),
            rho: scheduler.and_then(Scheduler::default_rho),
            beta: scheduler == Some(Scheduler::Beta),
            discards: sampler.discards_next_to_last_sigma(),
        }
    },
};

/// A1111's latent upscalers.
const LATENT_UPSCALERS: [(&str, Resample); 6] = [
    ("Latent", Resample::Bilinear),
    ("Latent (antialiased)", Resample::BilinearAntialiased),
    ("Latent (bicubic)", Resample::Bicubic),
    ("Latent (bicubic antialiased)", Resample::BicubicAntialiased),
    ("Latent (nearest)", Resample::Nearest),
    ("Latent (nearest-exact)", Resample::NearestExact),
];

fn unknown(kind: &'static str, name: &str, known: &[&str]) -> PipelineError {
    PipelineError::UnknownName { kind, name: name.to_owned(), known: known.join(", ") }
}

fn sampler(name: &str) -> Result<Sampler, PipelineError> {
    Sampler::parse(name).ok_or_else(|| unknown("sampler", name, &(CATALOGUE.samplers)()))
}

fn padding(padding: Padding, engine: &Engine) -> Result<atelier_engine::Padding, PipelineError> {
    Ok(match padding {
        Padding::Apart => atelier_engine::Padding::Apart,
        Padding::Empty => engine.padding().map_err(convert::failed)?,
        Padding::LastToken => atelier_engine::Padding::LastToken,
    })
}

/// The refiner of a job, which has to be this engine's too.
fn refining(
    pipeline: &dyn Pipeline,
    refiner: Refiner,
) -> Result<atelier_engine::Refiner<'_>, PipelineError> {
    let own = pipeline.as_any().downcast_ref::<EnginePipeline>();
    let EnginePipeline { engine, .. } = own.ok_or_else(|| {
        PipelineError::Engine("the refiner is another engine's; ask this one for it".to_owned())
    })?;
    Ok(atelier_engine::Refiner {
        engine,
        cond: convert::schedule(refiner.cond)?,
        uncond: convert::schedule(refiner.uncond)?,
        padding: padding(refiner.padding, engine)?,
        switch_at: refiner.switch_at,
        by_steps: refiner.by_steps,
    })
}

/// The generators of a batch, as the engine has them.
struct Noise(ImageRng);

impl NoiseStream for Noise {
    fn first(&mut self) -> Tensor {
        convert::tensor_back(self.0.first())
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Pipeline for EnginePipeline {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn encode_prompts(
        &self,
        prompts: &[String],
        settings: &TextSettings,
    ) -> Result<Conditioning, PipelineError> {
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let settings = convert::text_settings(settings, &self.engine);
        let encoded = self.engine.encode_prompts(&prompts, settings);
        encoded.map(convert::conditioning_back).map_err(convert::failed)
    }

    fn encode_schedules(
        &self,
        batch: &PromptBatch<'_>,
    ) -> Result<ScheduledConditioning, PipelineError> {
        let prompts: Vec<&str> = batch.prompts.iter().map(String::as_str).collect();
        let side = if batch.negative { Side::Negative } else { Side::Positive };
        let settings = convert::text_settings(batch.settings, &self.engine);
        let calls = |name: &str, steps: u32| Ok(sampler(name)?.calls_of(steps as usize));
        let own = calls(batch.sampler, batch.steps)?;
        let first = batch.behind.map(|(name, steps)| calls(name, steps)).transpose()?;
        let second = first.map(|_| own);
        let pass = Pass { steps: first.unwrap_or(own), second, old: batch.old_scheduling };
        let encoded = self.engine.encode_schedules(&prompts, side, settings, pass);
        let new = Pass { old: false, ..pass };
        let differs = |prompt: &&str| schedules(prompt, pass) != schedules(prompt, new);
        let old_timelines = batch.old_scheduling && prompts.iter().any(differs);
        let embeddings = self.engine.embeddings_in(&prompts, side, settings, pass);
        let (encoded, embeddings) =
            encoded.and_then(|text| Ok((text, embeddings?))).map_err(convert::failed)?;
        Ok(convert::schedule_back(encoded, old_timelines, &embeddings))
    }

    fn encode(&self, pixels: &Tensor) -> Result<Tensor, PipelineError> {
        let pixels = convert::tensor(pixels.clone())?;
        self.engine.encode_image(&pixels, None).map(convert::tensor_back).map_err(convert::failed)
    }

    fn decode(&self, latents: &Tensor) -> Result<Tensor, PipelineError> {
        let latents = convert::tensor(latents.clone())?;
        self.engine.decode(&latents).map(convert::tensor_back).map_err(convert::failed)
    }

    fn preview(&self, latents: &Tensor) -> Result<Option<Tensor>, PipelineError> {
        let latents = convert::tensor(latents.clone())?;
        let preview = self.engine.preview(&latents);
        preview.map(convert::tensor_back).map(Some).map_err(convert::failed)
    }

    fn noise(&self, seeds: &Seeds, width: u32, height: u32) -> Box<dyn NoiseStream> {
        let shape = self.engine.info().latent_shape(width as usize, height as usize);
        let source = match seeds.source {
            NoiseSource::Cpu => atelier_engine::NoiseSource::Cpu,
            NoiseSource::Nv => atelier_engine::NoiseSource::Nv,
        };
        let rng = ImageRng::new(
            shape,
            &seeds.seeds,
            &seeds.subseeds,
            seeds.subseed_strength,
            source,
            seeds.ensd,
        );
        let Some((width, height)) = seeds.resize_from else { return Box::new(Noise(rng)) };
        let [_, rows, columns] = self.engine.info().latent_shape(width as usize, height as usize);
        Box::new(Noise(rng.with_resize_from([rows, columns])))
    }

    fn sample(
        &self,
        job: SampleJob,
        observer: &mut dyn StepObserver,
    ) -> Result<Tensor, PipelineError> {
        let sampler = sampler(&job.sampler)?;
        let scheduler = Scheduler::parse(&job.scheduler)
            .ok_or_else(|| unknown("scheduler", &job.scheduler, &(CATALOGUE.schedulers)()))?;
        let refiner = job.refiner.as_ref().map(|refiner| refiner.pipeline.clone());
        let refiner = match (&refiner, job.refiner) {
            (Some(pipeline), Some(refiner)) => Some(refining(pipeline.as_ref(), refiner)?),
            _ => None,
        };
        let mut noise = job.noise.into_any().downcast::<Noise>().map_err(|_| {
            PipelineError::Engine("the noise is another engine's; ask this one for it".to_owned())
        })?;
        let job = atelier_engine::SampleJob {
            sampler,
            scheduler,
            steps: job.steps,
            cfg_scale: job.cfg_scale,
            cond: convert::schedule(job.cond)?,
            uncond: convert::schedule(job.uncond)?,
            padding: padding(job.padding, &self.engine)?,
            start: convert::start(job.start)?,
            shown: job.shown.map(convert::tensor).transpose()?,
            refiner,
            rng: &mut noise.0,
            settings: convert::settings(&job.settings)?,
        };
        let mut bridge = Bridge::new(observer);
        let sampled = self.engine.sample(job, &mut bridge);
        sampled.map(convert::tensor_back).map_err(|error| bridge.cause(error))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn shown(
        &self,
        pictures: &Tensor,
        mask: Option<&Tensor>,
        strength: f64,
    ) -> Result<Option<Tensor>, PipelineError> {
        if !self.engine.info().inpaints {
            return Ok(None);
        }
        let pictures = convert::tensor(pictures.clone())?;
        let mask = mask.cloned().map(convert::tensor).transpose()?;
        let shown = self.engine.image_conditioning(&pictures, mask.as_ref(), strength);
        shown.map(convert::tensor_back).map(Some).map_err(convert::failed)
    }

    fn resize_latents(
        &self,
        latents: Tensor,
        width: u32,
        height: u32,
        upscaler: &str,
    ) -> Result<Tensor, PipelineError> {
        let how = LATENT_UPSCALERS
            .iter()
            .find(|(name, _)| *name == upscaler)
            .ok_or_else(|| unknown("latent upscaler", upscaler, &(CATALOGUE.latent_upscalers)()))?;
        let [_, rows, columns] = self.engine.info().latent_shape(width as usize, height as usize);
        let resized = convert::tensor(latents)?.resized(how.1, rows, columns);
        Ok(convert::tensor_back(resized))
    }

    fn with_vae(&self, file: &NetworkFile) -> Result<Arc<dyn Pipeline>, PipelineError> {
        let mut last = self.with_vae.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipeline)) = last.as_ref().filter(|(known, _)| known == file) {
            return Ok(pipeline.clone());
        }
        *last = None;
        let engine = self.engine.with_vae(&file.path).map_err(convert::failed)?;
        let model_file = ModelFile::new(Part::Vae, file.path.clone());
        let sha256 = model_file.sha256().map_err(convert::failed)?.to_owned();
        let vae = Some(VaeInfo { name: file.name.clone(), sha256 });
        let pipeline = Arc::new(self.with_engine(engine, ModelInfo { vae, ..self.model.clone() }));
        *last = Some((file.clone(), pipeline.clone()));
        Ok(pipeline)
    }

    fn with_tiling(&self) -> Result<Arc<dyn Pipeline>, PipelineError> {
        let mut known = self.with_tiling.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || Arc::new(self.with_engine(self.engine.with_tiling(), self.model.clone()));
        Ok(known.get_or_insert_with(make).clone())
    }

    fn with_embeddings(&self, files: &[NetworkFile]) -> Result<Arc<dyn Pipeline>, PipelineError> {
        let mut last = self.with_embeddings.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some(known) if known.is_for(files) => Ok(known.pipeline.clone()),
            _ => Ok(last.insert(WithEmbeddings::load(self, files)).pipeline.clone()),
        }
    }

    fn with_loras(
        &self,
        uses: &[LoraUse],
    ) -> Result<(Arc<dyn Pipeline>, Vec<LoraOutcome>), PipelineError> {
        let mut last = self.with_loras.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|last| !last.is_for(uses)) {
            // The old one makes room first, unless a run still draws with it.
            *last = None;
            *last = Some(WithLoras::load(self, uses)?);
        }
        last.as_ref().map(WithLoras::get).ok_or_else(|| convert::failed("no LoRA was loaded"))
    }

    fn build(&self) -> String {
        self.build.clone()
    }
}
