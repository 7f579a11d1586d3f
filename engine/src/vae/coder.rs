//! Encoder and decoder.

use candle_core::{Result, Tensor};

use super::config::VaeConfig;
use crate::checkpoint::LoadError;
use crate::kernels::{Conv2d, GroupNorm, Linear, Mask, Then, attention, upsample_nearest};
use crate::unet::Resnet;
use crate::weights::Weights;

type Loaded<T> = std::result::Result<T, LoadError>;

const EPS: f64 = 1e-6;

/// Resnets and, except at the innermost or outermost level, a change of size.
#[derive(Clone)]
struct Level {
    resnets: Vec<Resnet>,
    resize: Option<Conv2d>,
}

impl Level {
    fn tile(&mut self) {
        self.resnets.iter_mut().for_each(Resnet::tile);
        if let Some(resize) = &mut self.resize {
            resize.tile();
        }
    }

    fn load(
        w: &Weights,
        config: &VaeConfig,
        channels: (usize, usize),
        count: usize,
        resize: Option<Conv2d>,
    ) -> Loaded<Self> {
        let (from, to) = channels;
        let resnets = (0..count)
            .map(|i| {
                let from = if i == 0 { from } else { to };
                Resnet::load(&w.at("resnets").at(i), from, to, config.norm_num_groups, EPS, None)
            })
            .collect::<Loaded<_>>()?;
        Ok(Self { resnets, resize })
    }

    fn forward(&self, mut x: Tensor) -> Result<Tensor> {
        for resnet in &self.resnets {
            x = resnet.forward(&x, None)?;
        }
        Ok(x)
    }
}

/// The innermost level, with attention of one head.
#[derive(Clone)]
struct Middle {
    first: Resnet,
    attention: Option<Attention>,
    second: Resnet,
}

impl Middle {
    fn tile(&mut self) {
        self.first.tile();
        self.second.tile();
    }

    fn load(w: &Weights, config: &VaeConfig, channels: usize) -> Loaded<Self> {
        let resnet = |name: &str| {
            Resnet::load(&w.at(name), channels, channels, config.norm_num_groups, EPS, None)
        };
        Ok(Self {
            first: resnet("resnets.0")?,
            attention: config
                .mid_block_add_attention
                .then(|| Attention::load(&w.at("attentions.0"), config, channels))
                .transpose()?,
            second: resnet("resnets.1")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.first.forward(x, None)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.second.forward(&x, None)
    }
}

#[derive(Clone)]
struct Attention {
    norm: GroupNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    fn load(w: &Weights, config: &VaeConfig, c: usize) -> Loaded<Self> {
        // diffusers before 0.15 used the second names.
        let projection = |new: &str, old: &str| {
            let name = if w.at(old).has("weight") { old } else { new };
            Linear::load(&w.at(name), c, c)
        };
        Ok(Self {
            norm: GroupNorm::load(&w.at("group_norm"), config.norm_num_groups, c, EPS)?,
            q: projection("to_q", "query")?,
            k: projection("to_k", "key")?,
            v: projection("to_v", "value")?,
            out: projection("to_out.0", "proj_attn")?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let h = self.norm.forward(x, Then::Nothing)?;
        let [q, k, v] = [&self.q, &self.k, &self.v].map(|it| it.forward_pixels(&h));
        let found = attention(&q?, [&k?, &v?], 1, Mask::None, self.q.precision())?;
        self.out.forward_onto_pixels(&found, x)
    }
}

/// Pictures to the moments of latents.
#[derive(Clone)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    levels: Vec<Level>,
    middle: Middle,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Encoder {
    /// See [`Conv2d::tile`].
    pub(super) fn tile(&mut self) {
        self.conv_in.tile();
        self.levels.iter_mut().for_each(Level::tile);
        self.middle.tile();
        self.conv_out.tile();
    }

    pub(super) fn load(w: &Weights, config: &VaeConfig) -> Loaded<Self> {
        let channels = &config.block_out_channels;
        let (outer, inner) = (channels[0], channels[channels.len() - 1]);
        let levels = (0..channels.len())
            .map(|i| {
                let from = channels[i.saturating_sub(1)];
                let (w, to) = (w.at("down_blocks").at(i), channels[i]);
                let resize = (i + 1 < channels.len())
                    .then(|| Conv2d::load_halving(&w.at("downsamplers.0.conv"), to, 0));
                let count = config.layers_per_block;
                Level::load(&w, config, (from, to), count, resize.transpose()?)
            })
            .collect::<Loaded<_>>()?;
        Ok(Self {
            conv_in: Conv2d::load(&w.at("conv_in"), config.in_channels, outer, 3)?,
            levels,
            middle: Middle::load(&w.at("mid_block"), config, inner)?,
            norm_out: GroupNorm::load(&w.at("conv_norm_out"), config.norm_num_groups, inner, EPS)?,
            conv_out: Conv2d::load(&w.at("conv_out"), inner, 2 * config.latent_channels, 3)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut x = self.conv_in.forward(x)?;
        for level in &self.levels {
            x = level.forward(x)?;
            if let Some(shrink) = &level.resize {
                // One row and one column of zeros on the far sides only.
                let padded = x.pad_with_zeros(2, 0, 1)?.pad_with_zeros(3, 0, 1)?;
                x = shrink.forward(&padded)?;
            }
        }
        let x = self.middle.forward(&x)?;
        self.conv_out.forward(&self.norm_out.forward(&x, Then::Silu)?)
    }
}

/// Latents to pictures.
#[derive(Clone)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    levels: Vec<Level>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl Decoder {
    /// See [`Conv2d::tile`].
    pub(super) fn tile(&mut self) {
        self.conv_in.tile();
        self.middle.tile();
        self.levels.iter_mut().for_each(Level::tile);
        self.conv_out.tile();
    }

    pub(super) fn load(w: &Weights, config: &VaeConfig) -> Loaded<Self> {
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (inner, outer) = (channels[0], channels[channels.len() - 1]);
        let levels = (0..channels.len())
            .map(|i| {
                let from = channels[i.saturating_sub(1)];
                let (w, to) = (w.at("up_blocks").at(i), channels[i]);
                let resize = (i + 1 < channels.len())
                    .then(|| Conv2d::load(&w.at("upsamplers.0.conv"), to, to, 3));
                let count = config.layers_per_block + 1;
                Level::load(&w, config, (from, to), count, resize.transpose()?)
            })
            .collect::<Loaded<_>>()?;
        Ok(Self {
            conv_in: Conv2d::load(&w.at("conv_in"), config.latent_channels, inner, 3)?,
            middle: Middle::load(&w.at("mid_block"), config, inner)?,
            levels,
            norm_out: GroupNorm::load(&w.at("conv_norm_out"), config.norm_num_groups, outer, EPS)?,
            conv_out: Conv2d::load(&w.at("conv_out"), outer, config.out_channels, 3)?,
        })
    }

    pub(super) fn forward(&self, z: &Tensor) -> Result<Tensor> {
        let mut x = self.middle.forward(&self.conv_in.forward(z)?)?;
        for level in &self.levels {
            x = level.forward(x)?;
            if let Some(grow) = &level.resize {
                let (_, _, height, width) = x.dims4()?;
                x = grow.forward(&upsample_nearest(&x, 2 * height, 2 * width)?)?;
            }
        }
        self.conv_out.forward(&self.norm_out.forward(&x, Then::Silu)?)
    }
}
