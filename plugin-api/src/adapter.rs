//! Between the author's traits and the ABI's.

use std::marker::PhantomData;

use atelier_plugin_abi::{
    Hook,
    host::Module,
    plugin::{Entry, Exports, Failure, PluginObject, RunObject},
};

#[allow(clippy::wildcard_imports, reason = "every context has its hook here")]
use crate::{HookResult, Plugin, PluginError, Run, cx::*, forward};

/// The hooks that an implementation really has; written by the attributes.
#[diagnostic::on_unimplemented(
    message = "the hooks of `{Self}` are not known",
    note = "mark its `impl Run for …` with `#[plugin_run]`, or `#[plugin(…)]` where it stands alone"
)]
pub trait DeclaredHooks {
    /// Their names.
    const HOOKS: &'static str;
}

/// The manifest of a plugin; written by [`crate::plugin`].
pub trait ManifestText {
    /// JSON.
    const JSON: &'static str;
}

/// The plugin that is supplied where an author implements [`Run`] alone.
#[derive(Debug)]
pub struct Standalone<R>(PhantomData<fn() -> R>);

impl<R: Run> Plugin for Standalone<R> {
    type Run = R;

    fn options() -> Vec<crate::OptionSpec> {
        R::options()
    }
    fn args() -> Vec<crate::ArgSpec> {
        R::args()
    }
    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        Ok(Self(PhantomData))
    }
    fn model_loaded(&self, cx: &mut ModelCx<'_>) -> HookResult {
        R::model_loaded(cx)
    }
    fn before_process(&self, cx: &mut RequestCx<'_>) -> HookResult {
        R::before_process(cx)
    }
    fn start(&self, cx: &RunStart<'_>) -> Result<R, PluginError> {
        R::start(cx)
    }
}

/// A plugin `P` whose manifest is `M`, as the ABI wants it.
#[derive(Debug)]
pub struct Adapter<P, M>(P, PhantomData<fn() -> M>);

/// What the library of a plugin exports, for a program that it is linked with.
pub fn linked<P: Plugin, M: ManifestText + 'static>() -> Module {
    forward::is_linked();
    Exports::<Adapter<P, M>>::linked()
}

/// A run instance as the ABI wants it.
#[derive(Debug)]
pub struct RunAdapter<R>(R);

fn settle(outcome: Result<(), PluginError>) -> Result<(), Failure> {
    outcome.map_err(PluginError::into_failure)
}

fn unanswered(hook: Hook) -> Failure {
    Failure::new(format!("the host called {hook} on the wrong object"))
}

impl<P: Plugin, M: ManifestText + 'static> PluginObject for Adapter<P, M> {
    type Run = RunAdapter<P::Run>;
    const MANIFEST: &'static str = M::JSON;

    fn describe() -> Result<String, Failure> {
        let declaration = serde_json::json!({ "options": P::options(), "args": P::args() });
        Ok(declaration.to_string())
    }

    fn create(entry: Entry<'_>) -> Result<Self, Failure> {
        forward::install();
        let plugin = P::create(&CreateCx::new(entry));
        plugin.map(|plugin| Self(plugin, PhantomData)).map_err(PluginError::into_failure)
    }

    fn call(&self, hook: Hook, entry: Entry<'_>) -> Result<(), Failure> {
        match hook {
            Hook::ModelLoaded => settle(self.0.model_loaded(&mut ModelCx::new(entry))),
            Hook::BeforeProcess => settle(self.0.before_process(&mut RequestCx::new(entry))),
            other => Err(unanswered(other)),
        }
    }

    fn start(&self, entry: Entry<'_>) -> Result<Self::Run, Failure> {
        self.0.start(&RunStart::new(entry)).map(RunAdapter).map_err(PluginError::into_failure)
    }
}

impl<R: Run> RunObject for RunAdapter<R> {
    fn call(&mut self, hook: Hook, entry: Entry<'_>) -> Result<(), Failure> {
        let run = &mut self.0;
        settle(match hook {
            Hook::Process => run.process(&mut RunCx::new(entry)),
            Hook::BeforeProcessBatch => run.before_process_batch(&mut BatchCx::new(entry)),
            Hook::ProcessBatch => run.process_batch(&mut BatchCx::new(entry)),
            Hook::ProcessBeforeEverySampling => {
                run.process_before_every_sampling(&mut SamplingCx::new(entry))
            }
            Hook::CfgDenoiser => run.cfg_denoiser(&mut DenoiserCx::new(entry)),
            Hook::CfgDenoised => run.cfg_denoised(&mut DenoisedCx::new(entry)),
            Hook::CfgCombine => run.cfg_combine(&mut CombineCx::new(entry)),
            Hook::CfgAfterCfg => run.cfg_after_cfg(&mut AfterCfgCx::new(entry)),
            Hook::AfterStep => run.after_step(&mut AfterStepCx::new(entry)),
            Hook::PostSample => run.post_sample(&mut LatentsCx::new(entry)),
            Hook::PostprocessBatch => run.postprocess_batch(&mut PixelsCx::new(entry)),
            Hook::PostprocessBatchList => run.postprocess_batch_list(&mut ImagesCx::new(entry)),
            Hook::PostprocessImage => run.postprocess_image(&mut ImageCx::new(entry)),
            Hook::BeforeImageSaved => run.before_image_saved(&mut SaveCx::new(entry)),
            Hook::ImageSaved => run.image_saved(&mut SavedCx::new(entry)),
            Hook::ImageGrid => run.image_grid(&mut GridCx::new(entry)),
            Hook::Postprocess => run.postprocess(&mut ResultCx::new(entry)),
            Hook::Finish => run.finish(&mut FinishCx::new(entry)),
            Hook::Run => run.run(&mut ScriptCx::new(entry)),
            Hook::AfterExtraNetworksActivate => {
                run.after_extra_networks_activate(&mut NetworksCx::new(entry))
            }
            Hook::BeforeHr => run.before_hr(&mut HiresCx::new(entry)),
            Hook::ExtraNoise => run.extra_noise(&mut ExtraNoiseCx::new(entry)),
            Hook::OnMaskBlend => run.on_mask_blend(&mut MaskBlendCx::new(entry)),
            Hook::PostprocessMaskoverlay => {
                run.postprocess_maskoverlay(&mut MaskoverlayCx::new(entry))
            }
            Hook::PostprocessImageAfterComposite => {
                run.postprocess_image_after_composite(&mut ImageCx::new(entry))
            }
            other => return Err(unanswered(other)),
        })
    }
}
