//! The two traits that authors implement.

#![allow(unused_variables, reason = "the default of a hook is to do nothing")]

#[allow(clippy::wildcard_imports, reason = "every context has its hook here")]
use crate::{ArgSpec, HookResult, OptionSpec, PluginError, cx::*};

/// What a plugin does within a run: an instance is made for every run and dropped after it, so that
/// nothing leaks from one run into another and nobody needs a lock.
///
/// Implement the hooks you need and mark the block with [`plugin`](crate::plugin); hooks that are not
/// there cost nothing. They are called in the order below (names and order are A1111 v1.10.1's).
///
/// | when | hook | may change |
/// |---|---|---|
/// | a request comes in | `before_process` | the request, its overrides |
/// | *overrides are applied, prompts and seeds prepared, the snapshot taken* | `start` | – |
/// | the run begins | `process` | all prompts, seeds, parameters |
/// | every iteration | `before_process_batch`, `process_batch` | the batch's prompts and seeds |
/// | extra networks are in the model | `after_extra_networks_activate` | – |
/// | a second pass ("hires fix") begins | `before_hr` | its guidance and strength |
/// | sampling begins | `process_before_every_sampling` | noise, latents, conditioning |
/// | from latents, with extra noise | `extra_noise` | the noise |
/// | every call of the model | `cfg_denoiser`, `cfg_denoised`, `cfg_combine`, `cfg_after_cfg` | its input, its answers, their combination |
/// | part of a picture stays | `on_mask_blend` | how it is put together with what is drawn |
/// | every step | `after_step` | the sampler's latents |
/// | sampling is over | `post_sample` | latents |
/// | decoded | `postprocess_batch`, `postprocess_batch_list` | pixels; the list of pictures |
/// | every picture | `postprocess_image`, `postprocess_maskoverlay`, `postprocess_image_after_composite`, `before_image_saved`, `image_saved` | the picture, what is laid over it, its name and infotext |
/// | several pictures | `image_grid` | columns and rows |
/// | the end | `postprocess`, `finish` | the answer's pictures and infotexts |
/// | *in place of all from `process` on, where a request selects the plugin* | `run` | the answer: child runs make it |
pub trait Run: Sized + Send + 'static {
    /// Options that the plugin adds to the host's.
    fn options() -> Vec<OptionSpec> {
        Vec::new()
    }

    /// Arguments that a request may give.
    fn args() -> Vec<ArgSpec> {
        Vec::new()
    }

    /// A checkpoint was loaded. A hook of the plugin, not of a run: it has no `self`.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn model_loaded(cx: &mut ModelCx<'_>) -> HookResult {
        Ok(())
    }

    /// A request came in. A hook of the plugin, not of a run: it has no `self`.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn before_process(cx: &mut RequestCx<'_>) -> HookResult {
        Ok(())
    }

    /// Makes the instance for a run that is prepared. Needed unless a [`Plugin`] makes it.
    ///
    /// # Errors
    /// See [`PluginError`]; the run then goes on without this plugin.
    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        Err(PluginError::new("this instance is made by its Plugin"))
    }

    /// The run is prepared and the snapshot taken; nothing is drawn yet.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }

    /// An iteration begins.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn before_process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        Ok(())
    }

    /// The extra networks of the iteration are in the model; again in a second pass. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn after_extra_networks_activate(&mut self, cx: &mut NetworksCx<'_>) -> HookResult {
        Ok(())
    }

    /// The iteration's prompts are final and about to be encoded.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        Ok(())
    }

    /// The second pass ("hires fix") is about to begin. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn before_hr(&mut self, cx: &mut HiresCx<'_>) -> HookResult {
        Ok(())
    }

    /// Noise and conditioning are ready; sampling begins.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn process_before_every_sampling(&mut self, cx: &mut SamplingCx<'_>) -> HookResult {
        Ok(())
    }

    /// More noise is about to be put on the latents that sampling starts from, where the option
    /// `img2img_extra_noise` is above 0. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn extra_noise(&mut self, cx: &mut ExtraNoiseCx<'_>) -> HookResult {
        Ok(())
    }

    /// The model is about to be called.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn cfg_denoiser(&mut self, cx: &mut DenoiserCx<'_>) -> HookResult {
        Ok(())
    }

    /// The model has answered.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn cfg_denoised(&mut self, cx: &mut DenoisedCx<'_>) -> HookResult {
        Ok(())
    }

    /// The model's two answers are combined.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn cfg_combine(&mut self, cx: &mut CombineCx<'_>) -> HookResult {
        Ok(())
    }

    /// What is drawn and what stays of a picture are put together, where the run has a mask. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn on_mask_blend(&mut self, cx: &mut MaskBlendCx<'_>) -> HookResult {
        Ok(())
    }

    /// The combined answer is on its way to the sampler.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn cfg_after_cfg(&mut self, cx: &mut AfterCfgCx<'_>) -> HookResult {
        Ok(())
    }

    /// The sampler has made its step.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        Ok(())
    }

    /// Sampling is over.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn post_sample(&mut self, cx: &mut LatentsCx<'_>) -> HookResult {
        Ok(())
    }

    /// The batch is decoded: floats.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess_batch(&mut self, cx: &mut PixelsCx<'_>) -> HookResult {
        Ok(())
    }

    /// The batch is decoded: a list of pictures.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess_batch_list(&mut self, cx: &mut ImagesCx<'_>) -> HookResult {
        Ok(())
    }

    /// A picture is finished, before what stays of a first one is laid over it.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        Ok(())
    }

    /// What is laid over a picture; called without a mask too, as in A1111. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess_maskoverlay(&mut self, cx: &mut MaskoverlayCx<'_>) -> HookResult {
        Ok(())
    }

    /// A picture is finished, with what stays of the first one over it. Since ABI 1.1.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess_image_after_composite(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        Ok(())
    }

    /// A picture is about to be written.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn before_image_saved(&mut self, cx: &mut SaveCx<'_>) -> HookResult {
        Ok(())
    }

    /// A picture was written.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn image_saved(&mut self, cx: &mut SavedCx<'_>) -> HookResult {
        Ok(())
    }

    /// A grid is about to be composed.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn image_grid(&mut self, cx: &mut GridCx<'_>) -> HookResult {
        Ok(())
    }

    /// All pictures are there.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn postprocess(&mut self, cx: &mut ResultCx<'_>) -> HookResult {
        Ok(())
    }

    /// The request selected this plugin: it makes the run out of child runs (A1111's `Script.run`),
    /// in place of everything from `process` to `postprocess`. A plugin that has this hook takes part
    /// in runs that select it and in no others.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn run(&mut self, cx: &mut ScriptCx<'_>) -> HookResult {
        Ok(())
    }

    /// The run is over, whatever its outcome.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn finish(&mut self, cx: &mut FinishCx<'_>) -> HookResult {
        Ok(())
    }
}

/// What a plugin keeps between runs: one object per load, shared by all runs, called from any thread.
///
/// Only plugins that load something once and use it in every run need this; the others implement
/// [`Run`] alone. Mark the block with [`plugin`](crate::plugin) and the run's block with
/// [`plugin_run`](crate::plugin_run).
pub trait Plugin: Sized + Send + Sync + 'static {
    /// What lives for one run.
    type Run: Run;

    /// Options that the plugin adds to the host's.
    fn options() -> Vec<OptionSpec> {
        Vec::new()
    }

    /// Arguments that a request may give.
    fn args() -> Vec<ArgSpec> {
        Vec::new()
    }

    /// Makes the plugin when it is loaded.
    ///
    /// # Errors
    /// See [`PluginError`]; the plugin is then not loaded, and the user is told why.
    fn create(cx: &CreateCx<'_>) -> Result<Self, PluginError>;

    /// A checkpoint was loaded.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn model_loaded(&self, cx: &mut ModelCx<'_>) -> HookResult {
        Ok(())
    }

    /// A request came in.
    ///
    /// # Errors
    /// See [`PluginError`].
    fn before_process(&self, cx: &mut RequestCx<'_>) -> HookResult {
        Ok(())
    }

    /// Makes the instance for a run that is prepared.
    ///
    /// # Errors
    /// See [`PluginError`]; the run then goes on without this plugin.
    fn start(&self, cx: &RunStart<'_>) -> Result<Self::Run, PluginError>;
}

/// A plugin as a program has it that is linked with it: a test. Written by [`plugin`](crate::plugin).
pub trait LinkedPlugin {
    /// What the library of the plugin exports.
    #[doc(hidden)]
    fn linked() -> atelier_plugin_abi::host::Module;
}
