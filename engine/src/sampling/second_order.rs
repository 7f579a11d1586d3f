//! The samplers of k-diffusion (commit ab527a9, which A1111 v1.10.1 runs) that look ahead: two model
//! calls a step, one where the step ends at 0.

use super::denoiser::Guided;
use super::error::SampleError;
use super::kdiffusion::{add, ancestral, churn, steps, towards};
use super::observer::StepInfo;
use super::settings::SamplerSettings;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// The second call of a step, at the noise level it looks ahead to.
fn ahead(
    model: &mut Guided<'_>,
    info: &StepInfo,
    x: &Tensor,
    sigma: f64,
) -> Result<Tensor, SampleError> {
    model.denoise(&StepInfo { call: 1, sigma, ..*info }, x)
}

/// `sample_heun`: the mean of the slopes at both ends of the step.
pub(super) fn heun(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for mut info in steps(sigmas) {
        x = churn(x, &mut info, rng, settings);
        x = heun_step(model, &info, x)?;
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// One step of Heun's from `info.sigma` to `info.sigma_next`.
pub(super) fn heun_step(
    model: &mut Guided<'_>,
    info: &StepInfo,
    x: Tensor,
) -> Result<Tensor, SampleError> {
    let (sigma, next) = (info.sigma, info.sigma_next);
    let denoised = model.denoise(info, &x)?;
    let end = towards(x.clone(), &denoised, sigma, next);
    if next <= 0.0 {
        return Ok(end);
    }
    let other = ahead(model, info, &end, next)?;
    let half = (next - sigma) / 2.0;
    let here = (half / sigma) as f32;
    let x = x.zip(&denoised, |x, denoised| x + (x - denoised) * here);
    Ok(along(x, end, &other, half / next))
}

/// `sample_dpm_2`: the slope in the middle of the step.
pub(super) fn dpm_2(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for mut info in steps(sigmas) {
        x = churn(x, &mut info, rng, settings);
        x = by_the_middle(model, &info, x, info.sigma_next)?;
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_dpm_2_ancestral`.
pub(super) fn dpm_2_ancestral(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for info in steps(sigmas) {
        let (down, up) = ancestral(info.sigma, info.sigma_next, settings.eta_ancestral);
        x = by_the_middle(model, &info, x, down)?;
        // A step that goes down to 0 puts nothing back, whatever is left to do.
        if down > 0.0 {
            x = add(x, &rng.next(), settings.s_noise * up);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_dpmpp_2s_ancestral`: DPM-Solver++ of second order in one step.
pub(super) fn dpmpp_2s_ancestral(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for info in steps(sigmas) {
        let sigma = info.sigma;
        let denoised = model.denoise(&info, &x)?;
        let (down, up) = ancestral(sigma, info.sigma_next, settings.eta_ancestral);
        x = if down > 0.0 {
            let middle = (sigma * down).sqrt();
            let there = mixed(x.clone(), &denoised, middle / sigma);
            let other = ahead(model, &info, &there, middle)?;
            mixed(x, &other, down / sigma)
        } else {
            towards(x, &denoised, sigma, down)
        };
        if info.sigma_next > 0.0 {
            x = add(x, &rng.next(), settings.s_noise * up);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// From `info.sigma` to `down` with the slope at the level in the middle of their logarithms.
fn by_the_middle(
    model: &mut Guided<'_>,
    info: &StepInfo,
    x: Tensor,
    down: f64,
) -> Result<Tensor, SampleError> {
    let sigma = info.sigma;
    let denoised = model.denoise(info, &x)?;
    if down <= 0.0 {
        return Ok(towards(x, &denoised, sigma, down));
    }
    let middle = (sigma * down).sqrt();
    let there = towards(x.clone(), &denoised, sigma, middle);
    let other = ahead(model, info, &there, middle)?;
    Ok(along(x, there, &other, (down - sigma) / middle))
}

/// `x`, moved along the line from `denoised` to another point of the way by a share of that line.
fn along(x: Tensor, point: Tensor, denoised: &Tensor, share: f64) -> Tensor {
    let share = share as f32;
    x.zip(&point.zip(denoised, |point, denoised| (point - denoised) * share), |x, more| x + more)
}

/// What an exponential step keeps of `x`, filled up with the prediction: `1 − kept` is k-diffusion's
/// `-(-h).expm1()`.
pub(super) fn mixed(x: Tensor, denoised: &Tensor, kept: f64) -> Tensor {
    let (kept, taken) = (kept as f32, (1.0 - kept) as f32);
    x.zip(denoised, |x, denoised| kept * x + taken * denoised)
}
