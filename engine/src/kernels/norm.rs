//! Group and layer normalisation, with the activation that follows a group norm.

use candle_core::{D, Result, Tensor};

use super::elsewhere;
use super::math::{moments, silu, wide};
use super::values::{pieces, with};
use crate::checkpoint::LoadError;
use crate::weights::Weights;

/// What a [`GroupNorm`] does to its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Nothing.
    Nothing,
    /// `x · sigmoid(x)`.
    Silu,
}

/// Group normalisation of `[n, c, …]`.
#[derive(Clone, Debug)]
pub(crate) struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: usize,
    eps: f64,
}

/// `weight` and `bias` of so many values, where they are needed.
fn scales(w: &Weights, count: usize) -> std::result::Result<[Tensor; 2], LoadError> {
    let scale = |name: &str| w.placed(&w.get([count], name)?);
    Ok([scale("weight")?, scale("bias")?])
}

impl GroupNorm {
    /// Reads `weight` and `bias` of `channels` values each. `groups` divides `channels`.
    pub(crate) fn load(
        w: &Weights,
        groups: usize,
        channels: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        let [weight, bias] = scales(w, channels)?;
        Ok(Self { weight, bias, groups, eps })
    }

    pub(crate) fn forward(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        if !x.device().is_cpu() {
            let scales = [&self.weight, &self.bias];
            return elsewhere::group_norm(x, scales, self.groups, self.eps, then);
        }
        let x = x.contiguous()?;
        let dims = x.dims();
        let (channels, pixels) = (dims[1], dims[2..].iter().product::<usize>());
        let per_group = channels / self.groups;
        let out = with(&x, |x| {
            with(&self.weight, |weight| {
                with(&self.bias, |bias| {
                    let size = per_group * pixels;
                    let group = |at: usize, out: &mut [f32]| {
                        let first = at % self.groups * per_group;
                        let channels = first..first + per_group;
                        let scales = (&weight[channels.clone()], &bias[channels]);
                        let x = &x[at * size..][..out.len()];
                        normalize_group(out, x, scales, self.eps, then);
                    };
                    Ok(pieces(x.len(), size, group))
                })
            })
        })?;
        Tensor::from_vec(out, x.shape(), x.device())
    }
}

wide!(normalize_group is group(out: &mut [f32], x: &[f32], scales: (&[f32], &[f32]), eps: f64, then: Then));
wide!(normalize_rows is layer(out: &mut [f32], x: &[f32], scales: (&[f32], &[f32]), eps: f64));

/// One group of channels; `scales` are the channels' weights and biases.
#[inline(always)]
fn group(out: &mut [f32], x: &[f32], scales: (&[f32], &[f32]), eps: f64, then: Then) {
    let (mean, variance) = moments(x);
    let inverse = 1.0 / (variance + eps).sqrt();
    let pixels = (x.len() / scales.0.len().max(1)).max(1);
    let planes = out.chunks_exact_mut(pixels).zip(x.chunks_exact(pixels));
    for ((out, x), (weight, bias)) in planes.zip(scales.0.iter().zip(scales.1)) {
        let gain = (f64::from(*weight) * inverse) as f32;
        let shift = (f64::from(*bias) - mean * f64::from(gain)) as f32;
        let values = out.iter_mut().zip(x);
        match then {
            Then::Nothing => values.for_each(|(out, x)| *out = x.mul_add(gain, shift)),
            Then::Silu => values.for_each(|(out, x)| *out = silu(x.mul_add(gain, shift))),
        }
    }
}

/// Layer normalisation over the last dimension.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl LayerNorm {
    /// Reads `weight` and `bias` of `width` values each.
    pub(crate) fn load(
        w: &Weights,
        width: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        let [weight, bias] = scales(w, width)?;
        Ok(Self { weight, bias, eps })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::layer_norm(x, [&self.weight, &self.bias], self.eps);
        }
        let x = x.contiguous()?;
        let width = x.dim(D::Minus1)?.max(1);
        let out = with(&x, |x| {
            with(&self.weight, |weight| {
                with(&self.bias, |bias| {
                    let size = width * ROWS;
                    let rows = |at: usize, out: &mut [f32]| {
                        let x = &x[at * size..][..out.len()];
                        normalize_rows(out, x, (weight, bias), self.eps);
                    };
                    Ok(pieces(x.len(), size, rows))
                })
            })
        })?;
        Tensor::from_vec(out, x.shape(), x.device())
    }
}

/// Rows that one task takes.
const ROWS: usize = 32;

#[inline(always)]
fn layer(out: &mut [f32], x: &[f32], (weight, bias): (&[f32], &[f32]), eps: f64) {
    let width = weight.len();
    for (out, x) in out.chunks_exact_mut(width).zip(x.chunks_exact(width)) {
        let (mean, variance) = moments(x);
        let (mean, inverse) = (mean as f32, (1.0 / (variance + eps).sqrt()) as f32);
        for ((out, x), (weight, bias)) in out.iter_mut().zip(x).zip(weight.iter().zip(bias)) {
            *out = ((x - mean) * inverse).mul_add(*weight, *bias);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::kernels::values::waves;

    #[test]
    fn other_devices_make_the_same_of_it() {
        let (weight, bias) = (waves(&[12], 0.9), waves(&[12], 1.7));
        let close = |found: &Tensor, expected: &Tensor| {
            let apart = (found - expected).unwrap().abs().unwrap().max_all().unwrap();
            assert!(apart.to_scalar::<f32>().unwrap() < 1e-5, "{apart}");
        };
        let x = waves(&[2, 12, 5, 3], 0.37);
        let norm = GroupNorm { weight: weight.clone(), bias: bias.clone(), groups: 4, eps: 1e-6 };
        for then in [Then::Nothing, Then::Silu] {
            let found = elsewhere::group_norm(&x, [&weight, &bias], 4, 1e-6, then).unwrap();
            close(&found, &norm.forward(&x, then).unwrap());
        }
        let x = waves(&[2, 5, 12], 0.37);
        let found = elsewhere::layer_norm(&x, [&weight, &bias], 1e-5).unwrap();
        let norm = LayerNorm { weight, bias, eps: 1e-5 };
        close(&found, &norm.forward(&x).unwrap());
    }

    #[test]
    fn a_group_has_mean_zero_and_variance_one() {
        let x = Tensor::from_vec(
            (0..48u8).map(|v| f32::from(v).sin()).collect(),
            (2, 4, 6),
            &Device::Cpu,
        );
        let one = Tensor::from_vec(vec![1.0f32; 4], 4, &Device::Cpu).unwrap();
        let zero = one.zeros_like().unwrap();
        let norm = GroupNorm { weight: one, bias: zero, groups: 2, eps: 0.0 };
        let y = norm.forward(&x.unwrap(), Then::Nothing).unwrap();
        for group in y.flatten_all().unwrap().to_vec1::<f32>().unwrap().chunks(12) {
            let (mean, variance) = moments(group);
            assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }
}
