//! The embedding of the timestep.

use candle_core::{Device, Result, Tensor};

use crate::checkpoint::LoadError;
use crate::kernels::Linear;
use crate::weights::Weights;

/// Sines and cosines of the timestep through two linear maps.
pub(super) struct TimeEmbedding {
    width: usize,
    flip: bool,
    shift: f64,
    first: Linear,
    second: Linear,
}

impl TimeEmbedding {
    pub(super) fn load(
        w: &Weights,
        width: usize,
        out: usize,
        flip: bool,
        shift: f64,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            width,
            flip,
            shift,
            first: Linear::load(&w.at("linear_1"), width, out)?,
            second: Linear::load(&w.at("linear_2"), out, out)?,
        })
    }

    /// `[timesteps, out]`. Timesteps may be fractional and are never rounded.
    pub(super) fn forward(&self, timesteps: &[f64]) -> Result<Tensor> {
        let half = self.width / 2;
        let mut values = Vec::with_capacity(timesteps.len() * self.width);
        for t in timesteps {
            let angle =
                |i: usize| t * (-(10_000f64.ln()) * i as f64 / (half as f64 - self.shift)).exp();
            let sines = (0..half).map(|i| angle(i).sin() as f32);
            let cosines = (0..half).map(|i| angle(i).cos() as f32);
            if self.flip {
                values.extend(cosines.chain(sines));
            } else {
                values.extend(sines.chain(cosines));
            }
            values.extend((2 * half..self.width).map(|_| 0.0));
        }
        let waves = Tensor::from_vec(values, (timesteps.len(), self.width), &Device::Cpu)?;
        self.second.forward(&self.first.forward(&waves)?.silu()?)
    }
}
