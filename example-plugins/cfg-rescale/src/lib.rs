//! Rescales classifier-free guidance: a high scale widens the values of the prediction, which burns
//! out colours; this gives them back the width that the prediction with the prompt has.
//!
//! It does what A1111's extension `CFG_Rescale_webui` (commit `6accaf4e`) does with its scale, and
//! as that one reads its setting *live*, at every call of the model: an unmigrated plugin.

#![deny(missing_docs, unsafe_code)]

mod rescale;

use atelier_plugin_api::prelude::*;
use rescale::rescale;

const PHI: &str = "cfg_rescale_phi";
/// The extension's key.
const INFOTEXT: &str = "CFG Rescale";

/// Knows no more than what the request asks for; the option is asked for anew each time.
#[derive(Debug)]
pub struct CfgRescale {
    asked: Option<f64>,
}

/// Rescaling comes after thresholding: that one makes a combination of its own.
#[plugin(id = "cfg-rescale", name = "CFG Rescale", after = ["dynamic-thresholding:cfg_combine"])]
impl Run for CfgRescale {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::float(PHI, 0.0)
                .range(0.0, 1.0)
                .label("Rescale (φ)")
                .section("Guidance")
                .infotext(INFOTEXT)
                .doc("How much of the rescaled prediction is mixed in; 0 is off, 0.7 the paper's."),
        ]
    }

    fn args() -> Vec<ArgSpec> {
        vec![ArgSpec::float("phi", 0.0).optional().range(0.0, 1.0).label("Rescale (φ)")]
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self { asked: cx.args().get("phi")? })
    }

    /// The infotext says what holds when an iteration begins.
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        let phi = self.phi(cx.live())?;
        cx.infotext(INFOTEXT, (phi > 0.0).then_some(phi))
    }

    fn cfg_combine(&mut self, cx: &mut CombineCx<'_>) -> HookResult {
        let phi = self.phi(cx.live())?;
        if phi <= 0.0 {
            return Ok(());
        }
        let CombineParts { cond, combined, .. } = cx.parts();
        let each = combined.shape[1..].iter().product::<usize>().max(1);
        for (combined, cond) in combined.data.chunks_mut(each).zip(cond.data.chunks(each)) {
            rescale(combined, cond, phi);
        }
        Ok(())
    }
}

impl CfgRescale {
    fn phi(&self, options: Live<'_>) -> Result<f64, OptionError> {
        self.asked.map_or_else(|| options.get(PHI), Ok)
    }
}
