//! Two-dimensional convolution: patches laid out as columns, and products of matrices, which leave the
//! result in NCHW as it is.

use candle_core::{Result, Tensor, bail};
use rayon::prelude::*;

use super::product::{Block, Matrix, ROWS};
use super::values::{Values, least, pieces, planes_with, turned, with, with_scratch, with_values};
use super::winograd::Winograd;
use crate::checkpoint::LoadError;
use crate::weights::Weights;

/// Output pixels that one task takes, where there are many.
const PIXELS: usize = 256;
/// From so many pixels on each task lays out its own columns; with fewer it is done once, before
/// the outputs are divided among tasks.
const MANY: usize = 1024;
/// Values of columns that a task has at once: they stay in a cache.
const COLUMNS: usize = 1 << 17;
/// Tasks that the outputs are divided into.
const TASKS: usize = 16;

/// A square convolution with bias.
#[derive(Clone, Debug)]
pub(crate) struct Conv2d {
    /// `[outputs, size² · inputs]`, in half precision where the file has it so.
    weight: Tensor,
    bias: Tensor,
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
    /// Whether it is one pixel, and every pixel is one.
    fn is_point(self) -> bool {
        (self.size, self.stride, self.padding) == (1, 1, 0)
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
        let kept = w.layer((outputs, inputs * size * size), || {
            let weight = w.get_kept([outputs, inputs, size, size], "weight")?;
            let weight = by_places(&weight).map_err(|source| w.broken(source))?;
            Ok(vec![weight, w.get([outputs], "bias")?])
        })?;
        let missing = || LoadError::MissingKey { file: w.file().to_owned(), key: "weight".into() };
        let mut kept = kept.into_iter();
        let (weight, bias) = kept.next().zip(kept.next()).ok_or_else(missing)?;
        Ok(Self {
            weight,
            bias,
            patch: Patch { size, stride: 1, padding: size / 2, around: false },
        })
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
        self.add(x, |n, outputs, pixels| {
            with(&shift, |shift| {
                let plane = |at: usize, plane: &mut [f32]| plane.fill(shift[at]);
                Ok(pieces(n * outputs * pixels, pixels, plane))
            })
        })
    }

    /// The same added to `base` (`[n, outputs, h', w']`).
    pub(crate) fn forward_onto(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        let base = base.contiguous()?;
        self.add(x, |_, _, pixels| {
            with(&base, |base| with(&self.bias, |bias| Ok(planes_with(base, bias, pixels))))
        })
    }

    /// Adds the products to what `begin` gives for so many pictures, outputs and pixels.
    fn add(
        &self,
        x: &Tensor,
        begin: impl FnOnce(usize, usize, usize) -> Result<Vec<f32>>,
    ) -> Result<Tensor> {
        if self.patch.around && self.patch.padding > 0 {
            let padding = self.patch.padding;
            let patch = Patch { padding: 0, around: false, ..self.patch };
            let inner = Self { patch, ..self.clone() };
            return inner.add(&around(&around(x, 2, padding)?, 3, padding)?, begin);
        }
        let x = x.contiguous()?;
        let (n, inputs, height, width) = x.dims4()?;
        let outputs = self.weight.dim(0)?;
        let (rows, across) = (self.patch.outputs(height), self.patch.outputs(width));
        let mut out = begin(n, outputs, rows * across)?;
        if out.len() != n * outputs * rows * across {
            bail!("a convolution adds to {} values, not {}", n * outputs * rows * across, out.len())
        }
        let job = Job { patch: self.patch, inputs, outputs, height, width, rows, across };
        with(&x, |x| {
            with_values(&self.weight, |weight| {
                let winograd = job.winograd(n).filter(Winograd::pays);
                if self.patch.is_point() {
                    job.points(&mut out, x, weight);
                } else if let Some(winograd) = winograd {
                    winograd.add(&mut out, x, weight);
                } else if n * rows * across >= MANY {
                    job.many(&mut out, x, weight);
                } else {
                    job.few(&mut out, x, weight);
                }
                Ok(())
            })
        })?;
        Tensor::from_vec(out, (n, outputs, rows, across), x.device())
    }
}

/// Kernels (`[outputs, inputs, size, size]`) as `[outputs, size² · inputs]`: what is worked on together
/// lies beside each other.
fn by_places(kernels: &Tensor) -> Result<Tensor> {
    turned(&kernels.flatten_from(2)?)?.flatten_from(1)
}

/// With `count` values of the far side at each end of a dimension.
fn around(x: &Tensor, dim: usize, count: usize) -> Result<Tensor> {
    let len = x.dim(dim)?;
    let count = count.min(len);
    Tensor::cat(&[&x.narrow(dim, len - count, count)?, x, &x.narrow(dim, 0, count)?], dim)
}

/// One convolution of some pictures.
#[derive(Clone, Copy)]
struct Job {
    patch: Patch,
    inputs: usize,
    outputs: usize,
    height: usize,
    width: usize,
    /// Of the result.
    rows: usize,
    across: usize,
}

impl Job {
    /// The pictures of the result, and those that they are made of.
    fn pictures<'a>(
        &self,
        out: &'a mut [f32],
        x: &'a [f32],
    ) -> impl Iterator<Item = (Block<'a>, &'a [f32])> {
        let (outputs, pixels) = (self.outputs, self.rows * self.across);
        let from = self.inputs * self.height * self.width;
        let out = out.chunks_exact_mut((outputs * pixels).max(1));
        let out = out.map(move |out| Block::new(out, outputs, pixels));
        out.zip(x.chunks_exact(from.max(1)))
    }

    /// The same in another way, where the patches are those that it is for.
    fn winograd(&self, pictures: usize) -> Option<Winograd> {
        let Self { patch, inputs, outputs, height, width, rows, across } = *self;
        let padding = patch.padding;
        (patch.size == 3 && patch.stride == 1 && padding < 2).then_some(Winograd {
            pictures,
            inputs,
            outputs,
            height,
            width,
            padding,
            rows,
            across,
        })
    }

    /// A patch is a pixel.
    fn points(&self, out: &mut [f32], x: &[f32], weight: Values<'_>) {
        let weight = Matrix::of(weight, self.outputs, self.inputs);
        for (out, x) in self.pictures(out, x) {
            out.product_among_threads(
                weight,
                Matrix::new(x, self.inputs, self.rows * self.across),
                true,
            );
        }
    }

    /// Tasks are bands of the pictures.
    fn many(&self, out: &mut [f32], x: &[f32], weight: Values<'_>) {
        let square = self.patch.size * self.patch.size;
        let weight = Matrix::of(weight, self.outputs, self.inputs * square);
        let lines = (PIXELS / self.across.max(1)).clamp(1, self.rows);
        let bands = self
            .pictures(out, x)
            .flat_map(|(out, x)| out.split_columns(lines * self.across).map(move |band| (band, x)));
        let bands: Vec<_> = bands.collect();
        bands.into_par_iter().for_each(|(mut band, x)| {
            let (pixels, line) = (band.width(), band.first_column() / self.across);
            let (inner, at_once) = (self.inputs * square, (COLUMNS / pixels.max(1)).max(1));
            with_scratch(at_once.min(inner) * pixels, |columns| {
                for first in (0..inner).step_by(at_once) {
                    let count = at_once.min(inner - first);
                    let columns = &mut columns[..count * pixels];
                    for (at, to) in columns.chunks_exact_mut(pixels).enumerate() {
                        self.lay_out(x, first + at, line, to);
                    }
                    let weight = weight.columns(first, count);
                    band.product(weight, Matrix::new(columns, count, pixels), true);
                }
            });
        });
    }

    /// Tasks are outputs of all pictures.
    fn few(&self, out: &mut [f32], x: &[f32], weight: Values<'_>) {
        let (square, pixels) = (self.patch.size * self.patch.size, self.rows * self.across);
        let size = x.len() / (self.height * self.width).max(1) * square * pixels;
        with_scratch(size, |columns| self.few_of(out, x, weight, columns));
    }

    fn few_of(&self, out: &mut [f32], x: &[f32], weight: Values<'_>, columns: &mut [f32]) {
        let square = self.patch.size * self.patch.size;
        let (inner, pixels) = (self.inputs * square, self.rows * self.across);
        let lines = columns.par_chunks_exact_mut(pixels.max(1)).with_min_len(least(pixels));
        lines.enumerate().for_each(|(at, to)| {
            let picture = at / inner * self.inputs * self.height * self.width;
            self.lay_out(&x[picture..], at % inner, 0, to);
        });
        let weight = Matrix::of(weight, self.outputs, inner);
        let columns = columns.chunks_exact((inner * pixels).max(1));
        let at_once = self.outputs.div_ceil(TASKS).next_multiple_of(ROWS);
        let tasks = self.pictures(out, x).zip(columns).flat_map(|((out, _), columns)| {
            out.split_rows(at_once).map(move |block| (block, columns))
        });
        let mut tasks: Vec<_> = tasks.collect();
        // The same weights for all pictures, one after another.
        tasks.sort_by_key(|(block, _)| block.first_row());
        tasks.into_par_iter().for_each(|(mut block, columns)| {
            let weight = weight.rows(block.first_row(), block.height());
            block.product(weight, Matrix::new(columns, inner, pixels), true);
        });
    }

    /// A line of the columns of one picture, a place of the patches and an input, from line `first` of
    /// the result on.
    fn lay_out(&self, picture: &[f32], at: usize, first: usize, to: &mut [f32]) {
        let Patch { size, stride, padding, .. } = self.patch;
        let across = self.across;
        let (place, input) = (at / self.inputs, at % self.inputs);
        let (dy, dx) = (place / size, place % size);
        let plane = &picture[input * self.height * self.width..][..self.height * self.width];
        // Outputs before `from` and from `until` on lie over the padding.
        let from = padding.saturating_sub(dx).div_ceil(stride).min(across);
        let until = (self.width + padding).saturating_sub(dx).div_ceil(stride);
        let until = until.clamp(from, across);
        for (y, to) in to.chunks_exact_mut(across).enumerate() {
            let line = ((first + y) * stride + dy)
                .checked_sub(padding)
                .and_then(|y| plane.get(y * self.width..(y + 1) * self.width));
            let Some(line) = line.filter(|_| from < until) else {
                to.fill(0.0);
                continue;
            };
            to[..from].fill(0.0);
            to[until..].fill(0.0);
            let (to, line) = (&mut to[from..until], &line[from * stride + dx - padding..]);
            if stride == 1 {
                to.copy_from_slice(&line[..to.len()]);
            } else {
                to.iter_mut().zip(line.iter().step_by(stride)).for_each(|(to, x)| *to = *x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::kernels::values::waves;

    /// What weights are kept in.
    const PRECISIONS: [DType; 3] = [DType::F32, DType::F16, DType::BF16];

    /// A convolution with weights of that precision, and they themselves.
    fn kept_as(kept: DType, kernel: &Tensor, bias: &Tensor, patch: Patch) -> (Conv2d, Tensor) {
        let kernel = kernel.to_dtype(kept).unwrap();
        let weight = by_places(&kernel).unwrap();
        (Conv2d { weight, bias: bias.clone(), patch }, kernel.to_dtype(DType::F32).unwrap())
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
        for (n, inputs, outputs, height, width) in
            [(1, 32, 70, 24, 24), (2, 40, 33, 17, 22), (1, 300, 64, 64, 70), (3, 33, 32, 16, 21)]
        {
            for padding in [0, 1] {
                let x = waves(&[n, inputs, height, width], 0.377);
                let kernel = waves(&[outputs, inputs, 3, 3], 0.711);
                let bias = waves(&[outputs], 1.3);
                let patch = Patch { size: 3, stride: 1, padding, around: false };
                let (rows, across) = (patch.outputs(height), patch.outputs(width));
                let job = Job { patch, inputs, outputs, height, width, rows, across };
                assert!(job.winograd(n).unwrap().pays(), "or nothing is tested");
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
