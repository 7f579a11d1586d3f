//! Between pictures and latents.

use candle_core::Tensor as Array;

use super::Engine;
use crate::error::EngineError;
use crate::resample::Resample;
use crate::tensor::Tensor;

impl Engine {
    /// Encodes pictures (`[n, 3, h, w]`, 0 to 1, sizes multiples of
    /// [`ModelInfo::size_multiple`](crate::ModelInfo::size_multiple)) to scaled latents (`[n, c, h/f, w/f]`): the mean, or with
    /// unit normal noise of the latents' shape a sample.
    ///
    /// # Errors
    /// [`EngineError::Shape`], or a failure of computing.
    pub fn encode_image(
        &self,
        rgb01: &Tensor,
        sample_noise: Option<&Tensor>,
    ) -> Result<Tensor, EngineError> {
        let [n, c, h, w] = rgb01.shape();
        let f = self.info.vae_factor;
        if n == 0 || c != 3 || h == 0 || w == 0 || h % f != 0 || w % f != 0 {
            return Err(EngineError::Shape {
                what: "the picture",
                expected: format!("[n, 3, h, w] with h and w multiples of {f}"),
                found: rgb01.shape(),
            });
        }
        let latents = [n, self.info.latent_channels, h / f, w / f];
        if let Some(noise) = sample_noise.filter(|noise| noise.shape() != latents) {
            return Err(EngineError::Shape {
                what: "the noise of the encoder",
                expected: format!("{latents:?}"),
                found: noise.shape(),
            });
        }
        // One picture at a time, as A1111 does: the widest layers take the most memory.
        let encode = || -> candle_core::Result<Tensor> {
            let (pictures, noise) =
                (rgb01.to_array()?, sample_noise.map(Tensor::to_array).transpose()?);
            each(n, |i| {
                let x = ((pictures.narrow(0, i, 1)? * 2.0)? - 1.0)?;
                let noise = noise.as_ref().map(|noise| noise.narrow(0, i, 1)).transpose()?;
                self.vae.encode(&x, noise.as_ref())
            })
        };
        encode().map_err(EngineError::compute("the autoencoder's encoder"))
    }

    /// What an inpainting checkpoint is shown beside the latents, `[n, 1 + c, h/f, w/f]`: the mask, and the
    /// latents of the pictures (`[n, 3, h, w]`, 0 to 1) without what is masked (`[1, 1, h, w]`, 1 for
    /// what is drawn anew; all of it without). As A1111 v1.10.1's `inpainting_image_conditioning`.
    ///
    /// `strength` is how much of the masked part is taken out, 1 for all of it.
    ///
    /// # Errors
    /// [`EngineError::Shape`], or a failure of computing.
    pub fn image_conditioning(
        &self,
        pictures: &Tensor,
        mask: Option<&Tensor>,
        strength: f64,
    ) -> Result<Tensor, EngineError> {
        let [n, _, h, w] = pictures.shape();
        if let Some(mask) = mask.filter(|mask| mask.shape() != [1, 1, h, w]) {
            return Err(EngineError::Shape {
                what: "the mask",
                expected: format!("{:?}", [1, 1, h, w]),
                found: mask.shape(),
            });
        }
        let whole = vec![1.0; h * w];
        let masked = mask.map_or(whole.as_slice(), Tensor::data);
        let mut shown = pictures.clone();
        for plane in shown.data_mut().chunks_exact_mut((h * w).max(1)) {
            for (value, masked) in plane.iter_mut().zip(masked) {
                // What is taken out becomes grey.
                *value = 0.5 + (*value - 0.5) * (1.0 - strength as f32 * masked);
            }
        }
        let latents = self.encode_image(&shown, None)?;
        let [_, c, rows, columns] = latents.shape();
        let mask = Tensor::from_parts([1, 1, h, w], masked.to_vec());
        let mask = mask.resized(Resample::Nearest, rows, columns);
        let pictures = latents.data().chunks_exact((c * rows * columns).max(1));
        let data = pictures.flat_map(|picture| mask.data().iter().chain(picture).copied());
        Ok(Tensor::from_parts([n, 1 + c, rows, columns], data.collect()))
    }

    /// Decodes scaled latents (`[n, c, h, w]`) to pictures (`[n, 3, h·f, w·f]`), clamped to 0..1.
    ///
    /// # Errors
    /// [`EngineError::Shape`], or a failure of computing.
    pub fn decode(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        self.check_latents(latents)?;
        let n = latents.shape()[0];
        let decode = || -> candle_core::Result<Tensor> {
            let latents = latents.to_array()?;
            each(n, |i| self.vae.decode(&latents.narrow(0, i, 1)?))
        };
        let pictures = decode().map_err(EngineError::compute("the autoencoder's decoder"))?;
        Ok(pictures.map(|v| (v * 0.5 + 0.5).clamp(0.0, 1.0)))
    }

    /// What scaled latents (`[n, c, h, w]`) are about to be, a pixel for each latent value (`[n, 3, h, w]`,
    /// 0..1): a map of the channels to colours, as A1111 v1.10.1's "Approx cheap", which costs nothing beside
    /// a step. It is fitted to the checkpoint's own autoencoder at the first call, which encodes a picture of
    /// 24 latent values along a side.
    ///
    /// # Errors
    /// [`EngineError::Shape`], or a failure of computing.
    pub fn preview(&self, latents: &Tensor) -> Result<Tensor, EngineError> {
        self.check_latents(latents)?;
        let colours = self.vae.colours().map_err(EngineError::compute("the preview's colours"))?;
        Ok(colours.of(latents))
    }

    /// Whether they are latents of this checkpoint, of any number and size.
    fn check_latents(&self, latents: &Tensor) -> Result<(), EngineError> {
        let [n, c, h, w] = latents.shape();
        if n == 0 || c != self.info.latent_channels || h == 0 || w == 0 {
            return Err(EngineError::Shape {
                what: "the latents",
                expected: format!("[n, {}, h, w]", self.info.latent_channels),
                found: latents.shape(),
            });
        }
        Ok(())
    }
}

/// The results of `f` for each of `n` items below each other.
fn each(n: usize, f: impl Fn(usize) -> candle_core::Result<Array>) -> candle_core::Result<Tensor> {
    let items = (0..n).map(f).collect::<candle_core::Result<Vec<_>>>()?;
    Tensor::from_array(&Array::cat(&items, 0)?)
}
