//! The formula: section 3.4 of Lin, Liu, Li and Yang, “Common Diffusion Noise Schedules and Sample
//! Steps are Flawed” (WACV 2024, arXiv 2305.08891).
//!
//! ```text
//! rescaled = combined · σ(cond) / σ(combined)
//! result   = φ · rescaled + (1 − φ) · combined
//! ```
//!
//! σ is the standard deviation over all channels and positions of one picture.

/// Rescales the combined prediction of one picture in place. `phi` is 0 (nothing happens) to 1.
///
/// A combination without any variation has no scale: it stays as it is.
pub(crate) fn rescale(combined: &mut [f32], cond: &[f32], phi: f64) {
    let (wanted, found) = (deviation(cond), deviation(combined));
    let ratio = if found > 0.0 { wanted / found } else { 1.0 };
    let factor = phi * ratio + (1.0 - phi);
    for value in combined {
        // The limits of f32 are far beyond any latents; without them a tiny σ could make infinities.
        let scaled = f64::from(*value) * factor;
        *value = scaled.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
    }
}

/// Standard deviation. Whether it is divided by n or n − 1 makes no difference to the ratio of two.
fn deviation(values: &[f32]) -> f64 {
    let count = values.len().max(1) as f64;
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
    let squares = values.iter().map(|value| (f64::from(*value) - mean).powi(2));
    (squares.sum::<f64>() / count).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// σ = 1 around 0.
    const COND: [f32; 4] = [1.0, -1.0, 1.0, -1.0];
    /// σ = 2 around 3.
    const COMBINED: [f32; 4] = [5.0, 1.0, 5.0, 1.0];

    fn rescaled(combined: &[f32], cond: &[f32], phi: f64) -> Vec<f32> {
        let mut data = combined.to_vec();
        rescale(&mut data, cond, phi);
        data
    }

    #[test]
    fn the_result_has_the_deviation_of_the_prediction_with_the_prompt() {
        assert_eq!(rescaled(&COMBINED, &COND, 1.0), [2.5, 0.5, 2.5, 0.5]);
        assert!((deviation(&rescaled(&COMBINED, &COND, 1.0)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn phi_mixes_the_rescaled_with_the_plain_combination() {
        assert_eq!(rescaled(&COMBINED, &COND, 0.5), [3.75, 0.75, 3.75, 0.75]);
        assert_eq!(rescaled(&COMBINED, &COND, 0.0), COMBINED);
    }

    #[test]
    fn equal_predictions_stay_the_same_to_the_bit() {
        let odd = [0.1, -0.7, 1.3, 2.9, -4.4];
        for phi in [0.1, 0.3, 0.7, 1.0] {
            assert_eq!(rescaled(&odd, &odd, phi), odd);
        }
    }

    #[test]
    fn a_prediction_without_variation_stays_finite() {
        let flat = [0.3; 4];
        assert_eq!(rescaled(&flat, &COND, 1.0), flat, "a flat combination has no scale");
        assert_eq!(rescaled(&COMBINED, &flat, 1.0), [0.0; 4], "a flat prompt takes all of it away");
        assert_eq!(rescaled(&[0.5], &[0.7], 1.0), [0.5], "one value");
        assert_eq!(rescaled(&[], &[], 1.0), [0.0; 0]);
    }

    #[test]
    fn the_widest_numbers_stay_finite() {
        let tiny = f32::from_bits(1);
        for (combined, cond) in [
            ([1.0, 1.0, 1.0, 1.0 + f32::EPSILON], [f32::MAX, f32::MIN, 0.0, 0.0]),
            ([f32::MAX, f32::MIN, 1.0, 0.0], [tiny, 0.0, 0.0, 0.0]),
            ([tiny, 0.0, 0.0, 0.0], [f32::MAX, f32::MIN, 0.0, 0.0]),
        ] {
            let result = rescaled(&combined, &cond, 1.0);
            assert!(result.iter().all(|value| value.is_finite()), "{result:?}");
        }
    }
}
