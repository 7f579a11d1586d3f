//! Drawing a line of text into a picture.

use atelier_plugin_api::ImageMut;

use crate::font::{self, Line};

/// Where the text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    BottomRight,
}

impl Corner {
    pub(crate) const ALL: [Self; 4] =
        [Self::TopLeft, Self::TopRight, Self::BottomLeft, Self::BottomRight];

    /// The name that the option has.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TopLeft => "top left",
            Self::TopRight => "top right",
            Self::BottomLeft => "bottom left",
            Self::BottomRight => "bottom right",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|corner| corner.name() == name)
    }

    fn is_right(self) -> bool {
        matches!(self, Self::TopRight | Self::BottomRight)
    }

    fn is_bottom(self) -> bool {
        matches!(self, Self::BottomLeft | Self::BottomRight)
    }
}

/// A text to be drawn.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    pub(crate) text: String,
    /// 0 to 1.
    pub(crate) opacity: f64,
    pub(crate) corner: Corner,
}

const INK: [u8; 3] = [255, 255, 255];
const SHADOW: [u8; 3] = [0, 0, 0];
/// How strong the shadow is beside the ink.
const SHADOW_STRENGTH: f64 = 0.5;

impl Mark {
    pub(crate) fn is_invisible(&self) -> bool {
        self.text.trim().is_empty() || self.opacity <= 0.0
    }

    /// Draws white letters with a dark shadow, which can be read on any ground. Letters that do not
    /// fit are cut off at the picture's edge.
    pub(crate) fn draw(&self, picture: &mut ImageMut<'_>) {
        let line = Line::new(self.text.trim());
        let scale = scale(&line, picture.width, picture.height);
        let shift = scale.div_ceil(2);
        let (width, height) = (line.width() * scale, font::HEIGHT * scale);
        let margin = 2 * scale;
        let left = place(self.corner.is_right(), width, margin, picture.width);
        let top = place(self.corner.is_bottom(), height, margin, picture.height);
        let inked = |x: usize, y: usize| line.has_ink(x / scale, y / scale);
        let shaded = |x: usize, y: usize| x >= shift && y >= shift && inked(x - shift, y - shift);
        for y in 0..height + shift {
            for x in 0..width + shift {
                let Some(pixel) = picture.pixel_mut(left + x, top + y) else { continue };
                if inked(x, y) {
                    blend(pixel, INK, self.opacity);
                } else if shaded(x, y) {
                    blend(pixel, SHADOW, self.opacity * SHADOW_STRENGTH);
                }
            }
        }
    }
}

/// Pixels per dot: letters are about a twenty-fifth of the picture's shorter side, and the text is
/// no wider than the picture where that can be helped.
fn scale(line: &Line, width: usize, height: usize) -> usize {
    let fitting = width / (line.width() + 4);
    (width.min(height) / 128).min(fitting).max(1)
}

/// Where something of a size begins, so that it lies at the near or the far side.
fn place(far: bool, size: usize, margin: usize, of: usize) -> usize {
    let most = of.saturating_sub(size);
    if far { most.saturating_sub(margin) } else { margin.min(most) }
}

fn blend(pixel: &mut [u8; 3], colour: [u8; 3], opacity: f64) {
    for (under, over) in pixel.iter_mut().zip(colour) {
        let (from, to) = (f64::from(*under), f64::from(over));
        *under = (from + (to - from) * opacity).round() as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mark: &Mark, width: usize, height: usize) -> Vec<u8> {
        let mut data = vec![128; width * height * 3];
        mark.draw(&mut ImageMut { width, height, data: &mut data });
        data
    }

    fn mark(corner: Corner) -> Mark {
        Mark { text: "Atelier".to_owned(), opacity: 1.0, corner }
    }

    /// Left, top, right and bottom of the white dots, right and bottom exclusive.
    fn bounds(data: &[u8], width: usize) -> [usize; 4] {
        let white = data.chunks_exact(3).enumerate().filter(|(_, pixel)| *pixel == INK);
        white.fold([usize::MAX, usize::MAX, 0, 0], |[left, top, right, bottom], (at, _)| {
            let (x, y) = (at % width, at / width);
            [left.min(x), top.min(y), right.max(x + 1), bottom.max(y + 1)]
        })
    }

    #[test]
    fn the_text_stands_in_the_corner_that_was_chosen() {
        let at = |corner| bounds(&drawn(&mark(corner), 64, 48), 64);
        assert_eq!(at(Corner::TopLeft), [2, 2, 29, 7]);
        assert_eq!(at(Corner::TopRight), [35, 2, 62, 7]);
        assert_eq!(at(Corner::BottomLeft), [2, 41, 29, 46]);
        assert_eq!(at(Corner::BottomRight), [35, 41, 62, 46]);
    }

    #[test]
    fn letters_grow_with_the_picture() {
        assert_eq!(bounds(&drawn(&mark(Corner::TopLeft), 512, 512), 512), [8, 8, 116, 28]);
    }

    #[test]
    fn a_long_text_gets_smaller_letters_before_it_is_cut_off() {
        assert_eq!(scale(&Line::new("ATELIER"), 512, 512), 4);
        assert_eq!(scale(&Line::new(&"x".repeat(40)), 512, 512), 3);
        assert_eq!(scale(&Line::new(&"x".repeat(400)), 512, 512), 1);
    }

    #[test]
    fn a_picture_smaller_than_a_letter_does_not_panic() {
        for (width, height) in [(1, 1), (0, 0), (3, 100), (100, 2)] {
            drawn(&mark(Corner::BottomRight), width, height);
        }
    }

    #[test]
    fn opacity_says_how_much_of_the_picture_is_left() {
        let half = Mark { opacity: 0.5, ..mark(Corner::TopLeft) };
        let data = drawn(&half, 64, 64);
        assert_eq!(data.iter().max(), Some(&192));
        assert_eq!(data[..6], [128; 6], "the margin stays as it is");
        assert!(Mark { opacity: 0.0, ..mark(Corner::TopLeft) }.is_invisible());
        assert!(Mark { text: " ".to_owned(), ..mark(Corner::TopLeft) }.is_invisible());
    }

    #[test]
    fn names_of_corners_lead_back_to_them() {
        for corner in Corner::ALL {
            assert_eq!(Corner::from_name(corner.name()), Some(corner));
        }
        assert_eq!(Corner::from_name("middle"), None);
    }
}
