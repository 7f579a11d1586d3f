//! DPM-Solver (Lu et al., 2022, arXiv 2206.00927) as k-diffusion has it (commit ab527a9): steps of
//! several orders in `t = −ln σ`.

use super::denoiser::Guided;
use super::error::SampleError;
use super::kdiffusion::{add, ancestral};
use super::observer::StepInfo;
use super::settings::SamplerSettings;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// Attempts after which the adaptive sampler is taken to get nowhere: A1111's needs less than a
/// hundred.
const MOST_ATTEMPTS: u32 = 1_000;

/// The way between two noise levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) high: f64,
    pub(super) low: f64,
}

impl Span {
    fn ends(self) -> (f64, f64) {
        (-self.high.ln(), -self.low.ln())
    }

    /// Where a step to `next` goes, with the noise that is put back behind it.
    fn ancestral(self, t: f64, next: f64, eta: f64) -> (f64, f64) {
        if eta == 0.0 {
            return (next, 0.0);
        }
        let (down, _) = ancestral((-t).exp(), (-next).exp(), eta);
        let to = self.ends().1.min(-down.ln());
        (to, ((-2.0 * next).exp() - (-2.0 * to).exp()).max(0.0).sqrt())
    }
}

/// A step that is being made.
struct Step<'s, 'a> {
    model: &'s mut Guided<'a>,
    info: StepInfo,
}

impl Step<'_, '_> {
    /// The noise that the model sees in `x`.
    fn noise(&mut self, x: &Tensor, t: f64) -> Result<Tensor, SampleError> {
        self.info.sigma = (-t).exp();
        let sigma = self.info.sigma as f32;
        let denoised = self.model.denoise(&self.info, x)?;
        self.info.call += 1;
        Ok(denoised.zip(x, |denoised, x| (x - denoised) / sigma))
    }

    /// The noise at a share `r` of the way, reached with `noise`.
    fn ahead(
        &mut self,
        x: &Tensor,
        noise: &Tensor,
        (t, next): (f64, f64),
        r: f64,
    ) -> Result<Tensor, SampleError> {
        let s = t + r * (next - t);
        self.noise(&first(x, noise, (t, s)), s)
    }

    /// The whole step of the third order; the second noise as well.
    fn third(
        &mut self,
        x: &Tensor,
        noise: &Tensor,
        way: (f64, f64),
    ) -> Result<(Tensor, Tensor), SampleError> {
        let (r1, r2) = (1.0 / 3.0, 2.0 / 3.0);
        let (t, next) = way;
        let second = self.ahead(x, noise, way, r1)?;
        let s = t + r2 * (next - t);
        let third = self.noise(&bent(x, noise, &second, (t, s), r2 / r1), s)?;
        Ok((bent(x, noise, &third, way, 1.0 / r2), second))
    }
}

/// A straight step.
fn first(x: &Tensor, noise: &Tensor, (t, next): (f64, f64)) -> Tensor {
    add(x.clone(), noise, -(-next).exp() * (next - t).exp_m1())
}

/// A step with the noise at a share of the way taken in.
fn second(x: &Tensor, noise: &Tensor, other: &Tensor, way: (f64, f64), r: f64) -> Tensor {
    let (t, next) = way;
    let by = -(-next).exp() / (2.0 * r) * (next - t).exp_m1();
    add(first(x, noise, way), &minus(other, noise), by)
}

/// The same, weighed by the integral of what is linear in between.
fn bent(x: &Tensor, noise: &Tensor, other: &Tensor, way: (f64, f64), weight: f64) -> Tensor {
    let h = way.1 - way.0;
    let by = -(-way.1).exp() * weight * (h.exp_m1() / h - 1.0);
    add(first(x, noise, way), &minus(other, noise), by)
}

fn minus(a: &Tensor, b: &Tensor) -> Tensor {
    a.clone().zip(b, |a, b| a - b)
}

/// `sample_dpm_fast`: `calls` model calls in steps of the third order, smaller at the end.
pub(super) fn fast(
    model: &mut Guided<'_>,
    span: Span,
    calls: usize,
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    let (start, end) = span.ends();
    if end <= start {
        return Ok(x);
    }
    let eta = settings.eta_ancestral;
    let count = calls / 3 + 1;
    let mut orders = vec![3; count];
    match calls % 3 {
        0 => orders.splice(count - 2.min(count).., [2, 1]).for_each(drop),
        rest => orders[count - 1] = rest,
    }
    let at = |i: usize| start + (end - start) * i as f64 / count as f64;
    for (i, order) in orders.into_iter().enumerate() {
        let (t, next) = (at(i), at(i + 1));
        let (to, put_back) = span.ancestral(t, next, eta);
        let info = StepInfo {
            step: i as u32,
            total: count as u32,
            call: 0,
            sigma: (-t).exp(),
            sigma_next: (-next).exp(),
        };
        let mut step = Step { model: &mut *model, info };
        let noise = step.noise(&x, t)?;
        x = match order {
            1 => first(&x, &noise, (t, to)),
            2 => {
                let half = step.ahead(&x, &noise, (t, to), 0.5)?;
                second(&x, &noise, &half, (t, to), 0.5)
            }
            _ => step.third(&x, &noise, (t, to))?.0,
        };
        if eta > 0.0 {
            x = add(x, &rng.next(), put_back * settings.s_noise);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_dpm_adaptive`: steps as large as the second and the third order agree on. It heeds no number
/// of steps; `planned` is what observers are told.
pub(super) fn adaptive(
    model: &mut Guided<'_>,
    span: Span,
    planned: usize,
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    let (start, end) = span.ends();
    if end <= start {
        return Ok(x);
    }
    let eta = settings.eta_ancestral;
    let order = if eta > 0.0 { 1.5 } else { 3.0 };
    let mut control = Control { size: 0.05, order };
    let (mut t, mut before) = (start, x.clone());
    let (mut accepted, mut call) = (0, 0);
    for _ in 0..MOST_ATTEMPTS {
        if t >= end - 1e-5 {
            return Ok(x);
        }
        let next = end.min(t + control.size);
        let (to, put_back) = span.ancestral(t, next, eta);
        let total = (accepted + 1).max(planned as u32);
        let info =
            StepInfo { step: accepted, total, call, sigma: (-t).exp(), sigma_next: (-next).exp() };
        let mut step = Step { model: &mut *model, info };
        let noise = step.noise(&x, t)?;
        let (higher, other) = step.third(&x, &noise, (t, to))?;
        call = step.info.call;
        let lower = second(&x, &noise, &other, (t, to), 1.0 / 3.0);
        if control.accepts(distance(&lower, &higher, &before)) {
            (before, x, t) = (lower, higher, next);
            if eta > 0.0 {
                x = add(x, &rng.next(), put_back * settings.s_noise);
            }
            model.stepped(&info, &mut x)?;
            (accepted, call) = (accepted + 1, 0);
        }
    }
    let sampler = "DPM adaptive".to_owned();
    let expected = format!("another sampler: {MOST_ATTEMPTS} steps did not reach the end");
    Err(SampleError::Job { field: "sampler", value: sampler, expected })
}

/// k-diffusion's controller with its coefficients, of which only that of the error is not 0.
struct Control {
    size: f64,
    order: f64,
}

impl Control {
    /// Whether a step was good enough; the next one's size follows.
    fn accepts(&mut self, error: f64) -> bool {
        let factor = (1.0 / (error + 1e-8)).powf(1.0 / self.order);
        let factor = 1.0 + (factor - 1.0).atan();
        self.size *= factor;
        factor >= 0.81
    }
}

/// How far two results are from each other, in tolerances.
fn distance(lower: &Tensor, higher: &Tensor, before: &Tensor) -> f64 {
    let values = lower.data().iter().zip(higher.data()).zip(before.data());
    let sum: f64 = values
        .map(|((lower, higher), before)| {
            let tolerance = (0.05 * lower.abs().max(before.abs())).max(0.0078);
            f64::from((lower - higher) / tolerance).powi(2)
        })
        .sum();
    (sum / lower.data().len().max(1) as f64).sqrt()
}
