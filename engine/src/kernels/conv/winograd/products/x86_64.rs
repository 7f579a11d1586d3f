//! The instructions of AVX-512 and of AVX2.

use std::arch::x86_64::{
    _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::{Factors, LANES, Lanes, ROWS};

/// The sums of the first `T` tiles, in registers until they are complete, and how many tiles these are.
/// Sixteen outputs are `$count` registers.
macro_rules! tile {
    ($name:ident, $features:literal, $count:literal, $zero:ident, $load:ident, $all:ident, $multiply_add:ident, $store:ident) => {
        #[target_feature(enable = $features)]
        fn $name<const T: usize>(
            to: &mut [Lanes],
            Factors { turned, step, weights }: Factors<'_>,
        ) -> usize {
            const WIDTH: usize = LANES / $count;
            let mut sums = [[$zero(); $count]; T];
            for (group, weights) in weights.chunks(LANES).enumerate() {
                let rows = &turned[group * step..][..T];
                for (input, weights) in weights.iter().enumerate() {
                    let mut columns = [$zero(); $count];
                    for (at, column) in columns.iter_mut().enumerate() {
                        // SAFETY: so many registers are sixteen outputs.
                        *column = unsafe { $load(weights.0.as_ptr().add(at * WIDTH)) };
                    }
                    for (row, sums) in rows.iter().zip(&mut sums) {
                        // SAFETY: there are at most as many inputs as lanes.
                        let row = $all(unsafe { *row.0.get_unchecked(input) });
                        for (sum, column) in sums.iter_mut().zip(columns) {
                            *sum = $multiply_add(row, column, *sum);
                        }
                    }
                }
            }
            for (to, sums) in to[..T].iter_mut().zip(sums) {
                for (at, sum) in sums.into_iter().enumerate() {
                    // SAFETY: so many registers are sixteen outputs.
                    unsafe { $store(to.0.as_mut_ptr().add(at * WIDTH), sum) };
                }
            }
            T
        }
    };
}

tile!(
    tile_of_16,
    "avx512f",
    1,
    _mm512_setzero_ps,
    _mm512_loadu_ps,
    _mm512_set1_ps,
    _mm512_fmadd_ps,
    _mm512_storeu_ps
);
tile!(
    tile_of_8,
    "avx2,fma",
    2,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_set1_ps,
    _mm256_fmadd_ps,
    _mm256_storeu_ps
);

#[target_feature(enable = "avx512f")]
pub(super) fn by_16(mut to: &mut [Lanes], mut factors: Factors<'_>) {
    while !to.is_empty() {
        let done = match to.len() {
            ROWS.. => tile_of_16::<ROWS>(to, factors),
            8.. => tile_of_16::<8>(to, factors),
            4.. => tile_of_16::<4>(to, factors),
            2.. => tile_of_16::<2>(to, factors),
            _ => tile_of_16::<1>(to, factors),
        };
        to = &mut to[done..];
        factors.turned = &factors.turned[done..];
    }
}

/// There are registers for six tiles.
#[target_feature(enable = "avx2,fma")]
pub(super) fn by_8(mut to: &mut [Lanes], mut factors: Factors<'_>) {
    while !to.is_empty() {
        let done = match to.len() {
            6.. => tile_of_8::<6>(to, factors),
            4.. => tile_of_8::<4>(to, factors),
            2.. => tile_of_8::<2>(to, factors),
            _ => tile_of_8::<1>(to, factors),
        };
        to = &mut to[done..];
        factors.turned = &factors.turned[done..];
    }
}
