//! The samplers there are, under A1111's names.

use super::scheduler::Scheduler;

/// A way from noise to a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sampler {
    /// DPM-Solver++ (2M).
    DpmPp2M,
    /// Euler with fresh noise at every step.
    EulerA,
    /// Euler.
    Euler,
    /// DDIM on the model's own timesteps.
    Ddim,
}

impl Sampler {
    /// All samplers, in A1111 v1.10.1's order.
    pub const ALL: [Self; 4] = [Self::DpmPp2M, Self::EulerA, Self::Euler, Self::Ddim];

    /// The name, as A1111 v1.10.1 has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DpmPp2M => "DPM++ 2M",
            Self::EulerA => "Euler a",
            Self::Euler => "Euler",
            Self::Ddim => "DDIM",
        }
    }

    /// Other names that A1111 v1.10.1 lists.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::DpmPp2M => &["k_dpmpp_2m"],
            Self::EulerA => &["k_euler_a", "k_euler_ancestral"],
            Self::Euler => &["k_euler"],
            Self::Ddim => &["ddim"],
        }
    }

    /// What [`Scheduler::Automatic`] means for this sampler, where it is not the model's own
    /// schedule.
    pub const fn default_scheduler(self) -> Option<Scheduler> {
        match self {
            Self::DpmPp2M => Some(Scheduler::Karras),
            Self::EulerA | Self::Euler | Self::Ddim => None,
        }
    }

    /// Whether its steps draw noise from the seed plus A1111's `eta_noise_seed_delta`.
    pub const fn uses_ensd(self) -> bool {
        matches!(self, Self::EulerA)
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
