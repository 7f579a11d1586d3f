//! Pictures, whose channels lie behind each other, as pixels of sixteen channels, and back.

use std::ops::Range;

use super::lanes::{LANES, Lanes, transpose};
use crate::kernels::math::wide;

/// Tiles that make up a rectangle of one picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rectangle {
    pub(super) picture: usize,
    /// The first one of each, and how many.
    pub(super) row: usize,
    pub(super) rows: usize,
    pub(super) column: usize,
    pub(super) columns: usize,
}

/// Some tiles of pictures of `down × across` as few rectangles.
pub(super) fn rectangles(
    tiles: Range<usize>,
    (down, across): (usize, usize),
) -> impl Iterator<Item = Rectangle> {
    let mut next = tiles.start;
    std::iter::from_fn(move || {
        let left = tiles.end.checked_sub(next).filter(|left| *left > 0)?;
        let (line, column) = (next / across, next % across);
        let (picture, row) = (line / down, line % down);
        let whole = if column == 0 { (left / across).min(down - row) } else { 0 };
        let columns = if whole > 0 { across } else { left.min(across - column) };
        let rows = whole.max(1);
        next += rows * columns;
        Some(Rectangle { picture, row, rows, column, columns })
    })
}

/// A part of a plane, and where its pixels lie in a rectangle.
#[derive(Clone)]
pub(super) struct Window {
    pub(super) lines: Range<usize>,
    pub(super) columns: Range<usize>,
    /// Values of a line of the plane.
    pub(super) width: usize,
    /// The place of the first pixel, and how far lines are from each other.
    pub(super) first: usize,
    pub(super) step: usize,
}

impl Window {
    /// Pixels that lie behind each other in the plane: where they begin there, how many they are, and the
    /// place of the first.
    fn stretches(&self) -> impl Iterator<Item = (usize, usize, usize)> {
        // What is as wide as the plane is one long line.
        let (count, length) = if self.columns.len() == self.width {
            (1, self.lines.len() * self.width)
        } else {
            (self.lines.len(), self.columns.len())
        };
        let begin = self.lines.start * self.width + self.columns.start;
        let (width, first, step) = (self.width, self.first, self.step);
        (0..count).map(move |line| (begin + line * width, length, first + line * step))
    }

    /// The places of sixteen pixels of a stretch, from one of them on.
    #[inline(always)]
    fn places(&self, place: usize, from: usize) -> [usize; LANES] {
        let columns = self.columns.len();
        let (mut place, mut x) = (place + from / columns * self.step, from % columns);
        let mut places = [0; LANES];
        for to in &mut places {
            *to = place + x;
            x += 1;
            if x == columns {
                (place, x) = (place + self.step, 0);
            }
        }
        places
    }
}

wide!(pub(super) gather is gather_inner(
    to: &mut [Lanes], planes: &[f32], size: usize, window: &Window
));
wide!(pub(super) scatter is scatter_inner(
    planes: &mut [&mut [f32]], from: &[Lanes], window: &Window
));

/// Planes of so many values, at most sixteen.
#[inline(always)]
fn gather_inner(to: &mut [Lanes], planes: &[f32], size: usize, window: &Window) {
    for (begin, length, place) in window.stretches() {
        for from in (0..length).step_by(LANES) {
            let count = LANES.min(length - from);
            let mut square = [Lanes::ZERO; LANES];
            for (plane, lanes) in planes.chunks_exact(size).zip(&mut square) {
                *lanes = Lanes::read(&plane[begin + from..][..count]);
            }
            transpose(&mut square);
            let places = window.places(place, from);
            for (place, lanes) in places[..count].iter().zip(square) {
                to[*place] = lanes;
            }
        }
    }
}

/// Adds to at most sixteen planes.
#[inline(always)]
fn scatter_inner(planes: &mut [&mut [f32]], from: &[Lanes], window: &Window) {
    for (begin, length, place) in window.stretches() {
        for first in (0..length).step_by(LANES) {
            let count = LANES.min(length - first);
            let mut square = [Lanes::ZERO; LANES];
            let places = window.places(place, first);
            for (place, lanes) in places[..count].iter().zip(&mut square) {
                *lanes = from[*place];
            }
            transpose(&mut square);
            for (plane, lanes) in planes.iter_mut().zip(square) {
                lanes.add_to(&mut plane[begin + first..][..count]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_few_rectangles() {
        let found = |tiles| rectangles(tiles, (3, 5)).collect::<Vec<_>>();
        let part = |picture, (row, rows), (column, columns)| Rectangle {
            picture,
            row,
            rows,
            column,
            columns,
        };
        assert_eq!(found(0..15), [part(0, (0, 3), (0, 5))]);
        assert_eq!(found(7..9), [part(0, (1, 1), (2, 2))]);
        assert_eq!(
            found(3..27),
            [
                part(0, (0, 1), (3, 2)),
                part(0, (1, 2), (0, 5)),
                part(1, (0, 2), (0, 5)),
                part(1, (2, 1), (0, 2)),
            ]
        );
    }
}
