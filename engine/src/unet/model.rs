//! The whole UNet.

use std::cell::Cell;

use candle_core::{Device, Result, Tensor, bail};

use super::blocks::{Down, Middle, Plan, Up};
use super::config::UnetConfig;
use super::merging::Merging;
use super::text::LastText;
use super::time::TimeEmbedding;
use super::transformer::{Told, repeated};
use crate::checkpoint::{LoadError, Source, original_names};
use crate::kernels::{Activation, Conv2d, GroupNorm, Linear, Then, among_threads};

/// diffusers' `UNet2DConditionModel`.
#[derive(Clone)]
pub(crate) struct Unet {
    config: UnetConfig,
    /// Blocks of its transformers.
    blocks: usize,
    last_text: LastText,
    device: Device,
    time: TimeEmbedding,
    added: Option<[Linear; 2]>,
    conv_in: Conv2d,
    down: Vec<Down>,
    middle: Middle,
    up: Vec<Up>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Unet {
    /// Reads a UNet.
    pub(crate) fn load(source: &Source) -> std::result::Result<Self, LoadError> {
        let config = UnetConfig::of(&source.config)?;
        let w = &source.weights;
        let levels = &config.levels;
        let (first, deepest) = (levels[0], levels[levels.len() - 1]);
        let plan = Plan { config: &config, time: first.channels * 4, blocks: Cell::new(0) };
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
        let middle = Middle::load(&w.at("mid_block"), &plan, &deepest)?;
        Ok(Self {
            blocks: plan.blocks.get(),
            last_text: LastText::default(),
            device: w.backend().device.clone(),
            time: TimeEmbedding::load(
                &w.at("time_embedding"),
                first.channels,
                plan.time,
                config.flip_sin_to_cos,
                config.freq_shift,
            )?,
            added: match config.vector_width {
                0 => None,
                width => {
                    let w = w.at("add_embedding");
                    let out = plan.time;
                    Some([
                        Linear::load(&w.at("linear_1"), width, out)?,
                        Linear::load(&w.at("linear_2"), out, out)?,
                    ])
                }
            },
            conv_in: Conv2d::load(&w.at("conv_in"), config.in_channels, first.channels, 3)?,
            down,
            middle,
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

    /// The same for pictures that go on on the far side.
    pub(crate) fn tiled(&self) -> Self {
        let mut unet = self.clone();
        unet.conv_in.tile();
        unet.down.iter_mut().for_each(Down::tile);
        unet.middle.tile();
        unet.up.iter_mut().for_each(Up::tile);
        unet.conv_out.tile();
        unet
    }

    /// Channels of the latents it takes, and of those it gives.
    pub(crate) fn channels(&self) -> (usize, usize) {
        (self.config.in_channels, self.config.out_channels)
    }

    /// Values per token of the text.
    pub(crate) fn text_width(&self) -> usize {
        self.config.text_width
    }

    /// Values of the vector that it takes beside the text, 0 without one.
    pub(crate) fn vector_width(&self) -> usize {
        self.config.vector_width
    }

    /// What the original code calls a layer of this network.
    pub(crate) fn original_names(&self) -> impl Fn(&str) -> String + use<> {
        let levels = &self.config.levels;
        let down: Vec<_> = levels.iter().map(|it| (it.layers, it.depth_down > 0)).collect();
        let up = levels.iter().rev().map(|it| (it.layers + 1, it.depth_up > 0));
        original_names(&down, &up.collect::<Vec<_>>())
    }

    /// Whether it predicts the velocity, by the test of A1111 v1.10.1 for files of SD 2: at the last
    /// timestep such a network's answer is far from its input.
    pub(crate) fn predicts_velocity(&self) -> Result<bool> {
        let half = |shape: &[usize]| Tensor::full(0.5_f32, shape, &Device::Cpu);
        let x = half(&[1, self.config.in_channels, 8, 8])?;
        let answer = self.forward(&x, 999.0, &half(&[1, 2, self.config.text_width])?, None)?;
        Ok((answer - x)?.mean_all()?.to_scalar::<f32>()? < -1.0)
    }

    /// Height and width of the latents it was trained at.
    pub(crate) fn sample_size(&self) -> [usize; 2] {
        self.config.sample_size
    }

    /// The network's answers (`[m, out, h, w]`) to noisy latents `x` (`[n, in, h, w]`) at a timestep that
    /// may be fractional, under `text` (`[m, tokens, text_width]`) and, for SDXL, `vector`
    /// (`[m, vector_width]`). There are as many texts as pictures, or several for each, first one for
    /// every picture: what does not depend on them is done once.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        timestep: f64,
        text: &Tensor,
        vector: Option<&Tensor>,
    ) -> Result<Tensor> {
        self.forward_merging(x, timestep, text, vector, 0.0)
    }

    /// The same with so large a share of the tokens of whole pictures merged.
    pub(crate) fn forward_merging(
        &self,
        x: &Tensor,
        timestep: f64,
        text: &Tensor,
        vector: Option<&Tensor>,
        ratio: f64,
    ) -> Result<Tensor> {
        let (n, _, height, width) = x.dims4()?;
        if n == 0 || text.dim(0)? % n > 0 {
            bail!("{} texts for {n} pictures", text.dim(0)?)
        }
        let text = self.last_text.get(text, &self.device, self.blocks)?;
        let merging = (ratio > 0.0).then_some(Merging { tokens: height * width, ratio });
        let x = x.to_device(&self.device)?;
        let vector = vector.map(|vector| vector.to_device(&self.device)).transpose()?;
        let told = Told { text: &text, merging };
        let answer = among_threads(|| self.answer(&x, timestep, told, vector.as_ref()))?;
        answer.to_device(&Device::Cpu)
    }

    fn answer(
        &self,
        x: &Tensor,
        timestep: f64,
        told: Told<'_>,
        vector: Option<&Tensor>,
    ) -> Result<Tensor> {
        let rows = told.text.rows()?;
        let mut x = x.clone();
        let mut time = self.time.forward(&vec![timestep; rows])?;
        if let (Some([first, second]), Some(vector)) = (&self.added, vector) {
            time = (time + second.forward(&Activation::Silu.forward(&first.forward(vector)?)?)?)?;
            // Each text has a time of its own.
            x = repeated(&x, rows)?;
        }
        let time = Activation::Silu.forward(&time)?;
        if self.config.center_input {
            x = ((x * 2.0)? - 1.0)?;
        }
        let mut x = self.conv_in.forward(&x)?;
        let mut skips = vec![x.clone()];
        for block in &self.down {
            x = block.forward(x, &time, told, &mut skips)?;
        }
        x = self.middle.forward(&x, &time, told)?;
        for block in &self.up {
            x = block.forward(x, &time, told, &mut skips)?;
        }
        let x = self.conv_out.forward(&self.norm_out.forward(&x, Then::Silu)?)?;
        repeated(&x, rows)
    }
}
