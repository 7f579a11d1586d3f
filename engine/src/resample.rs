//! Latents in another size, as PyTorch's `interpolate` makes them (2.x, without aligned corners).

use crate::tensor::Tensor;

/// How values between others are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resample {
    /// The value before (`nearest`).
    Nearest,
    /// The closest value (`nearest-exact`).
    NearestExact,
    /// Between two, in each direction (`bilinear`).
    Bilinear,
    /// The same, and of all values under a smaller result's.
    BilinearAntialiased,
    /// Between four, in each direction (`bicubic`).
    Bicubic,
    /// The same, and of all values under a smaller result's.
    BicubicAntialiased,
}

/// Where a value comes from along one direction: the first index, and the weights from there on.
struct Taps {
    first: usize,
    weights: Vec<f32>,
}

impl Tensor {
    /// The same in another size. Sizes of 0 are taken for 1.
    #[must_use]
    pub fn resized(&self, how: Resample, height: usize, width: usize) -> Self {
        let [n, c, h, w] = self.shape();
        let (height, width) = (height.max(1), width.max(1));
        if (h, w) == (height, width) || h == 0 || w == 0 {
            return self.clone();
        }
        let (columns, rows) = (taps(how, w, width), taps(how, h, height));
        let mut wide = Self::zeros([n, c, h, width]);
        let lines = wide.data_mut().chunks_exact_mut(width).zip(self.data().chunks_exact(w));
        for (to, from) in lines {
            for (to, taps) in to.iter_mut().zip(&columns) {
                let from = &from[taps.first..];
                *to = taps.weights.iter().zip(from).map(|(weight, value)| weight * value).sum();
            }
        }
        let mut result = Self::zeros([n, c, height, width]);
        let planes = result.data_mut().chunks_exact_mut(height * width);
        for (to, from) in planes.zip(wide.data().chunks_exact(h * width)) {
            for (to, taps) in to.chunks_exact_mut(width).zip(&rows) {
                let from = from[taps.first * width..].chunks_exact(width);
                for (weight, from) in taps.weights.iter().zip(from) {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to += weight * from;
                    }
                }
            }
        }
        result
    }
}

fn taps(how: Resample, from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let one = |at: f64| Taps { first: (at as usize).min(from - 1), weights: vec![1.0] };
    let place = |i: usize| (i as f64 + 0.5) * scale - 0.5;
    (0..to)
        .map(|i| match how {
            Resample::Nearest => one(i as f64 * scale),
            Resample::NearestExact => one((i as f64 + 0.5) * scale),
            Resample::Bilinear => around(place(i).max(0.0), 1, from, triangle),
            Resample::Bicubic => around(place(i), 2, from, |x| cubic(x, -0.75)),
            Resample::BilinearAntialiased => under(i, scale, 1.0, from, triangle),
            Resample::BicubicAntialiased => under(i, scale, 2.0, from, |x| cubic(x, -0.5)),
        })
        .collect()
}

/// `reach` values on each side of a place; the outermost stand for those beyond them.
fn around(place: f64, reach: isize, len: usize, weight: impl Fn(f64) -> f64) -> Taps {
    let (floor, last) = (place.floor() as isize, len as isize - 1);
    let near = floor + 1 - reach..=floor + reach;
    let first = (*near.start()).clamp(0, last);
    let mut weights = vec![0.0; ((*near.end()).clamp(0, last) - first) as usize + 1];
    for index in near {
        let at = (index.clamp(0, last) - first) as usize;
        weights[at] += weight(place - index as f64) as f32;
    }
    Taps { first: first as usize, weights }
}

/// All values that a filter stretched to the result's size reaches, weighed to 1.
fn under(i: usize, scale: f64, support: f64, len: usize, weight: impl Fn(f64) -> f64) -> Taps {
    let stretch = scale.max(1.0);
    let (center, reach) = ((i as f64 + 0.5) * scale, support * stretch);
    let first = (center - reach + 0.5).max(0.0) as usize;
    let end = ((center + reach + 0.5) as usize).clamp(first + 1, len.max(first + 1));
    let raw: Vec<f64> =
        (first..end).map(|index| weight((index as f64 - center + 0.5) / stretch)).collect();
    let sum: f64 = raw.iter().sum();
    let weights = raw.iter().map(|weight| (weight / sum) as f32).collect();
    Taps { first: first.min(len - 1), weights }
}

fn triangle(x: f64) -> f64 {
    (1.0 - x.abs()).max(0.0)
}

fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}
