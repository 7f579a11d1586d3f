//! Hooks that repeat one thing as often as the run has steps, so that a benchmark can divide.

use atelier_plugin_api::prelude::*;

/// The plugin.
#[derive(Debug)]
pub struct Meter;

#[plugin(id = "meter", name = "Meter")]
impl Run for Meter {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    /// Live reads.
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        let live = cx.live();
        let mut on = 0_u32;
        for _ in 0..cx.steps() {
            on += u32::from(live.get::<bool>("samples_save")?);
        }
        std::hint::black_box(on);
        Ok(())
    }

    /// Snapshot reads.
    fn before_process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        let snapshot = cx.snapshot();
        let mut on = 0_u32;
        for _ in 0..cx.steps() {
            on += u32::from(snapshot.get::<bool>("samples_save")?);
        }
        std::hint::black_box(on);
        Ok(())
    }

    /// Live writes.
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        let live = cx.live();
        for turn in 0..cx.steps() {
            live.set("target_side_length", 4000 + turn % 2)?;
        }
        Ok(())
    }

    /// Every pixel of a picture.
    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        for byte in cx.image_mut().data {
            *byte = 255 - *byte;
        }
        Ok(())
    }

    /// Nothing at all.
    fn after_step(&mut self, _: &mut AfterStepCx<'_>) -> HookResult {
        Ok(())
    }
}
