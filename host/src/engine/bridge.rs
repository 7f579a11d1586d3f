//! The run's observer inside the engine's sampling loop.

use atelier_engine::{
    BlendParts, Conditioning, Observer, Point, SampleError, StepInfo, Stop, Tensor,
};

use super::convert;
use crate::run::pipeline::{self, Lent, PipelineError, StepObserver};

/// Lends what the engine shows to the run's observer, and remembers why that one ended sampling.
pub(super) struct Bridge<'a> {
    inner: &'a mut dyn StepObserver,
    stopped: Option<pipeline::Stop>,
}

/// The engine passes it through; the run knows more.
#[derive(Debug, thiserror::Error)]
#[error("the run ends")]
struct RunEnds;

impl<'a> Bridge<'a> {
    pub(super) fn new(inner: &'a mut dyn StepObserver) -> Self {
        Self { inner, stopped: None }
    }

    /// The error of the engine as the run's, which asked for it or not.
    pub(super) fn cause(self, error: SampleError) -> PipelineError {
        match (self.stopped, error) {
            (Some(stop), _) => PipelineError::Stopped(stop),
            (None, SampleError::Cancelled { .. }) => {
                PipelineError::Stopped(pipeline::Stop::Cancelled)
            }
            (None, error) => convert::failed(error),
        }
    }

    fn pass(&mut self, outcome: Result<(), pipeline::Stop>) -> Result<(), Stop> {
        outcome.map_err(|stop| {
            let passed = match stop {
                pipeline::Stop::Cancelled => Stop::Cancelled,
                pipeline::Stop::Ended => Stop::Failed(Box::new(RunEnds)),
            };
            self.stopped = Some(stop);
            passed
        })
    }
}

fn at(info: &StepInfo) -> pipeline::StepInfo {
    pipeline::StepInfo { step: info.step, total: info.total, call: info.call, sigma: info.sigma }
}

fn lend(tensor: &mut Tensor) -> Lent<'_> {
    Lent { shape: tensor.shape(), data: tensor.data_mut() }
}

/// Moves the conditioning out of the engine's hands.
fn take(text: &mut Conditioning) -> Result<pipeline::Conditioning, Stop> {
    let taken = std::mem::replace(text, Conditioning::new(0, 0, 0, Vec::new())?);
    Ok(convert::conditioning_back(taken))
}

/// Moves it back. Its number of tokens may be another one now.
fn put(text: &mut Conditioning, changed: pipeline::Conditioning) -> Result<(), Stop> {
    *text = convert::conditioning(changed)?;
    Ok(())
}

impl Observer for Bridge<'_> {
    fn wants(&self, point: Point) -> bool {
        self.inner.wants(match point {
            Point::ExtraNoise => pipeline::Point::ExtraNoise,
            Point::Blend => pipeline::Point::Blend,
            Point::Denoiser => pipeline::Point::Denoiser,
            Point::Denoised => pipeline::Point::Denoised,
            Point::Combine => pipeline::Point::Combine,
            Point::AfterCfg => pipeline::Point::AfterCfg,
            Point::AfterStep => pipeline::Point::AfterStep,
        })
    }

    fn refined(&mut self, _: &StepInfo) {
        self.inner.refined();
    }

    fn extra_noise(&mut self, noise: &mut Tensor, x: &Tensor, noised: &Tensor) -> Result<(), Stop> {
        let outcome = self.inner.extra_noise(lend(noise), x.data(), noised.data());
        self.pass(outcome)
    }

    fn blend(
        &mut self,
        info: Option<&StepInfo>,
        parts: &BlendParts<'_>,
        blended: &mut Tensor,
    ) -> Result<(), Stop> {
        let (shape, current) = (parts.current.shape(), parts.current.data());
        let (init, mask) = (parts.init.data(), parts.mask.data());
        let parts = pipeline::BlendParts { shape, current, init, mask };
        let outcome = self.inner.blend(info.map(at), &parts, blended.data_mut());
        self.pass(outcome)
    }

    fn denoiser(
        &mut self,
        info: &StepInfo,
        x: &mut Tensor,
        sigma: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop> {
        let (mut positive, mut negative) = (take(cond)?, take(uncond)?);
        let outcome = self.inner.denoiser(at(info), lend(x), sigma, &mut positive, &mut negative);
        put(cond, positive)?;
        put(uncond, negative)?;
        self.pass(outcome)
    }

    fn denoised(
        &mut self,
        info: &StepInfo,
        cond: &mut Tensor,
        uncond: &mut Tensor,
    ) -> Result<(), Stop> {
        let outcome = self.inner.denoised(at(info), lend(cond), lend(uncond));
        self.pass(outcome)
    }

    fn combine(
        &mut self,
        info: &StepInfo,
        x: &Tensor,
        cond: &Tensor,
        uncond: &Tensor,
        _: f64,
        combined: &mut Tensor,
    ) -> Result<(), Stop> {
        let combined = lend(combined);
        let outcome = self.inner.combine(at(info), x.data(), cond.data(), uncond.data(), combined);
        self.pass(outcome)
    }

    fn after_cfg(&mut self, info: &StepInfo, denoised: &mut Tensor) -> Result<(), Stop> {
        let outcome = self.inner.after_cfg(at(info), lend(denoised));
        self.pass(outcome)
    }

    fn after_step(&mut self, info: &StepInfo, x: &mut Tensor) -> Result<(), Stop> {
        let outcome = self.inner.after_step(at(info), lend(x));
        self.pass(outcome)
    }
}
