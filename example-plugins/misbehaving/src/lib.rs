//! Fails in every way a plugin can: for trying out what a host does then.
//!
//! The environment variable [`VARIABLE`] lists the faults; without it the plugin does nothing. It has
//! every hook there is, so it also shows them all.

#![deny(missing_docs, unsafe_code)]

mod fatal;
mod faults;
mod stages;

use std::sync::Arc;

use atelier_plugin_api::prelude::*;
use faults::{Faults, Kind};
use stages::Stage;

/// The environment variable that is read when the plugin is loaded.
pub const VARIABLE: &str = "ATELIER_MISBEHAVE";

/// The environment variable with the file that `write-file` writes.
pub const FILE: &str = "ATELIER_MISBEHAVE_FILE";
/// The environment variable with the address that `connect` connects to.
pub const ADDRESS: &str = "ATELIER_MISBEHAVE_ADDRESS";

/// Knows what shall go wrong.
#[derive(Debug)]
pub struct Misbehaving(Arc<Faults>);

#[plugin(id = "misbehaving", name = "Misbehaving")]
impl Plugin for Misbehaving {
    type Run = MisbehavingRun;

    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        let list = std::env::var(VARIABLE).unwrap_or_default();
        Ok(Self(Arc::new(Faults::parse(&list)?)))
    }

    fn model_loaded(&self, cx: &mut ModelCx<'_>) -> HookResult {
        misbehave(&self.0, "model_loaded", cx)
    }

    fn before_process(&self, cx: &mut RequestCx<'_>) -> HookResult {
        misbehave(&self.0, "before_process", cx)
    }

    fn start(&self, _: &RunStart<'_>) -> Result<MisbehavingRun, PluginError> {
        misbehave(&self.0, "start", &mut stages::Nothing)?;
        Ok(MisbehavingRun(Arc::clone(&self.0)))
    }
}

/// One run of it.
#[derive(Debug)]
pub struct MisbehavingRun(Arc<Faults>);

#[plugin_run]
impl Run for MisbehavingRun {
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        misbehave(&self.0, "process", cx)
    }
    fn before_process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        misbehave(&self.0, "before_process_batch", cx)
    }
    fn after_extra_networks_activate(&mut self, cx: &mut NetworksCx<'_>) -> HookResult {
        misbehave(&self.0, "after_extra_networks_activate", cx)
    }
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        misbehave(&self.0, "process_batch", cx)
    }
    fn before_hr(&mut self, cx: &mut HiresCx<'_>) -> HookResult {
        misbehave(&self.0, "before_hr", cx)
    }
    fn process_before_every_sampling(&mut self, cx: &mut SamplingCx<'_>) -> HookResult {
        misbehave(&self.0, "process_before_every_sampling", cx)
    }
    fn extra_noise(&mut self, cx: &mut ExtraNoiseCx<'_>) -> HookResult {
        misbehave(&self.0, "extra_noise", cx)
    }
    fn cfg_denoiser(&mut self, cx: &mut DenoiserCx<'_>) -> HookResult {
        misbehave(&self.0, "cfg_denoiser", cx)
    }
    fn cfg_denoised(&mut self, cx: &mut DenoisedCx<'_>) -> HookResult {
        misbehave(&self.0, "cfg_denoised", cx)
    }
    fn cfg_combine(&mut self, cx: &mut CombineCx<'_>) -> HookResult {
        misbehave(&self.0, "cfg_combine", cx)
    }
    fn on_mask_blend(&mut self, cx: &mut MaskBlendCx<'_>) -> HookResult {
        misbehave(&self.0, "on_mask_blend", cx)
    }
    fn cfg_after_cfg(&mut self, cx: &mut AfterCfgCx<'_>) -> HookResult {
        misbehave(&self.0, "cfg_after_cfg", cx)
    }
    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        misbehave(&self.0, "after_step", cx)
    }
    fn post_sample(&mut self, cx: &mut LatentsCx<'_>) -> HookResult {
        misbehave(&self.0, "post_sample", cx)
    }
    fn postprocess_batch(&mut self, cx: &mut PixelsCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess_batch", cx)
    }
    fn postprocess_batch_list(&mut self, cx: &mut ImagesCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess_batch_list", cx)
    }
    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess_image", cx)
    }
    fn postprocess_maskoverlay(&mut self, cx: &mut MaskoverlayCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess_maskoverlay", cx)
    }
    fn postprocess_image_after_composite(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess_image_after_composite", cx)
    }
    fn before_image_saved(&mut self, cx: &mut SaveCx<'_>) -> HookResult {
        misbehave(&self.0, "before_image_saved", cx)
    }
    fn image_saved(&mut self, cx: &mut SavedCx<'_>) -> HookResult {
        misbehave(&self.0, "image_saved", cx)
    }
    fn image_grid(&mut self, cx: &mut GridCx<'_>) -> HookResult {
        misbehave(&self.0, "image_grid", cx)
    }
    fn postprocess(&mut self, cx: &mut ResultCx<'_>) -> HookResult {
        misbehave(&self.0, "postprocess", cx)
    }
    fn finish(&mut self, cx: &mut FinishCx<'_>) -> HookResult {
        misbehave(&self.0, "finish", cx)
    }
}

impl Drop for MisbehavingRun {
    fn drop(&mut self) {
        assert!(!self.0.in_drop, "misbehaving: panic-in-drop");
    }
}

/// A panic payload that panics when it is dropped.
#[derive(Debug)]
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        // Not where the drop is part of an unwinding, which would end the process: a real payload of
        // this kind is dropped by whoever caught the panic.
        assert!(std::thread::panicking(), "misbehaving: the payload of a panic was dropped");
    }
}

/// Does what the list says for a hook.
#[allow(clippy::panic, reason = "it is what the plugin is for")]
fn misbehave(faults: &Faults, hook: &'static str, stage: &mut impl Stage) -> HookResult {
    let words = |what: &str| format!("misbehaving: {what} in {hook}, as asked for");
    for fault in faults.of(hook) {
        match fault {
            Kind::Panic => panic!("{}", words("a panic")),
            Kind::PanicPayloadDrop => std::panic::panic_any(Grenade),
            Kind::Error => return Err(PluginError::new(words("an error"))),
            Kind::Stop => return Err(PluginError::stop_run(words("the run is stopped"))),
            Kind::Fatal(fatal) => fatal::commit(fatal)?,
            Kind::Slow(time) => std::thread::sleep(time),
            Kind::Nan => stage.poison()?,
            Kind::ChangeThenError => {
                stage.change()?;
                return Err(PluginError::new(words("an error after changes")));
            }
            Kind::ChangeThenPanic => {
                stage.change()?;
                panic!("{}", words("a panic after changes"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Recorder {
        changed: bool,
        poisoned: bool,
    }

    impl Stage for Recorder {
        fn change(&mut self) -> HookResult {
            self.changed = true;
            Ok(())
        }
        fn poison(&mut self) -> HookResult {
            self.poisoned = true;
            Ok(())
        }
    }

    fn run(list: &str, stage: &mut Recorder) -> HookResult {
        misbehave(&Faults::parse(list)?, "process", stage)
    }

    #[test]
    fn without_faults_nothing_happens() {
        let mut stage = Recorder::default();
        run("panic:finish", &mut stage).expect("no fault here");
        assert!(!stage.changed && !stage.poisoned);
    }

    #[test]
    fn changes_come_before_the_failure() {
        let mut stage = Recorder::default();
        let error = run("change-then-error:process", &mut stage).expect_err("a fault");
        assert_eq!(error.message(), "misbehaving: an error after changes in process, as asked for");
        assert!(stage.changed);
    }

    #[test]
    fn poisoned_memory_is_no_failure_of_its_own() {
        let mut stage = Recorder::default();
        run("nan:process", &mut stage).expect("the hook says that all is well");
        assert!(stage.poisoned);
    }

    #[test]
    #[should_panic(expected = "misbehaving: a panic in process, as asked for")]
    fn a_panic_is_a_panic() {
        let _ = run("panic:process", &mut Recorder::default());
    }

    #[test]
    #[should_panic(expected = "misbehaving: panic-in-drop")]
    fn an_instance_panics_when_it_is_dropped() {
        drop(MisbehavingRun(Arc::new(Faults::parse("panic-in-drop").expect("a fault"))));
    }
}
