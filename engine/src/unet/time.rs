//! The embedding of the timestep.

use candle_core::{Result, Tensor};

use crate::checkpoint::LoadError;
use crate::kernels::{Activation, Linear};
use crate::weights::Weights;

/// Sines and cosines of the timestep through two linear maps.
#[derive(Clone)]
pub(super) struct TimeEmbedding {
    width: usize,
    flip: bool,
    shift: f64,
    first: Linear,
    second: Linear,
}

/// Values that each number beside SDXL's text becomes.
pub(crate) const WAVES: usize = 256;

/// Cosines and sines of numbers, [`WAVES`] values for each.
pub(crate) fn waves(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().flat_map(|number| waves_of(*number, WAVES, true, 0.0)).collect()
}

fn waves_of(number: f64, width: usize, flip: bool, shift: f64) -> Vec<f32> {
    let half = width / 2;
    let angle = |i: usize| number * (-(10_000f64.ln()) * i as f64 / (half as f64 - shift)).exp();
    let sines = (0..half).map(|i| angle(i).sin() as f32);
    let cosines = (0..half).map(|i| angle(i).cos() as f32);
    let mut values: Vec<f32> =
        if flip { cosines.chain(sines).collect() } else { sines.chain(cosines).collect() };
    values.resize(width, 0.0);
    values
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
        let values = timesteps.iter().flat_map(|t| waves_of(*t, self.width, self.flip, self.shift));
        let values: Vec<f32> = values.collect();
        let waves = Tensor::from_vec(values, (timesteps.len(), self.width), self.first.device())?;
        self.second.forward(&Activation::Silu.forward(&self.first.forward(&waves)?)?)
    }
}
