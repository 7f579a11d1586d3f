//! What a run needs of an engine.
//!
//! The run knows no network and no tensor library: an engine is anything that encodes, samples and
//! decodes. The real one comes in with the feature `engine`; plugin authors' tests use one that
//! computes a picture in microseconds.

mod catalogue;
mod model;
mod networks;
mod text;

use std::{fmt, sync::Arc};

pub use catalogue::{Catalogue, Heeds};
pub use model::{Checkpoint, ModelInfo, VaeInfo};
pub use networks::{LoraOutcome, LoraUse, NetworkFile, UsedEmbedding};
use serde::{Deserialize, Serialize};
pub use text::{Conditioning, Padding, PromptBatch, ScheduledConditioning, TextSettings};

/// Floats, contiguous, `[n, channels, height, width]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: [usize; 4],
    /// As many elements as the product of the sizes.
    pub data: Vec<f32>,
}

impl Tensor {
    /// Zeros.
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, data: vec![0.0; shape.iter().product()] }
    }
}

/// Where the noise comes from, as A1111's `randn_source` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoiseSource {
    /// torch's generator on the CPU.
    Cpu,
    /// Philox, as torch has it on CUDA.
    Nv,
}

/// The seeds of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Seeds {
    /// One per picture.
    pub seeds: Vec<i64>,
    /// One per picture.
    pub subseeds: Vec<i64>,
    /// Weight of the variation seeds, 0 to 1.
    pub subseed_strength: f64,
    /// Width and height in pixels that the noise is drawn for, unless they are the pictures' (A1111's
    /// seed resize).
    pub resize_from: Option<(u32, u32)>,
    /// Where the noise comes from.
    pub source: NoiseSource,
    /// A1111's `eta_noise_seed_delta`: added to the seeds of the noise of steps.
    pub ensd: i64,
}

/// Settings of samplers, from the options of the same names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "the options of the same names are documented in the schema")]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of their own")]
pub struct SamplerSettings {
    pub eta_ancestral: f64,
    pub eta_ddim: f64,
    pub s_churn: f64,
    pub s_tmin: f64,
    pub s_tmax: f64,
    pub s_noise: f64,
    pub s_min_uncond: f64,
    pub s_min_uncond_all: bool,
    pub skip_early_cond: f64,
    pub sigma_min: f64,
    pub sigma_max: f64,
    pub rho: f64,
    #[serde(default = "beta_default")]
    pub beta_dist_alpha: f64,
    #[serde(default = "beta_default")]
    pub beta_dist_beta: f64,
    #[serde(default)]
    pub uni_pc: UniPcSettings,
    #[serde(default)]
    pub token_merging_ratio: f64,
    #[serde(default)]
    pub token_merging_ratio_hr: f64,
    #[serde(default)]
    pub zero_terminal_snr: bool,
    #[serde(default)]
    pub use_downcasted_alpha_bar: bool,
    pub always_discard_next_to_last_sigma: bool,
    pub sgm_noise_multiplier: bool,
    pub img2img_fix_steps: bool,
    pub img2img_extra_noise: f64,
}

/// Settings of UniPC, from the options `uni_pc_…`; the default is A1111's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[expect(missing_docs, reason = "the options of the same names are documented in the schema")]
pub struct UniPcSettings {
    pub variant: String,
    pub skip_type: String,
    pub order: u32,
    pub lower_order_final: bool,
}

impl Default for UniPcSettings {
    fn default() -> Self {
        let (variant, skip_type) = ("bh1".to_owned(), "time_uniform".to_owned());
        Self { variant, skip_type, order: 3, lower_order_final: true }
    }
}

/// A1111's, for records from before there was the beta schedule.
fn beta_default() -> f64 {
    0.6
}

/// What sampling starts from.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Standard normal noise.
    Noise(Tensor),
    /// An encoded picture, noised as far as the strength says.
    Latents {
        /// The picture.
        init: Tensor,
        /// Standard normal noise.
        noise: Tensor,
        /// 0 to 1.
        denoising_strength: f64,
        /// How much of each place is drawn anew, `[1, 1, height, width]`; all of it without.
        mask: Option<Tensor>,
    },
}

/// Everything sampling needs.
#[derive(Debug)]
pub struct SampleJob {
    /// Sampler, by A1111's name.
    pub sampler: String,
    /// Scheduler, by A1111's name.
    pub scheduler: String,
    /// Steps asked for.
    pub steps: u32,
    /// Guidance scale.
    pub cfg_scale: f64,
    /// Conditioning of the prompts.
    pub cond: ScheduledConditioning,
    /// Conditioning of the negative prompts.
    pub uncond: ScheduledConditioning,
    /// What is done where the two have different numbers of tokens.
    pub padding: Padding,
    /// Where it starts.
    pub start: Start,
    /// What a checkpoint for inpainting is shown, a row for each picture ([`Pipeline::shown`]).
    pub shown: Option<Tensor>,
    /// What draws the rest.
    pub refiner: Option<Refiner>,
    /// The generators that made the starting noise, for the noise of steps.
    pub noise: Box<dyn NoiseStream>,
    /// Settings.
    pub settings: SamplerSettings,
}

/// Another checkpoint that goes on where one has begun.
#[derive(Debug)]
pub struct Refiner {
    /// It.
    pub pipeline: Arc<dyn Pipeline>,
    /// Conditioning of the prompts, of its own.
    pub cond: ScheduledConditioning,
    /// Conditioning of the negative prompts, of its own.
    pub uncond: ScheduledConditioning,
    /// What is done where the two have different numbers of tokens.
    pub padding: Padding,
    /// The share of the way from which on it draws, 0 to 1; from the first model call on without.
    pub switch_at: Option<f64>,
    /// Whether the way is counted in model calls; else in timesteps.
    pub by_steps: bool,
}

/// The generators of a batch, one per picture.
pub trait NoiseStream: Send {
    /// The starting noise, `[n, channels, height, width]`; called once, first.
    fn first(&mut self) -> Tensor;
    /// For the engine: the generators themselves.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

impl fmt::Debug for dyn NoiseStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoiseStream")
    }
}

/// Where in the sampling loop a call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// Step, from 0.
    pub step: u32,
    /// Steps in all.
    pub total: u32,
    /// Call of the model within the step, from 0.
    pub call: u32,
    /// Noise level.
    pub sigma: f64,
}

/// Points of the sampling loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the methods of StepObserver")]
pub enum Point {
    ExtraNoise,
    Blend,
    Denoiser,
    Denoised,
    Combine,
    AfterCfg,
    AfterStep,
}

/// Floats that are lent with their shape, `[n, channels, height, width]`.
#[derive(Debug)]
pub struct Lent<'a> {
    /// Sizes.
    pub shape: [usize; 4],
    /// Elements.
    pub data: &'a mut [f32],
}

/// What is put together where part of a picture stays: `current · (1 − mask) + init · mask`.
#[derive(Debug)]
pub struct BlendParts<'a> {
    /// Sizes of the latents.
    pub shape: [usize; 4],
    /// What is drawn.
    pub current: &'a [f32],
    /// The latents of the picture, as strong as `current`.
    pub init: &'a [f32],
    /// How much of each place stays, 0 to 1, `height × width`.
    pub mask: &'a [f32],
}

/// Why sampling ends early.
#[derive(Debug)]
pub enum Stop {
    /// Somebody cancelled the run.
    Cancelled,
    /// A plugin or its policy ends it; the run knows more.
    Ended,
}

/// Called at the points of the sampling loop, in the order of the methods.
pub trait StepObserver {
    /// Whether anybody looks at a point; where nobody does, nothing is copied out for it.
    fn wants(&self, point: Point) -> bool;

    /// The refiner draws from here on.
    fn refined(&mut self) {}

    /// More noise is about to be put on the latents `x` that sampling starts from; `noised` is what they
    /// are so far. Called where [`SamplerSettings::img2img_extra_noise`] is above 0.
    ///
    /// # Errors
    /// To end sampling.
    fn extra_noise(&mut self, noise: Lent<'_>, x: &[f32], noised: &[f32]) -> Result<(), Stop>;

    /// What is drawn and what stays of a picture have been put together; `blended` may be replaced. The
    /// last time, behind all steps, `at` is `None`.
    ///
    /// # Errors
    /// To end sampling.
    fn blend(
        &mut self,
        at: Option<StepInfo>,
        parts: &BlendParts<'_>,
        blended: &mut [f32],
    ) -> Result<(), Stop>;

    /// The model is about to be called; changes are for this call only.
    ///
    /// # Errors
    /// To end sampling.
    fn denoiser(
        &mut self,
        at: StepInfo,
        x: Lent<'_>,
        sigma: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop>;

    /// The model has answered.
    ///
    /// # Errors
    /// To end sampling.
    fn denoised(&mut self, at: StepInfo, cond: Lent<'_>, uncond: Lent<'_>) -> Result<(), Stop>;

    /// The answers are combined; `combined` may be replaced.
    ///
    /// # Errors
    /// To end sampling.
    fn combine(
        &mut self,
        at: StepInfo,
        x: &[f32],
        cond: &[f32],
        uncond: &[f32],
        combined: Lent<'_>,
    ) -> Result<(), Stop>;

    /// The combined answer.
    ///
    /// # Errors
    /// To end sampling.
    fn after_cfg(&mut self, at: StepInfo, denoised: Lent<'_>) -> Result<(), Stop>;

    /// The sampler's new latents.
    ///
    /// # Errors
    /// To end sampling.
    fn after_step(&mut self, at: StepInfo, x: Lent<'_>) -> Result<(), Stop>;
}

/// Why an engine did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The observer asked for the end.
    #[error("stopped")]
    Stopped(Stop),
    /// No such sampler or scheduler.
    #[error("there is no {kind} “{name}”; there are: {known}")]
    UnknownName {
        /// `sampler` or `scheduler`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The engine's own words.
    #[error("{0}")]
    Engine(String),
}

/// A loaded checkpoint and what can be done with it. Shared by all runs.
pub trait Pipeline: fmt::Debug + Send + Sync {
    /// The checkpoint.
    fn model(&self) -> &ModelInfo;

    /// Encodes prompts, one row each, all with the same number of tokens.
    ///
    /// # Errors
    /// A prompt that cannot be read, or where the text encoder fails.
    fn encode_prompts(
        &self,
        prompts: &[String],
        settings: &TextSettings,
    ) -> Result<Conditioning, PipelineError>;

    /// Encodes the prompts of a batch with what they say in the course of the run. An engine that reads
    /// no schedules and no `AND` takes prompts as they are written.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    fn encode_schedules(
        &self,
        batch: &PromptBatch<'_>,
    ) -> Result<ScheduledConditioning, PipelineError> {
        Ok(self.encode_prompts(batch.prompts, batch.settings)?.into())
    }

    /// Encodes pixels `[n, 3, H, W]` in 0..1 to latents.
    ///
    /// # Errors
    /// A size that does not fit, or where the encoder fails.
    fn encode(&self, pixels: &Tensor) -> Result<Tensor, PipelineError>;

    /// Decodes latents to pixels `[n, 3, H, W]` in 0..1.
    ///
    /// # Errors
    /// A size that does not fit, or where the decoder fails.
    fn decode(&self, latents: &Tensor) -> Result<Tensor, PipelineError>;

    /// The generators of a batch of pictures of this size in pixels.
    fn noise(&self, seeds: &Seeds, width: u32, height: u32) -> Box<dyn NoiseStream>;

    /// Samples.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`] where the observer ended it; otherwise what failed.
    fn sample(
        &self,
        job: SampleJob,
        observer: &mut dyn StepObserver,
    ) -> Result<Tensor, PipelineError>;

    /// What a checkpoint for inpainting is shown beside the latents: pictures (`[n, 3, h, w]`, 0 to 1)
    /// without what is masked (`[1, 1, h, w]`, 1 for what is drawn anew; all of it without). None for
    /// other checkpoints. `strength` is how much of the masked part is taken out (A1111's
    /// `inpainting_mask_weight`).
    ///
    /// # Errors
    /// What failed in the engine.
    fn shown(
        &self,
        pictures: &Tensor,
        mask: Option<&Tensor>,
        strength: f64,
    ) -> Result<Option<Tensor>, PipelineError> {
        let _ = (pictures, mask, strength);
        Ok(None)
    }

    /// Latents for pictures of another size, by one of A1111's latent upscalers
    /// ([`Catalogue::latent_upscalers`]).
    ///
    /// # Errors
    /// [`PipelineError::UnknownName`], or an engine that cannot.
    fn resize_latents(
        &self,
        latents: Tensor,
        width: u32,
        height: u32,
        upscaler: &str,
    ) -> Result<Tensor, PipelineError> {
        let [_, _, h, w] = latents.shape;
        let factor = self.model().vae_factor.max(1);
        if (w, h) == ((width / factor) as usize, (height / factor) as usize) {
            return Ok(latents);
        }
        let message = format!("this engine does not resize latents ({upscaler})");
        Err(PipelineError::Engine(message))
    }

    /// The same with the autoencoder of another file.
    ///
    /// # Errors
    /// A file without one, one for another kind of model, or an engine that takes none.
    fn with_vae(&self, file: &NetworkFile) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Err(PipelineError::Engine(format!("this engine takes no VAE of its own: {}", file.name)))
    }

    /// The same for pictures that go on on the far side, tiles.
    ///
    /// # Errors
    /// An engine that makes none.
    fn with_tiling(&self) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Err(PipelineError::Engine("this engine makes no tiles".to_owned()))
    }

    /// The same with textual inversion embeddings: words that prompts may have. Files that hold none, or
    /// one for other checkpoints, are left out.
    ///
    /// # Errors
    /// An engine that takes none.
    fn with_embeddings(&self, files: &[NetworkFile]) -> Result<Arc<dyn Pipeline>, PipelineError> {
        let _ = files;
        Err(PipelineError::Engine("this engine takes no embeddings".to_owned()))
    }

    /// The same with LoRAs added to its weights, and what became of each; this one stays as it is.
    ///
    /// # Errors
    /// A file that is no LoRA, or an engine that adds none.
    fn with_loras(
        &self,
        uses: &[LoraUse],
    ) -> Result<(Arc<dyn Pipeline>, Vec<LoraOutcome>), PipelineError> {
        let _ = uses;
        Err(PipelineError::Engine("this engine adds no LoRA".to_owned()))
    }

    /// For the engine: the pipeline itself.
    fn as_any(&self) -> &dyn std::any::Any;

    /// Build of the engine and instruction sets of its kernels, for the record: pixels are promised
    /// to be equal where these are.
    fn build(&self) -> String;
}

/// Gives runs their pipeline.
pub trait ModelProvider: fmt::Debug + Send + Sync {
    /// The checkpoint of that name, or the default one. Says whether it was loaded just now.
    ///
    /// # Errors
    /// No such checkpoint, or one that cannot be loaded.
    fn get(&self, name: Option<&str>) -> Result<(Arc<dyn Pipeline>, bool), PipelineError>;

    /// A checkpoint that is used beside the one that [`get`](Self::get) gave, which stays loaded.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn beside(&self, name: &str) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Ok(self.get(Some(name))?.0)
    }

    /// The checkpoints there are, the default one first.
    fn list(&self) -> Vec<Checkpoint>;

    /// The autoencoders there are in files of their own.
    fn vaes(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The autoencoder that the option `sd_vae` means for a checkpoint; none for the checkpoint's own.
    fn vae(&self, checkpoint: &str, wanted: &str) -> Option<NetworkFile> {
        let _ = (checkpoint, wanted);
        None
    }

    /// The textual inversion embeddings there are.
    fn embeddings(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The LoRAs there are.
    fn loras(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The LoRA of that name, or of the name that its file says it has.
    fn lora(&self, name: &str) -> Option<NetworkFile> {
        self.loras().into_iter().find(|lora| lora.name == name)
    }

    /// The samplers and schedulers, the same for all checkpoints.
    fn catalogue(&self) -> Catalogue;

    /// Sides of pictures have to be multiples of this many pixels, by the checkpoint's configuration:
    /// no weights are read.
    ///
    /// # Errors
    /// No such checkpoint, or a configuration that cannot be read.
    fn size_multiple(&self, name: Option<&str>) -> Result<u32, PipelineError>;
}
