//! One iteration: prompts and seeds, noise, latents, pixels.

use atelier_plugin_abi::{Buffer, codes::ListOp};

use super::{context, list_fields, tensors};
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

context! {
    /// Noise and conditioning are ready; sampling is about to begin.
    SamplingCx: prepared args infotext params services
}

impl SamplingCx<'_> {
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
