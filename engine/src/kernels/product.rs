//! Products of matrices: the `gemm` crate on one thread each, and blocks of a result among threads.
//!
//! How a result is divided depends on the matrices alone, never on the number of threads, and every value of
//! it is summed up in one order: results are the same for any number of threads. `gemm` divides long sums as
//! suits the processor's caches, so that other machines may round otherwise.

#![allow(unsafe_code)]

pub(super) mod bf16;

use std::marker::PhantomData;

use rayon::prelude::*;

use super::values::{Values, turn, with_scratch};

/// Blocks that a result is divided into, where it is large enough.
const BLOCKS: usize = 16;
/// Fewer blocks than this are divided the other way.
const FEW: usize = 6;
/// Multiplications that are not worth another thread.
const SMALL: usize = 1 << 19;
/// Columns of a block are a multiple of this, and rows of [`ROWS`]: what the innermost loop takes at once.
const COLUMNS: usize = 64;
pub(super) const ROWS: usize = 12;
/// Values that are widened at once, about: they stay in the cache of one core, beside what they are
/// multiplied with.
const WIDENED: usize = 1 << 16;
/// Values that are widened before they are multiplied, at most: 16 MB.
const WIDENED_ONCE: usize = 1 << 22;
/// Values that a task rounds.
const ROUNDED: usize = 1 << 14;

/// A matrix to read, in any layout.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    values: Values<'a>,
    rows: usize,
    columns: usize,
    row_step: usize,
    column_step: usize,
}

impl<'a> Matrix<'a> {
    /// Row by row.
    pub(super) fn new(values: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::of(Values::Single(values), rows, columns)
    }

    /// Row by row, in any precision.
    pub(super) fn of(values: Values<'a>, rows: usize, columns: usize) -> Self {
        assert!(rows * columns <= values.len(), "a matrix lies within its values");
        Self { values, rows, columns, row_step: columns, column_step: 1 }
    }

    /// Rows for columns.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_step: self.column_step,
            column_step: self.row_step,
            ..self
        }
    }

    /// Some of the rows.
    pub(super) fn rows(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.rows, "there are so many rows");
        let from = (first * self.row_step).min(self.values.len());
        Self { values: self.values.part(from, self.values.len()), rows: count, ..self }
    }

    /// Some of the columns.
    pub(super) fn columns(self, first: usize, count: usize) -> Self {
        self.transposed().rows(first, count).transposed()
    }

    /// Calls `f` with the same in single precision.
    fn with_single<R>(self, f: impl FnOnce(Matrix<'_>) -> R) -> R {
        if self.values.single().is_some() {
            return f(self);
        }
        let turned = self.column_step != 1;
        let this = if turned { self.transposed() } else { self };
        with_scratch(this.rows * this.columns, |to| {
            let rows = to.par_chunks_mut((this.columns * this.rows_at_once()).max(1));
            rows.enumerate().for_each(|(at, to)| {
                let from = at * this.rows_at_once() * this.row_step;
                this.values.part(from, this.values.len()).widen(this.columns, this.row_step, to);
            });
            let single = Matrix::new(to, this.rows, this.columns);
            f(if turned { single.transposed() } else { single })
        })
    }

    /// Calls `f` with the rows rounded to bf16. There is an even number of values in each, in single
    /// precision.
    pub(super) fn with_rounded<R>(self, f: impl FnOnce(bf16::Rows<'_>) -> R) -> R {
        let Some(values) = self.values.single() else {
            unreachable!("only what is in single precision is rounded")
        };
        with_scratch(self.rows * self.columns, |to: &mut [u16]| {
            let at_once = (ROUNDED / self.columns.max(1)).max(1);
            if self.column_step == 1 {
                let rows = to.par_chunks_mut((at_once * self.columns).max(1)).enumerate();
                rows.for_each(|(at, to)| {
                    for (row, to) in to.chunks_exact_mut(self.columns.max(1)).enumerate() {
                        let from = (at * at_once + row) * self.row_step;
                        bf16::round(&values[from..][..self.columns], to);
                    }
                });
            } else {
                let dense = self.row_step == 1 && self.column_step == self.rows;
                assert!(dense, "what is turned has nothing between its rows");
                with_scratch(to.len(), |turned| {
                    turn(turned, &values[..to.len()], self.columns);
                    let pieces = to.par_chunks_mut(ROUNDED).zip(turned.par_chunks(ROUNDED));
                    pieces.for_each(|(to, from)| bf16::round(from, to));
                });
            }
            f(bf16::Rows::new(to, self.rows, self.columns))
        })
    }

    /// Rows that are widened by one task.
    fn rows_at_once(self) -> usize {
        (WIDENED / self.columns.max(1)).max(1)
    }
}

/// A matrix to write: a part of memory that nothing else sees.
pub(super) struct Block<'a> {
    begin: *mut f32,
    rows: usize,
    columns: usize,
    step: usize,
    /// Where it is in the whole: row and column.
    at: (usize, usize),
    memory: PhantomData<&'a mut [f32]>,
}

// SAFETY: a block is the only way to its values, as `&mut [f32]` is, and `f32` may be sent.
unsafe impl Send for Block<'_> {}

impl<'a> Block<'a> {
    /// All of `values`, row by row.
    pub(super) fn new(values: &'a mut [f32], rows: usize, columns: usize) -> Self {
        assert!(rows * columns <= values.len(), "a matrix lies within its values");
        let begin = values.as_mut_ptr();
        Self { begin, rows, columns, step: columns, at: (0, 0), memory: PhantomData }
    }

    pub(super) fn first_row(&self) -> usize {
        self.at.0
    }

    pub(super) fn first_column(&self) -> usize {
        self.at.1
    }

    pub(super) fn height(&self) -> usize {
        self.rows
    }

    pub(super) fn width(&self) -> usize {
        self.columns
    }

    fn part(&self, (row, column): (usize, usize), rows: usize, columns: usize) -> Self {
        debug_assert!(row + rows <= self.rows && column + columns <= self.columns);
        debug_assert!(row < self.rows && column < self.columns || rows * columns == 0);
        // SAFETY: callers give places inside the block, and so inside its memory.
        let begin = unsafe { self.begin.add(row * self.step + column) };
        let at = (self.at.0 + row, self.at.1 + column);
        Self { begin, rows, columns, at, ..*self }
    }

    /// Writes a value, or adds it to what is there.
    fn put(&mut self, (row, column): (usize, usize), value: f32, add: bool) {
        assert!(row < self.rows && column < self.columns, "a place lies within its block");
        // SAFETY: it is one of the block's values, as compared above.
        let place = unsafe { &mut *self.begin.add(row * self.step + column) };
        *place = if add { *place + value } else { value };
    }

    /// Blocks of so many rows below each other.
    pub(super) fn split_rows(self, count: usize) -> impl Iterator<Item = Self> {
        // Every row is in one of them, and the whole is given up.
        let count = count.max(1);
        (0..self.rows)
            .step_by(count)
            .map(move |first| self.part((first, 0), count.min(self.rows - first), self.columns))
    }

    /// Blocks of so many columns beside each other.
    pub(super) fn split_columns(self, count: usize) -> impl Iterator<Item = Self> {
        let count = count.max(1);
        (0..self.columns)
            .step_by(count)
            .map(move |first| self.part((0, first), self.rows, count.min(self.columns - first)))
    }

    /// Writes `a · b` into it, or adds that to what is there. What is in half precision is widened piece by
    /// piece.
    pub(super) fn product(&mut self, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
        let wide = [a, b].map(|matrix| matrix.values.single().is_some());
        if wide == [true, true] {
            self.single_product(a, b, add);
            return;
        }
        // The whole sums at once: their order is that of single precision.
        let at_once = (WIDENED / a.columns.max(1)).max(1).next_multiple_of(COLUMNS);
        let [down, across] = wide.map(|wide| if wide { usize::MAX } else { at_once });
        let whole = self.part((0, 0), self.rows, self.columns);
        let pieces = whole.split_rows(down).flat_map(|rows| rows.split_columns(across));
        for mut piece in pieces {
            let a = a.rows(piece.at.0 - self.at.0, piece.rows);
            let b = b.columns(piece.at.1 - self.at.1, piece.columns);
            a.with_single(|a| b.with_single(|b| piece.single_product(a, b, add)));
        }
    }

    fn single_product(&mut self, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
        let inner = a.columns;
        let (Some(first), Some(second)) = (a.values.single(), b.values.single()) else {
            unreachable!("matrices are widened before")
        };
        assert!(
            (a.rows, b.columns, b.rows) == (self.rows, self.columns, inner),
            "the matrices fit each other"
        );
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let [column_a, row_a, column_b, row_b, row] =
            [a.column_step, a.row_step, b.column_step, b.row_step, self.step]
                .map(|step| step as isize);
        // SAFETY: the block and both matrices were checked to lie within their memory when they were
        // made, the block's is borrowed from nobody else, and the sizes were compared above.
        unsafe {
            gemm::gemm(
                self.rows,
                self.columns,
                inner,
                self.begin,
                1,
                row,
                add,
                first.as_ptr(),
                column_a,
                row_a,
                second.as_ptr(),
                column_b,
                row_b,
                if add { 1.0 } else { 0.0 },
                1.0_f32,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        }
    }

    /// The same among threads.
    pub(super) fn product_among_threads(mut self, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
        if self.rows * self.columns * a.columns <= SMALL {
            return self.product(a, b, add);
        }
        // Few wide blocks leave threads without one at the end.
        let few = self.columns.div_ceil(COLUMNS) < FEW && self.rows.div_ceil(ROWS) >= FEW;
        let by_rows = (self.rows > self.columns || few) && b.column_step == 1;
        // What every task needs whole is widened once for all of them, where it is not too large.
        let once = |matrix: Matrix<'_>| matrix.rows * matrix.columns <= WIDENED_ONCE;
        match by_rows {
            true if once(b) => b.with_single(|b| self.blocks_among_threads(a, b, true, add)),
            false if once(a) => a.with_single(|a| self.blocks_among_threads(a, b, false, add)),
            _ => self.blocks_among_threads(a, b, by_rows, add),
        }
    }

    fn blocks_among_threads(self, a: Matrix<'_>, b: Matrix<'_>, by_rows: bool, add: bool) {
        if by_rows {
            let count = block_of(self.rows, ROWS);
            let blocks: Vec<_> = self.split_rows(count).collect();
            blocks.into_par_iter().for_each(|mut block| {
                let a = a.rows(block.first_row(), block.height());
                block.product(a, b, add);
            });
        } else {
            // Values that do not lie beside each other are brought there: by each task its own.
            let count = block_of(self.columns, COLUMNS);
            let blocks: Vec<_> = self.split_columns(count).collect();
            blocks.into_par_iter().for_each(|mut block| {
                let b = b.columns(block.first_column(), block.width());
                block.product(a, b, add);
            });
        }
    }
}

/// The size of each of at most [`BLOCKS`] blocks, a multiple of `unit`.
fn block_of(length: usize, unit: usize) -> usize {
    length.div_ceil(BLOCKS).next_multiple_of(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(count: usize, speed: f32) -> Vec<f32> {
        (0..count).map(|at| (at as f32 * speed).sin()).collect()
    }

    #[test]
    fn blocks_make_up_the_whole_whatever_the_layout() {
        for (rows, inner, columns) in [(1, 3, 500), (70, 65, 90), (5, 0, 7), (300, 40, 1)] {
            let (a, b) = (values(rows * inner, 0.7), values(inner * columns, 1.3));
            let mut expected = vec![0.5; rows * columns];
            for (at, value) in expected.iter_mut().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let sum = (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]);
                *value += sum.sum::<f32>();
            }
            let a = Matrix::new(&a, rows, inner);
            let flipped: Vec<f32> = (0..columns * inner)
                .map(|at| b[at % inner.max(1) * columns + at / inner.max(1)])
                .collect();
            for b in [
                Matrix::new(&b, inner, columns),
                Matrix::new(&flipped, columns, inner).transposed(),
            ] {
                let mut found = vec![0.5; rows * columns];
                Block::new(&mut found, rows, columns).product_among_threads(a, b, true);
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn half_precision_is_widened_whatever_the_layout_and_the_size() {
        use half::f16;

        // The last ones are larger than what is widened at once, and before.
        for (rows, inner, columns) in
            [(3, 0, 5), (2, 7, 300), (500, 70, 90), (3, 2600, 1700), (9000, 33, 1000)]
        {
            let halves = |count: usize, speed: f32| -> Vec<f16> {
                values(count, speed).into_iter().map(f16::from_f32).collect()
            };
            let single = |halves: &[f16]| halves.iter().map(|half| half.to_f32()).collect();
            let (a, b) = (values(rows * inner, 0.7), halves(inner * columns, 1.3));
            let wide: Vec<f32> = single(&b);
            let mut expected = vec![0.5; rows * columns];
            let (a, wide) = (Matrix::new(&a, rows, inner), Matrix::new(&wide, inner, columns));
            Block::new(&mut expected, rows, columns).product_among_threads(a, wide, true);
            let b = Matrix::of(Values::Half(&b), inner, columns);
            let mut found = vec![0.5; rows * columns];
            Block::new(&mut found, rows, columns).product_among_threads(a, b, true);
            let mut other = vec![0.5; rows * columns];
            let (a, b) = (a.transposed(), b.transposed());
            Block::new(&mut other, columns, rows).product_among_threads(b, a, true);
            for (at, expected) in expected.iter().enumerate() {
                let other = other[at % columns * rows + at / columns];
                for found in [found[at], other] {
                    assert!((found - expected).abs() < 2e-3, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "a matrix lies within its values")]
    fn a_matrix_larger_than_its_memory_is_none() {
        Matrix::new(&[0.0; 5], 2, 3);
    }
}
