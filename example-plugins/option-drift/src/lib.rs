//! Writes a live option in mid-run and reads it back: the habit that makes runs hard to repeat.
//!
//! Many extensions steer their host that way: they set an option, let the run go on with it, and put
//! the old value back at the end. This one does the same with an option of its own, and lets the
//! value show: it tints the pictures. What it writes depends on how many runs it has seen, so every
//! run of a session looks different, although all of them have the same settings.

#![deny(missing_docs, unsafe_code)]

mod tint;

use std::sync::atomic::{AtomicU32, Ordering};

use atelier_plugin_api::prelude::*;

const LEVEL: &str = "option_drift_level";
const STEP: &str = "option_drift_step";
const RESTORE: &str = "option_drift_restore";

/// What outlives a run: their number. It is why this plugin has a [`Plugin`] and not a [`Run`] alone.
#[derive(Debug, Default)]
pub struct OptionDrift {
    runs: AtomicU32,
}

#[plugin(id = "option-drift", name = "Option drift")]
impl Plugin for OptionDrift {
    type Run = DriftRun;

    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::float(LEVEL, 0.0)
                .range(0.0, 1.0)
                .label("Level")
                .doc("How warm the pictures are; the plugin writes it in mid-run."),
            OptionSpec::int(STEP, 1)
                .range(0.0, 150.0)
                .label("Step")
                .doc("The sampler step, from 0, after which the level is written."),
            OptionSpec::bool(RESTORE, true)
                .label("Put the level back when the run is over")
                .doc("Only what was written live needs it."),
        ]
    }

    fn args() -> Vec<ArgSpec> {
        vec![
            ArgSpec::text("write", Target::Live.name())
                .choices([Target::Live, Target::Run].map(Target::name))
                .label("Where the level is written"),
        ]
    }

    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        Ok(Self::default())
    }

    fn start(&self, cx: &RunStart<'_>) -> Result<DriftRun, PluginError> {
        let write: String = cx.args().get("write")?;
        Ok(DriftRun {
            next: level_of_run(self.runs.fetch_add(1, Ordering::Relaxed)),
            target: Target::from_name(&write),
            before: None,
            seen: Vec::new(),
        })
    }
}

/// Where the level is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// `live().set`: for everybody, at once; the old way.
    Live,
    /// `run_options().set`: for this run; the migrated way.
    Run,
}

impl Target {
    const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Run => "run",
        }
    }

    fn from_name(name: &str) -> Self {
        if name == Self::Run.name() { Self::Run } else { Self::Live }
    }
}

/// One run of it.
#[derive(Debug)]
pub struct DriftRun {
    /// The level that this run will write.
    next: f64,
    target: Target,
    /// The level that was there before a live write.
    before: Option<f64>,
    /// The level as it was read after every step of this iteration.
    seen: Vec<f64>,
}

#[plugin_run]
impl Run for DriftRun {
    fn before_process_batch(&mut self, _: &mut BatchCx<'_>) -> HookResult {
        self.seen.clear();
        Ok(())
    }

    /// Reads the level after every step, and writes it after one of them.
    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        let level: f64 = cx.live().get(LEVEL)?;
        self.seen.push(level);
        if cx.step() != cx.live().get::<u32>(STEP)? {
            return Ok(());
        }
        match self.target {
            Target::Run => cx.run_options().set(LEVEL, self.next)?,
            Target::Live => {
                cx.live().set(LEVEL, self.next)?;
                self.before.get_or_insert(level);
            }
        }
        Ok(())
    }

    /// Tints the picture by the level as it is now, and tells its infotext what the steps saw.
    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        let level: f64 = cx.live().get(LEVEL)?;
        cx.infotext("Option drift", told(&self.seen, level))?;
        tint::warm(cx.image_mut().data, level);
        Ok(())
    }

    /// Puts the level back. Between the write and this moment every other run saw it too.
    fn finish(&mut self, cx: &mut FinishCx<'_>) -> HookResult {
        if let Some(before) = self.before.take()
            && cx.live().get(RESTORE)?
        {
            cx.live().set(LEVEL, before)?;
        }
        Ok(())
    }
}

/// The level that the `run`-th run writes: 0.2, 0.4, … 1.0, and again from the beginning.
fn level_of_run(run: u32) -> f64 {
    f64::from(run % 5 + 1) / 5.0
}

/// What was read, in words: runs of equal levels are written once.
fn told(steps: &[f64], picture: f64) -> String {
    let groups = steps.chunk_by(|a, b| a.to_bits() == b.to_bits());
    let steps: Vec<_> = groups
        .filter_map(|group| Some(format!("{:.1} × {}", group.first()?, group.len())))
        .collect();
    format!("steps {}; picture {picture:.1}", steps.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_writes_another_level_than_the_one_before() {
        let levels: Vec<_> = (0..6).map(level_of_run).collect();
        assert_eq!(levels, [0.2, 0.4, 0.6, 0.8, 1.0, 0.2]);
    }

    #[test]
    fn the_infotext_tells_what_every_step_saw() {
        assert_eq!(told(&[0.0, 0.0, 0.4], 0.4), "steps 0.0 × 2, 0.4 × 1; picture 0.4");
        assert_eq!(told(&[], 0.0), "steps ; picture 0.0");
    }

    #[test]
    fn targets_are_found_by_their_names() {
        assert_eq!(Target::from_name("run"), Target::Run);
        assert_eq!(Target::from_name("live"), Target::Live);
    }
}
