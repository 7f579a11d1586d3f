//! The scripted plugin that `probe-a` and `probe-b` are made of.
//!
//! It implements every hook. In each it writes a line into a log, then does what a script says; both
//! come with the request as arguments. The format of script and log is in this crate's README.

#![forbid(unsafe_code)]

mod log;
mod perform;
mod probe;
mod script;
mod stage;
mod stages;

use atelier_plugin_api::{ArgSpec, OptionSpec};
pub use probe::{RunProbe, of_plugin};

/// The log where the argument `log` says none, and for `model_loaded`.
pub const LOG_VARIABLE: &str = "ATELIER_PROBE_LOG";
/// The script where the argument `script` says none, and for `model_loaded`.
pub const SCRIPT_VARIABLE: &str = "ATELIER_PROBE_SCRIPT";

/// Options of a probe: one of every type, named after the plugin.
pub fn options(plugin: &str) -> Vec<OptionSpec> {
    let key = |name: &str| format!("{}_{name}", plugin.replace('-', "_"));
    vec![
        OptionSpec::text(&key("text"), "default"),
        OptionSpec::float(&key("number"), 1.0),
        OptionSpec::bool(&key("flag"), false),
        OptionSpec::list(&key("list"), &["one", "two"]),
    ]
}

/// Arguments of a probe. The first two steer it, the others are there to be read.
pub fn args() -> Vec<ArgSpec> {
    vec![
        ArgSpec::text("log", ""),
        ArgSpec::text("script", ""),
        ArgSpec::float("number", 0.5).range(0.0, 1.0),
        ArgSpec::bool("flag", false),
        ArgSpec::text("choice", "one").choices(["one", "two"]),
    ]
}

/// Makes the calling crate a probe with this id and name.
#[macro_export]
macro_rules! probe {
    ($id:literal, $name:literal) => {
        $crate::probe! { @hooks $id, $name,
            process: RunCx,
            before_process_batch: BatchCx,
            after_extra_networks_activate: NetworksCx,
            process_batch: BatchCx,
            before_hr: HiresCx,
            process_before_every_sampling: SamplingCx,
            extra_noise: ExtraNoiseCx,
            cfg_denoiser: DenoiserCx,
            cfg_denoised: DenoisedCx,
            cfg_combine: CombineCx,
            on_mask_blend: MaskBlendCx,
            cfg_after_cfg: AfterCfgCx,
            after_step: AfterStepCx,
            post_sample: LatentsCx,
            postprocess_batch: PixelsCx,
            postprocess_batch_list: ImagesCx,
            postprocess_image: ImageCx,
            postprocess_maskoverlay: MaskoverlayCx,
            postprocess_image_after_composite: ImageCx,
            before_image_saved: SaveCx,
            image_saved: SavedCx,
            image_grid: GridCx,
            postprocess: ResultCx,
            finish: FinishCx,
        }
    };
    (@hooks $id:literal, $name:literal, $($hook:ident: $context:ident,)+) => {
        use ::atelier_plugin_api::prelude::*;

        /// One run of the probe.
        #[derive(Debug)]
        pub struct Probe($crate::RunProbe);

        #[plugin(id = $id, name = $name)]
        impl Run for Probe {
            fn options() -> Vec<OptionSpec> {
                $crate::options($id)
            }
            fn args() -> Vec<ArgSpec> {
                $crate::args()
            }
            fn model_loaded(cx: &mut ModelCx<'_>) -> HookResult {
                $crate::of_plugin($id, "model_loaded", cx)
            }
            fn before_process(cx: &mut RequestCx<'_>) -> HookResult {
                $crate::of_plugin($id, "before_process", cx)
            }
            fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
                $crate::RunProbe::start($id, cx).map(Self)
            }
            $(
                fn $hook(&mut self, cx: &mut $context<'_>) -> HookResult {
                    self.0.hook(stringify!($hook), cx)
                }
            )+
        }
    };
}
