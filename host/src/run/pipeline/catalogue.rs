//! Samplers and schedulers by their names.

use super::PipelineError;

/// The samplers and schedulers of an engine. They do not depend on the checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue {
    /// Ways to resize latents, by A1111's names; the first is the default.
    pub latent_upscalers: fn() -> Vec<&'static str>,
    /// The names of all samplers, as A1111 has them.
    pub samplers: fn() -> Vec<&'static str>,
    /// The names of all schedulers, as A1111 has them.
    pub schedulers: fn() -> Vec<&'static str>,
    /// A sampler's name as A1111 writes it, for a name or alias in any case.
    pub sampler: fn(&str) -> Option<&'static str>,
    /// What a scheduler's name means for a sampler: “Automatic” resolved where the sampler has a
    /// default of its own, for the infotext.
    pub scheduler: fn(&str, &str) -> Option<&'static str>,
    /// The settings that sampler and scheduler heed, by their names.
    pub heeds: fn(&str, &str) -> Heeds,
}

/// Which settings a sampler with its scheduler heeds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Heeds {
    /// `eta_ancestral`.
    pub eta_ancestral: bool,
    /// `eta_ddim`.
    pub eta_ddim: bool,
    /// `s_churn`, `s_tmin` and `s_tmax`.
    pub churn: bool,
    /// `s_noise`.
    pub noise: bool,
    /// `eta_noise_seed_delta`, where eta is not 0.
    pub ensd: bool,
    /// `sgm_noise_multiplier`: it walks the noise levels of a scheduler.
    pub sigmas: bool,
    /// The settings of UniPC.
    pub uni_pc: bool,
    /// `sigma_min` and `sigma_max`.
    pub ends: bool,
    /// `rho`, with the value that it has without.
    pub rho: Option<f64>,
    /// `beta_dist_alpha` and `beta_dist_beta`.
    pub beta: bool,
    /// It discards the next to last sigma anyway.
    pub discards: bool,
}

impl Catalogue {
    /// The sampler of that name.
    ///
    /// # Errors
    /// [`PipelineError::UnknownName`], with those that there are.
    pub fn find_sampler(&self, name: &str) -> Result<&'static str, PipelineError> {
        (self.sampler)(name).ok_or_else(|| PipelineError::UnknownName {
            kind: "sampler",
            name: name.to_owned(),
            known: (self.samplers)().join(", "),
        })
    }

    /// The scheduler that the name means for that sampler.
    ///
    /// # Errors
    /// [`PipelineError::UnknownName`], with those that there are.
    pub fn find_scheduler(&self, name: &str, sampler: &str) -> Result<&'static str, PipelineError> {
        (self.scheduler)(name, sampler).ok_or_else(|| PipelineError::UnknownName {
            kind: "scheduler",
            name: name.to_owned(),
            known: (self.schedulers)().join(", "),
        })
    }
}
