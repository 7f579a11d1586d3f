//! Who may look into the sampling loop.

use crate::conditioning::Conditioning;
use crate::tensor::Tensor;

/// Where in the loop a call is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInfo {
    /// The sampler's step, from 0.
    pub step: u32,
    /// The number of steps the sampler makes in all.
    pub total: u32,
    /// The model call within the step, from 0. Heun, DPM2, DPM2 a, DPM++ 2S a, DPM++ SDE and Restart
    /// look ahead and make two, PLMS in its first step; UniPC two in the first and none in the last; DPM
    /// fast up to three, DPM adaptive three as often as it tries; the others one.
    pub call: u32,
    /// The noise level of this model call.
    pub sigma: f64,
    /// The noise level that the step ends at; 0 for a finished picture.
    pub sigma_next: f64,
}

/// The points of the loop at which an [`Observer`] is called, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// Before the first step from latents, where there is extra noise.
    ExtraNoise,
    /// What is drawn and what stays of a picture are put together.
    Blend,
    /// Before the model is called.
    Denoiser,
    /// The model has answered, for both conditionings.
    Denoised,
    /// The two answers have been combined.
    Combine,
    /// After combining, whoever combined.
    AfterCfg,
    /// The sampler has made its step.
    AfterStep,
}

/// What is put together where part of a picture stays: `current · (1 − mask) + init · mask`.
#[derive(Clone, Copy, Debug)]
pub struct BlendParts<'a> {
    /// What is drawn.
    pub current: &'a Tensor,
    /// The latents of the picture, as strong as `current`.
    pub init: &'a Tensor,
    /// How much of each place stays, 0 to 1, `[1, 1, h, w]`.
    pub mask: &'a Tensor,
}

/// Why a run ends before its last step.
#[derive(Debug)]
pub enum Stop {
    /// Somebody asked for it.
    Cancelled,
    /// The observer failed.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl<E: std::error::Error + Send + Sync + 'static> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(Box::new(error))
    }
}

/// Sees and may change what goes through the sampling loop.
///
/// At every model call `denoiser`, `denoised`, `combine` and `after_cfg` are called in this order,
/// and `after_step` once at the end of every step. All do nothing unless written.
///
/// All tensors are in one space, whatever the sampler: `x = picture + sigma · noise`, and the
/// model's answers are predictions of the finished latents. Every tensor must keep its shape.
pub trait Observer {
    /// More noise is about to be put on the latents that sampling starts from: `noised` is `x` with the
    /// first noise, and [`SamplerSettings::extra_noise`](super::SamplerSettings::extra_noise) times `noise`
    /// comes on top (A1111's `extra_noise`). Called once, before the first step.
    fn extra_noise(&mut self, noise: &mut Tensor, x: &Tensor, noised: &Tensor) -> Result<(), Stop> {
        let _ = (noise, x, noised);
        Ok(())
    }

    /// What is drawn and what stays of a picture have been put together in `blended`, which may be
    /// replaced (A1111's `on_mask_blend`). Called where the job has a mask: before the model by the samplers
    /// on timesteps, behind `combine` by the others, and once behind the last step, then without `info`.
    fn blend(
        &mut self,
        info: Option<&StepInfo>,
        parts: &BlendParts<'_>,
        blended: &mut Tensor,
    ) -> Result<(), Stop> {
        let _ = (info, parts, blended);
        Ok(())
    }

    /// The job's [`Refiner`](super::Refiner) draws from here on.
    fn refined(&mut self, info: &StepInfo) {
        let _ = info;
    }

    /// Whether the observer does anything at `point`; `false` spares the copies made for it.
    fn wants(&self, point: Point) -> bool {
        let _ = point;
        true
    }

    /// The model's inputs: noisy latents, noise level and both conditionings. Changes hold for this
    /// model call only: `x` is a copy, the sampler goes on from its own (A1111's `cfg_denoiser`).
    /// The conditionings may change their number of tokens, not rows or width.
    fn denoiser(
        &mut self,
        info: &StepInfo,
        x: &mut Tensor,
        sigma: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop> {
        let _ = (info, x, sigma, cond, uncond);
        Ok(())
    }

    /// The two predictions. Where the call made without `uncond`, that one is a copy of `cond`
    /// (A1111's `cfg_denoised`).
    fn denoised(
        &mut self,
        info: &StepInfo,
        cond: &mut Tensor,
        uncond: &mut Tensor,
    ) -> Result<(), Stop> {
        let _ = (info, cond, uncond);
        Ok(())
    }

    /// The combined prediction, which comes as `uncond + cfg_scale · (cond − uncond)` and may be
    /// replaced. `x` is what the model was given.
    fn combine(
        &mut self,
        info: &StepInfo,
        x: &Tensor,
        cond: &Tensor,
        uncond: &Tensor,
        cfg_scale: f64,
        combined: &mut Tensor,
    ) -> Result<(), Stop> {
        let _ = (info, x, cond, uncond, cfg_scale, combined);
        Ok(())
    }

    /// The prediction that the sampler goes on with (A1111's `cfg_after_cfg`).
    fn after_cfg(&mut self, info: &StepInfo, denoised: &mut Tensor) -> Result<(), Stop> {
        let _ = (info, denoised);
        Ok(())
    }

    /// The sampler's new latents at `info.sigma_next`, from which the next step starts. Also the
    /// place to report progress and to cancel.
    fn after_step(&mut self, info: &StepInfo, x: &mut Tensor) -> Result<(), Stop> {
        let _ = (info, x);
        Ok(())
    }
}

/// The observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn wants(&self, _: Point) -> bool {
        false
    }
}
