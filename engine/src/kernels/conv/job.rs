//! One convolution of some pictures: columns of patches, multiplied with the kernels.

use candle_core::{Result, bail};
use half::slice::HalfFloatSliceExt as _;
use rayon::prelude::*;

use super::Patch;
use crate::compute::Precision;
use crate::kernels::product::bf16::{PANEL, Rows};
use crate::kernels::product::{Block, Matrix, ROWS};
use crate::kernels::values::{Values, least, with_scratch};

/// Output pixels that one task takes, where there are many.
pub(super) const PIXELS: usize = 8 * PANEL;
/// From so many pixels on each task lays out its own columns; with fewer it is done once, before
/// the outputs are divided among tasks.
pub(super) const MANY: usize = 1024;
/// Values of columns that a task has at once: they stay in a cache.
const COLUMNS: usize = 1 << 17;
/// Tasks that the outputs are divided into.
const TASKS: usize = 16;

/// One convolution of some pictures.
#[derive(Clone, Copy)]
pub(super) struct Job {
    pub(super) patch: Patch,
    pub(super) pictures: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Of the result.
    pub(super) rows: usize,
    pub(super) across: usize,
}

impl Job {
    /// Adds the convolution of `x` to `out`, in the way that is fastest for its sizes.
    pub(super) fn add(
        &self,
        out: &mut [f32],
        x: &[f32],
        weight: Values<'_>,
        precision: Precision,
    ) -> Result<()> {
        if self.patch.is_turned(self.inputs, self.outputs) {
            self.add_turned(out, x, weight);
            return Ok(());
        }
        let inner = self.inner();
        if precision == Precision::Bf16 {
            let Values::Brain(values) = weight else {
                bail!("a convolution in bf16 has its weights so")
            };
            let kernels = Rows::new(values.reinterpret_cast(), self.outputs, inner);
            self.add_rounded(out, x, kernels);
            return Ok(());
        }
        let kernels = Matrix::of(weight, self.outputs, inner);
        if self.patch.is_point() {
            self.points(out, x, kernels);
        } else if self.pixels() >= MANY {
            self.many(out, x, kernels);
        } else {
            self.few(out, x, kernels);
        }
        Ok(())
    }

    /// Values of a patch.
    pub(super) fn inner(&self) -> usize {
        self.inputs * self.patch.size * self.patch.size
    }

    /// Pixels of all pictures of the result.
    pub(super) fn pixels(&self) -> usize {
        self.pictures * self.rows * self.across
    }

    /// The pictures of the result, and those that they are made of, of so many channels.
    pub(super) fn each<'a, T>(
        &self,
        out: &'a mut [f32],
        x: &'a [T],
        channels: usize,
    ) -> impl Iterator<Item = (Block<'a>, &'a [T])> {
        let (outputs, pixels) = (self.outputs, self.rows * self.across);
        let from = channels * self.height * self.width;
        let out = out.chunks_exact_mut((outputs * pixels).max(1));
        let out = out.map(move |out| Block::new(out, outputs, pixels));
        out.zip(x.chunks_exact(from.max(1)))
    }

    /// A patch is a pixel.
    fn points(&self, out: &mut [f32], x: &[f32], kernels: Matrix<'_>) {
        for (out, x) in self.each(out, x, self.inputs) {
            let x = Matrix::new(x, self.inputs, self.rows * self.across);
            out.product_among_threads(kernels, x, true);
        }
    }

    /// Tasks are bands of the pictures.
    fn many(&self, out: &mut [f32], x: &[f32], kernels: Matrix<'_>) {
        let lines = (PIXELS / self.across.max(1)).clamp(1, self.rows);
        let bands = self
            .each(out, x, self.inputs)
            .flat_map(|(out, x)| out.split_columns(lines * self.across).map(move |band| (band, x)));
        let bands: Vec<_> = bands.collect();
        bands.into_par_iter().for_each(|(mut band, x)| {
            let (pixels, line) = (band.width(), band.first_column() / self.across);
            let inner = self.inner();
            let at_once = (COLUMNS / pixels.max(1)).max(1);
            with_scratch(at_once.min(inner) * pixels, |columns| {
                for first in (0..inner).step_by(at_once) {
                    let count = at_once.min(inner - first);
                    let columns = &mut columns[..count * pixels];
                    for (at, to) in columns.chunks_exact_mut(pixels).enumerate() {
                        self.lay_out(x, first + at, line, to);
                    }
                    let kernels = kernels.columns(first, count);
                    band.product(kernels, Matrix::new(columns, count, pixels), true);
                }
            });
        });
    }

    /// Tasks are outputs of all pictures.
    fn few(&self, out: &mut [f32], x: &[f32], kernels: Matrix<'_>) {
        with_scratch(self.inner() * self.pixels(), |columns| self.few_of(out, x, kernels, columns));
    }

    fn few_of(&self, out: &mut [f32], x: &[f32], kernels: Matrix<'_>, columns: &mut [f32]) {
        let (inner, pixels) = (self.inner(), self.rows * self.across);
        let lines = columns.par_chunks_exact_mut(pixels.max(1)).with_min_len(least(pixels));
        lines.enumerate().for_each(|(at, to)| {
            let picture = at / inner * self.inputs * self.height * self.width;
            self.lay_out(&x[picture..], at % inner, 0, to);
        });
        let columns = columns.chunks_exact((inner * pixels).max(1));
        let at_once = self.outputs.div_ceil(TASKS).next_multiple_of(ROWS);
        let tasks = self.each(out, x, self.inputs).zip(columns).flat_map(|((out, _), columns)| {
            out.split_rows(at_once).map(move |block| (block, columns))
        });
        let mut tasks: Vec<_> = tasks.collect();
        // The same weights for all pictures, one after another.
        tasks.sort_by_key(|(block, _)| block.first_row());
        tasks.into_par_iter().for_each(|(mut block, columns)| {
            let kernels = kernels.rows(block.first_row(), block.height());
            block.product(kernels, Matrix::new(columns, inner, pixels), true);
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
