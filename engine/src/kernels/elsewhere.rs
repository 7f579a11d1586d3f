//! The same with candle's own operations, for devices other than the processor.

use candle_core::{D, Result, Tensor};
use candle_nn::ops;

use super::{Activation, Mask, Then};

/// `x · W + b`, with the weights `[inputs, outputs]`.
pub(super) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mapped = x.broadcast_matmul(weight)?;
    match bias {
        Some(bias) => mapped.broadcast_add(bias),
        None => Ok(mapped),
    }
}

/// The same from pictures (`[n, c, h, w]`) to tokens.
pub(super) fn linear_of_pixels(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    linear(&x.flatten_from(2)?.transpose(1, 2)?.contiguous()?, weight, bias)
}

/// The same from tokens to pictures, added to `base`.
pub(super) fn linear_onto_pixels(
    x: &Tensor,
    base: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    linear(x, weight, bias)?.transpose(1, 2)?.reshape(base.shape())? + base
}

/// One value for each picture and channel, added to every pixel; or one for each channel.
pub(super) fn add_to_planes(x: &Tensor, values: &Tensor) -> Result<Tensor> {
    let channels = values.dim(D::Minus1)?;
    x.broadcast_add(&values.reshape(((), channels, 1, 1))?)
}

pub(super) fn attention(
    q: &Tensor,
    [k, v]: [&Tensor; 2],
    heads: usize,
    mask: Mask,
) -> Result<Tensor> {
    /// Scores that are there at once: 256 MB.
    const SCORES: usize = 1 << 26;
    let (n, queries, c) = q.dims3()?;
    let by_heads = |x: &Tensor| {
        let tokens = x.dim(1)?;
        x.reshape((n, tokens, heads, c / heads))?.transpose(1, 2)?.contiguous()
    };
    let (q, k, v) = (by_heads(&(q / ((c / heads) as f64).sqrt())?)?, by_heads(k)?, by_heads(v)?);
    let (keys, k) = (k.dim(2)?, k.t()?);
    let at_once = (SCORES / (n * heads * keys).max(1)).max(1);
    let mut found = Vec::new();
    for first in (0..queries).step_by(at_once) {
        let count = at_once.min(queries - first);
        let mut scores = q.narrow(2, first, count)?.contiguous()?.matmul(&k)?;
        if mask == Mask::Causal {
            let hidden = (0..count * keys)
                .map(|at| if at % keys > first + at / keys { f32::NEG_INFINITY } else { 0.0 });
            let hidden = Tensor::from_iter(hidden, q.device())?.reshape((count, keys))?;
            scores = scores.broadcast_add(&hidden)?;
        }
        found.push(ops::softmax_last_dim(&scores)?.matmul(&v)?);
    }
    Tensor::cat(&found, 2)?.transpose(1, 2)?.reshape((n, queries, c))
}

pub(super) fn group_norm(
    x: &Tensor,
    [weight, bias]: [&Tensor; 2],
    groups: usize,
    eps: f64,
    then: Then,
) -> Result<Tensor> {
    let channels = x.dim(1)?;
    let mut by_channels = vec![1; x.rank()];
    by_channels[1] = channels;
    let normal = normalized(&x.reshape((x.dim(0)?, groups, ()))?, eps)?.reshape(x.shape())?;
    let scaled = normal.broadcast_mul(&weight.reshape(&by_channels[..])?)?;
    let scaled = scaled.broadcast_add(&bias.reshape(&by_channels[..])?)?;
    match then {
        Then::Nothing => Ok(scaled),
        Then::Silu => scaled.silu(),
    }
}

pub(super) fn layer_norm(x: &Tensor, [weight, bias]: [&Tensor; 2], eps: f64) -> Result<Tensor> {
    normalized(x, eps)?.broadcast_mul(weight)?.broadcast_add(bias)
}

/// Mean 0 and variance 1 over the last dimension.
fn normalized(x: &Tensor, eps: f64) -> Result<Tensor> {
    let from_mean = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = from_mean.sqr()?.mean_keepdim(D::Minus1)?;
    from_mean.broadcast_div(&(variance + eps)?.sqrt()?)
}

pub(super) fn activation(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::QuickGelu => x * ops::sigmoid(&(x * 1.702)?)?,
        Activation::Gelu => x.gelu_erf(),
        Activation::Silu => x.silu(),
    }
}

/// The first half of the last dimension times the gelu of the second.
pub(super) fn gated(x: &Tensor) -> Result<Tensor> {
    let inner = x.dim(D::Minus1)? / 2;
    let values = x.narrow(D::Minus1, 0, inner)?;
    values * x.narrow(D::Minus1, inner, inner)?.gelu_erf()?
}

/// Repeats pixels; sizes need not be whole multiples.
pub(super) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (_, _, rows, across) = x.dims4()?;
    let places = |length: usize, of: usize| {
        let places = (0..length).map(|at| (at * of / length) as u32);
        Tensor::from_iter(places, x.device())
    };
    x.index_select(&places(height, rows)?, 2)?.index_select(&places(width, across)?, 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Precision;
    use crate::kernels;
    use crate::kernels::values::waves;

    fn close(found: &Tensor, expected: &Tensor) {
        assert_eq!(found.dims(), expected.dims());
        let apart = (found - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-5, "{apart}");
    }

    #[test]
    fn activations_and_growth_are_those_of_the_processors_kernels() {
        let x = waves(&[2, 3, 5, 8], 0.37);
        for kind in [Activation::QuickGelu, Activation::Gelu, Activation::Silu] {
            close(&activation(&x, kind).unwrap(), &kind.forward(&x).unwrap());
        }
        close(&gated(&x).unwrap(), &kernels::gated(&x).unwrap());
        for (height, width) in [(10, 16), (9, 11)] {
            let expected = kernels::upsample_nearest(&x, height, width).unwrap();
            close(&upsample_nearest(&x, height, width).unwrap(), &expected);
        }
    }

    #[test]
    fn attention_is_that_of_the_processors_kernel() {
        let (q, k, v) =
            (waves(&[2, 7, 12], 0.37), waves(&[2, 7, 12], 0.7), waves(&[2, 7, 12], 1.3));
        for mask in [Mask::None, Mask::Causal] {
            let expected = kernels::attention(&q, [&k, &v], 3, mask, Precision::Full).unwrap();
            close(&attention(&q, [&k, &v], 3, mask).unwrap(), &expected);
        }
    }
}
