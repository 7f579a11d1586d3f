//! The whole UNet.

use std::path::Path;

use candle_core::{Result, Tensor};

use super::blocks::{Down, Middle, Plan, Up};
use super::config::UnetConfig;
use super::time::TimeEmbedding;
use crate::checkpoint::{LoadError, weights_file};
use crate::kernels::{Conv2d, GroupNorm, Then};
use crate::weights::Weights;

/// diffusers' `UNet2DConditionModel`.
pub(crate) struct Unet {
    config: UnetConfig,
    time: TimeEmbedding,
    conv_in: Conv2d,
    down: Vec<Down>,
    middle: Middle,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Unet {
    /// Reads the UNet of `folder`.
    pub(crate) fn load(folder: &Path) -> std::result::Result<Self, LoadError> {
        let config = UnetConfig::read(&folder.join("config.json"))?;
        let w = Weights::open(&weights_file(folder, "diffusion_pytorch_model"))?;
        let levels = &config.levels;
        let (first, deepest) = (levels[0], levels[levels.len() - 1]);
        let plan = Plan { config: &config, time: first.channels * 4 };
        let mut down = Vec::with_capacity(levels.len());
        let mut channels = first.channels;
        for (i, level) in levels.iter().enumerate() {
            let last = i + 1 == levels.len();
            down.push(Down::load(&w.at("down_blocks").at(i), &plan, channels, level, last)?);
            channels = level.channels;
        }
        let mut up = Vec::with_capacity(levels.len());
        for (i, level) in levels.iter().rev().enumerate() {
            let last = i + 1 == levels.len();
            let above = levels[levels.len().saturating_sub(i + 2)].channels;
            let w = w.at("up_blocks").at(i);
            up.push(Up::load(&w, &plan, channels, above, level, last)?);
            channels = level.channels;
        }
        Ok(Self {
            time: TimeEmbedding::load(
                &w.at("time_embedding"),
                first.channels,
                plan.time,
                config.flip_sin_to_cos,
                config.freq_shift,
            )?,
            conv_in: Conv2d::load(&w.at("conv_in"), config.in_channels, first.channels, 3)?,
            down,
            middle: Middle::load(&w.at("mid_block"), &plan, &deepest)?,
            up,
            norm_out: GroupNorm::load(
                &w.at("conv_norm_out"),
                config.groups,
                first.channels,
                config.eps,
            )?,
            conv_out: Conv2d::load(&w.at("conv_out"), first.channels, config.out_channels, 3)?,
            config,
        })
    }

    /// Channels of the latents it takes, and of those it gives.
    pub(crate) fn channels(&self) -> (usize, usize) {
        (self.config.in_channels, self.config.out_channels)
    }

    /// Values per token of the text.
    pub(crate) fn text_width(&self) -> usize {
        self.config.text_width
    }

    /// Height and width of the latents it was trained at.
    pub(crate) fn sample_size(&self) -> [usize; 2] {
        self.config.sample_size
    }

    /// The network's answer (`[n, out, h, w]`) to noisy latents `x` (`[n, in, h, w]`) at a
    /// timestep that may be fractional, under `text` (`[n, tokens, text_width]`).
    pub(crate) fn forward(&self, x: &Tensor, timestep: f64, text: &Tensor) -> Result<Tensor> {
        let n = x.dim(0)?;
        let time = self.time.forward(&vec![timestep; n])?.silu()?;
        let x = if self.config.center_input { ((x * 2.0)? - 1.0)? } else { x.clone() };
        let mut x = self.conv_in.forward(&x)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &time, text, &mut skips)?;
        }
        x = self.middle.forward(&x, &time, text)?;
        for block in &self.up {
            x = block.forward(x, &time, text, &mut skips)?;
        }
        self.conv_out.forward(&self.norm_out.forward(&x, Then::Silu)?)
    }
}
