//! Other sizes.

use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image, images::ImageRef,
};
use image::{ImageBuffer, Pixel};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with a picture whose sides are not the run's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ResizeMode {
    /// It is stretched.
    #[default]
    JustResize,
    /// It is made large enough, and what stands out cut off.
    CropAndResize,
    /// It is made small enough, and its edges fill the rest.
    ResizeAndFill,
    /// Its latents are stretched.
    LatentUpscale,
}

/// Pixels of a picture on its way to another size.
const MOST_PIXELS: u64 = 1 << 26;

type Buffer<P> = ImageBuffer<P, Vec<u8>>;

/// A picture or a mask in another size, its parts where the mode puts them; in latents' mode it is
/// stretched.
pub(crate) fn resized<P: Pixel<Subpixel = u8>>(
    picture: &Buffer<P>,
    width: u32,
    height: u32,
    mode: ResizeMode,
) -> Buffer<P> {
    let (w, h) = (u64::from(picture.width()).max(1), u64::from(picture.height()).max(1));
    let (wide, high) = (u64::from(width), u64::from(height));
    // As tall as the frame, or as wide.
    let (by_height, by_width) = ((w * high / h, high), (wide, h * wide / w));
    let frame_is_wider = wide * h > w * high;
    let size = match mode {
        ResizeMode::JustResize | ResizeMode::LatentUpscale => {
            return scaled(picture, width, height, FilterType::Lanczos3);
        }
        ResizeMode::CropAndResize if frame_is_wider => by_width,
        ResizeMode::ResizeAndFill if !frame_is_wider => by_width,
        ResizeMode::CropAndResize | ResizeMode::ResizeAndFill => by_height,
    };
    // A picture as thin as a thread would be made longer than memory: that one is stretched.
    if size.0 * size.1 > MOST_PIXELS {
        return scaled(picture, width, height, FilterType::Lanczos3);
    }
    let side = |value: u64| u32::try_from(value.max(1)).unwrap_or(u32::MAX);
    let (inner_width, inner_height) = (side(size.0), side(size.1));
    let inner = scaled(picture, inner_width, inner_height, FilterType::Lanczos3);
    let left = i64::from(width / 2) - i64::from(inner_width / 2);
    let top = i64::from(height / 2) - i64::from(inner_height / 2);
    let mut result = Buffer::new(width, height);
    image::imageops::replace(&mut result, &inner, left, top);
    if mode == ResizeMode::ResizeAndFill {
        let start = if frame_is_wider { left } else { top };
        fill(&mut result, &inner, u32::try_from(start).unwrap_or(0), frame_is_wider);
    }
    result
}

/// Pillow's bicubic filter, which A1111 makes masks of latents with.
pub(crate) fn bicubic<P: Pixel<Subpixel = u8>>(
    picture: &Buffer<P>,
    width: u32,
    height: u32,
) -> Buffer<P> {
    scaled(picture, width, height, FilterType::CatmullRom)
}

/// Along x and then along y, with whole values in between: Pillow's order.
fn scaled<P: Pixel<Subpixel = u8>>(
    picture: &Buffer<P>,
    width: u32,
    height: u32,
    filter: FilterType,
) -> Buffer<P> {
    if u64::from(width) * u64::from(picture.height()) > MOST_PIXELS {
        let low = scaled_once(picture, picture.width(), height, filter);
        return scaled_once(&low, width, height, filter);
    }
    let wide = scaled_once(picture, width, picture.height(), filter);
    scaled_once(&wide, width, height, filter)
}

fn scaled_once<P: Pixel<Subpixel = u8>>(
    picture: &Buffer<P>,
    width: u32,
    height: u32,
    filter: FilterType,
) -> Buffer<P> {
    if picture.dimensions() == (width, height) {
        return picture.clone();
    }
    let kind = match P::CHANNEL_COUNT {
        1 => PixelType::U8,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    };
    let mut to = Image::new(width, height, kind);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    let from = ImageRef::new(picture.width(), picture.height(), picture.as_raw(), kind);
    let done = from.ok().map(|from| Resizer::new().resize(&from, &mut to, &options).is_ok());
    let bytes = if done == Some(true) { to.into_vec() } else { Vec::new() };
    // Only a picture without pixels cannot be resized.
    Buffer::from_raw(width, height, bytes).unwrap_or_else(|| Buffer::new(width, height))
}

/// What Pillow makes of an edge without extent: its bicubic filter at the edge of two lines.
fn stretched(edge: u8, inner: u8) -> u8 {
    (1.125 * f32::from(edge) - 0.125 * f32::from(inner)).round().clamp(0.0, 255.0) as u8
}

fn edge<P: Pixel<Subpixel = u8>>(outer: &P, inner: &P) -> P {
    let mut pixel = *outer;
    for (value, inner) in pixel.channels_mut().iter_mut().zip(inner.channels()) {
        *value = stretched(*value, *inner);
    }
    pixel
}

/// Fills what is before and behind `inner`, as much behind as before, with its edges: to the sides of
/// one that is as tall as the frame, else above and below.
fn fill<P: Pixel<Subpixel = u8>>(
    to: &mut Buffer<P>,
    inner: &Buffer<P>,
    start: u32,
    to_the_sides: bool,
) {
    let turned = |(x, y): (u32, u32)| if to_the_sides { (x, y) } else { (y, x) };
    let ((len, breadth), (side, other)) = (turned(inner.dimensions()), turned(to.dimensions()));
    let (last, end) = (len - 1, start + len);
    for (filled, outer, next) in
        [(0..start, 0, 1.min(last)), (end..(end + start).min(side), last, last.saturating_sub(1))]
    {
        for along in 0..breadth.min(other) {
            let pixel = |at: u32| {
                let (x, y) = turned((at, along));
                inner.get_pixel(x, y)
            };
            let pixel = edge(pixel(outer), pixel(next));
            for at in filled.clone() {
                let (x, y) = turned((at, along));
                to.put_pixel(x, y, pixel);
            }
        }
    }
}
