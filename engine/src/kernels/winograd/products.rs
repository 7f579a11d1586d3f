//! Winograd's products: 36 of turned inputs (`tiles × inputs`) with turned weights (`inputs × outputs`),
//! in the layout of the turns, with sums in registers.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod x86_64;

use super::lanes::{LANES, Lanes};

/// Tiles whose sums are in registers at once.
pub(super) const ROWS: usize = 12;

/// What one of the 36 products is made of.
#[derive(Clone, Copy)]
pub(super) struct Factors<'a> {
    /// At most [`ROWS`] tiles of the first inputs, beside each other; those of the next inputs are `step`
    /// behind them.
    pub(super) turned: &'a [Lanes],
    pub(super) step: usize,
    /// As many outputs of every input, behind each other for each panel.
    pub(super) weights: &'a [Lanes],
    pub(super) inputs: usize,
}

/// Writes the product of so many tiles and panels of outputs: `to` has a tile's panels beside each other.
pub(super) fn product(to: &mut [Lanes], panels: usize, factors: Factors<'_>) {
    let Factors { turned, step, weights, inputs } = factors;
    let tiles = to.len() / panels;
    let last = inputs.div_ceil(LANES).saturating_sub(1) * step + tiles;
    assert!(
        tiles <= ROWS && last <= turned.len() && panels * inputs <= weights.len(),
        "the matrices fit each other"
    );
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_16(to, panels, factors) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the processor was asked for these instructions.
            return unsafe { x86_64::by_8(to, panels, factors) };
        }
    }
    plain_product(to, panels, factors);
}

fn plain_product(to: &mut [Lanes], panels: usize, factors: Factors<'_>) {
    for (tile, to) in to.chunks_exact_mut(panels).enumerate() {
        for (to, weights) in to.iter_mut().zip(factors.weights.chunks_exact(factors.inputs.max(1)))
        {
            let mut sum = Lanes::ZERO;
            for (input, weights) in weights.iter().enumerate() {
                let turned = factors.turned[input / LANES * factors.step + tile];
                sum = sum + turned.0[input % LANES] * *weights;
            }
            *to = sum;
        }
    }
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
        for (tiles, panels, inputs) in
            [(12, 2, 40_usize), (12, 1, 16), (7, 2, 33), (3, 1, 100), (1, 2, 1)]
        {
            let (turned, weights) =
                (values(inputs.div_ceil(LANES) * 20, 0.7), values(panels * inputs, 1.3));
            let factors = Factors { turned: &turned, step: 20, weights: &weights, inputs };
            let expected = &mut vec![Lanes::ZERO; tiles * panels];
            plain_product(expected, panels, factors);
            let check = |product: &dyn Fn(&mut [Lanes])| {
                let mut found = vec![Lanes::ZERO; tiles * panels];
                product(&mut found);
                for (found, expected) in found.iter().zip(&*expected) {
                    let apart = found.0.iter().zip(expected.0).map(|(a, b)| (a - b).abs());
                    assert!(apart.fold(0.0, f32::max) < 1e-5, "{found:?} {expected:?}");
                }
            };
            check(&|to| product(to, panels, factors));
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                // SAFETY: the processor was asked for these instructions.
                check(&|to| unsafe { x86_64::by_8(to, panels, factors) });
            }
        }
    }
}
