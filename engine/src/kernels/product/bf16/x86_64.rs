//! The instructions of AVX512-BF16.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512bh, __m512i, __mmask16, _mm256_storeu_si256, _mm512_cvtneps_pbh,
    _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
};
use std::mem::transmute;

use super::{Block, PAIRS, PANEL, Panels, ROWS, Rows};

/// Values of a register.
const LANES: usize = 16;

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn round(from: &[f32], to: &mut [u16]) {
    let ((many, from), (places, to)) = (from.as_chunks::<LANES>(), to.as_chunks_mut::<LANES>());
    for (many, place) in many.iter().zip(places) {
        // SAFETY: both have as many values, of four and of two bytes.
        unsafe {
            let rounded = _mm512_cvtneps_pbh(_mm512_loadu_ps(many.as_ptr()));
            _mm256_storeu_si256(place.as_mut_ptr().cast(), transmute::<__m256bh, __m256i>(rounded));
        }
    }
    for (from, to) in from.iter().zip(to) {
        *to = half::bf16::from_f32(*from).to_bits();
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn pair(to: &mut [u32], lower: &[f32], upper: &[f32]) {
    super::pair_rounded(to, lower, upper, |from, to| round(from, to));
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
pub(super) fn product(block: &mut Block<'_>, rows: Rows<'_>, panels: Panels<'_>, add: bool) {
    let all = rows.inner / 2;
    // At least once: a sum of nothing is written too.
    for first in (0..all.max(1)).step_by(PAIRS) {
        let pairs = PAIRS.min(all - first);
        for column in (0..panels.columns).step_by(PANEL) {
            let panel = &panels.panel(column / PANEL)[first * PANEL..][..pairs * PANEL];
            let mut row = 0;
            while row < rows.count {
                let count = ROWS.min(rows.count - row);
                let values = &rows.values[row * rows.step + 2 * first..];
                let width = PANEL.min(panels.columns - column);
                let part = block.part((row, column), count, width);
                some(&part, (values, rows.step), panel, add || first > 0);
                row += count;
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn some(to: &Block<'_>, rows: (&[u16], usize), panel: &[u32], add: bool) {
    // A half of a panel is all that narrow ones have.
    match (to.height(), to.width() > LANES) {
        (ROWS, true) => tile::<ROWS, 2>(to, rows, panel, add),
        (ROWS, false) => tile::<ROWS, 1>(to, rows, panel, add),
        (8.., true) => rest::<8, 2>(to, rows, panel, add),
        (8.., false) => rest::<8, 1>(to, rows, panel, add),
        (4.., true) => rest::<4, 2>(to, rows, panel, add),
        (4.., false) => rest::<4, 1>(to, rows, panel, add),
        (1.., true) => rest::<1, 2>(to, rows, panel, add),
        (1.., false) => rest::<1, 1>(to, rows, panel, add),
        (0, _) => {}
    }
}

/// `T` rows, and then the others.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn rest<const T: usize, const N: usize>(
    to: &Block<'_>,
    (rows, step): (&[u16], usize),
    panel: &[u32],
    add: bool,
) {
    let (more, width) = (to.height() - T, to.width());
    tile::<T, N>(&to.part((0, 0), T, width), (rows, step), panel, add);
    if more > 0 {
        some(&to.part((T, 0), more, width), (&rows[T * step..], step), panel, add);
    }
}

/// The block has `T` rows and at most as many columns as `N` registers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
fn tile<const T: usize, const N: usize>(
    to: &Block<'_>,
    (rows, step): (&[u16], usize),
    panel: &[u32],
    add: bool,
) {
    let pairs = panel.len() / PANEL;
    let masks: [__mmask16; N] = std::array::from_fn(|at| {
        let width = to.width().saturating_sub(at * LANES).min(LANES);
        ((1_u32 << width) - 1) as u16
    });
    let rows: [&[u16]; T] = std::array::from_fn(|at| &rows[at * step..][..2 * pairs]);
    let place = |row: usize, at: usize| to.begin.wrapping_add(row * to.step + at * LANES);
    let mut sums = [[_mm512_setzero_ps(); N]; T];
    if add {
        for (row, sums) in sums.iter_mut().enumerate() {
            for (at, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the block's values, and by the mask only those.
                *sum = unsafe { _mm512_maskz_loadu_ps(masks[at], place(row, at)) };
            }
        }
    }
    for pair in 0..pairs {
        // SAFETY: a panel has two registers for each pair, and each row has so many pairs.
        unsafe {
            let columns: [__m512bh; N] = std::array::from_fn(|at| {
                let from = panel.as_ptr().add(pair * PANEL + at * LANES);
                transmute::<__m512i, __m512bh>(_mm512_loadu_si512(from.cast()))
            });
            for (row, sums) in rows.iter().zip(&mut sums) {
                let value = row.as_ptr().add(2 * pair).cast::<i32>().read_unaligned();
                let value = transmute::<__m512i, __m512bh>(_mm512_set1_epi32(value));
                for (sum, columns) in sums.iter_mut().zip(columns) {
                    *sum = _mm512_dpbf16_ps(*sum, value, columns);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (at, sum) in sums.iter().enumerate() {
            // SAFETY: the block's values, and by the mask only those.
            unsafe { _mm512_mask_storeu_ps(place(row, at), masks[at], *sum) };
        }
    }
}
