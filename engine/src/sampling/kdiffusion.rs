//! The samplers of k-diffusion (commit ab527a9, which A1111 v1.10.1 runs), on x in sigma space.

use super::denoiser::Guided;
use super::error::SampleError;
use super::observer::StepInfo;
use super::settings::SamplerSettings;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// The steps between neighbouring noise levels.
fn steps(sigmas: &[f64]) -> impl Iterator<Item = StepInfo> {
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
    let highest = if settings.s_tmax == 0.0 { f64::INFINITY } else { settings.s_tmax };
    for mut info in steps(sigmas) {
        if settings.s_churn > 0.0 {
            // Drawn at every step, used or not, so that the noise of a step does not depend on the
            // limits.
            let noise = rng.next();
            if (settings.s_tmin..=highest).contains(&info.sigma) {
                let gamma = (settings.s_churn / f64::from(info.total)).min(2f64.sqrt() - 1.0);
                let churned = info.sigma * (gamma + 1.0);
                let added = (churned * churned - info.sigma * info.sigma).sqrt();
                let factor = (settings.s_noise * added) as f32;
                x = x.zip(&noise, |x, noise| x + factor * noise);
                info.sigma = churned;
            }
        }
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
            let factor = up as f32;
            x = x.zip(&rng.next(), |x, noise| x + factor * noise);
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

/// A straight step from `sigma` to `next` along the line through `x` and `denoised`.
fn towards(x: Tensor, denoised: &Tensor, sigma: f64, next: f64) -> Tensor {
    let share = ((next - sigma) / sigma) as f32;
    x.zip(denoised, |x, denoised| x + (x - denoised) * share)
}

/// How far an ancestral step goes down, and the noise it puts back (`get_ancestral_step`).
fn ancestral(sigma: f64, next: f64, eta: f64) -> (f64, f64) {
    if eta == 0.0 {
        return (next, 0.0);
    }
    let ratio = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt();
    let up = next.min(eta * ratio);
    ((next * next - up * up).sqrt(), up)
}
