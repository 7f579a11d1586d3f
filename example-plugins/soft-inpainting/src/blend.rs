//! Mixing latents so that the mixture is not flatter than what it is made of.

use atelier_plugin_api::prelude::*;

/// How much is drawn at a place after a step: the mask's share as if it had been applied `power` times.
pub(crate) fn share(drawn: f32, power: f64) -> f32 {
    f64::from(drawn.clamp(0.0, 1.0)).powf(power) as f32
}

/// `a` where the share is 0, `b` where it is 1. Between them the vectors of a place are mixed as they are,
/// and their lengths apart: the more `detail`, the more the longer one counts.
pub(crate) fn blend(
    to: &mut TensorMut<'_>,
    a: &Tensor<'_>,
    b: &Tensor<'_>,
    shares: &[f32],
    detail: f64,
) {
    let [_, channels, _, _] = to.shape;
    let plane = shares.len().max(1);
    let pictures = to.data.chunks_exact_mut(channels * plane);
    let pictures = pictures.zip(a.data.chunks_exact(channels * plane));
    for ((to, a), b) in pictures.zip(b.data.chunks_exact(channels * plane)) {
        for (at, share) in shares.iter().enumerate() {
            let places = || (0..channels).map(|channel| channel * plane + at);
            let length = |values: &[f32]| {
                places().map(|place| f64::from(values[place]).powi(2)).sum::<f64>().sqrt()
            };
            for place in places() {
                to[place] = a[place] * (1.0 - share) + b[place] * share;
            }
            let drawn = f64::from(*share);
            let wanted = length(a).powf(detail) * (1.0 - drawn) + length(b).powf(detail) * drawn;
            let factor = (wanted.powf(1.0 / detail) / (length(to) + 1e-5)) as f32;
            for place in places() {
                to[place] *= factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blended(share: f32, detail: f64) -> [f32; 2] {
        let (a, b, mut to) = ([1.0, 0.0], [0.0, 3.0], [0.0; 2]);
        let shape = [1, 2, 1, 1];
        let mut view = TensorMut { shape, data: &mut to };
        let (a, b) = (Tensor { shape, data: &a }, Tensor { shape, data: &b });
        blend(&mut view, &a, &b, &[share], detail);
        to
    }

    #[test]
    fn the_ends_are_what_they_are() {
        for (share, expected) in [(0.0, [1.0, 0.0]), (1.0, [0.0, 3.0])] {
            let found = blended(share, 4.0);
            let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-4, "{found:?}");
        }
    }

    #[test]
    fn a_mixture_is_as_long_as_the_lengths_say() {
        let length = |detail| {
            let [x, y] = blended(0.5, detail);
            f64::from(x.hypot(y))
        };
        assert!((length(1.0) - 2.0).abs() < 1e-4);
        assert!((length(2.0) - 5.0_f64.sqrt()).abs() < 1e-4);
        // Nearer to the longer one.
        assert!(length(8.0) > 2.7);
    }

    #[test]
    fn a_share_counts_as_often_as_the_step_is_noisy() {
        assert!((share(0.5, 1.0) - 0.5).abs() < 1e-6);
        assert!((share(0.5, 2.0) - 0.25).abs() < 1e-6);
        assert!((share(0.5, 0.0) - 1.0).abs() < 1e-6);
        assert!(share(0.0, 3.0) < 1e-6);
    }
}
