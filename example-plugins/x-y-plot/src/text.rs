//! Texts in a place that may be too small for them: divided into lines, and shortened.

use atelier_plugin_api::ImageMut;

use crate::font::{self, Glyph};

/// Dots between two lines.
const LEADING: usize = 2;
/// What stands for the rest of a text.
const ELLIPSIS: char = '…';

/// Part of a picture, in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Area {
    pub(crate) left: usize,
    pub(crate) top: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// A text in lines.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Block {
    lines: Vec<String>,
    /// Pixels per dot.
    scale: usize,
}

impl Block {
    /// Divides a text into lines that are no wider than so many pixels, at most `most` of them. What
    /// does not fit is cut off, and an ellipsis says so.
    pub(crate) fn new(text: &str, width: usize, most: usize, scale: usize) -> Self {
        let dots = width / scale;
        let mut lines = wrapped(text, dots);
        if lines.len() > most {
            lines.truncate(most);
            if let Some(last) = lines.last_mut() {
                shorten(last, dots);
            }
        }
        Self { lines, scale }
    }

    /// Pixels from side to side.
    pub(crate) fn width(&self) -> usize {
        self.lines.iter().map(|line| font::width(line)).max().unwrap_or(0) * self.scale
    }

    /// Pixels from top to bottom.
    pub(crate) fn height(&self) -> usize {
        let dots = self.lines.len() * line_height(1);
        dots.saturating_sub(LEADING) * self.scale
    }

    /// Draws the text into the middle of an area. What lies outside of the picture is cut off.
    pub(crate) fn draw(&self, picture: &mut ImageMut<'_>, area: Area, colour: [u8; 3]) {
        let mut top = area.top + area.height.saturating_sub(self.height()) / 2;
        for line in &self.lines {
            let width = font::width(line) * self.scale;
            let mut left = area.left + area.width.saturating_sub(width) / 2;
            for glyph in line.chars().map(Glyph::of) {
                draw_glyph(picture, glyph, (left, top), self.scale, colour);
                left += (glyph.width + 1) * self.scale;
            }
            top += line_height(self.scale);
        }
    }
}

/// Pixels from one line to the next.
pub(crate) fn line_height(scale: usize) -> usize {
    (font::HEIGHT + LEADING) * scale
}

fn draw_glyph(
    picture: &mut ImageMut<'_>,
    glyph: Glyph,
    (left, top): (usize, usize),
    scale: usize,
    colour: [u8; 3],
) {
    for y in 0..font::HEIGHT * scale {
        for x in 0..glyph.width * scale {
            if glyph.has_ink(x / scale, y / scale)
                && let Some(pixel) = picture.pixel_mut(left + x, top + y)
            {
                *pixel = colour;
            }
        }
    }
}

/// Lines of at most so many dots, divided between words where that can be done. A line has at least
/// one character.
fn wrapped(text: &str, dots: usize) -> Vec<String> {
    let fits = |line: &str| font::width(line.trim_end()) <= dots;
    let mut lines: Vec<String> = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split_inclusive([' ', ',', '_', '/', '-']) {
            if !line.is_empty() && !fits(&format!("{line}{word}")) {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                line.push(character);
                if !fits(&line) && line.chars().count() > 1 {
                    line.pop();
                    lines.push(std::mem::replace(&mut line, character.to_string()));
                }
            }
        }
        lines.push(line);
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// Ends a line with an ellipsis that fits.
fn shorten(line: &mut String, dots: usize) {
    line.push(ELLIPSIS);
    while font::width(line) > dots && line.chars().count() > 1 {
        line.pop();
        line.pop();
        line.truncate(line.trim_end().len());
        line.push(ELLIPSIS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, width: usize, most: usize) -> Vec<String> {
        Block::new(text, width, most, 1).lines
    }

    #[test]
    fn texts_are_divided_between_words_and_long_words_anywhere() {
        assert_eq!(lines("DPM++ 2M Karras", 60, 4), ["DPM++ 2M", "Karras"]);
        assert_eq!(lines("latent_noise_strength", 60, 4), ["latent_", "noise_", "strength"]);
        assert_eq!(lines("aaaaaaaaaaaaaaaa", 60, 4), ["aaaaaaaaaa", "aaaaaa"]);
        assert_eq!(lines("one\ntwo", 60, 4), ["one", "two"]);
        assert_eq!(lines("4", 60, 4), ["4"]);
    }

    #[test]
    fn a_text_that_is_too_long_ends_with_an_ellipsis() {
        let found = lines("a photograph of a red heart in the snow", 60, 2);
        assert_eq!(found, ["a", "photograp…"]);
        assert!(found.iter().all(|line| font::width(line) <= 60));
    }

    #[test]
    fn a_place_that_is_too_small_for_a_letter_gets_one_all_the_same() {
        assert_eq!(lines("wide", 2, 2), ["w", "…"]);
        assert_eq!(lines("wide", 0, 9), ["w", "i", "d", "e"]);
        assert_eq!(lines("", 0, 9), [""; 0]);
    }

    #[test]
    fn a_text_stands_in_the_middle_and_scales() {
        let block = Block::new("I", 40, 1, 2);
        assert_eq!((block.width(), block.height()), (6, 16));
        let mut data = vec![255; 20 * 20 * 3];
        let mut picture = ImageMut { width: 20, height: 20, data: &mut data };
        block.draw(&mut picture, Area { left: 4, top: 0, width: 10, height: 20 }, [0; 3]);
        let dark = data.chunks_exact(3).enumerate().filter(|(_, pixel)| *pixel == [0; 3]);
        let places: Vec<_> = dark.map(|(at, _)| (at % 20, at / 20)).collect();
        assert_eq!(places.iter().map(|(x, _)| *x).min(), Some(6));
        assert_eq!(places.iter().map(|(x, _)| *x).max(), Some(11));
        // The glyph has its lowest row free.
        assert_eq!(places.iter().map(|(_, y)| *y).min(), Some(2));
        assert_eq!(places.iter().map(|(_, y)| *y).max(), Some(15));
    }

    #[test]
    fn what_lies_outside_of_the_picture_is_cut_off() {
        let mut data = vec![255; 4 * 4 * 3];
        let mut picture = ImageMut { width: 4, height: 4, data: &mut data };
        let area = Area { left: 2, top: 2, width: 1, height: 1 };
        Block::new("wide", 100, 1, 3).draw(&mut picture, area, [0; 3]);
        assert_eq!(data[..6], [255; 6]);
    }
}
