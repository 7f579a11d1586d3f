//! The model's own noise levels.

use std::borrow::Cow;

use half::f16;
use serde::Deserialize;

use super::settings::SamplerSettings;
use crate::checkpoint::{Config, LoadError};

/// What the model was trained to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// The noise.
    Epsilon,
    /// The velocity: SD 2's large models.
    Velocity,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default = "thousand")]
    num_train_timesteps: usize,
    #[serde(default = "beta_start")]
    beta_start: f64,
    #[serde(default = "beta_end")]
    beta_end: f64,
    #[serde(default = "linear")]
    beta_schedule: String,
    trained_betas: Option<Vec<f64>>,
    prediction_type: Option<String>,
    rescale_betas_zero_snr: Option<bool>,
}

fn thousand() -> usize {
    1000
}

fn beta_start() -> f64 {
    0.0001
}

fn beta_end() -> f64 {
    0.02
}

fn linear() -> String {
    "linear".to_owned()
}

/// One noise level for each timestep of the training, and what lies between.
#[derive(Clone, Debug)]
pub(crate) struct DiscreteSchedule {
    prediction: Prediction,
    /// What is left of the picture at each timestep (`alphas_cumprod`).
    alphas: Vec<f64>,
    log_sigmas: Vec<f64>,
    /// Timesteps from one level to the next: 1, or what a consistency model leaves out.
    stride: usize,
    /// Whether it is SDXL's, for which other levels were found to be good.
    pub(super) is_xl: bool,
}

/// Levels of a consistency model (A1111 v1.10.1's LCM).
const CONSISTENCY_LEVELS: usize = 50;

impl DiscreteSchedule {
    /// Reads `scheduler/scheduler_config.json`; the scheduler's class does not matter.
    pub(crate) fn load(config: &Config) -> Result<Self, LoadError> {
        let (source, raw): (_, Raw) = config.parse(&[])?;
        let prediction = match raw.prediction_type.as_deref().unwrap_or("epsilon") {
            "epsilon" => Prediction::Epsilon,
            "v_prediction" => Prediction::Velocity,
            other => {
                return Err(source.wrong("prediction_type", other, "epsilon or v_prediction"));
            }
        };
        let n = raw.num_train_timesteps;
        let betas = match (&raw.trained_betas, raw.beta_schedule.as_str()) {
            (Some(betas), _) => betas.clone(),
            (None, "linear") => linspace(raw.beta_start, raw.beta_end, n),
            (None, "scaled_linear") => linspace(raw.beta_start.sqrt(), raw.beta_end.sqrt(), n)
                .into_iter()
                .map(|root| root * root)
                .collect(),
            (None, "squaredcos_cap_v2") => cosine(n),
            (None, other) => {
                let expected = "linear, scaled_linear or squaredcos_cap_v2";
                return Err(source.wrong("beta_schedule", other, expected));
            }
        };
        source.require(betas.len() >= 2, "num_train_timesteps", betas.len(), "at least 2")?;
        let mut alphas: Vec<f64> = betas
            .iter()
            .scan(1.0, |product, beta| {
                *product *= 1.0 - beta;
                Some(*product)
            })
            .collect();
        if raw.rescale_betas_zero_snr == Some(true) {
            rescale_to_zero_snr(&mut alphas);
        }
        let falls = alphas.windows(2).all(|pair| pair[1] < pair[0])
            && alphas.iter().all(|a| *a > 0.0 && *a < 1.0);
        source.require(falls, "beta_start, beta_end", "such", "betas between 0 and 1")?;
        Ok(Self::new(prediction, alphas))
    }

    pub(super) fn new(prediction: Prediction, alphas: Vec<f64>) -> Self {
        let log_sigmas = alphas.iter().map(|a| ((1.0 - a) / a).sqrt().ln()).collect();
        Self { prediction, alphas, log_sigmas, stride: 1, is_xl: false }
    }

    /// The same for SDXL, or for another kind of model.
    pub(crate) fn of_xl(self, is_xl: bool) -> Self {
        Self { is_xl, ..self }
    }

    /// The one that the settings make of it: A1111 v1.10.1's `apply_alpha_schedule_override`.
    pub(super) fn overridden(&self, settings: &SamplerSettings) -> Cow<'_, Self> {
        if !(settings.downcast_alphas || settings.zero_terminal_snr) {
            return Cow::Borrowed(self);
        }
        let mut alphas = self.alphas.clone();
        if settings.downcast_alphas {
            for alpha in &mut alphas {
                *alpha = f16::from_f64(*alpha).to_f64();
            }
        }
        if settings.zero_terminal_snr {
            rescale_to_zero_snr(&mut alphas);
        }
        Cow::Owned(Self::new(self.prediction, alphas).of_xl(self.is_xl))
    }

    /// The levels that a consistency model was taught: every twentieth, up to the last.
    pub(super) fn consistency(&self) -> Self {
        let stride = (self.len() / CONSISTENCY_LEVELS).max(1);
        let kept = self.alphas.iter().rev().step_by(stride).take(CONSISTENCY_LEVELS);
        let mut alphas: Vec<f64> = kept.copied().collect();
        alphas.reverse();
        Self { stride, ..Self::new(self.prediction, alphas).of_xl(self.is_xl) }
    }

    /// Shares of the input and of the model's finished latents in the answer: a consistency model's
    /// answer at the lowest level is the input (Song et al., 2023, arXiv 2303.01469).
    pub(super) fn boundary(&self, sigma: f64) -> (f64, f64) {
        if self.stride == 1 {
            return (0.0, 1.0);
        }
        let (data, scaled) = (0.5, self.timestep_of(sigma) * 10.0);
        let level: f64 = scaled * scaled + data * data;
        (data * data / level, scaled / level.sqrt())
    }

    pub(crate) fn prediction(&self) -> Prediction {
        self.prediction
    }

    /// The number of timesteps.
    pub(crate) fn len(&self) -> usize {
        self.alphas.len()
    }

    /// What is left of the picture at `timestep`; past the end, at the last.
    pub(crate) fn alpha(&self, timestep: usize) -> f64 {
        self.alphas[timestep.min(self.len() - 1)]
    }

    /// The noise level of a whole timestep.
    pub(crate) fn sigma(&self, timestep: usize) -> f64 {
        self.log_sigmas[timestep.min(self.len() - 1)].exp()
    }

    pub(crate) fn sigma_min(&self) -> f64 {
        self.sigma(0)
    }

    pub(crate) fn sigma_max(&self) -> f64 {
        self.sigma(self.len() - 1)
    }

    /// The noise level of a timestep that may be fractional (k-diffusion's `t_to_sigma`).
    pub(crate) fn sigma_at(&self, t: f64) -> f64 {
        let t = (t - self.offset()) / self.stride as f64;
        let t = t.clamp(0.0, (self.len() - 1) as f64);
        let low = t.floor() as usize;
        let w = t - low as f64;
        let high = (low + 1).min(self.len() - 1);
        ((1.0 - w) * self.log_sigmas[low] + w * self.log_sigmas[high]).exp()
    }

    /// The timestep of the lowest level.
    fn offset(&self) -> f64 {
        (self.stride - 1) as f64
    }

    /// The timestep of a noise level: fractional (k-diffusion's `sigma_to_t` without rounding), for a
    /// consistency model that of the nearest level.
    pub(crate) fn timestep_of(&self, sigma: f64) -> f64 {
        let level = self.level_of(sigma);
        if self.stride == 1 {
            return level;
        }
        level.round() * self.stride as f64 + self.offset()
    }

    /// How much of the way to a finished picture a timestep has behind it, 0 to 1.
    pub(super) fn share_at(&self, timestep: f64) -> f64 {
        let count = (self.len() * self.stride) as f64;
        (count - 1.0 - timestep.round()) / count
    }

    fn level_of(&self, sigma: f64) -> f64 {
        let log = sigma.ln();
        let low = self.log_sigmas.partition_point(|l| *l <= log).saturating_sub(1);
        let low = low.min(self.len() - 2);
        let (a, b) = (self.log_sigmas[low], self.log_sigmas[low + 1]);
        let w = ((a - log) / (a - b)).clamp(0.0, 1.0);
        low as f64 + w
    }

    /// `n` noise levels at even timesteps from the highest to the lowest, then 0 (k-diffusion's
    /// `get_sigmas`).
    pub(crate) fn even(&self, n: usize) -> Vec<f64> {
        let low = self.offset();
        let last = low + ((self.len() - 1) * self.stride) as f64;
        let mut sigmas: Vec<f64> =
            linspace(last, low, n).into_iter().map(|t| self.sigma_at(t)).collect();
        sigmas.push(0.0);
        sigmas
    }
}

/// `n` even values from `start` to `end`, both included; one value is `start`.
pub(super) fn linspace(start: f64, end: f64, n: usize) -> Vec<f64> {
    let step = (end - start) / n.saturating_sub(1).max(1) as f64;
    (0..n).map(|i| start + step * i as f64).collect()
}

/// diffusers' `squaredcos_cap_v2`.
fn cosine(n: usize) -> Vec<f64> {
    let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let n = n as f64;
    (0..n as usize)
        .map(|i| (1.0 - bar((i as f64 + 1.0) / n) / bar(i as f64 / n)).min(0.999))
        .collect()
}

/// diffusers' `rescale_zero_terminal_snr`, ending at A1111's small value instead of 0, at which
/// sigma would be infinite.
fn rescale_to_zero_snr(alphas: &mut [f64]) {
    let roots: Vec<f64> = alphas.iter().map(|a| a.sqrt()).collect();
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    for (alpha, root) in alphas.iter_mut().zip(&roots) {
        *alpha = ((root - last) * first / (first - last)).powi(2);
    }
    if let Some(end) = alphas.last_mut() {
        *end = 4.897_345_189_085_343_5e-8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestep_and_sigma_are_inverse_between_whole_steps() {
        let alphas: Vec<f64> = linspace(0.9985, 0.0047, 1000);
        let schedule = DiscreteSchedule::new(Prediction::Epsilon, alphas);
        for t in [0.0, 0.25, 17.0, 481.37, 998.999, 999.0] {
            assert!((schedule.timestep_of(schedule.sigma_at(t)) - t).abs() < 1e-6, "{t}");
        }
        assert!(schedule.timestep_of(1e-9).abs() < 1e-12);
        assert!((schedule.timestep_of(1e9) - 999.0).abs() < 1e-12);
    }
}
