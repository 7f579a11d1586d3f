//! The schedules there are, under A1111's names.

use statrs::distribution::{Beta, ContinuousCDF as _};

use super::discrete::{DiscreteSchedule, linspace};
use super::sampler::Sampler;
use super::settings::SamplerSettings;

/// The noise levels that a sampler steps through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheduler {
    /// The sampler's own choice, else the model's noise levels at even timesteps.
    #[default]
    Automatic,
    /// The model's noise levels at even timesteps.
    Uniform,
    /// Karras et al. (2022).
    Karras,
    /// Even in the logarithm.
    Exponential,
    /// A power of the way in the logarithm.
    Polyexponential,
    /// Even timesteps without the last one.
    SgmUniform,
    /// Even in the arc tangent.
    KlOptimal,
    /// Sabour et al. (2024), the levels found for Stable Diffusion 1.5, or for SDXL. Its ends are its
    /// own.
    AlignYourSteps,
    /// Every n-th noise level of the model, from the highest.
    Simple,
    /// Even timesteps between the highest and the lowest sigma.
    Normal,
    /// Every n-th noise level of the model, from the lowest.
    Ddim,
    /// Spread as a beta distribution is (Lee et al., 2024).
    Beta,
}

impl Scheduler {
    /// All schedules, in A1111 v1.10.1's order.
    pub const ALL: [Self; 12] = [
        Self::Automatic,
        Self::Uniform,
        Self::Karras,
        Self::Exponential,
        Self::Polyexponential,
        Self::SgmUniform,
        Self::KlOptimal,
        Self::AlignYourSteps,
        Self::Simple,
        Self::Normal,
        Self::Ddim,
        Self::Beta,
    ];

    /// The short name of A1111 v1.10.1's interface for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Uniform => "uniform",
            Self::Karras => "karras",
            Self::Exponential => "exponential",
            Self::Polyexponential => "polyexponential",
            Self::SgmUniform => "sgm_uniform",
            Self::KlOptimal => "kl_optimal",
            Self::AlignYourSteps => "align_your_steps",
            Self::Simple => "simple",
            Self::Normal => "normal",
            Self::Ddim => "ddim",
            Self::Beta => "beta",
        }
    }

    /// The name shown to people and written into infotext.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Automatic => "Automatic",
            Self::Uniform => "Uniform",
            Self::Karras => "Karras",
            Self::Exponential => "Exponential",
            Self::Polyexponential => "Polyexponential",
            Self::SgmUniform => "SGM Uniform",
            Self::KlOptimal => "KL Optimal",
            Self::AlignYourSteps => "Align Your Steps",
            Self::Simple => "Simple",
            Self::Normal => "Normal",
            Self::Ddim => "DDIM",
            Self::Beta => "Beta",
        }
    }

    /// Other names that A1111 v1.10.1 lists.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::SgmUniform => &["SGMUniform"],
            _ => &[],
        }
    }

    /// The schedule's own rho, where it has one.
    pub const fn default_rho(self) -> Option<f64> {
        match self {
            Self::Karras => Some(7.0),
            Self::Polyexponential => Some(1.0),
            _ => None,
        }
    }

    /// Whether [`SamplerSettings::sigma_min`] and `sigma_max` move its ends.
    pub const fn has_ends(self) -> bool {
        !matches!(self, Self::Automatic)
    }

    /// Whether it needs the model's noise levels and not only their ends.
    pub const fn needs_inner_model(self) -> bool {
        matches!(self, Self::Uniform | Self::SgmUniform | Self::Simple | Self::Normal | Self::Ddim)
    }

    /// The schedule of a name, label or alias, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| {
            s.name().eq_ignore_ascii_case(name)
                || s.label().eq_ignore_ascii_case(name)
                || s.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }

    /// The schedule that `sampler` makes of this one: [`Automatic`](Self::Automatic) becomes the
    /// sampler's own, if it has one. Its label is what infotext prints.
    pub fn resolve(self, sampler: Sampler) -> Self {
        match self {
            Self::Automatic => sampler.default_scheduler().unwrap_or(Self::Automatic),
            other => other,
        }
    }

    /// The noise levels for `steps` steps, falling, the last 0 except for
    /// [`KlOptimal`](Self::KlOptimal). As A1111 v1.10.1's `KDiffusionSampler.get_sigmas`.
    pub(crate) fn sigmas(
        self,
        sampler: Sampler,
        steps: usize,
        model: &DiscreteSchedule,
        settings: &SamplerSettings,
    ) -> Vec<f64> {
        let discard = settings.discard_next_to_last_sigma || sampler.discards_next_to_last_sigma();
        let n = steps + usize::from(discard);
        let or = |value: f64, own: f64| if value == 0.0 { own } else { value };
        let low = or(settings.sigma_min, model.sigma_min());
        let high = or(settings.sigma_max, model.sigma_max());
        let scheduler = self.resolve(sampler);
        let rho = or(settings.rho, scheduler.default_rho().unwrap_or(1.0));
        let timesteps =
            |count: usize| linspace(model.timestep_of(high), model.timestep_of(low), count);
        let at = |t: f64| model.sigma_at(t);
        let mut sigmas: Vec<f64> = match scheduler {
            Self::Automatic | Self::Uniform => {
                let mut sigmas = model.even(n);
                sigmas.pop();
                sigmas
            }
            Self::Karras => karras(high, low, rho, n),
            Self::Exponential => {
                linspace(high.ln(), low.ln(), n).into_iter().map(f64::exp).collect()
            }
            Self::Polyexponential => linspace(1.0, 0.0, n)
                .into_iter()
                .map(|r| (r.powf(rho) * (high.ln() - low.ln()) + low.ln()).exp())
                .collect(),
            Self::SgmUniform => timesteps(n + 1).into_iter().take(n).map(at).collect(),
            Self::Normal => timesteps(n).into_iter().map(at).collect(),
            Self::KlOptimal => (0..n)
                .map(|i| {
                    let r = i as f64 / n as f64;
                    (r * low.atan() + (1.0 - r) * high.atan()).tan()
                })
                .collect(),
            Self::AlignYourSteps if model.is_xl => between(&ALIGNED_XL, n),
            Self::AlignYourSteps => between(&ALIGNED, n),
            Self::Beta => beta(low, high, settings, n),
            Self::Simple => {
                let stride = model.len() as f64 / n as f64;
                (0..n)
                    .map(|i| model.sigma(model.len() - 1 - (i as f64 * stride) as usize))
                    .collect()
            }
            Self::Ddim => {
                let stride = (model.len() / n.max(1)).max(1);
                let levels: Vec<usize> = (1..model.len()).step_by(stride).collect();
                levels.into_iter().rev().map(|t| model.sigma(t)).collect()
            }
        };
        sigmas.push(if scheduler == Self::KlOptimal { low } else { 0.0 });
        if discard && sigmas.len() >= 2 {
            sigmas.remove(sigmas.len() - 2);
        }
        sigmas
    }
}

/// `n` levels from `high` to `low`, whose shares of the way are even in the probability of a beta
/// distribution. One with parameters that there is none for is even itself.
fn beta(low: f64, high: f64, settings: &SamplerSettings, n: usize) -> Vec<f64> {
    let distribution = Beta::new(settings.beta_alpha, settings.beta_beta).ok();
    let share = |p: f64| match &distribution {
        // The ends are exact; between them the inverse is found step by step.
        Some(beta) if p > 0.0 && p < 1.0 => beta.inverse_cdf(p),
        _ => p,
    };
    linspace(1.0, 0.0, n).into_iter().map(|p| low + share(p) * (high - low)).collect()
}

/// `n` levels from `high` to `low`, even in their `rho`-th roots (Karras et al., 2022).
pub(super) fn karras(high: f64, low: f64, rho: f64, n: usize) -> Vec<f64> {
    let (a, b) = (high.powf(1.0 / rho), low.powf(1.0 / rho));
    linspace(0.0, 1.0, n).into_iter().map(|r| (a + r * (b - a)).powf(rho)).collect()
}

/// Noise levels that Sabour et al. (2024) found best for ten steps of Stable Diffusion 1.5.
const ALIGNED: [f64; 11] =
    [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029];
/// The same for SDXL.
const ALIGNED_XL: [f64; 11] =
    [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029];

/// `n` levels along `levels`, straight in the logarithm between neighbours.
fn between(levels: &[f64], n: usize) -> Vec<f64> {
    let last = levels.len() - 1;
    linspace(0.0, last as f64, n)
        .into_iter()
        .map(|at| {
            let low = (at as usize).min(last - 1);
            let share = at - low as f64;
            ((1.0 - share) * levels[low].ln() + share * levels[low + 1].ln()).exp()
        })
        .collect()
}

impl std::fmt::Display for Scheduler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_is_karras_for_dpm_and_stays_for_euler() {
        assert_eq!(Scheduler::Automatic.resolve(Sampler::DpmPp2M), Scheduler::Karras);
        assert_eq!(Scheduler::Automatic.resolve(Sampler::Euler), Scheduler::Automatic);
        assert_eq!(Scheduler::Uniform.resolve(Sampler::DpmPp2M), Scheduler::Uniform);
    }

    #[test]
    fn names_labels_and_aliases_are_found_in_any_case() {
        assert_eq!(Scheduler::parse("KARRAS"), Some(Scheduler::Karras));
        assert_eq!(Scheduler::parse("sgm uniform"), Some(Scheduler::SgmUniform));
        assert_eq!(Scheduler::parse("SGMUniform"), Some(Scheduler::SgmUniform));
        assert_eq!(Scheduler::parse("gamma"), None);
    }
}
