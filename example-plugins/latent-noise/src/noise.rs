//! Standard normal noise that depends on nothing but its seed.

use std::f64::consts::TAU;

/// A stream of standard normal numbers.
///
/// `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014) with the
/// Box–Muller transform. A plugin that wants to draw the same picture next year has its own small
/// generator: that of a library may change with the library.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    state: u64,
    spare: Option<f64>,
}

impl Noise {
    /// The stream for one picture and one step.
    pub(crate) fn new(seed: i64, step: u32) -> Self {
        let mut mixed = Self { state: seed.cast_unsigned(), spare: None };
        mixed.state = mixed.bits() ^ u64::from(step);
        mixed
    }

    fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in (0, 1]: its logarithm is finite.
    fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn next(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sine, cosine) = (TAU * self.uniform()).sin_cos();
        self.spare = Some(radius * sine);
        radius * cosine
    }

    /// Adds `scale` times the stream to `data`.
    pub(crate) fn add_to(&mut self, data: &mut [f32], scale: f64) {
        for value in data {
            *value += (self.next() * scale) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: i64, step: u32, count: usize) -> Vec<f32> {
        let mut data = vec![0.0; count];
        Noise::new(seed, step).add_to(&mut data, 1.0);
        data
    }

    #[test]
    fn the_same_seed_and_step_give_the_same_noise() {
        assert_eq!(drawn(42, 3, 64), drawn(42, 3, 64));
        assert_ne!(drawn(42, 3, 64), drawn(42, 4, 64));
        assert_ne!(drawn(42, 3, 64), drawn(43, 3, 64));
        assert_ne!(drawn(-1, 0, 64), drawn(1, 0, 64));
    }

    #[test]
    fn noise_is_standard_normal() {
        let data = drawn(7, 0, 100_000);
        let mean = data.iter().map(|v| f64::from(*v)).sum::<f64>() / 1e5;
        let variance = data.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.02, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
        assert!(data.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn noise_is_added_to_what_is_there() {
        let mut data = vec![5.0; 8];
        Noise::new(1, 0).add_to(&mut data, 0.0);
        assert_eq!(data, vec![5.0; 8]);
        Noise::new(1, 0).add_to(&mut data, 0.5);
        let expected: Vec<f32> = drawn(1, 0, 8).iter().map(|v| 5.0 + v * 0.5).collect();
        for (got, expected) in data.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-6);
        }
    }
}
