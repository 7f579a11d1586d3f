//! One guided answer of the model: both conditionings, combined, with the observer in between.

use std::borrow::Cow;

use candle_core::Tensor as Array;

use super::answers::{check_inputs, check_shape, checked, misfit_shape, shape_of};
use super::discrete::{DiscreteSchedule, Prediction};
use super::error::SampleError;
use super::observer::{BlendParts, Observer, Point, StepInfo};
use super::padding::Padding;
use super::settings::SamplerSettings;
use crate::conditioning::Conditioning;
use crate::error::EngineError;
use crate::scheduled::ScheduledConditioning;
use crate::tensor::Tensor;
use crate::unet::Unet;

/// The network with everything that stays the same during a run.
pub(super) struct Guided<'a> {
    pub(super) unet: &'a Unet,
    pub(super) schedule: &'a DiscreteSchedule,
    pub(super) cond: ScheduledConditioning,
    pub(super) uncond: ScheduledConditioning,
    /// What an inpainting checkpoint is shown beside the latents.
    pub(super) shown: Option<Tensor>,
    pub(super) padding: Padding,
    /// What takes over.
    pub(super) refiner: Option<Next<'a>>,
    pub(super) cfg_scale: f64,
    pub(super) settings: &'a SamplerSettings,
    pub(super) observer: &'a mut dyn Observer,
    /// Model calls planned, which `skip_early_cond` is a share of.
    pub(super) planned: usize,
    /// Model calls made.
    pub(super) calls: usize,
    /// Where the last call was made, or the run stands before the first.
    pub(super) at: StepInfo,
    /// The timestep of the next call, where it is not its noise level's.
    pub(super) timestep: Option<f64>,
    /// Whether the negative prompt's answer is kept, and needed at any scale.
    pub(super) keeps_uncond: bool,
    /// That answer to the last call.
    pub(super) last_uncond: Option<Tensor>,
    /// Whether the sampler takes the noise of an answer for its own x, whatever the model was shown: those
    /// on timesteps do. The others take the finished latents.
    pub(super) answers_noise: bool,
    /// What is kept of a picture: put before the model where noise is what counts (A1111's
    /// `mask_before_denoising`), else put over its answer.
    pub(super) blend: Option<Blend>,
}

/// What another checkpoint takes over with.
pub(super) struct Next<'a> {
    pub(super) unet: &'a Unet,
    pub(super) schedule: &'a DiscreteSchedule,
    pub(super) cond: ScheduledConditioning,
    pub(super) uncond: ScheduledConditioning,
    pub(super) padding: Padding,
    /// The share of the way; at once without.
    pub(super) switch_at: Option<f64>,
    pub(super) by_steps: bool,
}

/// A picture of which part stays.
pub(super) struct Blend {
    /// Its latents.
    init: Tensor,
    /// How much of each place stays, `[1, 1, h, w]`.
    mask: Tensor,
}

impl Blend {
    /// Of a picture's latents; `fresh` is how much of each place is drawn anew.
    pub(super) fn new(init: Tensor, fresh: Tensor) -> Self {
        Self { init, mask: fresh.map(|fresh| 1.0 - fresh) }
    }

    /// `x` with what stays.
    fn apply(&self, x: &Tensor, init: &Tensor) -> Tensor {
        let mut blended = x.clone();
        let plane = self.mask.data().len().max(1);
        let planes = blended.data_mut().chunks_exact_mut(plane);
        for (x, init) in planes.zip(init.data().chunks_exact(plane)) {
            for ((x, init), stays) in x.iter_mut().zip(init).zip(self.mask.data()) {
                *x = *x * (1.0 - stays) + init * stays;
            }
        }
        blended
    }
}

/// The two predictions of one model call, the parts of prompts merged by their weights; the second
/// is `None` where it was left out.
struct Predictions {
    cond: Tensor,
    uncond: Option<Tensor>,
}

impl Guided<'_> {
    /// The prediction of the finished latents from `x` at `info.sigma`.
    pub(super) fn denoise(&mut self, info: &StepInfo, x: &Tensor) -> Result<Tensor, SampleError> {
        self.at = *info;
        let sampled = x;
        // What A1111 puts in is not noised; here x is divided by what is left of the picture.
        let level = (info.sigma * info.sigma + 1.0).sqrt();
        let blended =
            if self.answers_noise { self.blended(Some(info), x, level as f32)? } else { None };
        let x = blended.as_ref().unwrap_or(x);
        self.refine(info);
        let without_uncond = self.leaves_out_uncond(info.sigma);
        let (cond, uncond) = (self.cond.at(self.calls), self.uncond.at(self.calls));
        self.calls += 1;
        let mut sigma = info.sigma;
        let (input, mut predictions) = if self.observer.wants(Point::Denoiser) {
            let (shown, mut input) = ([cond, uncond].map(shape_of), x.clone());
            let (mut cond, mut uncond) = (cond.clone(), uncond.clone());
            let answer =
                self.observer.denoiser(info, &mut input, &mut sigma, &mut cond, &mut uncond);
            checked(info, Point::Denoiser, answer)?;
            check_inputs(info, x, &input, sigma, shown, [&cond, &uncond])?;
            if sigma.to_bits() != info.sigma.to_bits() {
                self.timestep = None;
            }
            let predictions = self.predict(&input, sigma, &cond, &uncond, without_uncond)?;
            (Cow::Owned(input), predictions)
        } else {
            let predictions = self.predict(x, sigma, cond, uncond, without_uncond)?;
            (Cow::Borrowed(x), predictions)
        };
        let finite = predictions.cond.is_finite()
            && predictions.uncond.as_ref().is_none_or(Tensor::is_finite);
        if !finite {
            return Err(SampleError::NotFinite { step: info.step, total: info.total, sigma });
        }
        if self.observer.wants(Point::Denoised) {
            let Predictions { cond, uncond } = &mut predictions;
            let uncond = uncond.get_or_insert_with(|| cond.clone());
            let answer = self.observer.denoised(info, cond, uncond);
            checked(info, Point::Denoised, answer)?;
            check_shape(info, Point::Denoised, x, cond)?;
            check_shape(info, Point::Denoised, x, uncond)?;
        }
        self.timestep = None;
        if self.keeps_uncond {
            let Predictions { cond, uncond } = &predictions;
            self.last_uncond = Some(uncond.as_ref().unwrap_or(cond).clone());
        }
        let scale = if without_uncond { 1.0 } else { self.cfg_scale };
        let mut combined = self.combine(info, &input, predictions, scale)?;
        if !self.answers_noise {
            combined = self.blended(Some(info), &combined, 1.0)?.unwrap_or(combined);
        }
        if self.observer.wants(Point::AfterCfg) {
            let answer = self.observer.after_cfg(info, &mut combined);
            checked(info, Point::AfterCfg, answer)?;
            check_shape(info, Point::AfterCfg, x, &combined)?;
        }
        if self.answers_noise && (blended.is_some() || matches!(input, Cow::Owned(_))) {
            let moved = sampled.clone().zip(&input, |sampled, input| sampled - input);
            let last = self.last_uncond.take();
            self.last_uncond = last.map(|last| last.zip(&moved, |last, moved| last + moved));
            combined = combined.zip(&moved, |combined, moved| combined + moved);
        }
        Ok(combined)
    }

    /// Hands over to the refiner where it is its turn, as A1111 v1.10.1's `apply_refiner`.
    fn refine(&mut self, info: &StepInfo) {
        let Some(next) = &self.refiner else { return };
        let done = if next.by_steps {
            self.calls as f64 / self.planned.max(1) as f64
        } else {
            let timestep = self.timestep.unwrap_or_else(|| self.schedule.timestep_of(info.sigma));
            self.schedule.share_at(timestep)
        };
        if next.switch_at.is_some_and(|at| done < at) {
            return;
        }
        let Some(next) = self.refiner.take() else { return };
        (self.unet, self.schedule) = (next.unet, next.schedule);
        (self.cond, self.uncond, self.padding) = (next.cond, next.uncond, next.padding);
        self.observer.refined(info);
    }

    /// `x` with what stays of a picture, `scale` times as strong as it is; `None` where nothing stays.
    fn blended(
        &mut self,
        info: Option<&StepInfo>,
        x: &Tensor,
        scale: f32,
    ) -> Result<Option<Tensor>, SampleError> {
        let Some(blend) = &self.blend else { return Ok(None) };
        let init = if is_one(f64::from(scale)) {
            Cow::Borrowed(&blend.init)
        } else {
            Cow::Owned(blend.init.clone().map(|value| value * scale))
        };
        let mut blended = blend.apply(x, &init);
        if self.observer.wants(Point::Blend) {
            let parts = BlendParts { current: x, init: &init, mask: &blend.mask };
            let answer = self.observer.blend(info, &parts, &mut blended);
            checked(&self.at, Point::Blend, answer)?;
            check_shape(&self.at, Point::Blend, x, &blended)?;
        }
        Ok(Some(blended))
    }

    /// The finished latents with what stays of a picture.
    pub(super) fn finish(&mut self, x: Tensor) -> Result<Tensor, SampleError> {
        Ok(self.blended(None, &x, 1.0)?.unwrap_or(x))
    }

    /// The noise that is put on top of the first where a run starts from latents.
    pub(super) fn extra_noise(
        &mut self,
        mut noise: Tensor,
        init: &Tensor,
        noised: &Tensor,
    ) -> Result<Tensor, SampleError> {
        if !self.observer.wants(Point::ExtraNoise) {
            return Ok(noise);
        }
        let answer = self.observer.extra_noise(&mut noise, init, noised);
        checked(&self.at, Point::ExtraNoise, answer)?;
        check_shape(&self.at, Point::ExtraNoise, init, &noise)?;
        Ok(noise)
    }

    /// Tells the observer of the sampler's new `x`.
    pub(super) fn stepped(&mut self, info: &StepInfo, x: &mut Tensor) -> Result<(), SampleError> {
        if !self.observer.wants(Point::AfterStep) {
            return Ok(());
        }
        let shape = x.shape();
        let answer = self.observer.after_step(info, x);
        checked(info, Point::AfterStep, answer)?;
        if x.shape() == shape {
            Ok(())
        } else {
            Err(misfit_shape(info, Point::AfterStep, shape, x.shape()))
        }
    }

    fn combine(
        &mut self,
        info: &StepInfo,
        x: &Tensor,
        predictions: Predictions,
        scale: f64,
    ) -> Result<Tensor, SampleError> {
        let Predictions { cond, uncond } = predictions;
        let wanted = self.observer.wants(Point::Combine);
        let factor = scale as f32;
        let Some(uncond) = uncond else {
            if !wanted {
                return Ok(cond);
            }
            let mut combined = cond.clone();
            let answer = self.observer.combine(info, x, &cond, &cond, scale, &mut combined);
            checked(info, Point::Combine, answer)?;
            check_shape(info, Point::Combine, x, &combined)?;
            return Ok(combined);
        };
        if !wanted {
            return Ok(uncond.zip(&cond, |u, c| u + factor * (c - u)));
        }
        let mut combined = uncond.clone().zip(&cond, |u, c| u + factor * (c - u));
        let answer = self.observer.combine(info, x, &cond, &uncond, scale, &mut combined);
        checked(info, Point::Combine, answer)?;
        check_shape(info, Point::Combine, x, &combined)?;
        Ok(combined)
    }

    /// At scale 1 the unconditional answer has no weight, if those of a prompt's parts make 1; the
    /// other two are A1111's `skip_early_cond` and `s_min_uncond`.
    fn leaves_out_uncond(&self, sigma: f64) -> bool {
        let s = self.settings;
        let early = s.skip_early_cond != 0.0
            && self.calls as f64 / self.planned.max(1) as f64 <= s.skip_early_cond;
        let late = (self.calls % 2 == 1 || s.s_min_uncond_all) && sigma < s.s_min_uncond;
        let whole = || self.cond.weights().iter().all(|parts| is_one(parts.iter().sum()));
        early || late || !self.keeps_uncond && is_one(self.cfg_scale) && whole()
    }

    fn predict(
        &self,
        x: &Tensor,
        sigma: f64,
        cond: &Conditioning,
        uncond: &Conditioning,
        without_uncond: bool,
    ) -> Result<Predictions, SampleError> {
        let (cond, uncond) = self.padding.fit(cond, uncond).map_err(EngineError::from)?;
        let answers = self.answers(x, sigma, &cond, &uncond, without_uncond);
        let (cond, uncond) = answers.map_err(EngineError::compute("the UNet"))?;
        Ok(Predictions { cond: self.merged(cond, uncond.as_ref()), uncond })
    }

    /// What the network answers, `cond` with a row for every part of a prompt.
    fn answers(
        &self,
        x: &Tensor,
        sigma: f64,
        cond: &Conditioning,
        uncond: &Conditioning,
        without_uncond: bool,
    ) -> candle_core::Result<(Tensor, Option<Tensor>)> {
        let t = self.timestep.unwrap_or_else(|| self.schedule.timestep_of(sigma));
        let c_in = 1.0 / (sigma * sigma + 1.0).sqrt();
        let parts = self.with_row_per_part(x);
        let (mut input, mut inputs) = ((x.to_array()? * c_in)?, (parts.to_array()? * c_in)?);
        if let Some(shown) = &self.shown {
            input = Array::cat(&[input, shown.to_array()?], 1)?;
            inputs = Array::cat(&[inputs, self.with_row_per_part(shown).to_array()?], 1)?;
        }
        let (text, other) = (cond.to_array()?, uncond.to_array()?);
        let (vector, other_vector) = (cond.vector_array()?, uncond.vector_array()?);
        let finished = |x: &Tensor, answer: &Array| -> candle_core::Result<Tensor> {
            Ok(self.finished(x, &Tensor::from_array(answer)?, sigma))
        };
        let forward = |x: &Array, text: &Array, vector: Option<&Array>| {
            self.unet.forward_merging(x, t, text, vector, self.settings.token_merging)
        };
        let first = || forward(&inputs, &text, vector.as_ref());
        if without_uncond {
            return Ok((finished(&parts, &first()?)?, None));
        }
        if cond.tokens() != uncond.tokens() {
            let cond = finished(&parts, &first()?)?;
            let uncond = forward(&input, &other, other_vector.as_ref())?;
            return Ok((cond, Some(finished(x, &uncond)?)));
        }
        let vectors = match (vector, other_vector) {
            (Some(vector), Some(other)) => Some(Array::cat(&[vector, other], 0)?),
            _ => None,
        };
        let texts = Array::cat(&[&text, &other], 0)?;
        let n = parts.batch();
        // Where no prompt has several parts, both texts are asked about the same pictures.
        let pictures = if n == x.batch() { input } else { Array::cat(&[&inputs, &input], 0)? };
        let answer = forward(&pictures, &texts, vectors.as_ref())?;
        let cond = finished(&parts, &answer.narrow(0, 0, n)?)?;
        Ok((cond, Some(finished(x, &answer.narrow(0, n, x.batch())?)?)))
    }

    /// Each picture's latents as often as its prompt has parts.
    fn with_row_per_part<'x>(&self, x: &'x Tensor) -> Cow<'x, Tensor> {
        let weights = self.cond.weights();
        if weights.iter().all(|parts| parts.len() == 1) {
            return Cow::Borrowed(x);
        }
        let pictures = weights.iter().enumerate();
        let rows: Vec<usize> =
            pictures.flat_map(|(row, parts)| std::iter::repeat_n(row, parts.len())).collect();
        Cow::Owned(x.rows(&rows))
    }

    /// One answer for each picture: `uncond` and what the parts differ from it, by their weights.
    /// Where that was left out A1111 takes the first part's for it.
    fn merged(&self, cond: Tensor, uncond: Option<&Tensor>) -> Tensor {
        let weights = self.cond.weights();
        if weights.iter().all(|parts| matches!(parts[..], [weight] if is_one(weight))) {
            return cond;
        }
        let firsts = weights.iter().scan(0, |next, parts| {
            *next += parts.len();
            Some(*next - parts.len())
        });
        let firsts: Vec<usize> = firsts.collect();
        let base = uncond.cloned().unwrap_or_else(|| cond.rows(&firsts));
        let mut merged = base.clone();
        let size = base.row_size();
        let (mut parts, base) = (cond.data().chunks_exact(size), base.data().chunks_exact(size));
        for ((to, base), weights) in merged.data_mut().chunks_exact_mut(size).zip(base).zip(weights)
        {
            for (weight, part) in weights.iter().zip(parts.by_ref()) {
                for ((to, base), part) in to.iter_mut().zip(base).zip(part) {
                    *to += (part - base) * *weight as f32;
                }
            }
        }
        merged
    }

    /// The finished latents that the network's answer points at.
    fn finished(&self, x: &Tensor, answer: &Tensor, sigma: f64) -> Tensor {
        let (skip, out) = match self.schedule.prediction() {
            Prediction::Epsilon => (1.0, -sigma),
            Prediction::Velocity => {
                let level = sigma * sigma + 1.0;
                (1.0 / level, -sigma / level.sqrt())
            }
        };
        let (kept, taken) = self.schedule.boundary(sigma);
        let (skip, out) = ((kept + taken * skip) as f32, (taken * out) as f32);
        x.clone().zip(answer, |x, answer| skip * x + out * answer)
    }
}

fn is_one(value: f64) -> bool {
    (value - 1.0).abs() < f64::EPSILON
}
