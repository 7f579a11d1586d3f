//! Pictures of latents at a glance: a pixel for each latent value.
//!
//! Colours are nearly a map of the latents at the same place. A1111 v1.10.1 has constants for it, of two
//! autoencoders ("Approx cheap"); here it is fitted to the autoencoder at hand, whichever it is, with one
//! small picture that it encodes.

use crate::tensor::Tensor;

/// Patches of one colour along a side of that picture, and how many latent values wide each is: pictures are
/// smoother than noise.
const PATCHES: usize = 8;
const PATCH: usize = 3;
/// Levels of red, green and blue in it: each mixture has a patch.
const LEVELS: usize = 4;
/// From one patch's mixture to the next one's, which is not to be alike.
const STRIDE: usize = 37;
/// How far weights are drawn to zero, so that there is an answer whatever the encoder does.
const RIDGE: f64 = 1e-3;

/// Colours by latent channels.
#[derive(Debug)]
pub(crate) struct Colours {
    /// For every one of the [`features`], its share of red, green and blue.
    shares: Vec<[f64; 3]>,
}

impl Colours {
    /// The picture (`[1, 3, h, w]`, -1 to 1) that the map is fitted to, a pixel for each latent value.
    pub(super) fn probe() -> Tensor {
        let levels = |patch: usize| {
            let place = patch * STRIDE % (LEVELS * LEVELS * LEVELS);
            [place / LEVELS / LEVELS, place / LEVELS % LEVELS, place % LEVELS]
        };
        let side = PATCHES * PATCH;
        let mut picture = Tensor::zeros([1, 3, side, side]);
        for (colour, plane) in picture.data_mut().chunks_exact_mut(side * side).enumerate() {
            for (at, value) in plane.iter_mut().enumerate() {
                let [y, x] = [at / side, at % side].map(|place| place / PATCH);
                let level = levels(y * PATCHES + x)[colour];
                *value = level as f32 / (LEVELS - 1) as f32 * 2.0 - 1.0;
            }
        }
        picture
    }

    /// The map that comes nearest to `picture` (-1 to 1, a pixel for each latent value) from its latents.
    pub(super) fn fit(latents: &Tensor, picture: &Tensor) -> Self {
        let [_, channels, height, width] = latents.shape();
        let plane = height * width;
        // Normal equations, with the three colours on the right.
        let count = features(&vec![0.0; channels]).count();
        let mut rows = vec![vec![0.0; count + 3]; count];
        for at in 0..plane {
            let values: Vec<f64> = features(&of_place(latents.data(), at, plane)).collect();
            for (row, one) in rows.iter_mut().zip(&values) {
                let colours = (0..3).map(|c| f64::from(picture.data()[c * plane + at]));
                let sums = values.iter().copied().chain(colours);
                row.iter_mut().zip(sums).for_each(|(sum, other)| *sum += one * other);
            }
        }
        for (at, row) in rows.iter_mut().enumerate() {
            row[at] += RIDGE * plane as f64;
        }
        eliminate(&mut rows);
        let share = |row: Vec<f64>| [row[count], row[count + 1], row[count + 2]];
        Self { shares: rows.into_iter().map(share).collect() }
    }

    /// Pictures (`[n, 3, h, w]`, 0 to 1) of latents (`[n, c, h, w]`).
    pub(crate) fn of(&self, latents: &Tensor) -> Tensor {
        let [n, channels, height, width] = latents.shape();
        let plane = height * width;
        let mut pictures = Tensor::zeros([n, 3, height, width]);
        let places = pictures.data_mut().chunks_exact_mut((3 * plane).max(1));
        for (picture, latents) in places.zip(latents.data().chunks_exact((channels * plane).max(1)))
        {
            for at in 0..plane {
                let mut sums = [0.0; 3];
                for (feature, share) in features(&of_place(latents, at, plane)).zip(&self.shares) {
                    sums.iter_mut().zip(share).for_each(|(sum, share)| *sum += feature * share);
                }
                for (colour, sum) in sums.into_iter().enumerate() {
                    picture[colour * plane + at] = sum as f32;
                }
            }
        }
        pictures.map(|value| (value * 0.5 + 0.5).clamp(0.0, 1.0))
    }
}

/// The channels of one place.
fn of_place(latents: &[f32], at: usize, plane: usize) -> Vec<f64> {
    latents.iter().skip(at).step_by(plane).map(|value| f64::from(*value)).collect()
}

/// What colours are sums of: a constant, the latents of a place, and their products.
fn features(latents: &[f64]) -> impl Iterator<Item = f64> {
    let squares = latents
        .iter()
        .enumerate()
        .flat_map(|(at, one)| latents[at..].iter().map(move |other| one * other));
    std::iter::once(1.0).chain(latents.iter().copied()).chain(squares)
}

/// Turns the square on the left into one of ones, and so what is on the right of it into the solutions. What
/// is on the left is symmetric and larger than zero: no rows need be exchanged.
fn eliminate(rows: &mut [Vec<f64>]) {
    for at in 0..rows.len() {
        let by = rows[at][at];
        rows[at].iter_mut().for_each(|value| *value /= by);
        let row = rows[at].clone();
        for (other, values) in rows.iter_mut().enumerate() {
            if other != at {
                let by = values[at];
                values.iter_mut().zip(&row).for_each(|(value, own)| *value -= by * own);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_found_again() {
        let picture = Colours::probe();
        let [_, _, height, width] = picture.shape();
        // Latents that are the colours mixed, and one more with nothing to tell.
        let plane = height * width;
        let value = |colour: usize, at: usize| picture.data()[colour * plane + at];
        let mut latents = Vec::new();
        latents.extend((0..plane).map(|at| value(0, at) + 0.5 * value(1, at)));
        latents.extend((0..plane).map(|at| value(2, at) - 0.3));
        latents.extend((0..plane).map(|at| 2.0 * value(1, at)));
        latents.extend((0..plane).map(|at| (at as f32).sin()));
        let latents = Tensor::new([1, 4, height, width], latents).unwrap();
        let shown = Colours::fit(&latents, &picture).of(&latents);
        for (shown, value) in shown.data().iter().zip(picture.data()) {
            assert!((shown - (value * 0.5 + 0.5)).abs() < 0.02, "{shown} {value}");
        }
    }
}
