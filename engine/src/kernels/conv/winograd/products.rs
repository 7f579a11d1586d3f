//! Winograd's products: 36 of turned inputs (`tiles × inputs`) with turned weights (`inputs × outputs`),
//! in the layout of the turns, with sums in registers.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::lanes::{LANES, Lanes};

/// Tiles of a band: as many as AVX-512 has registers for at once.
pub(super) const ROWS: usize = 12;

/// What one of the 36 products is made of.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// At most [`ROWS`] tiles of sixteen inputs, beside each other; those of the next sixteen are `step` behind
    /// them.
    pub(super) turned: &'a [Lanes],
    pub(super) step: usize,
    /// Sixteen outputs of every input.
    pub(super) weights: &'a [Lanes],
}

/// Writes the product of some tiles.
pub(super) fn product(to: &mut [Lanes], factors: Factors<'_>) {
    let Factors { turned, step, weights } = factors;
    let last = weights.len().div_ceil(LANES).saturating_sub(1) * step + to.len();
    assert!(to.len() <= ROWS && last <= turned.len(), "the matrices fit each other");
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_16(to, factors) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_8(to, factors) };
        }
    }
    plain_product(to, factors);
}

/// With what every processor has.
fn plain_product(mut to: &mut [Lanes], mut factors: Factors<'_>) {
    while !to.is_empty() {
        let done = if to.len() < 4 { tile::<1>(to, factors) } else { tile::<4>(to, factors) };
        to = &mut to[done..];
        factors.turned = &factors.turned[done..];
    }
}

/// The first `T` tiles, and how many these are: with their four weights they fit into the 32 registers of ARM.
#[inline(always)]
fn tile<const T: usize>(to: &mut [Lanes], Factors { turned, step, weights }: Factors<'_>) -> usize {
    let mut sums = [Lanes::ZERO; T];
    for (group, weights) in weights.chunks(LANES).enumerate() {
        let rows = &turned[group * step..][..T];
        for (input, weights) in weights.iter().enumerate() {
            for (row, sum) in rows.iter().zip(&mut sums) {
                *sum = weights.times_plus(row.0[input], *sum);
            }
        }
    }
    to[..T].copy_from_slice(&sums);
    T
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_a_plain_loop() {
        let values = |count: usize, speed: f32| -> Vec<Lanes> {
            let value = |at: usize| (at as f32 * speed).sin();
            (0..count)
                .map(|at| Lanes(std::array::from_fn(|lane| value(at * LANES + lane))))
                .collect()
        };
        for (tiles, inputs) in [(12, 40_usize), (12, 16), (7, 33), (3, 100), (1, 1), (5, 0)] {
            let (turned, weights) =
                (values(inputs.div_ceil(LANES).max(1) * 20, 0.7), values(inputs, 1.3));
            let factors = Factors { turned: &turned, step: 20, weights: &weights };
            let sum = |tile: usize, lane: usize| {
                let turned = |input: usize| turned[input / LANES * 20 + tile].0[input % LANES];
                let factors = weights.iter().enumerate();
                factors.map(|(input, weights)| turned(input) * weights.0[lane]).sum()
            };
            let expected: Vec<_> =
                (0..tiles).map(|tile| Lanes(std::array::from_fn(|lane| sum(tile, lane)))).collect();
            let check = |product: &dyn Fn(&mut [Lanes])| {
                let mut found = vec![Lanes::ZERO; tiles];
                product(&mut found);
                for (found, expected) in found.iter().zip(&expected) {
                    let apart = found.0.iter().zip(expected.0).map(|(a, b)| (a - b).abs());
                    assert!(apart.fold(0.0, f32::max) < 1e-5, "{found:?} {expected:?}");
                }
            };
            check(&|to| product(to, factors));
            check(&|to| plain_product(to, factors));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor was asked for these instructions.
                check(&|to| unsafe { x86_64::by_8(to, factors) });
            }
        }
    }
}
