//! Checkpoints beside the run's own: one that draws the rest of a picture (A1111's refiner), one that draws
//! the second pass.

use std::sync::Arc;

use super::{
    active::ActiveRun,
    error::{Ended, RunError},
    pipeline::{ModelProvider, Pipeline, Refiner, TextSettings},
    request::RunRequest,
    sample::Pass,
};

/// A checkpoint that draws the rest.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RefinerPlan {
    checkpoint: String,
    switch_at: Option<f64>,
}

/// What A1111's clients send for none.
const NONE: [&str; 4] = ["", "None", "none", "Use same checkpoint"];

/// The checkpoint that a name asks for, if it asks for one.
pub(super) fn asked_for(name: Option<&String>) -> Option<&String> {
    name.filter(|name| !NONE.contains(&name.as_str()))
}

impl RefinerPlan {
    /// None for a run of one checkpoint.
    ///
    /// # Errors
    /// [`RunError::Parameter`]: no such checkpoint, or a share that is none.
    pub(super) fn of(
        request: &RunRequest,
        provider: &dyn ModelProvider,
    ) -> Result<Option<Self>, RunError> {
        let Some(checkpoint) = asked_for(request.refiner_checkpoint.as_ref()) else {
            return Ok(None);
        };
        known(provider, "refiner_checkpoint", checkpoint)?;
        let switch_at = request.refiner_switch_at;
        if let Some(at) = switch_at.filter(|at| !(0.0..=1.0).contains(at)) {
            let reason = format!("{at} is not a number from 0 to 1");
            return Err(RunError::Parameter { field: "refiner_switch_at", reason });
        }
        Ok(Some(Self { checkpoint: checkpoint.clone(), switch_at }))
    }
}

/// Whether there is such a checkpoint.
///
/// # Errors
/// [`RunError::Parameter`].
pub(super) fn known(
    provider: &dyn ModelProvider,
    field: &'static str,
    name: &str,
) -> Result<(), RunError> {
    let found = provider.size_multiple(Some(name)).map(|_| ());
    found.map_err(|error| RunError::Parameter { field, reason: error.to_string() })
}

impl ActiveRun<'_> {
    /// A checkpoint beside the run's own, with all that this one has.
    pub(super) fn checkpoint_beside(&mut self, name: &str) -> Result<Arc<dyn Pipeline>, Ended> {
        if let Some(pipeline) = self.beside.get(name) {
            return Ok(pipeline.clone());
        }
        let pipeline = self.runner.provider().beside(name)?;
        let pipeline = self.furnished(pipeline)?;
        self.beside.insert(name.to_owned(), pipeline.clone());
        Ok(pipeline)
    }

    /// What draws the rest of a pass that `pipeline` begins.
    pub(super) fn refiner(
        &mut self,
        pipeline: &dyn Pipeline,
        pass: &Pass,
        text: &TextSettings,
    ) -> Result<Option<Refiner>, Ended> {
        let Some(RefinerPlan { checkpoint, switch_at }) = self.refiner.clone() else {
            return Ok(None);
        };
        let seam = &mut self.hooks.seam;
        let by_steps = seam.host_bool("refiner_switch_by_sample_steps");
        let own = if pass.behind.is_some() { "second pass" } else { "first pass" };
        if self.hires.is_some() && !["both passes", own].contains(&&*seam.host_text(PASSES)) {
            return Ok(None);
        }
        let base = self.checkpoint_beside(&checkpoint)?;
        if base.model().sha256 == pipeline.model().sha256 {
            return Ok(None);
        }
        let pipeline = self.with_networks(&base, &pass.tags);
        let (cond, uncond, padding) = self.encode_prompts(pipeline.as_ref(), pass, text)?;
        Ok(Some(Refiner { pipeline, cond, uncond, padding, switch_at, by_steps }))
    }

    /// What A1111 tells of a refiner that had its turn, under its keys.
    pub(super) fn tell_refiner(&mut self, refiner: &dyn Pipeline, by_steps: bool) {
        let passes = self.hires.is_some().then(|| self.hooks.seam.host_text(PASSES));
        let infotext = &mut self.hooks.infotext;
        infotext.set("Refiner", refiner.model().short_title());
        if let Some(at) = self.refiner.as_ref().and_then(|plan| plan.switch_at) {
            infotext.set("Refiner switch at", at);
        }
        if by_steps {
            infotext.set("Refiner switch by sampling steps", true);
        }
        if let Some(passes) = passes.filter(|passes| &**passes != "second pass") {
            infotext.set("Hires refiner", &*passes);
        }
    }
}

/// The option that says which passes of two a refiner is for.
const PASSES: &str = "hires_fix_refiner_pass";
