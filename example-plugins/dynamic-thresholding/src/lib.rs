//! Guides with a high scale, and keeps the values in the range that a lower scale would give them: the
//! prompt is followed closely without burnt colours.
//!
//! It does what A1111's extension sd-dynamic-thresholding (commit `73e4e045`) does. That one puts a
//! sampler of its own in the place of each run's; here the hook `cfg_combine` is all it takes. The
//! options are read *live*, at every call of the model: an unmigrated plugin.

#![deny(missing_docs, unsafe_code)]

mod declared;
mod named;
mod schedule;
mod settings;
mod threshold;

use atelier_plugin_api::prelude::*;
use schedule::progress;
use settings::{Settings, tell};
use threshold::guide;

/// Knows no more than what the request asks for; options are asked for anew each time.
#[derive(Debug)]
pub struct DynamicThresholding {
    asked: Args,
}

#[plugin(id = "dynamic-thresholding", name = "Dynamic Thresholding (CFG Scale Fix)")]
impl Run for DynamicThresholding {
    fn options() -> Vec<OptionSpec> {
        declared::options()
    }

    fn args() -> Vec<ArgSpec> {
        declared::args()
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self { asked: cx.args() })
    }

    /// The infotext says what holds when an iteration begins.
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        tell(cx, Settings::read(&self.asked, cx.live())?.as_ref())
    }

    fn cfg_combine(&mut self, cx: &mut CombineCx<'_>) -> HookResult {
        let Some(settings) = Settings::read(&self.asked, cx.live())? else { return Ok(()) };
        let progress = progress(cx.step(), cx.total_steps());
        let scale = settings.cfg.at(cx.cfg_scale(), progress, settings.value) as f32;
        let mimic_scale = settings.mimic.at(settings.mimic_scale, progress, settings.value) as f32;

        let CombineParts { cond, uncond, combined, .. } = cx.parts();
        let [_, channels, height, width] = combined.shape;
        let (channel, picture) = (height * width, (channels * height * width).max(1));
        let mut mimic = vec![0.0; picture];
        let predictions = cond.data.chunks(picture).zip(uncond.data.chunks(picture));
        for (guided, (cond, uncond)) in combined.data.chunks_mut(picture).zip(predictions) {
            guide(guided, cond, uncond, scale);
            guide(&mut mimic, cond, uncond, mimic_scale);
            settings.threshold.apply(guided, &mimic, channel);
        }
        Ok(())
    }
}
