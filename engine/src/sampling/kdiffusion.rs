//! The samplers of k-diffusion (commit ab527a9, which A1111 v1.10.1 runs), on x in sigma space.

use std::collections::VecDeque;

use super::denoiser::Guided;
use super::error::SampleError;
use super::observer::StepInfo;
use super::settings::SamplerSettings;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// The steps between neighbouring noise levels.
pub(super) fn steps(sigmas: &[f64]) -> impl Iterator<Item = StepInfo> {
    let total = sigmas.len().saturating_sub(1) as u32;
    sigmas.windows(2).enumerate().map(move |(step, pair)| StepInfo {
        step: step as u32,
        total,
        call: 0,
        sigma: pair[0],
        sigma_next: pair[1],
    })
}

/// `sample_euler`.
pub(super) fn euler(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for mut info in steps(sigmas) {
        x = churn(x, &mut info, rng, settings);
        let denoised = model.denoise(&info, &x)?;
        x = towards(x, &denoised, info.sigma, info.sigma_next);
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_euler_ancestral`.
pub(super) fn euler_ancestral(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for info in steps(sigmas) {
        let denoised = model.denoise(&info, &x)?;
        let (down, up) = ancestral(info.sigma, info.sigma_next, settings.eta_ancestral);
        x = towards(x, &denoised, info.sigma, down);
        if info.sigma_next > 0.0 {
            x = add(x, &rng.next(), up);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_dpmpp_2m`.
pub(super) fn dpmpp_2m(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
) -> Result<Tensor, SampleError> {
    let mut last: Option<(Tensor, f64)> = None;
    for info in steps(sigmas) {
        let denoised = model.denoise(&info, &x)?;
        let (sigma, next) = (info.sigma, info.sigma_next);
        let h = sigma.ln() - next.ln();
        let (keep, take) = ((next / sigma) as f32, -(-h).exp_m1() as f32);
        x = match &last {
            Some((before, h_last)) if next > 0.0 => {
                let r = h_last / h;
                let (now, then) = ((1.0 + 0.5 / r) as f32, (0.5 / r) as f32);
                let target = denoised.clone().zip(before, |d, before| now * d - then * before);
                x.zip(&target, |x, d| keep * x + take * d)
            }
            _ => x.zip(&denoised, |x, d| keep * x + take * d),
        };
        last = Some((denoised, h));
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_lms`: the slopes of up to four steps, weighed as the polynomial through them is.
pub(super) fn lms(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
) -> Result<Tensor, SampleError> {
    const ORDER: usize = 4;
    let mut slopes: VecDeque<Tensor> = VecDeque::with_capacity(ORDER);
    for info in steps(sigmas) {
        let denoised = model.denoise(&info, &x)?;
        let sigma = info.sigma as f32;
        slopes.truncate(ORDER - 1);
        slopes.push_front(x.clone().zip(&denoised, |x, denoised| (x - denoised) / sigma));
        // The noise levels of the slopes, the last one first, and where the step ends.
        let past = &sigmas[..=info.step as usize];
        let past: Vec<f64> = past.iter().rev().take(slopes.len()).copied().collect();
        for (index, slope) in slopes.iter().enumerate() {
            x = add(x, slope, multistep_weight(&past, index, info.sigma_next));
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// A1111 v1.10.1's `sample_lcm`, for models that finish a picture in one call: fresh noise on every
/// answer.
pub(super) fn lcm(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
) -> Result<Tensor, SampleError> {
    for info in steps(sigmas) {
        x = model.denoise(&info, &x)?;
        if info.sigma_next > 0.0 {
            x = add(x, &rng.next(), info.sigma_next);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// The integral from `past[0]` to `end` of the polynomial that is 1 at `past[index]` and 0 at the
/// others (`linear_multistep_coeff`). Gauss' two points are exact up to degree three, which is all
/// there are.
fn multistep_weight(past: &[f64], index: usize, end: f64) -> f64 {
    let (middle, half) = (f64::midpoint(past[0], end), (end - past[0]) / 2.0);
    let at = |tau: f64| -> f64 {
        let others = past.iter().enumerate().filter(|(other, _)| *other != index);
        others.map(|(_, other)| (tau - other) / (past[index] - other)).product()
    };
    let off = half / 3f64.sqrt();
    half * (at(middle - off) + at(middle + off))
}

/// Puts noise on `x` where `s_churn` wants it, and raises the level of the step by it.
pub(super) fn churn(
    x: Tensor,
    info: &mut StepInfo,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Tensor {
    if settings.s_churn <= 0.0 {
        return x;
    }
    let highest = if settings.s_tmax == 0.0 { f64::INFINITY } else { settings.s_tmax };
    // Drawn at every step, used or not, so that the noise of a step does not depend on the limits.
    let noise = rng.next();
    if !(settings.s_tmin..=highest).contains(&info.sigma) {
        return x;
    }
    let gamma = (settings.s_churn / f64::from(info.total)).min(2f64.sqrt() - 1.0);
    let churned = info.sigma * (gamma + 1.0);
    let added = (churned * churned - info.sigma * info.sigma).sqrt();
    info.sigma = churned;
    add(x, &noise, settings.s_noise * added)
}

/// `x + by · more`.
pub(super) fn add(x: Tensor, more: &Tensor, by: f64) -> Tensor {
    let by = by as f32;
    x.zip(more, |x, more| x + by * more)
}

/// A straight step from `sigma` to `next` along the line through `x` and `denoised`.
pub(super) fn towards(x: Tensor, denoised: &Tensor, sigma: f64, next: f64) -> Tensor {
    let share = ((next - sigma) / sigma) as f32;
    x.zip(denoised, |x, denoised| x + (x - denoised) * share)
}

/// How far an ancestral step goes down, and the noise it puts back (`get_ancestral_step`).
pub(super) fn ancestral(sigma: f64, next: f64, eta: f64) -> (f64, f64) {
    if eta == 0.0 {
        return (next, 0.0);
    }
    let ratio = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
    let up = next.min(eta * ratio);
    ((next * next - up * up).sqrt(), up)
}
