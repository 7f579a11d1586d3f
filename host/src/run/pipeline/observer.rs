//! Who may look into the sampling loop.

use super::Conditioning;

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
    /// are so far. Called where [`SamplerSettings::img2img_extra_noise`](super::SamplerSettings::img2img_extra_noise) is above 0.
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
