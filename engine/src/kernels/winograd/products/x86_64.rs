//! The instructions of AVX-512 and of AVX2.

use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{Factors, LANES, Lanes, ROWS};

/// Sums of `T` tiles and `N` registers of outputs, and how many tiles these were. `to` begins with the first
/// tile's panel, of so many.
macro_rules! tile {
    ($name:ident, $features:literal, $zero:ident, $load:ident, $all:ident, $multiply_add:ident, $store:ident) => {
        #[target_feature(enable = $features)]
        fn $name<const T: usize, const N: usize>(
            to: &mut [Lanes],
            panels: usize,
            Factors { turned, step, weights, inputs }: Factors<'_>,
        ) -> usize {
            let width = size_of_val(&$zero()) / size_of::<f32>();
            let mut sums = [[$zero(); N]; T];
            for (group, first) in (0..inputs).step_by(LANES).enumerate() {
                let rows = &turned[group * step..][..T];
                let mut columns = [weights.as_ptr(); N];
                for (at, columns) in columns.iter_mut().enumerate() {
                    *columns = weights[at * width / LANES * inputs..][first..inputs].as_ptr();
                }
                for input in 0..LANES.min(inputs - first) {
                    let mut values = [$zero(); N];
                    for (at, value) in values.iter_mut().enumerate() {
                        // SAFETY: a panel has the outputs of all inputs.
                        *value = unsafe {
                            $load(columns[at].add(input).cast::<f32>().add(at * width % LANES))
                        };
                    }
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        // SAFETY: it is one of the lanes.
                        let row = $all(unsafe { *row.0.get_unchecked(input) });
                        for (sum, value) in sums.iter_mut().zip(values) {
                            *sum = $multiply_add(row, value, *sum);
                        }
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (at, sum) in sums.iter().enumerate() {
                    let to = &mut to[row * panels + at * width / LANES].0[at * width % LANES..];
                    debug_assert!(to.len() >= width);
                    // SAFETY: a register is a half of the lanes, or all.
                    unsafe { $store(to.as_mut_ptr(), *sum) };
                }
            }
            T
        }
    };
}

tile!(
    tile_of_16,
    "avx512f",
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_storeu_ps
);
tile!(
    tile_of_8,
    "avx2,fma",
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_storeu_ps
);

/// With registers for 12 tiles and two panels.
#[target_feature(enable = "avx512f")]
pub(super) fn by_16(to: &mut [Lanes], panels: usize, factors: Factors<'_>) {
    for panel in (0..panels).step_by(2) {
        let factors = Factors { weights: &factors.weights[panel * factors.inputs..], ..factors };
        let (mut to, mut turned) = (&mut to[panel..], factors.turned);
        while !to.is_empty() {
            let factors = Factors { turned, ..factors };
            let tiles = to.len().div_ceil(panels);
            let done = match (tiles, panels - panel) {
                (ROWS.., 2..) => tile_of_16::<ROWS, 2>(to, panels, factors),
                (ROWS.., _) => tile_of_16::<ROWS, 1>(to, panels, factors),
                (8.., 2..) => tile_of_16::<8, 2>(to, panels, factors),
                (8.., _) => tile_of_16::<8, 1>(to, panels, factors),
                (4.., 2..) => tile_of_16::<4, 2>(to, panels, factors),
                (4.., _) => tile_of_16::<4, 1>(to, panels, factors),
                (2.., 2..) => tile_of_16::<2, 2>(to, panels, factors),
                (2.., _) => tile_of_16::<2, 1>(to, panels, factors),
                (_, 2..) => tile_of_16::<1, 2>(to, panels, factors),
                (_, _) => tile_of_16::<1, 1>(to, panels, factors),
            };
            to = to.get_mut(done * panels..).unwrap_or_default();
            turned = &turned[done..];
        }
    }
}

/// With registers for 6 tiles and a panel in two halves.
#[target_feature(enable = "avx2,fma")]
pub(super) fn by_8(to: &mut [Lanes], panels: usize, factors: Factors<'_>) {
    for panel in 0..panels {
        let factors = Factors { weights: &factors.weights[panel * factors.inputs..], ..factors };
        let (mut to, mut turned) = (&mut to[panel..], factors.turned);
        while !to.is_empty() {
            let factors = Factors { turned, ..factors };
            let done = match to.len().div_ceil(panels) {
                6.. => tile_of_8::<6, 2>(to, panels, factors),
                4.. => tile_of_8::<4, 2>(to, panels, factors),
                2.. => tile_of_8::<2, 2>(to, panels, factors),
                _ => tile_of_8::<1, 2>(to, panels, factors),
            };
            to = to.get_mut(done * panels..).unwrap_or_default();
            turned = &turned[done..];
        }
    }
}
