//! What an engine is asked to sample.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Padding, Pipeline, ScheduledConditioning, Tensor};

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
