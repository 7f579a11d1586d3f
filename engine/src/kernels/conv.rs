//! Two-dimensional convolution.

use candle_core::{Result, Tensor};

use crate::checkpoint::LoadError;
use crate::weights::Weights;

/// A square convolution with bias.
#[derive(Debug)]
pub(crate) struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv2d {
    /// Reads `weight` (`[outputs, inputs, size, size]`) and `bias`; "same" padding, stride 1.
    pub(crate) fn load(
        w: &Weights,
        inputs: usize,
        outputs: usize,
        size: usize,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            weight: w.get([outputs, inputs, size, size], "weight")?,
            bias: w
                .get([outputs], "bias")?
                .reshape((1, outputs, 1, 1))
                .map_err(|source| LoadError::Weights { file: w.file().to_owned(), source })?,
            stride: 1,
            padding: size / 2,
        })
    }

    /// The same with another stride and padding.
    pub(crate) fn strided(self, stride: usize, padding: usize) -> Self {
        Self { stride, padding, ..self }
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h', w']`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.weight, self.padding, self.stride, 1, 1)?.broadcast_add(&self.bias)
    }
}

/// Repeats pixels up to `height` × `width`, which need not be whole multiples.
pub(crate) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    x.upsample_nearest2d(height, width)
}
