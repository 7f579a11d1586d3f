//! Activations, value by value.

use candle_core::{Result, Tensor};

use super::elsewhere;
use super::math::{exp, gelu, silu, wide};
use super::values::{pieces, with};

/// Values that one piece of work has.
const PIECE: usize = 1 << 14;

/// What is done to each value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// `x · sigmoid(1.702 x)`: OpenAI's CLIP, SD 1.
    QuickGelu,
    /// Exact gelu: OpenCLIP, SD 2 and XL.
    Gelu,
    /// `x · sigmoid(x)`.
    Silu,
}

impl Activation {
    /// The same shape with each value activated.
    pub(crate) fn forward(self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::activation(x, self);
        }
        let x = x.contiguous()?;
        let out = with(&x, |x| {
            let piece = |at: usize, to: &mut [f32]| activate(to, &x[at * PIECE..], self);
            Ok(pieces(x.len(), PIECE, piece))
        })?;
        Tensor::from_vec(out, x.shape(), x.device())
    }
}

wide!(activate is activate_all(to: &mut [f32], x: &[f32], activation: Activation));

#[inline(always)]
fn activate_all(to: &mut [f32], x: &[f32], activation: Activation) {
    let values = to.iter_mut().zip(x);
    match activation {
        Activation::QuickGelu => values.for_each(|(to, x)| *to = x / (1.0 + exp(-1.702 * x))),
        Activation::Gelu => values.for_each(|(to, x)| *to = gelu(*x)),
        Activation::Silu => values.for_each(|(to, x)| *to = silu(*x)),
    }
}
