//! Two-dimensional convolution: in Winograd's form where it is of 3×3 with stride 1 and has the channels for
//! it; otherwise patches laid out as columns, and products of matrices, which leave the result in NCHW as it is.

mod job;
mod rounded;
mod winograd;

use candle_core::{DType, Result, Tensor, bail};

use super::elsewhere;
use super::values::{pieces, planes_with, turned, with, with_values};
use crate::checkpoint::LoadError;
use crate::compute::Precision;
use crate::weights::Weights;
use job::Job;

/// A square convolution with bias.
#[derive(Clone, Debug)]
pub(crate) struct Conv2d {
    /// What [`kept`] makes of them, or `[outputs, inputs, size, size]` for candle.
    weight: Tensor,
    bias: Tensor,
    patch: Patch,
    precision: Precision,
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
    /// Whether it is one pixel, and every pixel is one.
    fn is_point(self) -> bool {
        (self.size, self.stride, self.padding) == (1, 1, 0)
    }

    /// Whether it is computed in Winograd's form.
    fn is_turned(self, inputs: usize, outputs: usize) -> bool {
        (self.size, self.stride) == (3, 1) && winograd::pays(inputs, outputs)
    }

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
        let patch = Patch { size, stride: 1, padding: size / 2, around: false };
        Self::read(w, (inputs, outputs), patch)
    }

    /// Reads one of 3×3 to half of the size, with as many outputs as inputs.
    pub(crate) fn load_halving(
        w: &Weights,
        channels: usize,
        padding: usize,
    ) -> std::result::Result<Self, LoadError> {
        let patch = Patch { size: 3, stride: 2, padding, around: false };
        Self::read(w, (channels, channels), patch)
    }

    fn read(
        w: &Weights,
        (inputs, outputs): (usize, usize),
        patch: Patch,
    ) -> std::result::Result<Self, LoadError> {
        let (size, precision) = (patch.size, w.backend().precision(inputs));
        let (weight, bias) = w.layer((outputs, inputs * size * size), || {
            let weight = w.get_kept([outputs, inputs, size, size], "weight")?;
            // candle's own operation takes them as they are.
            let weight = if w.backend().device.is_cpu() {
                kept(&weight, patch, precision).map_err(|source| w.broken(source))?
            } else {
                weight
            };
            Ok((weight, Some(w.get([outputs], "bias")?)))
        })?;
        let missing = || LoadError::MissingKey { file: w.file().to_owned(), key: "bias".into() };
        Ok(Self { weight, bias: bias.ok_or_else(missing)?, patch, precision })
    }

    /// The same for pictures that go on on the far side (A1111's tiling, PyTorch's circular padding).
    pub(crate) fn tile(&mut self) {
        self.patch.around = true;
    }

    /// `[n, inputs, h, w]` to `[n, outputs, h', w']`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::add_to_planes(&self.elsewhere(x)?, &self.bias);
        }
        self.add(x, |n, outputs, pixels| {
            with(&self.bias, |bias| {
                let plane = |at: usize, plane: &mut [f32]| plane.fill(bias[at % outputs]);
                Ok(pieces(n * outputs * pixels, pixels, plane))
            })
        })
    }

    /// The same with `shift` (`[n, outputs]`) added to every pixel.
    pub(crate) fn forward_shifted(&self, x: &Tensor, shift: &Tensor) -> Result<Tensor> {
        let shift = shift.broadcast_add(&self.bias)?;
        if !x.device().is_cpu() {
            return elsewhere::add_to_planes(&self.elsewhere(x)?, &shift);
        }
        self.add(x, |n, outputs, pixels| {
            with(&shift, |shift| {
                let plane = |at: usize, plane: &mut [f32]| plane.fill(shift[at]);
                Ok(pieces(n * outputs * pixels, pixels, plane))
            })
        })
    }

    /// The same added to `base` (`[n, outputs, h', w']`).
    pub(crate) fn forward_onto(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::add_to_planes(&self.elsewhere(x)?, &self.bias)? + base;
        }
        let base = base.contiguous()?;
        self.add(x, |_, _, pixels| {
            with(&base, |base| with(&self.bias, |bias| Ok(planes_with(base, bias, pixels))))
        })
    }

    /// The picture with the far side around it where that is wanted, and what is then padded with zeros.
    fn padded(&self, x: &Tensor) -> Result<(Tensor, Patch)> {
        let padding = self.patch.padding;
        if !self.patch.around || padding == 0 {
            return Ok((x.clone(), self.patch));
        }
        let patch = Patch { padding: 0, around: false, ..self.patch };
        Ok((around(&around(x, 2, padding)?, 3, padding)?, patch))
    }

    /// The products with candle's operation.
    fn elsewhere(&self, x: &Tensor) -> Result<Tensor> {
        let (x, patch) = self.padded(x)?;
        x.conv2d(&self.weight, patch.padding, patch.stride, 1, 1)
    }

    /// Adds the products to what `begin` gives for so many pictures, outputs and pixels.
    fn add(
        &self,
        x: &Tensor,
        begin: impl FnOnce(usize, usize, usize) -> Result<Vec<f32>>,
    ) -> Result<Tensor> {
        let (x, patch) = self.padded(x)?;
        let x = x.contiguous()?;
        let (n, inputs, height, width) = x.dims4()?;
        let outputs = self.bias.dim(0)?;
        if self.weight.dim(1)? != inputs * patch.size * patch.size {
            bail!("a convolution was given {inputs} channels, which are not its own")
        }
        if height.min(width) + 2 * patch.padding < patch.size {
            bail!("a picture of {height}×{width} is smaller than a kernel of {}", patch.size)
        }
        let (rows, across) = (patch.outputs(height), patch.outputs(width));
        let mut out = begin(n, outputs, rows * across)?;
        if out.len() != n * outputs * rows * across {
            bail!("a convolution adds to {} values, not {}", n * outputs * rows * across, out.len())
        }
        let job = Job { patch, pictures: n, inputs, outputs, height, width, rows, across };
        with(&x, |x| {
            with_values(&self.weight, |weight| job.add(&mut out, x, weight, self.precision))
        })?;
        Tensor::from_vec(out, (n, outputs, rows, across), x.device())
    }
}

/// Kernels (`[outputs, inputs, size, size]`) in the form that they are multiplied in: in half precision where
/// they are so, and in bf16 for that.
fn kept(kernels: &Tensor, patch: Patch, precision: Precision) -> Result<Tensor> {
    let (outputs, inputs, _, _) = kernels.dims4()?;
    let turned = patch.is_turned(inputs, outputs);
    match precision {
        // It is faster than bf16, and rounds nothing.
        _ if turned => winograd::kept(kernels),
        Precision::Full => by_places(kernels),
        Precision::Bf16 => by_places(&kernels.to_dtype(DType::BF16)?),
    }
}

/// Kernels as `[outputs, size² · inputs]`: what is worked on together lies beside each other.
fn by_places(kernels: &Tensor) -> Result<Tensor> {
    turned(&kernels.flatten_from(2)?)?.flatten_from(1)
}

/// With `count` values of the far side at each end of a dimension.
fn around(x: &Tensor, dim: usize, count: usize) -> Result<Tensor> {
    let len = x.dim(dim)?;
    let count = count.min(len);
    Tensor::cat(&[&x.narrow(dim, len - count, count)?, x, &x.narrow(dim, 0, count)?], dim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values::waves;

    /// What weights are kept in.
    const PRECISIONS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

    /// A convolution with weights of that precision, and they themselves.
    fn kept_as(kept: DType, kernel: &Tensor, bias: &Tensor, patch: Patch) -> (Conv2d, Tensor) {
        let kernel = kernel.to_dtype(kept).unwrap();
        let conv = conv(&kernel, bias, patch, Precision::Full);
        (conv, kernel.to_dtype(DType::F32).unwrap())
    }

    fn conv(kernel: &Tensor, bias: &Tensor, patch: Patch, precision: Precision) -> Conv2d {
        let weight = super::kept(kernel, patch, precision).unwrap();
        Conv2d { weight, bias: bias.clone(), patch, precision }
    }

    /// The largest difference, as a share of the largest value.
    fn apart(found: &Tensor, expected: &Tensor) -> f32 {
        assert_eq!(found.dims(), expected.dims());
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (found, expected) = (flat(found), flat(expected));
        let largest = expected.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
        let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        apart.fold(0.0_f32, f32::max) / largest
    }

    #[test]
    fn fewer_multiplications_give_the_same() {
        for (n, inputs, outputs, height, width) in [
            (1, 32, 70, 24, 24),
            (2, 40, 33, 17, 22),
            (1, 300, 64, 64, 70),
            (3, 33, 32, 16, 21),
            (2, 48, 50, 3, 5),
            // Parts of all pictures begin within a row.
            (3, 300, 32, 38, 42),
            (2, 32, 32, 1, 9),
        ] {
            for padding in [0, 1] {
                if height + 2 * padding < 3 {
                    continue;
                }
                let x = waves(&[n, inputs, height, width], 0.377);
                let kernel = waves(&[outputs, inputs, 3, 3], 0.711);
                let bias = waves(&[outputs], 1.3);
                let patch = Patch { size: 3, stride: 1, padding, around: false };
                assert!(patch.is_turned(inputs, outputs), "or nothing is tested");
                let bias4 = bias.reshape((1, outputs, 1, 1)).unwrap();
                for kept in PRECISIONS {
                    let (conv, kernel) = kept_as(kept, &kernel, &bias, patch);
                    let found = conv.forward(&x).unwrap();
                    let expected = x.conv2d(&kernel, padding, 1, 1, 1).unwrap();
                    let apart = apart(&found, &expected.broadcast_add(&bias4).unwrap());
                    let case = format!("{n} {inputs} {outputs} {height} {width} {kept:?}");
                    assert!(apart < 3e-5, "{case}: {apart:e}");
                }
            }
        }
    }

    #[test]
    fn fewer_multiplications_are_added_to_what_there_is_in_any_precision() {
        let (x, kernel, bias) =
            (waves(&[2, 40, 9, 11], 0.377), waves(&[33, 40, 3, 3], 0.711), waves(&[33], 1.3));
        for around in [false, true] {
            let patch = Patch { size: 3, stride: 1, padding: 1, around };
            let full = conv(&kernel, &bias, patch, Precision::Full);
            let there = Conv2d { weight: kernel.clone(), ..full.clone() };
            let products = there.elsewhere(&x).unwrap();
            let (shift, base) = (waves(&[2, 33], 0.9), waves(&[2, 33, 9, 11], 0.3));
            let all = elsewhere::add_to_planes(&products, &bias).unwrap();
            let shifted = shift.broadcast_add(&bias).unwrap();
            let shifted = elsewhere::add_to_planes(&products, &shifted).unwrap();
            let onto = (&all + &base).unwrap();
            for precision in [Precision::Full, Precision::Bf16] {
                let conv = conv(&kernel, &bias, patch, precision);
                assert!(apart(&conv.forward(&x).unwrap(), &all) < 3e-5);
                assert!(apart(&conv.forward_shifted(&x, &shift).unwrap(), &shifted) < 3e-5);
                assert!(apart(&conv.forward_onto(&x, &base).unwrap(), &onto) < 3e-5);
            }
        }
    }

    #[test]
    fn pictures_that_do_not_fit_are_errors() {
        let (kernel, bias) = (waves(&[33, 40, 3, 3], 0.711), waves(&[33], 1.3));
        let patch = Patch { size: 3, stride: 1, padding: 0, around: false };
        let conv = conv(&kernel, &bias, patch, Precision::Full);
        let error = |shape: &[usize]| conv.forward(&waves(shape, 0.3)).unwrap_err().to_string();
        assert!(error(&[1, 48, 9, 9]).contains("given 48 channels"));
        assert!(error(&[1, 40, 2, 9]).contains("smaller than a kernel of 3"));
    }

    #[test]
    fn other_devices_make_the_same_of_it() {
        for (size, stride, padding, around) in
            [(1, 1, 0, false), (3, 1, 1, false), (3, 2, 1, false), (3, 1, 1, true)]
        {
            let x = waves(&[2, 3, 9, 7], 0.37);
            let (kernel, bias) = (waves(&[4, 3, size, size], 0.71), waves(&[4], 1.3));
            let patch = Patch { size, stride, padding, around };
            let (conv, _) = kept_as(DType::F32, &kernel, &bias, patch);
            let there = Conv2d { weight: kernel, ..conv.clone() };
            let shift = waves(&[2, 4], 0.9);
            let found = there.elsewhere(&x).unwrap();
            let all = shift.broadcast_add(&bias).unwrap();
            let shifted = elsewhere::add_to_planes(&found, &all).unwrap();
            let found = elsewhere::add_to_planes(&found, &bias).unwrap();
            assert!(apart(&found, &conv.forward(&x).unwrap()) < 1e-6);
            assert!(apart(&shifted, &conv.forward_shifted(&x, &shift).unwrap()) < 1e-6);
        }
    }

    #[test]
    fn in_bf16_patches_and_kernels_are_rounded() {
        let rounded = |x: &Tensor| x.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        for (size, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1)] {
            for (height, width) in [(7, 5), (8, 8), (70, 33)] {
                let x = waves(&[2, 6, height, width], 0.37);
                let (kernel, bias) = (waves(&[14, 6, size, size], 0.71), waves(&[14], 1.3));
                let patch = Patch { size, stride, padding, around: false };
                let conv = conv(&kernel, &bias, patch, Precision::Bf16);
                let found = conv.forward(&x).unwrap();
                let expected =
                    rounded(&x).conv2d(&rounded(&kernel), padding, stride, 1, 1).unwrap();
                let bias = bias.reshape((1, 14, 1, 1)).unwrap();
                let apart = apart(&found, &expected.broadcast_add(&bias).unwrap());
                assert!(apart < 1e-6, "{size} {stride} {padding} {height}: {apart:e}");
            }
        }
    }

    #[test]
    fn every_stride_padding_and_size_agrees_with_candles_convolution() {
        for (size, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1), (3, 2, 0), (3, 1, 0)] {
            for (height, width) in [(7, 5), (8, 8), (3, 4), (70, 9)] {
                let x = waves(&[2, 3, height, width], 0.37);
                let kernel = waves(&[4, 3, size, size], 0.71);
                let bias = waves(&[4], 1.3);
                let patch = Patch { size, stride, padding, around: false };
                for kept in PRECISIONS {
                    let (conv, kernel) = kept_as(kept, &kernel, &bias, patch);
                    let found = conv.forward(&x).unwrap();
                    let expected = x.conv2d(&kernel, padding, stride, 1, 1).unwrap();
                    let expected =
                        expected.broadcast_add(&bias.reshape((1, 4, 1, 1)).unwrap()).unwrap();
                    let apart = apart(&found, &expected);
                    assert!(apart < 1e-6, "{size} {stride} {padding} {kept:?}: {apart:e}");
                }
            }
        }
    }
}
