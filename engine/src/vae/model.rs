//! The whole autoencoder, between pictures and scaled latents.

use std::sync::{Arc, OnceLock};

use candle_core::{Device, Result, Tensor};

use super::coder::{Decoder, Encoder};
use super::config::VaeConfig;
use super::preview::Colours;
use crate::checkpoint::{LoadError, Source};
use crate::kernels::{Conv2d, among_threads};
use crate::resample::Resample;
use crate::tensor::Tensor as Latents;

/// diffusers' `AutoencoderKL`.
#[derive(Clone)]
pub(crate) struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    to_moments: Option<Conv2d>,
    from_latents: Option<Conv2d>,
    decoder: Decoder,
    colours: Arc<OnceLock<Colours>>,
    device: Device,
}

impl Vae {
    /// Reads an autoencoder.
    pub(crate) fn load(source: &Source) -> std::result::Result<Self, LoadError> {
        let config = VaeConfig::of(&source.config)?;
        let w = &source.weights;
        let c = config.latent_channels;
        let pointwise = |wanted: bool, name: &str, c: usize| {
            wanted.then(|| Conv2d::load(&w.at(name), c, c, 1)).transpose()
        };
        Ok(Self {
            encoder: Encoder::load(&w.at("encoder"), &config)?,
            to_moments: pointwise(config.use_quant_conv, "quant_conv", 2 * c)?,
            from_latents: pointwise(config.use_post_quant_conv, "post_quant_conv", c)?,
            decoder: Decoder::load(&w.at("decoder"), &config)?,
            colours: Arc::default(),
            device: w.backend().device.clone(),
            config,
        })
    }

    /// Pixels per latent value along one side.
    pub(crate) fn factor(&self) -> usize {
        self.config.factor()
    }

    /// The same for pictures that go on on the far side.
    pub(crate) fn tiled(&self) -> Self {
        let mut vae = self.clone();
        vae.encoder.tile();
        vae.decoder.tile();
        vae
    }

    /// Channels of the latents.
    pub(crate) fn latent_channels(&self) -> usize {
        self.config.latent_channels
    }

    /// Pictures of -1 to 1 (`[n, 3, h, w]`) to scaled latents: the mean, or with `noise` (unit
    /// normal, the latents' shape) a sample.
    pub(crate) fn encode(&self, x: &Tensor, noise: Option<&Tensor>) -> Result<Tensor> {
        let x = x.to_device(&self.device)?;
        let moments = among_threads(|| {
            let moments = self.encoder.forward(&x)?;
            match &self.to_moments {
                Some(conv) => conv.forward(&moments),
                None => Ok(moments),
            }
        })?;
        let moments = moments.to_device(&Device::Cpu)?;
        let c = self.config.latent_channels;
        let mut z = moments.narrow(1, 0, c)?;
        if let Some(noise) = noise {
            let log_variance = moments.narrow(1, c, c)?.clamp(-30f32, 20f32)?;
            z = (z + ((log_variance * 0.5)?.exp()? * noise)?)?;
        }
        (z - self.config.shift_factor.unwrap_or(0.0))? * self.config.scaling_factor
    }

    /// The colours of latents at a glance: found at the first call, with one small picture.
    pub(crate) fn colours(&self) -> Result<&Colours> {
        if let Some(known) = self.colours.get() {
            return Ok(known);
        }
        let picture = Colours::probe();
        let [_, _, height, width] = picture.shape();
        let (height, width) = (height * self.factor(), width * self.factor());
        let large = picture.resized(Resample::Nearest, height, width).to_array()?;
        let latents = Latents::from_array(&self.encode(&large, None)?)?;
        Ok(self.colours.get_or_init(|| Colours::fit(&latents, &picture)))
    }

    /// Scaled latents to pictures of about -1 to 1, not clamped.
    pub(crate) fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let z = (latents / self.config.scaling_factor)?;
        let z = (z + self.config.shift_factor.unwrap_or(0.0))?;
        let z = z.to_device(&self.device)?;
        let picture = among_threads(|| match &self.from_latents {
            Some(conv) => self.decoder.forward(&conv.forward(&z)?),
            None => self.decoder.forward(&z),
        })?;
        picture.to_device(&Device::Cpu)
    }
}
