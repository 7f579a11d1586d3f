//! Choices by chance that depend on nothing but a seed.

use std::fmt;

use crate::fill::Choice;

/// One of a picture's two prompts. Each has chances of its own: the same wildcard in both is not to
/// forbid what it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Prompt,
    Negative,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prompt => "prompt",
            Self::Negative => "negative prompt",
        })
    }
}

/// A stream of choices.
///
/// `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): a
/// library's generator may change with the library, and with it every prompt.
#[derive(Clone, Debug)]
pub(crate) struct Chance {
    state: u64,
}

impl Chance {
    /// The stream for one prompt of a picture with this seed.
    pub(crate) fn new(seed: i64, side: Side) -> Self {
        let mut mixed = Self { state: seed.cast_unsigned() };
        mixed.state = mixed.bits() ^ side as u64;
        mixed
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in 0..1, without 1.
    fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Choice for Chance {
    fn choose(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        // Sums are rounded: what is left over belongs to the last one.
        chosen.unwrap_or(weights.len().saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(seed: i64, side: Side, weights: &[f64]) -> Vec<usize> {
        let mut chance = Chance::new(seed, side);
        (0..64).map(|_| chance.choose(weights)).collect()
    }

    #[test]
    fn the_same_seed_chooses_the_same() {
        let weights = [1.0; 5];
        let first = chosen(7, Side::Prompt, &weights);
        assert_eq!(first, chosen(7, Side::Prompt, &weights));
        assert_ne!(first, chosen(8, Side::Prompt, &weights));
        assert_ne!(first, chosen(7, Side::Negative, &weights));
    }

    #[test]
    fn the_choices_of_a_seed_stay_what_they_are() {
        let mut chance = Chance::new(7, Side::Prompt);
        let first: Vec<_> = (0..12).map(|_| chance.choose(&[1.0; 10])).collect();
        assert_eq!(first, [7, 6, 5, 6, 3, 1, 9, 9, 8, 1, 9, 4]);
    }

    #[test]
    fn weights_say_how_often() {
        let mut count = [0_u32; 3];
        for seed in 0..10_000 {
            count[Chance::new(seed, Side::Prompt).choose(&[1.0, 0.5, 2.5])] += 1;
        }
        for (count, expected) in count.into_iter().zip([2500_u32, 1250, 6250]) {
            assert!(count.abs_diff(expected) < 150, "{count} for {expected}");
        }
    }
}
