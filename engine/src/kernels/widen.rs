//! Half precision as single precision, with the processor's own instructions.

#![allow(unsafe_code)]

use half::slice::HalfFloatSliceExt as _;
use half::{bf16, f16};

use super::math::wide;

/// So many values of every stretch of `step`, beside each other.
pub(super) fn widen_halves(from: &[f16], (columns, step): (usize, usize), to: &mut [f32]) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_16(from, (columns, step), to) };
        }
        if is_x86_feature_detected!("avx") && is_x86_feature_detected!("f16c") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_8(from, (columns, step), to) };
        }
    }
    for (from, to) in rows(from, (columns, step), to) {
        from.convert_to_f32_slice(to);
    }
}

wide!(pub(super) widen_brains is brains(from: &[bf16], layout: (usize, usize), to: &mut [f32]));

/// The same: these are the upper halves of single values.
#[inline(always)]
fn brains(from: &[bf16], layout: (usize, usize), to: &mut [f32]) {
    for (from, to) in rows(from, layout, to) {
        for (from, to) in from.iter().zip(to) {
            *to = f32::from_bits(u32::from(from.to_bits()) << 16);
        }
    }
}

/// Stretches to read and the places that they go to.
#[inline(always)]
pub(super) fn rows<'a, T>(
    from: &'a [T],
    (columns, step): (usize, usize),
    to: &'a mut [f32],
) -> impl Iterator<Item = (&'a [T], &'a mut [f32])> {
    let rows = to.chunks_exact_mut(columns.max(1)).enumerate();
    rows.map(move |(row, to)| (&from[row * step..][..columns], to))
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm256_cvtph_ps, _mm256_loadu_si256, _mm256_storeu_ps, _mm512_cvtph_ps,
        _mm512_storeu_ps,
    };

    use super::{f16, rows};

    #[target_feature(enable = "avx512f")]
    pub(super) fn by_16(from: &[f16], layout: (usize, usize), to: &mut [f32]) {
        for (from, to) in rows(from, layout, to) {
            let ((many, from), (places, to)) = (from.as_chunks::<16>(), to.as_chunks_mut::<16>());
            for (many, place) in many.iter().zip(places) {
                // SAFETY: both have 16 values, halves of two bytes and singles of four.
                unsafe {
                    let many = _mm256_loadu_si256(many.as_ptr().cast());
                    _mm512_storeu_ps(place.as_mut_ptr(), _mm512_cvtph_ps(many));
                }
            }
            from.iter().zip(to).for_each(|(from, to)| *to = from.to_f32());
        }
    }

    #[target_feature(enable = "avx,f16c")]
    pub(super) fn by_8(from: &[f16], layout: (usize, usize), to: &mut [f32]) {
        for (from, to) in rows(from, layout, to) {
            let ((many, from), (places, to)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
            for (many, place) in many.iter().zip(places) {
                // SAFETY: both have 8 values, halves of two bytes and singles of four.
                unsafe {
                    let many = _mm_loadu_si128(many.as_ptr().cast());
                    _mm256_storeu_ps(place.as_mut_ptr(), _mm256_cvtph_ps(many));
                }
            }
            from.iter().zip(to).for_each(|(from, to)| *to = from.to_f32());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_the_same_number_in_single_precision() {
        let bits = || (0..=u16::MAX).chain(0..7);
        let halves: Vec<f16> = bits().map(f16::from_bits).collect();
        let brains: Vec<bf16> = bits().map(bf16::from_bits).collect();
        let mut wide = vec![0.0; halves.len()];
        let same = |wide: f32, half: f32| {
            wide.to_bits() == half.to_bits() || wide.is_nan() && half.is_nan()
        };
        widen_halves(&halves, (halves.len(), 0), &mut wide);
        assert!(wide.iter().zip(&halves).all(|(wide, half)| same(*wide, half.to_f32())));
        widen_brains(&brains, (brains.len(), 0), &mut wide);
        assert!(wide.iter().zip(&brains).all(|(wide, brain)| same(*wide, brain.to_f32())));
    }

    #[test]
    fn rows_are_taken_out_of_longer_ones() {
        let halves: Vec<f16> = (0..200_u8).map(|at| f16::from_f32(f32::from(at))).collect();
        let mut wide = [0.0; 3 * 37];
        widen_halves(&halves[5..], (37, 70), &mut wide);
        for (row, first) in [5.0, 75.0, 145.0].into_iter().enumerate() {
            let expected = (0..37_u8).map(|at| first + f32::from(at));
            assert!(wide[row * 37..][..37].iter().copied().eq(expected));
        }
    }
}
