//! Linear layers over the last dimension.

use candle_core::{D, DType, Device, Result, Tensor, bail};
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use super::elsewhere;
use super::math::{gelu, wide};
use super::product::bf16::{self, PANEL, Panels, Rows, pair_columns, panel_values};
use super::product::{Block, Matrix};
use super::values::{
    Values, add_turned, pieces, planes_with, sum_into, turned, with, with_pairs, with_scratch,
    with_values,
};
use crate::checkpoint::LoadError;
use crate::compute::Precision;
use crate::weights::Weights;

/// `x · Wᵀ (+ b)` for inputs of any rank above one.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// `[inputs, outputs]`: so the products need not turn it each time. In half precision where the file
    /// has it so. Or what [`panels`] makes of it.
    weight: Tensor,
    bias: Option<Tensor>,
    inputs: usize,
    outputs: usize,
    precision: Precision,
}

impl Linear {
    /// Reads `weight` (`[outputs, inputs]`) and `bias`.
    pub(crate) fn load(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        Self::keep(w, (outputs, inputs), || {
            Ok((w.get_kept([outputs, inputs], "weight")?, Some(w.get([outputs], "bias")?)))
        })
    }

    /// Reads `weight` (`[outputs, inputs]`).
    pub(crate) fn load_without_bias(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        let read = || Ok((w.get_kept([outputs, inputs], "weight")?, None));
        Self::keep(w, (outputs, inputs), read)
    }

    /// Reads a 1×1 convolution (`[outputs, inputs, 1, 1]`) and its bias: over tokens it is a
    /// linear layer.
    pub(crate) fn load_convolution(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        Self::keep(w, (outputs, inputs), || {
            Ok((w.get_kept([outputs, inputs, 1, 1], "weight")?, Some(w.get([outputs], "bias")?)))
        })
    }

    fn keep(
        w: &Weights,
        (outputs, inputs): (usize, usize),
        read: impl FnOnce() -> std::result::Result<(Tensor, Option<Tensor>), LoadError>,
    ) -> std::result::Result<Self, LoadError> {
        let precision = w.backend().precision(inputs);
        let (weight, bias) = w.layer((outputs, inputs), || {
            let (weight, bias) = read()?;
            let kept = weight.reshape((outputs, inputs)).and_then(|weight| match precision {
                Precision::Full => turned(&weight.unsqueeze(0)?)?.squeeze(0),
                Precision::Bf16 => panels(&weight),
            });
            Ok((kept.map_err(|source| w.broken(source))?, bias))
        })?;
        Ok(Self { weight, bias, inputs, outputs, precision })
    }

    /// Values that it gives for a row.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Where it computes.
    pub(crate) fn device(&self) -> &Device {
        self.weight.device()
    }

    /// What it computes in.
    pub(crate) fn precision(&self) -> Precision {
        self.precision
    }

    /// `[…, inputs]` to `[…, outputs]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.elsewhere(x);
        }
        let out = self.begin(x.elem_count() / x.dim(D::Minus1)?.max(1))?;
        self.add(x, out)
    }

    /// The same, added to `base` (`[…, outputs]`).
    pub(crate) fn forward_onto(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return self.elsewhere(x)? + base;
        }
        let (base, outputs) = (base.contiguous()?, self.outputs());
        let out = with(&base, |base| {
            let Some(bias) = &self.bias else { return Ok(base.to_vec()) };
            with(bias, |bias| {
                let row = |at: usize, row: &mut [f32]| sum_into(row, &base[at * outputs..], bias);
                Ok(pieces(base.len(), outputs, row))
            })
        })?;
        self.add(x, out)
    }

    /// The same with candle's operations.
    fn elsewhere(&self, x: &Tensor) -> Result<Tensor> {
        elsewhere::linear(x, &self.weight, self.bias.as_ref())
    }

    /// The bias in each of so many rows.
    fn begin(&self, rows: usize) -> Result<Vec<f32>> {
        let Some(bias) = &self.bias else { return Ok(vec![0.0; rows * self.outputs()]) };
        let size = rows * self.outputs();
        with(bias, |bias| Ok(pieces(size, bias.len(), |_, row| row.copy_from_slice(bias))))
    }

    fn add(&self, x: &Tensor, mut out: Vec<f32>) -> Result<Tensor> {
        let x = x.contiguous()?;
        let rows = x.elem_count() / self.inputs.max(1);
        with(&x, |values| {
            let block = Block::new(&mut out, rows, self.outputs);
            self.product(block, Matrix::new(values, rows, self.inputs), true)
        })?;
        let mut shape = x.dims().to_vec();
        shape.pop();
        shape.push(self.outputs);
        Tensor::from_vec(out, shape, x.device())
    }

    /// `x` (`[rows, inputs]`) by the weights.
    fn product(&self, block: Block<'_>, x: Matrix<'_>, add: bool) -> Result<()> {
        match self.precision {
            Precision::Full => with_values(&self.weight, |weight| {
                let weight = Matrix::of(weight, self.inputs, self.outputs);
                block.product_among_threads(x, weight, add);
                Ok(())
            }),
            Precision::Bf16 => with_pairs(&self.weight, |pairs| {
                let panels = Panels::new(pairs, self.inputs, self.outputs);
                x.with_rounded(|rows| bf16::product_among_threads(block, rows, panels, add));
                Ok(())
            }),
        }
    }

    /// Pictures to tokens: `[n, inputs, h, w]` to `[n, h·w, outputs]`.
    pub(crate) fn forward_pixels(&self, x: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::linear_of_pixels(x, &self.weight, self.bias.as_ref());
        }
        let x = x.contiguous()?;
        let (n, inputs, height, width) = x.dims4()?;
        let (pixels, outputs) = (height * width, self.outputs);
        let mut out = self.begin(n * pixels)?;
        with(&x, |x| {
            let size = (pixels * outputs).max(1);
            let mut pictures =
                out.chunks_exact_mut(size).zip(x.chunks_exact((inputs * pixels).max(1)));
            pictures.try_for_each(|(out, x)| {
                let x = Matrix::new(x, inputs, pixels).transposed();
                self.product(Block::new(out, pixels, outputs), x, true)
            })
        })?;
        Tensor::from_vec(out, (n, pixels, outputs), x.device())
    }

    /// Tokens to pictures, added to `base`: `[n, h·w, inputs]` to `[n, outputs, h, w]`.
    pub(crate) fn forward_onto_pixels(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        if !x.device().is_cpu() {
            return elsewhere::linear_onto_pixels(x, base, &self.weight, self.bias.as_ref());
        }
        let (x, base) = (x.contiguous()?, base.contiguous()?);
        let (_, pixels, inputs) = x.dims3()?;
        let outputs = self.outputs;
        let mut out = with(&base, |base| {
            let Some(bias) = &self.bias else { return Ok(base.to_vec()) };
            with(bias, |bias| Ok(planes_with(base, bias, pixels)))
        })?;
        with(&x, |x| {
            let size = (outputs * pixels).max(1);
            let mut pictures =
                out.chunks_exact_mut(size).zip(x.chunks_exact((inputs * pixels).max(1)));
            pictures.try_for_each(|(out, x)| {
                let x = Matrix::new(x, pixels, inputs);
                match self.precision {
                    Precision::Full => with_values(&self.weight, |weight| {
                        let weight = Matrix::of(weight, inputs, outputs).transposed();
                        let block = Block::new(out, outputs, pixels);
                        block.product_among_threads(weight, x.transposed(), true);
                        Ok(())
                    }),
                    // The weights' panels give tokens.
                    Precision::Bf16 => with_scratch(pixels * outputs, |tokens| {
                        self.product(Block::new(tokens, pixels, outputs), x, false)?;
                        add_turned(out, tokens, pixels);
                        Ok(())
                    }),
                }
            })
        })?;
        Tensor::from_vec(out, base.shape(), base.device())
    }
}

/// Weights (`[outputs, inputs]`) in panels of bf16, which have a column for each output.
fn panels(weight: &Tensor) -> Result<Tensor> {
    let (outputs, inputs) = weight.dims2()?;
    let weight = weight.to_dtype(DType::BF16)?;
    let mut pairs = vec![0; panel_values(inputs, outputs)];
    with_values(&weight, |values| {
        let Values::Brain(values) = values else { bail!("these are values of bf16") };
        let rows = Rows::new(values.reinterpret_cast(), outputs, inputs);
        let size = (inputs / 2 * PANEL).max(1);
        pairs.par_chunks_exact_mut(size).enumerate().for_each(|(panel, to)| {
            let first = panel * PANEL;
            pair_columns(to, rows.rows(first, PANEL.min(outputs - first)));
        });
        Ok(())
    })?;
    let count = pairs.len();
    Tensor::from_vec(pairs, count, &Device::Cpu)
}

/// The first half of the last dimension times the gelu of the second: `[…, 2c]` to `[…, c]`.
pub(crate) fn gated(x: &Tensor) -> Result<Tensor> {
    /// Rows that one task takes.
    const ROWS: usize = 16;
    if !x.device().is_cpu() {
        return elsewhere::gated(x);
    }
    let x = x.contiguous()?;
    let mut shape = x.dims().to_vec();
    let both = shape.pop().unwrap_or(0);
    let inner = both / 2;
    shape.push(inner);
    let out = with(&x, |x| {
        let size = inner * ROWS;
        let rows = |at: usize, out: &mut [f32]| {
            gate_rows(out, &x[2 * at * size..][..2 * out.len()], inner.max(1));
        };
        Ok(pieces(x.len() / 2, size, rows))
    })?;
    Tensor::from_vec(out, shape, x.device())
}

wide!(gate_rows is gate(out: &mut [f32], x: &[f32], inner: usize));

#[inline(always)]
fn gate(out: &mut [f32], x: &[f32], inner: usize) {
    for (out, x) in out.chunks_exact_mut(inner).zip(x.chunks_exact(2 * inner)) {
        let (values, gates) = x.split_at(inner);
        for ((out, value), by) in out.iter_mut().zip(values).zip(gates) {
            *out = value * gelu(*by);
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::kernels::values::waves;

    fn close(found: &Tensor, expected: &Tensor) {
        assert_eq!(found.dims(), expected.dims());
        let apart = (found - expected).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4, "{apart}");
    }

    /// A picture and its tokens.
    fn picture_and_tokens(shape: &[usize; 4]) -> (Tensor, Tensor) {
        let picture = waves(shape, 0.37);
        let tokens = picture.flatten_from(2).unwrap().transpose(1, 2).unwrap();
        (picture, tokens.contiguous().unwrap())
    }

    /// Tokens as a picture of this height.
    fn as_picture(x: &Tensor, height: usize) -> Tensor {
        let (n, pixels, channels) = x.dims3().unwrap();
        x.transpose(1, 2).unwrap().reshape((n, channels, height, pixels / height)).unwrap()
    }

    /// Whether the layer makes `mapped` of a picture in all its ways.
    fn maps(linear: &Linear, (picture, tokens): &(Tensor, Tensor), mapped: &Tensor) {
        close(&linear.forward(tokens).unwrap(), mapped);
        close(&linear.forward_pixels(picture).unwrap(), mapped);
        let base = waves(mapped.dims(), 0.11);
        let onto = (mapped + &base).unwrap();
        close(&linear.forward_onto(tokens, &base).unwrap(), &onto);
        let height = picture.dim(2).unwrap();
        let found = linear.forward_onto_pixels(tokens, &as_picture(&base, height)).unwrap();
        close(&found, &as_picture(&onto, height));
    }

    #[test]
    fn in_bf16_tokens_and_pixels_are_rounded() {
        let rounded = |x: &Tensor| x.to_dtype(DType::BF16).unwrap().to_dtype(DType::F32).unwrap();
        for (n, inputs, outputs, height, width) in [(2, 70, 150, 9, 11), (1, 34, 20, 1, 3)] {
            let given = picture_and_tokens(&[n, inputs, height, width]);
            let (weight, bias) = (waves(&[outputs, inputs], 0.71), waves(&[outputs], 1.3));
            let mapped = rounded(&given.1).broadcast_matmul(&rounded(&weight).t().unwrap());
            let mapped = mapped.unwrap().broadcast_add(&bias).unwrap();
            let (weight, bias) = (panels(&weight).unwrap(), Some(bias));
            let linear = Linear { weight, bias, inputs, outputs, precision: Precision::Bf16 };
            maps(&linear, &given, &mapped);
        }
    }

    #[test]
    fn tokens_and_pixels_are_mapped_whatever_the_weights_are_kept_in() {
        let (inputs, outputs, height) = (70, 150, 9);
        let given = picture_and_tokens(&[2, inputs, height, 11]);
        let bias = waves(&[outputs], 1.3);
        for kept in [DType::F32, DType::F16, DType::BF16] {
            let weight = waves(&[inputs, outputs], 0.71).to_dtype(kept).unwrap();
            let single = weight.to_dtype(DType::F32).unwrap();
            let mapped = given.1.broadcast_matmul(&single).unwrap();
            let mapped = mapped.broadcast_add(&bias).unwrap();
            let precision = Precision::Full;
            let linear = Linear { weight, bias: Some(bias.clone()), inputs, outputs, precision };
            maps(&linear, &given, &mapped);
            // What other devices do, with weights in single precision.
            let (picture, tokens) = &given;
            let (weight, bias) = (&single, Some(&bias));
            close(&elsewhere::linear(tokens, weight, bias).unwrap(), &mapped);
            close(&elsewhere::linear_of_pixels(picture, weight, bias).unwrap(), &mapped);
            let base = waves(mapped.dims(), 0.11);
            let onto = as_picture(&(&mapped + &base).unwrap(), height);
            let base = as_picture(&base, height);
            close(&elsewhere::linear_onto_pixels(tokens, &base, weight, bias).unwrap(), &onto);
        }
    }
}
