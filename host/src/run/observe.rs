//! The hooks inside sampling.

use atelier_plugin_abi::{Buffer, Field, Hook, Value, frame::Frame};

use super::{
    error::Ended,
    events::{RunEvent, RunObserver},
    hooks::Hooks,
    pipeline::{BlendParts, Conditioning, Lent, Point, StepInfo, StepObserver, Stop},
    previews::{Content, Previews},
    stage::{Slot, Stage},
};

/// Noise levels that a hook may tell the model.
const SIGMA: (f64, f64) = (f64::MIN_POSITIVE, 1e6);

/// Calls the run's hooks at the points of the sampling loop.
pub(super) struct Sampling<'a, 'r> {
    pub(super) hooks: &'a mut Hooks<'r>,
    pub(super) observer: &'a dyn RunObserver,
    pub(super) previews: Option<Previews<'a>>,
    pub(super) iteration: u32,
    pub(super) seeds: &'a [i64],
    pub(super) cfg_scale: f64,
    /// Whether this is the second pass.
    pub(super) is_second: bool,
    /// Steps of the passes before and behind this one.
    pub(super) steps_around: (u32, u32),
    /// Whether the refiner had its turn.
    pub(super) refined: bool,
    /// Why sampling was ended, for the run; the engine only passes a [`Stop`] through.
    pub(super) ended: Option<Ended>,
}

impl<'a> Sampling<'a, '_> {
    fn frame(&self, hook: Hook) -> Frame {
        Frame { iteration: self.iteration, cfg_scale: self.cfg_scale, ..Frame::new(hook) }
    }

    /// Whether previews show one of these.
    fn shows(&self, contents: &[Content]) -> bool {
        self.previews.as_ref().is_some_and(|previews| contents.contains(&previews.content))
    }

    fn call<'s>(&mut self, hook: Hook, at: StepInfo, stage: Stage<'s>) -> Result<(), Stop>
    where
        'a: 's,
    {
        let frame = Frame {
            step: at.step,
            total_steps: at.total,
            model_call: at.call,
            sigma: at.sigma,
            ..self.frame(hook)
        };
        self.call_at(frame, stage)
    }

    fn call_at<'s>(&mut self, frame: Frame, stage: Stage<'s>) -> Result<(), Stop>
    where
        'a: 's,
    {
        let stage = stage
            .field(Field::Seeds, Slot::FixedInts(self.seeds))
            .field(Field::IsSecondPass, Slot::Fixed(Value::Bool(self.is_second)));
        self.hooks.call(frame, stage).map_err(|ended| {
            let stop = match &ended {
                Ended::Cancelled => Stop::Cancelled,
                Ended::Failed(_) => Stop::Ended,
            };
            self.ended = Some(ended);
            stop
        })
    }
}

impl StepObserver for Sampling<'_, '_> {
    fn wants(&self, point: Point) -> bool {
        match point {
            Point::ExtraNoise => self.hooks.wants(Hook::ExtraNoise),
            Point::Blend => self.hooks.wants(Hook::OnMaskBlend),
            Point::Denoiser => self.hooks.wants(Hook::CfgDenoiser),
            Point::Denoised => {
                self.shows(&[Content::Prompt, Content::Negative])
                    || self.hooks.wants(Hook::CfgDenoised)
            }
            Point::Combine => self.hooks.wants(Hook::CfgCombine),
            Point::AfterCfg => {
                self.shows(&[Content::Combined]) || self.hooks.wants(Hook::CfgAfterCfg)
            }
            // Progress and cancelling live here.
            Point::AfterStep => true,
        }
    }

    fn refined(&mut self) {
        self.refined = true;
    }

    fn extra_noise(&mut self, noise: Lent<'_>, x: &[f32], noised: &[f32]) -> Result<(), Stop> {
        let stage = Stage::new()
            .tensor(Buffer::Noise, noise.shape, noise.data)
            .view(Buffer::Latents, noise.shape, x)
            .view(Buffer::Noised, noise.shape, noised);
        self.call_at(self.frame(Hook::ExtraNoise), stage)
    }

    fn blend(
        &mut self,
        at: Option<StepInfo>,
        parts: &BlendParts<'_>,
        blended: &mut [f32],
    ) -> Result<(), Stop> {
        let [_, _, height, width] = parts.shape;
        let stage = Stage::new()
            .view(Buffer::Latents, parts.shape, parts.current)
            .view(Buffer::InitLatents, parts.shape, parts.init)
            .view(Buffer::Mask, [1, 1, height, width], parts.mask)
            .tensor(Buffer::BlendedLatents, parts.shape, blended)
            .field(Field::IsFinalBlend, Slot::Fixed(Value::Bool(at.is_none())));
        match at {
            Some(at) => self.call(Hook::OnMaskBlend, at, stage),
            None => self.call_at(self.frame(Hook::OnMaskBlend), stage),
        }
    }

    fn denoiser(
        &mut self,
        at: StepInfo,
        x: Lent<'_>,
        sigma: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop> {
        if self.hooks.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        let stage = Stage::new()
            .tensor(Buffer::Latents, x.shape, x.data)
            .conditioning(Buffer::Cond, cond)
            .conditioning(Buffer::Uncond, uncond)
            .field(Field::Sigma, Slot::Float(sigma, SIGMA));
        self.call(Hook::CfgDenoiser, at, stage)
    }

    fn denoised(&mut self, at: StepInfo, cond: Lent<'_>, uncond: Lent<'_>) -> Result<(), Stop> {
        if let Some(previews) = &mut self.previews {
            previews.keep(Content::Prompt, at, &cond);
            previews.keep(Content::Negative, at, &uncond);
        }
        if !self.hooks.wants(Hook::CfgDenoised) {
            return Ok(());
        }
        let stage = Stage::new().tensor(Buffer::DenoisedCond, cond.shape, cond.data).tensor(
            Buffer::DenoisedUncond,
            uncond.shape,
            uncond.data,
        );
        self.call(Hook::CfgDenoised, at, stage)
    }

    fn combine(
        &mut self,
        at: StepInfo,
        x: &[f32],
        cond: &[f32],
        uncond: &[f32],
        combined: Lent<'_>,
    ) -> Result<(), Stop> {
        let shape = combined.shape;
        let stage = Stage::new()
            .view(Buffer::Latents, shape, x)
            .view(Buffer::DenoisedCond, shape, cond)
            .view(Buffer::DenoisedUncond, shape, uncond)
            .tensor(Buffer::Denoised, shape, combined.data);
        self.call(Hook::CfgCombine, at, stage)
    }

    fn after_cfg(&mut self, at: StepInfo, denoised: Lent<'_>) -> Result<(), Stop> {
        if self.hooks.wants(Hook::CfgAfterCfg) {
            let (shape, data) = (denoised.shape, &mut *denoised.data);
            self.call(Hook::CfgAfterCfg, at, Stage::new().tensor(Buffer::Denoised, shape, data))?;
        }
        if let Some(previews) = &mut self.previews {
            previews.keep(Content::Combined, at, &denoised);
        }
        Ok(())
    }

    fn after_step(&mut self, at: StepInfo, x: Lent<'_>) -> Result<(), Stop> {
        if self.hooks.wants(Hook::AfterStep) {
            let stage = Stage::new().tensor(Buffer::Latents, x.shape, x.data);
            self.call(Hook::AfterStep, at, stage)?;
        }
        let (before, behind) = self.steps_around;
        let (iteration, step) = (self.iteration, before + at.step + 1);
        let total = before + at.total + behind;
        self.observer.event(&self.hooks.run, &RunEvent::Step { iteration, step, total });
        if let Some(picture) = self.previews.as_mut().and_then(Previews::take) {
            self.observer.event(&self.hooks.run, &RunEvent::Preview { iteration, step, picture });
        }
        if self.hooks.cancel.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        Ok(())
    }
}
