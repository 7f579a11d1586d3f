//! The knobs of the samplers.

/// Settings of samplers and schedules. The default is A1111 v1.10.1's.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own in A1111")]
pub struct SamplerSettings {
    /// How much of its noise an ancestral sampler replaces at each step, 0 to 1 (`eta_ancestral`).
    pub eta_ancestral: f64,
    /// The same for DDIM (`eta_ddim`).
    pub eta_ddim: f64,
    /// Noise added before a step of Euler, Heun and DPM2, spread over all steps.
    pub s_churn: f64,
    /// Lowest sigma at which `s_churn` adds noise.
    pub s_tmin: f64,
    /// Highest sigma at which `s_churn` adds noise; 0 is no limit.
    pub s_tmax: f64,
    /// Factor on the noise that `s_churn` adds, and that DPM2 a and DPM++ 2S a put back.
    pub s_noise: f64,
    /// Below this sigma every other step leaves out the unconditional call ("NGMS"); 0 is never.
    pub s_min_uncond: f64,
    /// `s_min_uncond` leaves it out at every step.
    pub s_min_uncond_all: bool,
    /// The share of steps at the start that leave out the unconditional call; 0 is none.
    pub skip_early_cond: f64,
    /// Lowest sigma of the schedules that have one; 0 is the model's.
    pub sigma_min: f64,
    /// Highest sigma of the schedules that have one; 0 is the model's.
    pub sigma_max: f64,
    /// Curvature of Karras' and the polyexponential schedule; 0 is the schedule's own.
    pub rho: f64,
    /// First parameter of the beta schedule (`beta_dist_alpha`).
    pub beta_alpha: f64,
    /// Second parameter of the beta schedule (`beta_dist_beta`).
    pub beta_beta: f64,
    /// Leaves out the last sigma above 0 (`always_discard_next_to_last_sigma`).
    pub discard_next_to_last_sigma: bool,
    /// Starts from noise × √(1 + sigma²) instead of noise × sigma (`sgm_noise_multiplier`).
    pub sgm_noise_multiplier: bool,
    /// Noise levels that end without any picture left in them (`sd_noise_schedule`: “Zero Terminal SNR”).
    pub zero_terminal_snr: bool,
    /// Noise levels from 16-bit floats (`use_downcasted_alpha_bar`).
    pub downcast_alphas: bool,
    /// Share of the tokens that self-attention of whole pictures merges, 0 to 1
    /// (`token_merging_ratio`).
    pub token_merging: f64,
    /// The knobs of UniPC.
    pub uni_pc: UniPc,
    /// From latents, makes as many steps as asked for, instead of the share that
    /// `denoising_strength` leaves (`img2img_fix_steps`).
    pub fix_steps: bool,
    /// Share of noise added on top when starting from latents (`img2img_extra_noise`).
    pub extra_noise: f64,
}

impl Default for SamplerSettings {
    fn default() -> Self {
        Self {
            eta_ancestral: 1.0,
            eta_ddim: 0.0,
            s_churn: 0.0,
            s_tmin: 0.0,
            s_tmax: 0.0,
            s_noise: 1.0,
            s_min_uncond: 0.0,
            s_min_uncond_all: false,
            skip_early_cond: 0.0,
            sigma_min: 0.0,
            sigma_max: 0.0,
            rho: 0.0,
            beta_alpha: 0.6,
            beta_beta: 0.6,
            discard_next_to_last_sigma: false,
            sgm_noise_multiplier: false,
            zero_terminal_snr: false,
            downcast_alphas: false,
            token_merging: 0.0,
            uni_pc: UniPc::default(),
            fix_steps: false,
            extra_noise: 0.0,
        }
    }
}

/// Settings of UniPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniPc {
    /// How its polynomials are weighed (`uni_pc_variant`).
    pub variant: UniPcVariant,
    /// Where its steps are (`uni_pc_skip_type`).
    pub spacing: UniPcSpacing,
    /// Steps that it looks back at, 1 or more, never more than there are (`uni_pc_order`).
    pub order: u32,
    /// Whether the last steps look back at fewer ones (`uni_pc_lower_order_final`).
    pub lower_order_final: bool,
}

impl Default for UniPc {
    fn default() -> Self {
        let (variant, spacing) = (UniPcVariant::Bh1, UniPcSpacing::TimeUniform);
        Self { variant, spacing, order: 3, lower_order_final: true }
    }
}

/// The variants of UniPC, B₁(h), B₂(h) and varying coefficients of its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names are all there is to say")]
pub enum UniPcVariant {
    Bh1,
    Bh2,
    VaryCoeff,
}

impl UniPcVariant {
    /// The variant of A1111's name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "bh1" => Some(Self::Bh1),
            "bh2" => Some(Self::Bh2),
            "vary_coeff" => Some(Self::VaryCoeff),
            _ => None,
        }
    }
}

/// Where the steps of UniPC are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UniPcSpacing {
    /// Even in time.
    TimeUniform,
    /// Closer to each other at the end.
    TimeQuadratic,
    /// Even in the logarithm of the noise level.
    LogSnr,
}

impl UniPcSpacing {
    /// The spacing of A1111's name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "time_uniform" => Some(Self::TimeUniform),
            "time_quadratic" => Some(Self::TimeQuadratic),
            "logSNR" => Some(Self::LogSnr),
            _ => None,
        }
    }
}

/// Which settings a sampler heeds, as A1111 v1.10.1 hands them to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Heeds {
    /// [`SamplerSettings::eta_ancestral`].
    pub eta_ancestral: bool,
    /// [`SamplerSettings::eta_ddim`].
    pub eta_ddim: bool,
    /// [`SamplerSettings::s_churn`], `s_tmin` and `s_tmax`.
    pub churn: bool,
    /// [`SamplerSettings::s_noise`].
    pub noise: bool,
    /// Its steps draw noise from the seed plus `eta_noise_seed_delta`, where eta is not 0.
    pub ensd: bool,
    /// The noise levels of a [`Scheduler`](crate::Scheduler).
    pub sigmas: bool,
    /// [`SamplerSettings::uni_pc`].
    pub uni_pc: bool,
}
