//! Inside sampling: around every call of the model, and after every step.

use super::{context, tensors};

macro_rules! step {
    () => {
        /// The iteration, from 0.
        #[must_use]
        pub fn iteration(&self) -> u32 {
            self.cx.frame().iteration
        }

        /// Seeds of the batch's pictures.
        #[must_use]
        pub fn seeds(&self) -> Vec<i64> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::Seeds)
        }

        /// The sampler's step, from 0.
        #[must_use]
        pub fn step(&self) -> u32 {
            self.cx.frame().step
        }

        crate::cx::second_pass!();

        /// Steps in all.
        #[must_use]
        pub fn total_steps(&self) -> u32 {
            self.cx.frame().total_steps
        }

        /// Call of the model within the step, from 0; some samplers need two.
        #[must_use]
        pub fn model_call(&self) -> u32 {
            self.cx.frame().model_call
        }

        /// Noise level of this call.
        #[must_use]
        pub fn sigma(&self) -> f64 {
            self.cx.frame().sigma
        }
    };
}

macro_rules! replaceable {
    () => {
        /// Replaces the prompts' conditioning by zeros of another number of tokens, to be filled
        /// through `cond_mut`.
        ///
        /// # Errors
        /// Zero tokens, or more than the host allows.
        pub fn replace_cond(&mut self, tokens: usize) -> Result<(), crate::PluginError> {
            let (buffer, op) =
                (atelier_plugin_abi::Buffer::Cond, atelier_plugin_abi::codes::ListOp::Replace);
            Ok(self.buffers.resize(buffer, op, 0, (tokens as u64, 0))?)
        }

        /// Replaces the negative prompts' conditioning by zeros of another number of tokens, to be
        /// filled through `uncond_mut`.
        ///
        /// # Errors
        /// Zero tokens, or more than the host allows.
        pub fn replace_uncond(&mut self, tokens: usize) -> Result<(), crate::PluginError> {
            let (buffer, op) =
                (atelier_plugin_abi::Buffer::Uncond, atelier_plugin_abi::codes::ListOp::Replace);
            Ok(self.buffers.resize(buffer, op, 0, (tokens as u64, 0))?)
        }
    };
}
pub(crate) use replaceable;

context! {
    /// The model is about to be called. Changes count for this call only: the sampler's own latents
    /// are changed in `after_step`.
    DenoiserCx: prepared args infotext services
}

impl DenoiserCx<'_> {
    step!();

    tensors! {
        /// What the model will see.
        x, x_mut: Tensor, TensorMut = Latents;
        /// Conditioning of the prompts.
        cond, cond_mut: Conditioning, ConditioningMut = Cond;
        /// Conditioning of the negative prompts.
        uncond, uncond_mut: Conditioning, ConditioningMut = Uncond;
    }

    replaceable!();

    /// Sets the noise level that the model is told.
    ///
    /// # Errors
    /// A level that is not finite or not above 0.
    pub fn set_sigma(&mut self, sigma: f64) -> Result<(), crate::PluginError> {
        let value = atelier_plugin_abi::ValueRef::Float(sigma);
        super::set(self.cx, atelier_plugin_abi::Field::Sigma, 0, value)
    }
}

context! {
    /// The model has answered, with the prompt and without.
    DenoisedCx: prepared args infotext services
}

impl DenoisedCx<'_> {
    step!();

    tensors! {
        /// The finished picture as the model guesses it with the prompt.
        cond, cond_mut: Tensor, TensorMut = DenoisedCond;
        /// The finished picture as the model guesses it with the negative prompt.
        uncond, uncond_mut: Tensor, TensorMut = DenoisedUncond;
    }
}

context! {
    /// The two guesses are combined. `combined` holds `uncond + cfg_scale × (cond − uncond)`, or
    /// what the plugin before left there; write another combination into it.
    CombineCx: prepared args infotext
}

impl CombineCx<'_> {
    step!();

    /// Guidance scale.
    #[must_use]
    pub fn cfg_scale(&self) -> f64 {
        self.cx.frame().cfg_scale
    }

    /// The sampler's latents.
    #[must_use]
    pub fn x(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::Latents, 0)).into()
    }

    /// The guess with the prompt.
    #[must_use]
    pub fn cond(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::DenoisedCond, 0)).into()
    }

    /// The guess with the negative prompt.
    #[must_use]
    pub fn uncond(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::DenoisedUncond, 0)).into()
    }

    /// Everything at once, to read three and write one in the same loop.
    #[must_use]
    pub fn parts(&mut self) -> CombineParts<'_> {
        use atelier_plugin_abi::Buffer::{Denoised, DenoisedCond, DenoisedUncond, Latents};
        let shown = [Latents, DenoisedCond, DenoisedUncond];
        let ([x, cond, uncond], combined) = super::lent(self.buffers.split(shown, Denoised));
        CombineParts {
            x: x.into(),
            cond: cond.into(),
            uncond: uncond.into(),
            combined: combined.into(),
        }
    }

    tensors! {
        /// The combination.
        combined, combined_mut: Tensor, TensorMut = Denoised;
    }
}

/// What [`CombineCx`] has, all at once.
#[derive(Debug)]
pub struct CombineParts<'a> {
    /// The sampler's latents.
    pub x: crate::Tensor<'a>,
    /// The guess with the prompt.
    pub cond: crate::Tensor<'a>,
    /// The guess with the negative prompt.
    pub uncond: crate::Tensor<'a>,
    /// The combination, to change.
    pub combined: crate::TensorMut<'a>,
}

context! {
    /// The combined guess, on its way to the sampler.
    AfterCfgCx: prepared args infotext services
}

impl AfterCfgCx<'_> {
    step!();

    tensors! {
        /// The combined guess.
        denoised, denoised_mut: Tensor, TensorMut = Denoised;
    }
}

context! {
    /// The sampler has made its step.
    AfterStepCx: prepared args infotext services
}

impl AfterStepCx<'_> {
    step!();

    tensors! {
        /// The sampler's new latents.
        x, x_mut: Tensor, TensorMut = Latents;
    }
}

context! {
    /// What is drawn and what stays of a picture are put together: `blended` holds
    /// `current × (1 − mask) + init × mask`, or what the plugin before left there. Called within every call
    /// of the model, before it by the samplers on timesteps (DDIM, DDIM CFG++, PLMS, UniPC) and behind `cfg_combine` by
    /// the others, and once behind the last step. Since ABI 1.1.
    MaskBlendCx: prepared args infotext services
}

impl MaskBlendCx<'_> {
    step!();

    /// Whether this is the last time, behind the last step: step and noise level are 0 then.
    #[must_use]
    pub fn is_final_blend(&self) -> bool {
        super::field(self.cx, atelier_plugin_abi::Field::IsFinalBlend)
    }

    /// What is drawn.
    #[must_use]
    pub fn current(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::Latents, 0)).into()
    }

    /// The latents of the picture that the run starts from, as strong as `current`.
    #[must_use]
    pub fn init(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::InitLatents, 0)).into()
    }

    /// How much of each place stays, 0 to 1, `[1, 1, height, width]`.
    #[must_use]
    pub fn mask(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(atelier_plugin_abi::Buffer::Mask, 0)).into()
    }

    /// Everything at once, to read three and write one in the same loop.
    #[must_use]
    pub fn parts(&mut self) -> BlendParts<'_> {
        use atelier_plugin_abi::Buffer::{BlendedLatents, InitLatents, Latents, Mask};
        let shown = [Latents, InitLatents, Mask];
        let ([current, init, mask], blended) =
            super::lent(self.buffers.split(shown, BlendedLatents));
        BlendParts {
            current: current.into(),
            init: init.into(),
            mask: mask.into(),
            blended: blended.into(),
        }
    }

    tensors! {
        /// Both put together.
        blended, blended_mut: Tensor, TensorMut = BlendedLatents;
    }
}

/// What [`MaskBlendCx`] has, all at once.
#[derive(Debug)]
pub struct BlendParts<'a> {
    /// What is drawn.
    pub current: crate::Tensor<'a>,
    /// The latents of the picture that the run starts from.
    pub init: crate::Tensor<'a>,
    /// How much of each place stays, `[1, 1, height, width]`.
    pub mask: crate::Tensor<'a>,
    /// Both put together, to change.
    pub blended: crate::TensorMut<'a>,
}
