//! The blocks of the UNet's way down, its turning point and its way up.

use std::cell::Cell;

use candle_core::{Result, Tensor};

use super::config::{Level, UnetConfig};
use super::resnet::Resnet;
use super::transformer::{Shape, Told, Transformer, repeated};
use crate::checkpoint::LoadError;
use crate::kernels::{Conv2d, upsample_nearest};
use crate::weights::Weights;

type Loaded<T> = std::result::Result<T, LoadError>;

/// What every part of a UNet needs to load.
pub(super) struct Plan<'a> {
    pub(super) config: &'a UnetConfig,
    /// Width of the time embedding.
    pub(super) time: usize,
    /// Blocks of transformers so far.
    pub(super) blocks: Cell<usize>,
}

impl Plan<'_> {
    fn resnet(&self, w: &Weights, inputs: usize, outputs: usize) -> Loaded<Resnet> {
        Resnet::load(w, inputs, outputs, self.config.groups, self.config.eps, Some(self.time))
    }

    fn transformer(&self, w: &Weights, level: &Level, depth: usize) -> Loaded<Option<Transformer>> {
        let shape = Shape {
            channels: level.channels,
            heads: level.heads,
            depth,
            text_width: self.config.text_width,
            groups: self.config.groups,
            linear_projection: self.config.linear_projection,
            first_block: self.blocks.replace(self.blocks.get() + depth),
        };
        (depth > 0).then(|| Transformer::load(w, shape)).transpose()
    }
}

/// A resnet and what attends behind it.
#[derive(Clone)]
struct Layer {
    resnet: Resnet,
    transformer: Option<Transformer>,
}

impl Layer {
    fn forward(&self, x: &Tensor, time: &Tensor, told: Told<'_>) -> Result<Tensor> {
        let x = self.resnet.forward(x, Some(time))?;
        match &self.transformer {
            Some(transformer) => transformer.forward(&x, told),
            None => Ok(x),
        }
    }
}

/// One level of the way down.
#[derive(Clone)]
pub(super) struct Down {
    layers: Vec<Layer>,
    shrink: Option<Conv2d>,
}

impl Down {
    /// See [`Conv2d::tile`].
    pub(super) fn tile(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.resnet.tile());
        if let Some(shrink) = &mut self.shrink {
            shrink.tile();
        }
    }

    pub(super) fn load(
        w: &Weights,
        plan: &Plan<'_>,
        inputs: usize,
        level: &Level,
        last: bool,
    ) -> Loaded<Self> {
        let c = level.channels;
        let layers = (0..level.layers)
            .map(|i| {
                let from = if i == 0 { inputs } else { c };
                let attentions = w.at("attentions").at(i);
                Ok(Layer {
                    resnet: plan.resnet(&w.at("resnets").at(i), from, c)?,
                    transformer: plan.transformer(&attentions, level, level.depth_down)?,
                })
            })
            .collect::<Loaded<_>>()?;
        let shrink = (!last)
            .then(|| {
                let padding = plan.config.downsample_padding;
                Conv2d::load_halving(&w.at("downsamplers.0.conv"), c, padding)
            })
            .transpose()?;
        Ok(Self { layers, shrink })
    }

    /// Leaves every intermediate picture in `skips`, for the way up.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        time: &Tensor,
        told: Told<'_>,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        for layer in &self.layers {
            x = layer.forward(&x, time, told)?;
            skips.push(x.clone());
        }
        if let Some(shrink) = &self.shrink {
            x = shrink.forward(&x)?;
            skips.push(x.clone());
        }
        Ok(x)
    }
}

/// The turning point.
#[derive(Clone)]
pub(super) struct Middle {
    first: Layer,
    second: Resnet,
}

impl Middle {
    /// See [`Conv2d::tile`].
    pub(super) fn tile(&mut self) {
        self.first.resnet.tile();
        self.second.tile();
    }

    pub(super) fn load(w: &Weights, plan: &Plan<'_>, level: &Level) -> Loaded<Self> {
        let c = level.channels;
        Ok(Self {
            first: Layer {
                resnet: plan.resnet(&w.at("resnets.0"), c, c)?,
                transformer: plan.transformer(
                    &w.at("attentions.0"),
                    level,
                    plan.config.mid_depth,
                )?,
            },
            second: plan.resnet(&w.at("resnets.1"), c, c)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor, time: &Tensor, told: Told<'_>) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x, time, told)?, Some(time))
    }
}

/// One level of the way up.
#[derive(Clone)]
pub(super) struct Up {
    layers: Vec<Layer>,
    grow: Option<Conv2d>,
}

impl Up {
    /// See [`Conv2d::tile`].
    pub(super) fn tile(&mut self) {
        self.layers.iter_mut().for_each(|layer| layer.resnet.tile());
        if let Some(grow) = &mut self.grow {
            grow.tile();
        }
    }

    /// `below` are the channels that come from below, `above` those of the next level up.
    pub(super) fn load(
        w: &Weights,
        plan: &Plan<'_>,
        below: usize,
        above: usize,
        level: &Level,
        last: bool,
    ) -> Loaded<Self> {
        let c = level.channels;
        let count = level.layers + 1;
        let layers = (0..count)
            .map(|i| {
                let from = if i == 0 { below } else { c };
                let skip = if i + 1 == count { above } else { c };
                let attentions = w.at("attentions").at(i);
                Ok(Layer {
                    resnet: plan.resnet(&w.at("resnets").at(i), from + skip, c)?,
                    transformer: plan.transformer(&attentions, level, level.depth_up)?,
                })
            })
            .collect::<Loaded<_>>()?;
        let grow =
            (!last).then(|| Conv2d::load(&w.at("upsamplers.0.conv"), c, c, 3)).transpose()?;
        Ok(Self { layers, grow })
    }

    /// Takes its pictures from the end of `skips`, and grows to the size of the next one: odd
    /// sizes come back exactly.
    pub(super) fn forward(
        &self,
        mut x: Tensor,
        time: &Tensor,
        told: Told<'_>,
        skips: &mut Vec<Tensor>,
    ) -> Result<Tensor> {
        for layer in &self.layers {
            if let Some(skip) = skips.pop() {
                x = Tensor::cat(&[&x, &repeated(&skip, x.dim(0)?)?], 1)?;
            }
            x = layer.forward(&x, time, told)?;
        }
        if let (Some(grow), Some(next)) = (&self.grow, skips.last()) {
            let (_, _, height, width) = next.dims4()?;
            x = grow.forward(&upsample_nearest(&x, height, width)?)?;
        }
        Ok(x)
    }
}
