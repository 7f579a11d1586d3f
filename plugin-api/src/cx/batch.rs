//! One iteration: prompts and seeds, noise, latents, pixels.

use std::collections::BTreeMap;

use atelier_plugin_abi::{Buffer, Field, codes::ListOp};

use super::{context, getters, list_fields, second_pass, setters, tensors};
use crate::PluginError;

macro_rules! iteration {
    () => {
        /// The iteration, from 0 (A1111's `batch_number`).
        #[must_use]
        pub fn iteration(&self) -> u32 {
            self.cx.frame().iteration
        }

        list_fields! {
            /// Prompts of this batch.
            prompts,
            /// Sets the prompt of one picture.
            set_prompt: String = Prompts, &str, Text;
            /// Negative prompts of this batch.
            negative_prompts,
            /// Sets the negative prompt of one picture.
            set_negative_prompt: String = NegativePrompts, &str, Text;
            /// Seeds of this batch.
            seeds,
            /// Sets the seed of one picture.
            set_seed: i64 = Seeds, i64, Int;
            /// Variation seeds of this batch.
            subseeds,
            /// Sets the variation seed of one picture.
            set_subseed: i64 = Subseeds, i64, Int;
        }
    };
}

context! {
    /// An iteration before its prompts are encoded.
    BatchCx: prepared args infotext params params_mut services
}

impl BatchCx<'_> {
    iteration!();
}

/// Prompts and seeds to look at.
macro_rules! fixed_lists {
    () => {
        /// The iteration, from 0.
        #[must_use]
        pub fn iteration(&self) -> u32 {
            self.cx.frame().iteration
        }

        /// Prompts of this batch.
        #[must_use]
        pub fn prompts(&self) -> Vec<String> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::Prompts)
        }

        /// Negative prompts of this batch.
        #[must_use]
        pub fn negative_prompts(&self) -> Vec<String> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::NegativePrompts)
        }

        /// Seeds of this batch.
        #[must_use]
        pub fn seeds(&self) -> Vec<i64> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::Seeds)
        }

        /// Variation seeds of this batch.
        #[must_use]
        pub fn subseeds(&self) -> Vec<i64> {
            crate::cx::list(self.cx, atelier_plugin_abi::Field::Subseeds)
        }
    };
}

context! {
    /// The extra networks of a batch are in the model. Since ABI 1.1.
    NetworksCx: prepared args infotext params services
}

impl NetworksCx<'_> {
    fixed_lists!();
    second_pass!();

    /// The networks that the batch's prompts name: for each kind the parts of every tag in their order,
    /// `{"lora": [["name", "0.8"]]}` for `<lora:name:0.8>`. Those that are not there are among them.
    #[must_use]
    pub fn networks(&self) -> BTreeMap<String, Vec<Vec<String>>> {
        let value: serde_json::Value = super::field(self.cx, Field::ExtraNetworks);
        serde_json::from_value(value).unwrap_or_default()
    }
}

context! {
    /// The second pass ("hires fix") is about to begin. Prompts are its own. Since ABI 1.1.
    HiresCx: prepared args infotext params services
}

impl HiresCx<'_> {
    fixed_lists!();

    getters! {
        /// Width of its pictures in pixels.
        hr_width: u32 = HrWidth;
        /// Height of its pictures in pixels.
        hr_height: u32 = HrHeight;
        /// Its steps.
        hr_steps: u32 = HrSteps;
    }

    setters! {
        /// Sets the guidance scale, for it and all that is drawn behind it.
        set_cfg_scale: f64 = CfgScale, Float;
        /// Sets how far it leaves what the first pass drew, 0 to 1.
        set_denoising_strength: f64 = DenoisingStrength, Float;
    }
}

context! {
    /// More noise is about to be put on the latents that sampling starts from: the option
    /// `img2img_extra_noise` times `noise`. Since ABI 1.1.
    ExtraNoiseCx: prepared args infotext services
}

impl ExtraNoiseCx<'_> {
    second_pass!();

    /// The iteration, from 0.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.cx.frame().iteration
    }

    /// Seeds of the batch's pictures.
    #[must_use]
    pub fn seeds(&self) -> Vec<i64> {
        super::list(self.cx, Field::Seeds)
    }

    tensors! {
        /// The noise, standard normal: the same as is on the latents already.
        noise, noise_mut: Tensor, TensorMut = Noise;
    }

    /// The latents without noise.
    #[must_use]
    pub fn x(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(Buffer::Latents, 0)).into()
    }

    /// The latents with noise as they are so far.
    #[must_use]
    pub fn noised(&self) -> crate::Tensor<'_> {
        super::lent(self.buffers.view(Buffer::Noised, 0)).into()
    }
}

context! {
    /// Noise and conditioning are ready; sampling is about to begin.
    SamplingCx: prepared args infotext params services
}

impl SamplingCx<'_> {
    second_pass!();

    /// The iteration, from 0.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.cx.frame().iteration
    }

    tensors! {
        /// The starting latents: in txt2img the same as the noise, in img2img the encoded picture.
        x, x_mut: Tensor, TensorMut = Latents;
        /// The starting noise, standard normal.
        noise, noise_mut: Tensor, TensorMut = Noise;
        /// Conditioning of the prompts.
        cond, cond_mut: Conditioning, ConditioningMut = Cond;
        /// Conditioning of the negative prompts.
        uncond, uncond_mut: Conditioning, ConditioningMut = Uncond;
    }

    super::step::replaceable!();
}

context! {
    /// Sampling is over.
    LatentsCx: prepared args infotext params services
}

impl LatentsCx<'_> {
    /// The iteration, from 0.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.cx.frame().iteration
    }

    tensors! {
        /// The finished latents.
        samples, samples_mut: Tensor, TensorMut = Latents;
    }
}

context! {
    /// The decoded batch as floats in 0..1, `[n, 3, height, width]`; changed in place.
    PixelsCx: prepared args infotext params services
}

impl PixelsCx<'_> {
    /// The iteration, from 0.
    #[must_use]
    pub fn iteration(&self) -> u32 {
        self.cx.frame().iteration
    }

    tensors! {
        /// The pixels.
        pixels, pixels_mut: Tensor, TensorMut = Pixels;
    }
}

context! {
    /// The decoded batch as a list of pictures: change, add, remove. Prompts and seeds follow.
    ImagesCx: prepared args infotext params services
}

impl ImagesCx<'_> {
    iteration!();

    super::image::picture_list!();

    /// Adds a black picture at the end, with prompt and seed of the picture `like`.
    ///
    /// # Errors
    /// No such picture, or a size of 0.
    pub fn push(&mut self, width: u32, height: u32, like: usize) -> Result<(), PluginError> {
        let size = (u64::from(width), u64::from(height));
        Ok(self.buffers.resize(Buffer::Image, ListOp::Push, like as u64, size)?)
    }

    /// Removes a picture with its prompt and seed.
    ///
    /// # Errors
    /// No such picture.
    pub fn remove(&mut self, index: usize) -> Result<(), PluginError> {
        Ok(self.buffers.resize(Buffer::Image, ListOp::Remove, index as u64, (0, 0))?)
    }

    /// Replaces a picture by a black one of another size.
    ///
    /// # Errors
    /// No such picture, or a size of 0.
    pub fn replace(&mut self, index: usize, width: u32, height: u32) -> Result<(), PluginError> {
        let size = (u64::from(width), u64::from(height));
        Ok(self.buffers.resize(Buffer::Image, ListOp::Replace, index as u64, size)?)
    }
}
