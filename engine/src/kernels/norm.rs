//! Group and layer normalisation, with the activation that follows a group norm.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

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

impl GroupNorm {
    /// Reads `weight` and `bias` of `channels` values each. `groups` divides `channels`.
    pub(crate) fn load(
        w: &Weights,
        groups: usize,
        channels: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            weight: w.get([channels], "weight")?,
            bias: w.get([channels], "bias")?,
            groups,
            eps,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor, then: Then) -> Result<Tensor> {
        let op = GroupNormOp { groups: self.groups, eps: self.eps, then };
        x.contiguous()?.apply_op3_no_bwd(&self.weight, &self.bias, &op)
    }
}

struct GroupNormOp {
    groups: usize,
    eps: f64,
    then: Then,
}

impl CustomOp3 for GroupNormOp {
    fn name(&self) -> &'static str {
        "group-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weight: &CpuStorage,
        _: &Layout,
        bias: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("group norm needs contiguous values")
        };
        let dims = layout.dims();
        let (channels, pixels) = (dims[1], dims[2..].iter().product::<usize>());
        let per_group = channels / self.groups;
        let x = &x.as_slice::<f32>()?[start..end];
        let (weight, bias) = (weight.as_slice::<f32>()?, bias.as_slice::<f32>()?);
        let mut out = Vec::with_capacity(x.len());
        for (index, group) in x.chunks_exact((per_group * pixels).max(1)).enumerate() {
            let (mean, variance) = moments(group);
            let inverse = 1.0 / (variance + self.eps).sqrt();
            let first = index % self.groups * per_group;
            for (offset, plane) in group.chunks_exact(pixels).enumerate() {
                let channel = first + offset;
                let gain = (f64::from(weight[channel]) * inverse) as f32;
                let shift = (f64::from(bias[channel]) - mean * f64::from(gain)) as f32;
                match self.then {
                    Then::Nothing => out.extend(plane.iter().map(|v| v * gain + shift)),
                    Then::Silu => out.extend(plane.iter().map(|v| {
                        let y = v * gain + shift;
                        y / (1.0 + (-y).exp())
                    })),
                }
            }
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Mean and variance. Sums run in f32 over short stretches and in f64 over those, so that large
/// pictures lose nothing.
fn moments(values: &[f32]) -> (f64, f64) {
    let sum = |f: &dyn Fn(&[f32]) -> f32| values.chunks(256).map(|c| f64::from(f(c))).sum::<f64>();
    let count = values.len().max(1) as f64;
    let mean = sum(&|c| lanes(c, |v| v)) / count;
    let centre = mean as f32;
    let variance = sum(&|c| lanes(c, |v| (v - centre) * (v - centre))) / count;
    (mean, variance)
}

/// The sum of `f` over `values` in eight lanes, which a compiler can keep in one register.
#[inline]
fn lanes(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; 8];
    let (whole, rest) = values.as_chunks::<8>();
    for eight in whole {
        for (sum, v) in sums.iter_mut().zip(eight) {
            *sum += f(*v);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|v| f(*v)).sum::<f32>()
}

/// Layer normalisation over the last dimension.
#[derive(Clone, Debug)]
pub(crate) struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    eps: f32,
}

impl LayerNorm {
    /// Reads `weight` and `bias` of `width` values each.
    pub(crate) fn load(
        w: &Weights,
        width: usize,
        eps: f64,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            weight: w.get([width], "weight")?,
            bias: w.get([width], "bias")?,
            eps: eps as f32,
        })
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        candle_nn::ops::layer_norm(&x.contiguous()?, &self.weight, &self.bias, self.eps)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

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
