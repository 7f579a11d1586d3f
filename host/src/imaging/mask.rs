//! Masks: white is drawn anew, black stays.

use image::{DynamicImage, GrayImage, Luma};

/// A part of a picture, from its first to before its last pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Left.
    pub x: u32,
    /// Top.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// The mask that a picture is: what is opaque where any of it is transparent, else its brightness. With
/// `round` what is half transparent is one or the other.
#[must_use]
pub fn binary_mask(picture: &DynamicImage, round: bool) -> GrayImage {
    if picture.color().has_alpha() {
        let rgba = picture.to_rgba8();
        if rgba.pixels().any(|pixel| pixel.0[3] != 255) {
            let value = |alpha: u8| if round { u8::from(alpha > 128) * 255 } else { alpha };
            return GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
                Luma([value(rgba.get_pixel(x, y).0[3])])
            });
        }
    }
    let rgb = picture.to_rgb8();
    GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| {
        // Pillow's weights.
        let [r, g, b] = rgb.get_pixel(x, y).0.map(u32::from);
        Luma([((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8])
    })
}

/// A mask with soft edges: a Gaussian of these standard deviations along x and y; 0 is none.
pub(crate) fn blurred(mask: &GrayImage, x: u32, y: u32) -> GrayImage {
    let mut mask = mask.clone();
    if x > 0 {
        mask = blurred_along(&mask, &gaussian(x), (1, 0));
    }
    if y > 0 {
        mask = blurred_along(&mask, &gaussian(y), (0, 1));
    }
    mask
}

/// OpenCV's kernel for A1111's size, from its middle on.
fn gaussian(sigma: u32) -> Vec<f64> {
    let sigma = f64::from(sigma);
    let reach = (2.5 * sigma + 0.5) as usize;
    let half: Vec<f64> =
        (0..=reach).map(|i| (-((i * i) as f64) / (2.0 * sigma * sigma)).exp()).collect();
    let sum = 2.0 * half.iter().sum::<f64>() - half[0];
    half.into_iter().map(|weight| weight / sum).collect()
}

fn blurred_along(mask: &GrayImage, kernel: &[f64], (dx, dy): (i64, i64)) -> GrayImage {
    let at = |x: i64, y: i64| {
        let x = mirrored(x, mask.width());
        f64::from(mask.get_pixel(x, mirrored(y, mask.height())).0[0])
    };
    GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        let (x, y) = (i64::from(x), i64::from(y));
        let mut sum = kernel[0] * at(x, y);
        for (i, weight) in (1..).zip(&kernel[1..]) {
            sum += weight * (at(x + dx * i, y + dy * i) + at(x - dx * i, y - dy * i));
        }
        Luma([sum.round() as u8])
    })
}

/// A place inside, mirrored at the outermost pixels as often as needed.
fn mirrored(place: i64, len: u32) -> u32 {
    let last = i64::from(len) - 1;
    if last <= 0 {
        return 0;
    }
    let place = place.rem_euclid(2 * last);
    (if place > last { 2 * last - place } else { place }) as u32
}

/// The smallest part that has all of what is drawn anew in it, and `padding` pixels around; none for a
/// mask that is black.
pub(crate) fn crop_region(mask: &GrayImage, padding: u32) -> Option<Region> {
    let drawn = || mask.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] > 0);
    let (left, right) = (drawn().map(|at| at.0).min()?, drawn().map(|at| at.0).max()?);
    let (top, bottom) = (drawn().map(|at| at.1).min()?, drawn().map(|at| at.1).max()?);
    let (x, y) = (left.saturating_sub(padding), top.saturating_sub(padding));
    let end = |last: u32, side: u32| (last + 1).saturating_add(padding).min(side);
    let (width, height) = (end(right, mask.width()) - x, end(bottom, mask.height()) - y);
    Some(Region { x, y, width, height })
}

/// The region made as wide or high as the run's pictures are, as far as the picture goes.
pub(crate) fn expanded(region: Region, frame: (u32, u32), picture: (u32, u32)) -> Region {
    let Region { x, y, width, height } = region;
    let ratio = f64::from(frame.0) / f64::from(frame.1.max(1));
    let is_wide = f64::from(width) / f64::from(height.max(1)) > ratio;
    if is_wide {
        let (y, height) = grown(y, height, f64::from(width) / ratio, picture.1);
        Region { x, y, width, height }
    } else {
        let (x, width) = grown(x, width, f64::from(height) * ratio, picture.0);
        Region { x, y, width, height }
    }
}

/// A span made `wanted` long, moved where it would stand out and cut where it is too long.
fn grown(start: u32, len: u32, wanted: f64, side: u32) -> (u32, u32) {
    let side = i64::from(side);
    let more = (wanted - f64::from(len)) as i64;
    let (mut start, mut end) = (i64::from(start), i64::from(start) + i64::from(len));
    start -= more.div_euclid(2);
    end += more - more.div_euclid(2);
    if end >= side {
        let over = end - side;
        (start, end) = (start - over, end - over);
    }
    if start < 0 {
        (start, end) = (0, end - start);
    }
    end = end.min(side);
    (start as u32, (end - start).max(1) as u32)
}

/// Twice as strong: what A1111 lays over a picture that was drawn anew as a whole.
pub(crate) fn strengthened(mask: &GrayImage) -> GrayImage {
    GrayImage::from_fn(mask.width(), mask.height(), |x, y| {
        Luma([mask.get_pixel(x, y).0[0].saturating_mul(2)])
    })
}

/// What stays of a picture, and the other way around.
pub(crate) fn kept(mask: &GrayImage) -> GrayImage {
    let mut mask = mask.clone();
    image::imageops::invert(&mut mask);
    mask
}
