//! Residual blocks, shared by UNet and autoencoder.

use candle_core::{Result, Tensor};

use crate::checkpoint::LoadError;
use crate::kernels::{Conv2d, GroupNorm, Linear, Then};
use crate::weights::Weights;

/// Two convolutions around an optional time embedding, added to the input.
#[derive(Clone)]
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
}

impl Resnet {
    /// See [`Conv2d::tile`].
    pub(crate) fn tile(&mut self) {
        self.conv1.tile();
        self.conv2.tile();
        if let Some(shortcut) = &mut self.shortcut {
            shortcut.tile();
        }
    }

    /// Reads a block of `inputs` to `outputs` channels; `time` is the width of the time embedding,
    /// which the autoencoder has none of.
    pub(crate) fn load(
        w: &Weights,
        inputs: usize,
        outputs: usize,
        groups: usize,
        eps: f64,
        time: Option<usize>,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            norm1: GroupNorm::load(&w.at("norm1"), groups, inputs, eps)?,
            conv1: Conv2d::load(&w.at("conv1"), inputs, outputs, 3)?,
            time: time
                .map(|width| Linear::load(&w.at("time_emb_proj"), width, outputs))
                .transpose()?,
            norm2: GroupNorm::load(&w.at("norm2"), groups, outputs, eps)?,
            conv2: Conv2d::load(&w.at("conv2"), outputs, outputs, 3)?,
            shortcut: (inputs != outputs)
                .then(|| Conv2d::load(&w.at("conv_shortcut"), inputs, outputs, 1))
                .transpose()?,
        })
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h, w]`; `time` (`[n, width]`) is already activated.
    pub(crate) fn forward(&self, x: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let h = self.norm1.forward(x, Then::Silu)?;
        let h = match (&self.time, time) {
            (Some(project), Some(time)) => {
                // One for each text, and the same for all texts of a picture.
                let time = time.narrow(0, 0, x.dim(0)?)?;
                self.conv1.forward_shifted(&h, &project.forward(&time)?)?
            }
            _ => self.conv1.forward(&h)?,
        };
        let h = self.norm2.forward(&h, Then::Silu)?;
        match &self.shortcut {
            Some(shortcut) => self.conv2.forward_onto(&h, &shortcut.forward(x)?),
            None => self.conv2.forward_onto(&h, x),
        }
    }
}
