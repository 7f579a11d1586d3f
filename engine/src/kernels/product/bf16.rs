//! Products of matrices whose values are rounded to bf16, with the processor's own instructions
//! (AVX512-BF16): two multiplications for one of single precision, summed up in single precision.
//!
//! What is multiplied lies in two forms: rows, whose values are read in pairs and given to all lanes, and
//! panels, which have the pairs of [`PANEL`] columns beside each other.

#[cfg(target_arch = "x86_64")]
mod x86_64;

use rayon::prelude::*;

use super::{Block, SMALL, block_of};

/// Columns of a panel.
pub(in crate::kernels) const PANEL: usize = 32;
/// Rows that are summed up at once: with a panel's two registers each, all that there are.
const ROWS: usize = 12;
/// Pairs that are summed up before the next rows: a panel of them stays in the cache.
pub(in crate::kernels) const PAIRS: usize = 512;

/// Whether this processor has the instructions.
pub(crate) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

/// Rows of an even number of values each, which begin `step` values after each other: bits of bf16.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Rows<'a> {
    values: &'a [u16],
    count: usize,
    inner: usize,
    step: usize,
}

impl<'a> Rows<'a> {
    /// Rows behind each other.
    pub(in crate::kernels) fn new(values: &'a [u16], count: usize, inner: usize) -> Self {
        assert!(inner.is_multiple_of(2), "values are read in pairs");
        assert!(count * inner <= values.len(), "rows lie within their values");
        Self { values, count, inner, step: inner }
    }

    /// Some of them.
    pub(in crate::kernels) fn rows(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.count, "there are so many rows");
        Self { values: &self.values[first * self.step..], count, ..self }
    }

    /// Some values of each.
    pub(in crate::kernels) fn columns(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.inner && count.is_multiple_of(2), "they have such pairs");
        let from = if self.count == 0 { 0 } else { first };
        Self { values: &self.values[from..], inner: count, ..self }
    }
}

/// Panels beside each other, each `inner / 2 × 32` pairs: a row's value in the lower half, and the next
/// row's in the upper.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Panels<'a> {
    pairs: &'a [u32],
    inner: usize,
    columns: usize,
}

impl<'a> Panels<'a> {
    pub(in crate::kernels) fn new(pairs: &'a [u32], inner: usize, columns: usize) -> Self {
        assert!(inner.is_multiple_of(2), "values are read in pairs");
        assert!(panel_values(inner, columns) <= pairs.len(), "panels lie within their values");
        Self { pairs, inner, columns }
    }

    /// Some of the columns, from one on that begins a panel.
    pub(in crate::kernels) fn columns(self, first: usize, count: usize) -> Self {
        assert!(
            first.is_multiple_of(PANEL) && first + count <= self.columns,
            "there are such panels"
        );
        Self { pairs: &self.pairs[first * (self.inner / 2)..], columns: count, ..self }
    }

    fn panel(self, at: usize) -> &'a [u32] {
        let size = self.inner / 2 * PANEL;
        &self.pairs[at * size..][..size]
    }
}

/// Pairs in the panels of a matrix of `inner × columns`.
pub(in crate::kernels) fn panel_values(inner: usize, columns: usize) -> usize {
    inner.div_ceil(2) * columns.next_multiple_of(PANEL)
}

/// Values beside each other, rounded to the nearest, to even ones where two are as near.
pub(in crate::kernels) fn round(from: &[f32], to: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        // SAFETY: the processor was asked for these instructions.
        return unsafe { x86_64::round(from, to) };
    }
    for (from, to) in from.iter().zip(to) {
        *to = half::bf16::from_f32(*from).to_bits();
    }
}

/// Values of two lines in pairs: the first ones in the lower halves.
pub(in crate::kernels) fn pair(to: &mut [u32], lower: &[f32], upper: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    if available() {
        // SAFETY: the processor was asked for these instructions.
        return unsafe { x86_64::pair(to, lower, upper) };
    }
    pair_rounded(to, lower, upper, round);
}

#[inline(always)]
fn pair_rounded(to: &mut [u32], lower: &[f32], upper: &[f32], round: impl Fn(&[f32], &mut [u16])) {
    let lines = lower.chunks(PANEL).zip(upper.chunks(PANEL));
    for (to, (lower, upper)) in to.chunks_mut(PANEL).zip(lines) {
        let mut rounded = [[0_u16; PANEL]; 2];
        for (rounded, from) in rounded.iter_mut().zip([lower, upper]) {
            round(from, &mut rounded[..from.len()]);
        }
        let [lower, upper] = &rounded;
        for ((to, lower), upper) in to.iter_mut().zip(lower).zip(upper) {
            *to = u32::from(*lower) | u32::from(*upper) << 16;
        }
    }
}

/// A panel of `lines` (one for each row, `step` apart, at most [`PANEL`] values of each).
pub(in crate::kernels) fn pair_lines(
    to: &mut [u32],
    lines: &[f32],
    (count, step): (usize, usize),
    columns: usize,
) {
    for (at, to) in to.chunks_exact_mut(PANEL).take(count.div_ceil(2)).enumerate() {
        let line = |line: usize| {
            if line < count { &lines[line * step..][..columns] } else { &[0.0; PANEL][..columns] }
        };
        let (to, rest) = to.split_at_mut(columns);
        pair(to, line(2 * at), line(2 * at + 1));
        rest.fill(0);
    }
}

/// A panel of at most [`PANEL`] columns, which lie as `rows`.
pub(in crate::kernels) fn pair_columns(to: &mut [u32], rows: Rows<'_>) {
    for (pair, to) in to.chunks_exact_mut(PANEL).take(rows.inner / 2).enumerate() {
        let (to, rest) = to.split_at_mut(rows.count);
        for (row, to) in to.iter_mut().enumerate() {
            let values = &rows.values[row * rows.step + 2 * pair..];
            *to = u32::from(values[0]) | u32::from(values[1]) << 16;
        }
        rest.fill(0);
    }
}

/// Writes `rows · panels` into a block, or adds that to what is there.
pub(in crate::kernels) fn product(
    block: &mut Block<'_>,
    rows: Rows<'_>,
    panels: Panels<'_>,
    add: bool,
) {
    assert!(
        (rows.count, panels.columns, rows.inner) == (block.height(), block.width(), panels.inner),
        "the matrices fit each other"
    );
    #[cfg(target_arch = "x86_64")]
    if available() {
        // SAFETY: the processor was asked for these instructions.
        return unsafe { x86_64::product(block, rows, panels, add) };
    }
    plain_product(block, rows, panels, add);
}

/// The same, slowly.
fn plain_product(block: &mut Block<'_>, rows: Rows<'_>, panels: Panels<'_>, add: bool) {
    let value = |bits: u32| f32::from_bits(bits << 16);
    for column in 0..panels.columns {
        let panel = panels.panel(column / PANEL);
        let pairs = || panel.iter().skip(column % PANEL).step_by(PANEL);
        for row in 0..rows.count {
            let values = rows.values[row * rows.step..][..rows.inner].as_chunks::<2>().0;
            let sums = values.iter().zip(pairs()).map(|([lower, upper], pair)| {
                let lower = value(u32::from(*lower)) * value(pair & 0xffff);
                lower + value(u32::from(*upper)) * value(pair >> 16)
            });
            block.put((row, column), sums.sum(), add);
        }
    }
}

/// The same among threads; panels stay whole.
pub(in crate::kernels) fn product_among_threads(
    block: Block<'_>,
    rows: Rows<'_>,
    panels: Panels<'_>,
    add: bool,
) {
    let (height, width) = (block.height(), block.width());
    let blocks: Vec<_> = if height * width * rows.inner <= SMALL {
        vec![block]
    } else if height > width {
        block.split_rows(block_of(height, ROWS)).collect()
    } else {
        block.split_columns(block_of(width, PANEL)).collect()
    };
    blocks.into_par_iter().for_each(|mut block| {
        let rows = rows.rows(block.first_row(), block.height());
        let panels = panels.columns(block.first_column(), block.width());
        product(&mut block, rows, panels, add);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values::with_scratch;

    fn rounded(value: f32) -> f32 {
        half::bf16::from_f32(value).to_f32()
    }

    #[test]
    fn values_are_rounded_and_sums_are_not() {
        // The last one has more pairs than are summed up at once.
        for (rows, inner, columns) in [
            (1_usize, 2_usize, 5_usize),
            (12, 40, 32),
            (29, 7, 77),
            (3, 0, 16),
            (40, 130, 50),
            (13, 2500, 100),
        ] {
            let value = |at: usize, speed: f32| (at as f32 * speed).sin();
            let even = inner.next_multiple_of(2);
            let mut a = vec![0_u16; rows * even];
            for (row, to) in a.chunks_exact_mut(even.max(1)).enumerate() {
                let from: Vec<f32> = (0..inner).map(|at| value(row * inner + at, 0.7)).collect();
                round(&from, &mut to[..inner]);
            }
            let lines: Vec<f32> = (0..inner * columns).map(|at| value(at, 1.3)).collect();
            let mut flipped = vec![0_u16; even * columns];
            for (column, to) in flipped.chunks_exact_mut(even.max(1)).enumerate() {
                let from = lines[column..].iter().step_by(columns);
                to.iter_mut().zip(from).for_each(|(to, value)| {
                    *to = half::bf16::from_f32(*value).to_bits();
                });
            }
            let rows_of_a = Rows::new(&a, rows, even);
            let check = |panels: Panels<'_>| {
                for add in [false, true] {
                    let mut found = vec![0.5; rows * columns];
                    let block = Block::new(&mut found, rows, columns);
                    product_among_threads(block, rows_of_a, panels, add);
                    let mut slow = vec![0.5; rows * columns];
                    let mut block = Block::new(&mut slow, rows, columns);
                    plain_product(&mut block, rows_of_a, panels, add);
                    for (slow, found) in slow.iter().zip(&found) {
                        assert!((slow - found).abs() < 1e-4, "{slow} {found}");
                    }
                    for (at, found) in found.iter().enumerate() {
                        let (row, column) = (at / columns, at % columns);
                        let sum = (0..inner).map(|k| {
                            let (a, b) = (value(row * inner + k, 0.7), lines[k * columns + column]);
                            f64::from(rounded(a)) * f64::from(rounded(b))
                        });
                        let expected = sum.sum::<f64>() + if add { 0.5 } else { 0.0 };
                        let apart = (f64::from(*found) - expected).abs();
                        assert!(apart < 1e-4, "{rows} {inner} {columns}: {found} {expected}");
                    }
                }
            };
            with_scratch(panel_values(inner, columns), |pairs: &mut [u32]| {
                for (at, to) in pairs.chunks_exact_mut((even / 2 * PANEL).max(1)).enumerate() {
                    let (first, count) = (at * PANEL, PANEL.min(columns - at * PANEL));
                    pair_lines(to, &lines[first..], (inner, columns), count);
                }
                check(Panels::new(pairs, even, columns));
            });
            with_scratch(panel_values(inner, columns), |pairs: &mut [u32]| {
                for (at, to) in pairs.chunks_exact_mut((even / 2 * PANEL).max(1)).enumerate() {
                    let first = at * PANEL;
                    let rows = Rows::new(&flipped, columns, even);
                    pair_columns(to, rows.rows(first, PANEL.min(columns - first)));
                }
                check(Panels::new(pairs, even, columns));
            });
        }
    }
}
