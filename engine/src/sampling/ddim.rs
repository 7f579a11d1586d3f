//! DDIM on whole timesteps, A1111 v1.10.1's `sd_samplers_timesteps`.
//!
//! A1111 keeps x as `√a · picture + √(1−a) · noise`. Here it is divided by `√a`, so that observers
//! see one space whatever the sampler; the result is multiplied back. The arithmetic is the same.

use super::denoiser::Guided;
use super::discrete::DiscreteSchedule;
use super::error::SampleError;
use super::observer::StepInfo;
use super::settings::SamplerSettings;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// The timesteps for `steps` steps, rising. They are more than `steps` where that does not divide
/// the model's, and the loop makes one step less than there are: so does A1111's.
pub(super) fn timesteps(
    schedule: &DiscreteSchedule,
    steps: usize,
    settings: &SamplerSettings,
) -> Vec<usize> {
    let n = steps + usize::from(settings.discard_next_to_last_sigma);
    let stride = (schedule.len() / n.max(1)).max(1);
    (0..schedule.len()).step_by(stride).map(|t| (t + 1).min(schedule.len() - 1)).collect()
}

/// From `x` (A1111's space, at the last of `timesteps`) down to the first.
pub(super) fn ddim(
    model: &mut Guided<'_>,
    timesteps: &[usize],
    x: Tensor,
    rng: &mut ImageRng,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    let (Some(&lowest), Some(&highest)) = (timesteps.first(), timesteps.last()) else {
        return Ok(x);
    };
    let total = timesteps.len().saturating_sub(1) as u32;
    let into = 1.0 / model.schedule.alpha(highest).sqrt();
    let mut x = x.map(|v| (f64::from(v) * into) as f32);
    for (step, pair) in timesteps.windows(2).rev().enumerate() {
        let (a_next, a) = (model.schedule.alpha(pair[0]), model.schedule.alpha(pair[1]));
        let info = StepInfo {
            step: step as u32,
            total,
            call: 0,
            sigma: model.schedule.sigma(pair[1]),
            sigma_next: model.schedule.sigma(pair[0]),
        };
        let denoised = model.denoise(&info, &x)?;
        let fresh = settings.eta_ddim * ((1.0 - a_next) / (1.0 - a) * (1.0 - a / a_next)).sqrt();
        let kept = (1.0 - a_next - fresh * fresh).max(0.0).sqrt();
        let factor = (kept / a_next.sqrt() / info.sigma) as f32;
        x = x.zip(&denoised, |x, denoised| denoised + factor * (x - denoised));
        if fresh > 0.0 {
            let factor = (fresh / a_next.sqrt()) as f32;
            x = x.zip(&rng.next(), |x, noise| x + factor * noise);
        }
        model.stepped(&info, &mut x)?;
    }
    let out = model.schedule.alpha(lowest).sqrt();
    Ok(x.map(|v| (f64::from(v) * out) as f32))
}
