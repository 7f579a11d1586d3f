//! The samplers there are, under A1111's names.

use super::scheduler::Scheduler;
use super::settings::Heeds;

/// A way from noise to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sampler {
    /// DPM-Solver++ (2M).
    DpmPp2M,
    /// DPM-Solver++ of a stochastic equation, looking ahead.
    DpmPpSde,
    /// DPM-Solver++ (2M) of a stochastic equation, by the midpoint.
    DpmPp2MSde,
    /// The same by Heun's rule.
    DpmPp2MSdeHeun,
    /// DPM-Solver++ (2S) with fresh noise at every step.
    DpmPp2SA,
    /// DPM-Solver++ (3M) of a stochastic equation.
    DpmPp3MSde,
    /// Euler with fresh noise at every step.
    EulerA,
    /// Euler.
    Euler,
    /// Linear multistep of the fourth order.
    Lms,
    /// Heun: Euler, with the slope at the step's end taken in.
    Heun,
    /// DPM-Solver-2.
    Dpm2,
    /// DPM-Solver-2 with fresh noise at every step.
    Dpm2A,
    /// DPM-Solver of the third order, in as many model calls as there are steps.
    DpmFast,
    /// DPM-Solver that chooses its steps itself.
    DpmAdaptive,
    /// Heun with ways back to higher noise levels.
    Restart,
    /// DDIM on the model's own timesteps.
    Ddim,
    /// DDIM that takes the noise of the negative prompt.
    DdimCfgPp,
    /// Linear multistep on the model's own timesteps.
    Plms,
    /// A predictor and corrector of several steps.
    UniPc,
    /// For models that finish a picture in one call.
    Lcm,
}

impl Sampler {
    /// All samplers, in A1111 v1.10.1's order.
    pub const ALL: [Self; 20] = [
        Self::DpmPp2M,
        Self::DpmPpSde,
        Self::DpmPp2MSde,
        Self::DpmPp2MSdeHeun,
        Self::DpmPp2SA,
        Self::DpmPp3MSde,
        Self::EulerA,
        Self::Euler,
        Self::Lms,
        Self::Heun,
        Self::Dpm2,
        Self::Dpm2A,
        Self::DpmFast,
        Self::DpmAdaptive,
        Self::Restart,
        Self::Ddim,
        Self::DdimCfgPp,
        Self::Plms,
        Self::UniPc,
        Self::Lcm,
    ];

    /// The name, as A1111 v1.10.1 has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DpmPp2M => "DPM++ 2M",
            Self::DpmPpSde => "DPM++ SDE",
            Self::DpmPp2MSde => "DPM++ 2M SDE",
            Self::DpmPp2MSdeHeun => "DPM++ 2M SDE Heun",
            Self::DpmPp3MSde => "DPM++ 3M SDE",
            Self::EulerA => "Euler a",
            Self::Euler => "Euler",
            Self::DpmPp2SA => "DPM++ 2S a",
            Self::Lms => "LMS",
            Self::Heun => "Heun",
            Self::Dpm2 => "DPM2",
            Self::Dpm2A => "DPM2 a",
            Self::DpmFast => "DPM fast",
            Self::DpmAdaptive => "DPM adaptive",
            Self::Restart => "Restart",
            Self::Ddim => "DDIM",
            Self::DdimCfgPp => "DDIM CFG++",
            Self::Plms => "PLMS",
            Self::UniPc => "UniPC",
            Self::Lcm => "LCM",
        }
    }

    /// Other names that A1111 v1.10.1 lists.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::DpmPp2M => &["k_dpmpp_2m"],
            Self::DpmPpSde => &["k_dpmpp_sde"],
            Self::DpmPp2MSde => &["k_dpmpp_2m_sde"],
            Self::DpmPp2MSdeHeun => &["k_dpmpp_2m_sde_heun"],
            Self::DpmPp3MSde => &["k_dpmpp_3m_sde"],
            Self::EulerA => &["k_euler_a", "k_euler_ancestral"],
            Self::Euler => &["k_euler"],
            Self::DpmPp2SA => &["k_dpmpp_2s_a"],
            Self::Lms => &["k_lms"],
            Self::Heun => &["k_heun"],
            Self::Dpm2 => &["k_dpm_2"],
            Self::Dpm2A => &["k_dpm_2_a"],
            Self::DpmFast => &["k_dpm_fast"],
            Self::DpmAdaptive => &["k_dpm_ad"],
            Self::Restart => &["restart"],
            Self::Ddim => &["ddim"],
            Self::DdimCfgPp => &["ddim_cfgpp"],
            Self::Plms => &["plms"],
            Self::UniPc => &["unipc"],
            Self::Lcm => &["k_lcm"],
        }
    }

    /// What [`Scheduler::Automatic`] means for this sampler, where it is not the model's own
    /// schedule.
    pub const fn default_scheduler(self) -> Option<Scheduler> {
        match self {
            Self::DpmPp2M
            | Self::DpmPpSde
            | Self::DpmPp2SA
            | Self::Dpm2
            | Self::Dpm2A
            | Self::Restart => Some(Scheduler::Karras),
            Self::DpmPp2MSde | Self::DpmPp2MSdeHeun | Self::DpmPp3MSde => {
                Some(Scheduler::Exponential)
            }
            Self::EulerA
            | Self::Euler
            | Self::Lms
            | Self::Heun
            | Self::DpmFast
            | Self::DpmAdaptive
            | Self::Ddim
            | Self::DdimCfgPp
            | Self::Plms
            | Self::UniPc
            | Self::Lcm => None,
        }
    }

    /// The settings that it heeds.
    pub const fn heeds(self) -> Heeds {
        let none = Heeds {
            eta_ancestral: false,
            eta_ddim: false,
            churn: false,
            noise: false,
            ensd: false,
            sigmas: true,
            uni_pc: false,
        };
        let timesteps = Heeds { sigmas: false, ..none };
        match self {
            Self::DpmPp2M | Self::Lms | Self::Restart | Self::Lcm => none,
            Self::EulerA | Self::DpmAdaptive => Heeds { eta_ancestral: true, ensd: true, ..none },
            Self::DpmPp2SA | Self::Dpm2A | Self::DpmFast => {
                Heeds { eta_ancestral: true, noise: true, ensd: true, ..none }
            }
            Self::DpmPpSde | Self::DpmPp2MSde | Self::DpmPp2MSdeHeun | Self::DpmPp3MSde => {
                Heeds { eta_ancestral: true, noise: true, ..none }
            }
            Self::Euler | Self::Heun | Self::Dpm2 => Heeds { churn: true, noise: true, ..none },
            Self::Ddim | Self::DdimCfgPp => Heeds { eta_ddim: true, ..timesteps },
            Self::Plms => timesteps,
            Self::UniPc => Heeds { uni_pc: true, ..timesteps },
        }
    }

    /// Whether it leaves out the last noise level above 0, as if
    /// [`discard_next_to_last_sigma`](super::SamplerSettings::discard_next_to_last_sigma) were set.
    pub const fn discards_next_to_last_sigma(self) -> bool {
        matches!(self, Self::Dpm2 | Self::Dpm2A | Self::DpmPp3MSde)
    }

    /// The model calls that A1111 v1.10.1 plans for a number of steps: two a step where the sampler looks
    /// ahead, the last one counted in.
    pub const fn calls_of(self, steps: usize) -> usize {
        match self {
            Self::Heun
            | Self::Dpm2
            | Self::Dpm2A
            | Self::DpmPp2SA
            | Self::DpmPpSde
            | Self::Restart => 2 * steps,
            _ => steps,
        }
    }

    /// The sampler of a name or alias, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| {
            s.name().eq_ignore_ascii_case(name)
                || s.aliases().iter().any(|alias| alias.eq_ignore_ascii_case(name))
        })
    }
}

impl std::fmt::Display for Sampler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_aliases_are_found_in_any_case() {
        assert_eq!(Sampler::parse("euler A"), Some(Sampler::EulerA));
        assert_eq!(Sampler::parse("K_DPMPP_2M"), Some(Sampler::DpmPp2M));
        assert_eq!(Sampler::parse("Euler  a"), None);
        for sampler in Sampler::ALL {
            assert_eq!(Sampler::parse(sampler.name()), Some(sampler));
        }
    }
}
