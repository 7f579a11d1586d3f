//! Pictures over pictures, in Pillow's arithmetic: its whole numbers decide the last bit.

use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::{
    mask::{Region, kept},
    resize::{ResizeMode, resized},
};

/// Pillow's division by 255.
fn by_255(value: u32) -> u32 {
    let value = value + 128;
    ((value >> 8) + value) >> 8
}

/// A picture with what is drawn anew cut out, its colours times what is left.
fn premultiplied(picture: &RgbImage, mask: &GrayImage) -> RgbaImage {
    let mask = kept(mask);
    RgbaImage::from_fn(picture.width(), picture.height(), |x, y| {
        let share = u32::from(mask.get_pixel(x, y).0[0]);
        let [r, g, b] =
            picture.get_pixel(x, y).0.map(|value| by_255(u32::from(value) * share) as u8);
        Rgba([r, g, b, share as u8])
    })
}

/// Colours for themselves again.
fn straight(picture: &RgbaImage) -> RgbaImage {
    let mut picture = picture.clone();
    for Rgba([r, g, b, alpha]) in picture.pixels_mut() {
        if !matches!(alpha, 0 | 255) {
            for value in [r, g, b] {
                *value = (u32::from(*value) * 255 / u32::from(*alpha)).min(255) as u8;
            }
        }
    }
    picture
}

/// `over` on `under`.
fn composite(under: Rgba<u8>, over: Rgba<u8>) -> Rgba<u8> {
    const BITS: u32 = 7;
    let ([_, _, _, below], [_, _, _, above]) = (under.0.map(u32::from), over.0.map(u32::from));
    if above == 0 {
        return under;
    }
    let alpha = above * 255 + below * (255 - above);
    let ours = above * 255 * 255 * (1 << BITS) / alpha;
    let theirs = 255 * (1 << BITS) - ours;
    let mix = |channel: usize| {
        let sum = u32::from(over.0[channel]) * ours + u32::from(under.0[channel]) * theirs;
        let sum = sum + (0x80 << BITS);
        (((sum >> 8) + sum) >> 8 >> BITS) as u8
    };
    Rgba([mix(0), mix(1), mix(2), by_255(alpha) as u8])
}

/// The part of a picture that stays, for [`laid_over`]: opaque where the mask is black.
pub(crate) fn overlay(picture: &RgbImage, mask: &GrayImage) -> RgbaImage {
    straight(&premultiplied(picture, mask))
}

/// The drawn picture under an overlay of the same size.
pub(crate) fn laid_over(drawn: &RgbImage, overlay: &RgbaImage) -> RgbImage {
    RgbImage::from_fn(drawn.width(), drawn.height(), |x, y| {
        let Rgb([r, g, b]) = *drawn.get_pixel(x, y);
        let Rgba([r, g, b, _]) = composite(Rgba([r, g, b, 255]), *overlay.get_pixel(x, y));
        Rgb([r, g, b])
    })
}

/// A drawn part back in its place, the rest black.
pub(crate) fn uncropped(drawn: &RgbImage, (width, height): (u32, u32), to: Region) -> RgbImage {
    let part = resized(drawn, to.width, to.height, ResizeMode::CropAndResize);
    let mut whole = RgbImage::new(width, height);
    image::imageops::replace(&mut whole, &part, i64::from(to.x), i64::from(to.y));
    whole
}

/// A picture whose masked parts have the colours around them: ever smaller blurs of the rest over each
/// other.
pub(crate) fn filled(picture: &RgbImage, mask: &GrayImage) -> RgbImage {
    let rest = premultiplied(picture, mask);
    let mut result = RgbaImage::new(picture.width(), picture.height());
    for (radius, times) in [(256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)] {
        let layer = straight(&gaussian(&rest, radius));
        for _ in 0..times {
            for (under, over) in result.pixels_mut().zip(layer.pixels()) {
                *under = composite(*under, *over);
            }
        }
    }
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let Rgba([r, g, b, _]) = *result.get_pixel(x, y);
        Rgb([r, g, b])
    })
}

/// Pillow's `GaussianBlur`: three box blurs in each direction.
fn gaussian(picture: &RgbaImage, radius: u32) -> RgbaImage {
    if radius == 0 {
        return picture.clone();
    }
    let variance = f64::from(radius * radius) / 3.0;
    let whole = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
    let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance);
    let radius = (whole + part / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)))) as f32;
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut pixels: Vec<[u8; 4]> = picture.pixels().map(|pixel| pixel.0).collect();
    for row in pixels.chunks_exact_mut(width.max(1)) {
        (0..3).for_each(|_| box_blur(row, radius));
    }
    for x in 0..width {
        let mut column: Vec<[u8; 4]> = (0..height).map(|y| pixels[y * width + x]).collect();
        (0..3).for_each(|_| box_blur(&mut column, radius));
        for (y, pixel) in column.into_iter().enumerate() {
            pixels[y * width + x] = pixel;
        }
    }
    let at = |x: u32, y: u32| Rgba(pixels[y as usize * width + x as usize]);
    RgbaImage::from_fn(picture.width(), picture.height(), at)
}

/// The mean of what is within `radius`, the outermost pixels standing for those beyond them.
fn box_blur(line: &mut [[u8; 4]], radius: f32) {
    let reach = radius as i64;
    let weight = ((1 << 24) as f32 / (radius * 2.0 + 1.0)) as u32;
    let outer = ((1 << 24) - (reach as u32 * 2 + 1) * weight) / 2;
    let from = line.to_vec();
    let last = from.len() as i64 - 1;
    let at = |place: i64| from[place.clamp(0, last) as usize].map(u32::from);
    let mut sum = [0_u32; 4];
    for place in -reach..=reach {
        add(&mut sum, at(place));
    }
    for (x, pixel) in (0..).zip(line.iter_mut()) {
        let (before, behind) = (at(x - reach - 1), at(x + reach + 1));
        for channel in 0..4 {
            let value = sum[channel] * weight + (before[channel] + behind[channel]) * outer;
            pixel[channel] = ((value + (1 << 23)) >> 24) as u8;
        }
        add(&mut sum, behind);
        let gone = at(x - reach);
        for (sum, gone) in sum.iter_mut().zip(gone) {
            *sum -= gone;
        }
    }
}

fn add(sum: &mut [u32; 4], more: [u32; 4]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}
