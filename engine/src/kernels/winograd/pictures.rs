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
    /// Calls `f` for at most sixteen pixels that lie behind each other in the plane: with where they begin
    /// there, and with their places.
    #[inline(always)]
    fn each(&self, mut f: impl FnMut(usize, &[usize])) {
        // What is as wide as the plane is one long line.
        let (lines, length) = match self.columns.len() == self.width {
            true => (1, self.lines.len() * self.width),
            false => (self.lines.len(), self.columns.len()),
        };
        for line in 0..lines {
            let begin = (self.lines.start + line) * self.width + self.columns.start;
            let (mut place, mut x) = (self.first + line * self.step, 0);
            for from in (0..length).step_by(LANES) {
                let count = LANES.min(length - from);
                let mut places = [0; LANES];
                for to in &mut places[..count] {
                    *to = place + x;
                    x += 1;
                    if x == self.columns.len() {
                        (place, x) = (place + self.step, 0);
                    }
                }
                f(begin + from, &places[..count]);
            }
        }
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
    window.each(|begin, places| {
        let mut square = [Lanes::ZERO; LANES];
        for (plane, lanes) in planes.chunks_exact(size).zip(&mut square) {
            *lanes = Lanes::read(&plane[begin..][..places.len()]);
        }
        transpose(&mut square);
        for (place, lanes) in places.iter().zip(square) {
            to[*place] = lanes;
        }
    });
}

/// Adds to at most sixteen planes.
#[inline(always)]
fn scatter_inner(planes: &mut [&mut [f32]], from: &[Lanes], window: &Window) {
    window.each(|begin, places| {
        let mut square = [Lanes::ZERO; LANES];
        for (place, lanes) in places.iter().zip(&mut square) {
            *lanes = from[*place];
        }
        transpose(&mut square);
        for (plane, lanes) in planes.iter_mut().zip(square) {
            lanes.add_to(&mut plane[begin..][..places.len()]);
        }
    });
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
