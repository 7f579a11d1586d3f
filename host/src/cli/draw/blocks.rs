//! Small pictures as text.

use std::fmt::Write as _;

use anstyle::{Ansi256Color, Color, RgbColor, Style};
use image::{
    RgbImage,
    imageops::{FilterType, resize},
};

/// Pixels along the longer side: so many columns, and half as many lines.
const LONGEST: u32 = 32;

/// The picture in lines of half blocks, two pixels in each, for a terminal with colours.
pub(super) fn blocks(picture: &RgbImage) -> String {
    let (width, height) = picture.dimensions();
    let fitted = |side: u32| (side * LONGEST / width.max(height).max(1)).max(1);
    let small = resize(picture, fitted(width), fitted(height), FilterType::Triangle);
    let all = std::env::var("COLORTERM").is_ok_and(|it| it == "truecolor" || it == "24bit");
    let colour = |x: u32, y: u32| small.get_pixel_checked(x, y).map(|it| shown(it.0, all));
    let mut text = String::new();
    for y in (0..small.height()).step_by(2) {
        if y > 0 {
            text.push('\n');
        }
        for x in 0..small.width() {
            let style = Style::new().fg_color(colour(x, y)).bg_color(colour(x, y + 1));
            // A string takes everything.
            let _ = write!(text, "{style}▀{style:#}");
        }
    }
    text
}

/// A colour of the terminal: any, or the nearest of its cube of 216.
fn shown([red, green, blue]: [u8; 3], all: bool) -> Color {
    if all {
        return RgbColor(red, green, blue).into();
    }
    let level = |value: u8| ((u16::from(value) * 5 + 127) / 255) as u8;
    Ansi256Color(16 + 36 * level(red) + 6 * level(green) + level(blue)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pixels_are_one_character() {
        let picture = RgbImage::from_fn(64, 48, |x, _| {
            image::Rgb(if x < 32 { [255, 0, 0] } else { [0, 0, 255] })
        });
        let text = blocks(&picture);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 12);
        assert!(lines.iter().all(|line| line.matches('▀').count() == 32));
        let odd = blocks(&RgbImage::new(1, 3));
        assert_eq!(odd.lines().count(), 16, "{odd}");
    }
}
