//! DDIM and PLMS on whole timesteps, A1111 v1.10.1's `sd_samplers_timesteps`.
//!
//! A1111 keeps x as `√a · picture + √(1−a) · noise`. Here it is divided by `√a`, so that observers
//! see one space whatever the sampler; the result is multiplied back. The arithmetic is the same.

use std::collections::VecDeque;

use super::denoiser::Guided;
use super::discrete::DiscreteSchedule;
use super::error::SampleError;
use super::kdiffusion::add;
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

/// A walk from the last of some timesteps (in the model's space, see above) down to the first.
pub(super) struct Walk<'w, 'a> {
    pub(super) model: &'w mut Guided<'a>,
    pub(super) timesteps: &'w [usize],
}

impl Walk<'_, '_> {
    /// `x` divided by √a, handed to `steps`, and multiplied back.
    fn walk(
        self,
        x: Tensor,
        steps: impl FnOnce(Self, Tensor) -> Result<Tensor, SampleError>,
    ) -> Result<Tensor, SampleError> {
        let (Some(&lowest), Some(&highest)) = (self.timesteps.first(), self.timesteps.last())
        else {
            return Ok(x);
        };
        let schedule = self.model.schedule;
        let into = 1.0 / schedule.alpha(highest).sqrt();
        let x = steps(self, x.map(|v| (f64::from(v) * into) as f32))?;
        let out = schedule.alpha(lowest).sqrt();
        Ok(x.map(|v| (f64::from(v) * out) as f32))
    }

    /// The steps, each with the timesteps that it begins and ends at.
    fn steps(&self) -> impl Iterator<Item = (StepInfo, usize, usize)> + use<> {
        let total = self.timesteps.len().saturating_sub(1) as u32;
        let pairs = self.timesteps.windows(2).rev().map(|pair| (pair[1], pair[0]));
        let infos = pairs.enumerate().map(|(step, (from, to))| {
            let (sigma, sigma_next) =
                (self.model.schedule.sigma(from), self.model.schedule.sigma(to));
            (StepInfo { step: step as u32, total, call: 0, sigma, sigma_next }, from, to)
        });
        infos.collect::<Vec<_>>().into_iter()
    }

    /// `ddim`.
    pub(super) fn ddim(
        self,
        x: Tensor,
        rng: &mut ImageRng,
        settings: &SamplerSettings,
    ) -> Result<Tensor, SampleError> {
        self.walk(x, |walk, x| walk.ddim_steps(x, rng, settings))
    }

    /// `ddim_cfgpp`: CFG++ (Chung et al., 2024, arXiv 2406.08070). The noise is the negative prompt's, and
    /// the scale a twelfth and a half of what is asked for, so that the usual ones do.
    pub(super) fn ddim_cfgpp(
        self,
        x: Tensor,
        rng: &mut ImageRng,
        settings: &SamplerSettings,
    ) -> Result<Tensor, SampleError> {
        self.model.cfg_scale /= 12.5;
        self.model.keeps_uncond = true;
        self.walk(x, |walk, x| walk.ddim_steps(x, rng, settings))
    }

    fn ddim_steps(
        self,
        mut x: Tensor,
        rng: &mut ImageRng,
        settings: &SamplerSettings,
    ) -> Result<Tensor, SampleError> {
        for (info, from, to) in self.steps() {
            let (a_next, a) = (self.model.schedule.alpha(to), self.model.schedule.alpha(from));
            let denoised = self.model.denoise(&info, &x)?;
            let fresh =
                settings.eta_ddim * ((1.0 - a_next) / (1.0 - a) * (1.0 - a / a_next)).sqrt();
            let kept = (1.0 - a_next - fresh * fresh).max(0.0).sqrt();
            let factor = (kept / a_next.sqrt() / info.sigma) as f32;
            let noisy = match &self.model.last_uncond {
                Some(uncond) => x.zip(uncond, |x, uncond| factor * (x - uncond)),
                None => x.zip(&denoised, |x, denoised| factor * (x - denoised)),
            };
            x = denoised.zip(&noisy, |denoised, noise| denoised + noise);
            if fresh > 0.0 {
                let factor = (fresh / a_next.sqrt()) as f32;
                x = x.zip(&rng.next(), |x, noise| x + factor * noise);
            }
            self.model.stepped(&info, &mut x)?;
        }
        Ok(x)
    }

    /// `plms` (Liu et al., 2022, arXiv 2202.09778): the noise of up to four steps, and at the first
    /// step that of its end too.
    pub(super) fn plms(self, x: Tensor) -> Result<Tensor, SampleError> {
        self.walk(x, Self::plms_steps)
    }

    fn plms_steps(mut self, mut x: Tensor) -> Result<Tensor, SampleError> {
        /// Weights of the noise of this step and those before it (Adams and Bashforth).
        const WEIGHTS: [&[f32]; 4] = [
            &[1.0],
            &[3.0 / 2.0, -1.0 / 2.0],
            &[23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0],
            &[55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
        ];
        let mut noises: VecDeque<Tensor> = VecDeque::with_capacity(WEIGHTS.len());
        for (info, _, _) in self.steps() {
            let noise = self.noise(&info, &x)?;
            let step = info.sigma_next - info.sigma;
            noises.truncate(WEIGHTS.len() - 1);
            let mut mean = match noises.len() {
                0 => {
                    let ahead = add(x.clone(), &noise, step);
                    let end = StepInfo { call: 1, sigma: info.sigma_next, ..info };
                    let other = self.noise(&end, &ahead)?;
                    noise.clone().zip(&other, f32::midpoint)
                }
                known => noise.clone().map(|noise| noise * WEIGHTS[known][0]),
            };
            for (known, weight) in noises.iter().zip(&WEIGHTS[noises.len()][1..]) {
                mean = mean.zip(known, |mean, known| mean + weight * known);
            }
            noises.push_front(noise);
            x = add(x, &mean, step);
            self.model.stepped(&info, &mut x)?;
        }
        Ok(x)
    }

    fn noise(&mut self, info: &StepInfo, x: &Tensor) -> Result<Tensor, SampleError> {
        let sigma = info.sigma as f32;
        let denoised = self.model.denoise(info, x)?;
        Ok(denoised.zip(x, |denoised, x| (x - denoised) / sigma))
    }
}
