//! How much of the first picture is laid over: less where it changed more.

use atelier_plugin_api::prelude::*;
use image::{
    GrayImage, Luma,
    imageops::{self, FilterType},
};

use crate::{Settings, filter::Plane};

/// What became of a picture, place by place of its latents.
pub(crate) struct Change {
    /// How far it came.
    distance: Plane,
    /// How much of it was to be drawn, 0 to 1.
    drawn: Vec<f64>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Change").finish_non_exhaustive()
    }
}

impl Change {
    /// One for each picture of a batch.
    pub(crate) fn of_batch(now: &Tensor<'_>, before: &Tensor<'_>, stays: &Tensor<'_>) -> Vec<Self> {
        let [_, channels, height, width] = now.shape;
        let plane = width * height;
        let drawn: Vec<f64> = stays.data.iter().map(|stays| 1.0 - f64::from(*stays)).collect();
        let pictures = now.data.chunks_exact((channels * plane).max(1));
        let pictures = pictures.zip(before.data.chunks_exact((channels * plane).max(1)));
        let change = |(now, before): (&[f32], &[f32])| {
            let apart = |at: usize| {
                let squares = (at..channels * plane)
                    .step_by(plane)
                    .map(|place| f64::from(now[place] - before[place]).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let distance = Plane { width, height, data: (0..plane).map(apart).collect() };
            Self { distance, drawn: drawn.clone() }
        };
        pictures.map(change).collect()
    }
}

/// What of a picture is seen as it was drawn, 255 for all of it, in the size of the whole.
pub(crate) fn mask_of(
    change: &Change,
    settings: &Settings,
    (width, height): (u32, u32),
    (whole_width, whole_height): (usize, usize),
    paste_to: Option<[u32; 4]>,
) -> Vec<u8> {
    let latents = seen(change, settings);
    let drawn = imageops::resize(&latents, width, height, FilterType::Lanczos3);
    // Against steps the size of a latent.
    let drawn = imageops::blur(&drawn, 4.0);
    let (whole_width, whole_height) = (whole_width as u32, whole_height as u32);
    let Some([x, y, part_width, part_height]) = paste_to else {
        // The same size, unless a plugin made it another.
        return imageops::resize(&drawn, whole_width, whole_height, FilterType::Triangle)
            .into_raw();
    };
    let mut whole = GrayImage::new(whole_width, whole_height);
    let part = imageops::resize(&drawn, part_width, part_height, FilterType::Lanczos3);
    imageops::replace(&mut whole, &part, i64::from(x), i64::from(y));
    whole.into_raw()
}

/// The same in the size of latents.
fn seen(change: &Change, settings: &Settings) -> GrayImage {
    let Settings { scale, influence, threshold, contrast, .. } = *settings;
    let distance = change.distance.filtered((0.9, 1.0)).filtered((0.25, 0.75));
    let places = distance.data.iter().zip(&change.drawn).map(|(distance, drawn)| {
        let stays = 1.0 - drawn.clamp(0.0, 1.0).powf(scale / 2.0);
        let stays = 0.5 * (1.0 - influence) + stays * influence;
        let half = threshold * stays / (1.000_01 - stays);
        let apart = if half > 0.0 { distance / half } else { f64::INFINITY * distance };
        // Nothing that did not change has to be seen.
        let apart = if apart.is_nan() { 0.0 } else { apart };
        let kept = 1.0 / (1.0 + apart.powf(contrast));
        (255.0 * (1.0 - smootherstep(kept))) as u8
    });
    let bytes: Vec<u8> = places.collect();
    let width = change.distance.width;
    GrayImage::from_fn(width as u32, change.distance.height as u32, |x, y| {
        Luma([bytes.get(y as usize * width + x as usize).copied().unwrap_or(255)])
    })
}

fn smootherstep(x: f64) -> f64 {
    x * x * x * (x * (6.0 * x - 15.0) + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        power: 1.0,
        scale: 0.5,
        detail: 4.0,
        influence: 0.0,
        threshold: 0.5,
        contrast: 2.0,
    };

    fn change(distance: f64) -> Change {
        let data = vec![distance; 64];
        Change { distance: Plane { width: 8, height: 8, data }, drawn: vec![1.0; 64] }
    }

    fn middle(change: &Change, settings: &Settings) -> u8 {
        seen(change, settings).get_pixel(4, 4).0[0]
    }

    #[test]
    fn what_came_far_is_seen_and_what_did_not_change_stays() {
        assert_eq!(middle(&change(0.0), &SETTINGS), 0);
        assert!((126..=128).contains(&middle(&change(0.5), &SETTINGS)));
        assert!(middle(&change(5.0), &SETTINGS) > 250);
    }

    #[test]
    fn a_threshold_of_zero_shows_all_that_changed() {
        let all = Settings { threshold: 0.0, ..SETTINGS };
        assert_eq!(middle(&change(1e-3), &all), 255);
        assert_eq!(middle(&change(0.0), &all), 0);
    }

    #[test]
    fn the_mask_can_count_too() {
        let mut outside = change(0.5);
        outside.drawn = vec![0.0; 64];
        let counts = Settings { influence: 1.0, ..SETTINGS };
        // What was not to be drawn stays, however far it came.
        assert!(middle(&outside, &counts) < 5);
        assert!(middle(&change(0.5), &counts) > 250);
    }

    #[test]
    fn a_part_is_put_into_its_place() {
        let mask = mask_of(&change(5.0), &SETTINGS, (64, 64), (40, 30), Some([10, 5, 16, 16]));
        assert_eq!(mask.len(), 40 * 30);
        let at = |x: usize, y: usize| mask[y * 40 + x];
        assert!(at(9, 10) == 0 && at(26, 10) == 0 && at(18, 4) == 0 && at(18, 12) > 250);
    }
}
