//! Two-dimensional convolution: patches laid out as columns, then one matrix product per picture,
//! which leaves the result in NCHW as it is.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use crate::checkpoint::LoadError;
use crate::weights::Weights;

/// Values of columns made at once for one picture: bounds the memory of large pictures (64 MiB).
const COLUMNS_AT_ONCE: usize = 1 << 24;

/// A square convolution with bias.
#[derive(Clone, Debug)]
pub(crate) struct Conv2d {
    /// `[outputs, inputs · size² + 1]`, the bias in the last column.
    weight: Tensor,
    patch: Patch,
}

/// What of a picture goes into one output value.
#[derive(Clone, Copy, Debug)]
struct Patch {
    size: usize,
    stride: usize,
    padding: usize,
    /// Whether the far side stands for what lies beyond an edge, and not zeros.
    around: bool,
}

impl Patch {
    fn outputs(self, length: usize) -> usize {
        (length + 2 * self.padding - self.size) / self.stride + 1
    }
}

impl Conv2d {
    /// Reads `weight` (`[outputs, inputs, size, size]`) and `bias`; "same" padding, stride 1.
    pub(crate) fn load(
        w: &Weights,
        inputs: usize,
        outputs: usize,
        size: usize,
    ) -> std::result::Result<Self, LoadError> {
        let mut kept = w.layer((outputs, inputs * size * size), || {
            let weight = w.get([outputs, inputs, size, size], "weight")?;
            let bias = w.get([outputs], "bias")?;
            let join = || Tensor::cat(&[weight.flatten_from(1)?, bias.reshape((outputs, 1))?], 1);
            let weight = join()
                .map_err(|source| LoadError::Weights { file: w.file().to_owned(), source })?;
            Ok(vec![weight])
        })?;
        let weight = kept.swap_remove(0);
        Ok(Self { weight, patch: Patch { size, stride: 1, padding: size / 2, around: false } })
    }

    /// The same with another stride and padding.
    pub(crate) fn strided(self, stride: usize, padding: usize) -> Self {
        Self { patch: Patch { stride, padding, ..self.patch }, ..self }
    }

    /// The same for pictures that go on on the far side (A1111's tiling, PyTorch's circular padding).
    pub(crate) fn tile(&mut self) {
        self.patch.around = true;
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h', w']`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.patch.around && self.patch.padding > 0 {
            let padding = self.patch.padding;
            let patch = Patch { padding: 0, around: false, ..self.patch };
            let inner = Self { weight: self.weight.clone(), patch };
            return inner.forward(&around(&around(x, 2, padding)?, 3, padding)?);
        }
        let x = x.contiguous()?;
        let (n, _, height, width) = x.dims4()?;
        let (outputs, column) = self.weight.dims2()?;
        let (rows, across) = (self.patch.outputs(height), self.patch.outputs(width));
        let at_once = (COLUMNS_AT_ONCE / (column * across).max(1)).clamp(1, rows);
        let weight = self.weight.broadcast_as((n, outputs, column))?;
        let mut bands = Vec::with_capacity(rows.div_ceil(at_once));
        for first in (0..rows).step_by(at_once) {
            let count = at_once.min(rows - first);
            let columns = x.apply_op1_no_bwd(&Columns { patch: self.patch, first, count })?;
            bands.push(weight.matmul(&columns)?.reshape((n, outputs, count, across))?);
        }
        if bands.len() == 1 { Ok(bands.remove(0)) } else { Tensor::cat(&bands, 2) }
    }
}

/// With `count` values of the far side at each end of a dimension.
fn around(x: &Tensor, dim: usize, count: usize) -> Result<Tensor> {
    let len = x.dim(dim)?;
    let count = count.min(len);
    Tensor::cat(&[&x.narrow(dim, len - count, count)?, x, &x.narrow(dim, 0, count)?], dim)
}

/// Patches of the output rows `first..first + count` as columns: `[n, inputs · size² + 1, count ·
/// w']`, the last row ones, for the bias.
struct Columns {
    patch: Patch,
    first: usize,
    count: usize,
}

impl CustomOp1 for Columns {
    fn name(&self) -> &'static str {
        "columns"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("columns need contiguous values")
        };
        let (n, channels, height, width) = layout.shape().dims4()?;
        let x = &x.as_slice::<f32>()?[start..end];
        let across = self.patch.outputs(width);
        let size = self.patch.size;
        let rows = channels * size * size + 1;
        let mut out = Vec::with_capacity(n * rows * self.count * across);
        for picture in x.chunks_exact(channels * height * width) {
            for plane in picture.chunks_exact(height * width) {
                for at in 0..size * size {
                    self.lay_out(plane, width, at, across, &mut out);
                }
            }
            out.resize(out.len() + self.count * across, 1.0);
        }
        Ok((CpuStorage::F32(out), Shape::from((n, rows, self.count * across))))
    }
}

impl Columns {
    /// One value of every patch of `plane`: the value at place `at`.
    fn lay_out(&self, plane: &[f32], width: usize, at: usize, across: usize, out: &mut Vec<f32>) {
        let Patch { size, stride, padding, .. } = self.patch;
        let (dy, dx) = (at / size, at % size);
        // Outputs before `from` and from `to` on lie over the padding.
        let from = padding.saturating_sub(dx).div_ceil(stride).min(across);
        let to = (width + padding).saturating_sub(dx).div_ceil(stride).clamp(from, across);
        for y in self.first..self.first + self.count {
            let line = (y * stride + dy)
                .checked_sub(padding)
                .and_then(|y| plane.get(y * width..(y + 1) * width));
            let Some(line) = line else {
                out.resize(out.len() + across, 0.0);
                continue;
            };
            out.resize(out.len() + from, 0.0);
            if from < to {
                let line = &line[from * stride + dx - padding..];
                if stride == 1 {
                    out.extend_from_slice(&line[..to - from]);
                } else {
                    out.extend(line.iter().step_by(stride).take(to - from));
                }
            }
            out.resize(out.len() + across - to, 0.0);
        }
    }
}

/// Repeats pixels up to `height` × `width`, which need not be whole multiples.
pub(crate) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    x.upsample_nearest2d(height, width)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn waves(shape: &[usize], speed: f32) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * speed).sin()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn every_stride_padding_and_size_agrees_with_candles_convolution() {
        for (size, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1), (3, 2, 0), (3, 1, 0)] {
            for (height, width) in [(7, 5), (8, 8), (3, 4)] {
                let x = waves(&[2, 3, height, width], 0.37);
                let kernel = waves(&[4, 3, size, size], 0.71);
                let bias = waves(&[4], 1.3);
                let weight = Tensor::cat(
                    &[&kernel.flatten_from(1).unwrap(), &bias.reshape((4, 1)).unwrap()],
                    1,
                );
                let patch = Patch { size, stride, padding, around: false };
                let found = Conv2d { weight: weight.unwrap(), patch }.forward(&x).unwrap();
                let expected = x.conv2d(&kernel, padding, stride, 1, 1).unwrap();
                let expected =
                    expected.broadcast_add(&bias.reshape((1, 4, 1, 1)).unwrap()).unwrap();
                assert_eq!(found.dims(), expected.dims());
                let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                for (a, b) in flat(found).into_iter().zip(flat(expected)) {
                    assert!((a - b).abs() < 1e-5, "{size} {stride} {padding}: {a} {b}");
                }
            }
        }
    }
}
