//! Convolutions of 3×3 with a quarter of the multiplications: Winograd's F(4×4, 3×3), in the form of Lavin
//! and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015).
//!
//! A tile of 4×4 results needs 6×6 inputs. Both are turned into 36 values each, which are multiplied one
//! by one: 36 products of matrices, inputs × tiles. The weights are turned in the cache each time, as
//! keeping them would take four times their memory.

mod turns;

use rayon::prelude::*;

use super::product::{Block, Matrix, ROWS};
use super::values::{Values, least, with_scratch};
use turns::{ALL, Bundle, SIDE, TILE, turn_all_weights, turn_back, turn_tiles};

/// Turned inputs that are made at once, in values: they stay in the cache that threads share (6 MiB).
const AT_ONCE: usize = 3 << 19;
/// Turned weights of one task, in values: they stay in the cache of one core (1 MiB).
const TASK: usize = 1 << 18;
/// Fewer inputs or outputs are faster without.
const FEWEST: usize = 32;
/// Fewer tiles are, too.
const FEWEST_TILES: usize = 16;

/// A convolution of 3×3 with stride 1 of one batch.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    pub(super) pictures: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) height: usize,
    pub(super) width: usize,
    /// Zeros around the picture: as many rows and columns are before it.
    pub(super) padding: usize,
    /// Rows and columns of the result.
    pub(super) rows: usize,
    pub(super) across: usize,
}

/// Some rows of tiles: the first one, counted through all pictures, and how many.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    count: usize,
    tiles: usize,
}

impl Winograd {
    /// Whether it is worth it.
    pub(super) fn pays(&self) -> bool {
        let tiles = self.pictures * self.tiles_down() * self.tiles_across();
        let full = self.rows * self.across * 3 >= self.tiles_down() * self.tiles_across() * 16 * 2;
        tiles >= FEWEST_TILES && self.inputs.min(self.outputs) >= FEWEST && full
    }

    fn tiles_across(&self) -> usize {
        self.across.div_ceil(TILE)
    }

    fn tiles_down(&self) -> usize {
        self.rows.div_ceil(TILE)
    }

    /// Adds the convolution of `x` to `out`.
    pub(super) fn add(&self, out: &mut [f32], x: &[f32], weight: Values<'_>) {
        let across = self.tiles_across();
        let lines = self.pictures * self.tiles_down();
        let at_once = (AT_ONCE / (ALL * self.inputs)).max(FEWEST) / across;
        // Groups of one size, and not a small one at the end.
        let groups = lines.div_ceil(at_once.max(1));
        let at_once = lines.div_ceil(groups.max(1));
        for first in (0..lines).step_by(at_once) {
            let count = at_once.min(lines - first);
            let group = Group { first, count, tiles: count * across };
            with_scratch(ALL * self.inputs * group.tiles, |turned| {
                self.turn_inputs(turned, x, group);
                self.multiply(out, turned, weight, group);
            });
        }
    }

    /// Makes `inputs × 36 × tiles` of the pictures.
    fn turn_inputs(&self, turned: &mut [f32], x: &[f32], group: Group) {
        let size = ALL * group.tiles;
        let bundle = Bundle::of(self.tiles_across());
        let inputs = turned.par_chunks_exact_mut(size).with_min_len(least(size)).enumerate();
        inputs.for_each(|(input, to)| {
            with_scratch(bundle.values(), |scratch| {
                let (lines, rest) = scratch.split_at_mut(bundle.lines());
                for first in (0..group.count).step_by(bundle.rows) {
                    let rows = bundle.rows.min(group.count - first);
                    lines.fill(0.0);
                    for (row, to) in
                        lines.chunks_exact_mut(SIDE * bundle.line).take(rows).enumerate()
                    {
                        let at = group.first + first + row;
                        let (picture, y) = (at / self.tiles_down(), at % self.tiles_down() * TILE);
                        let plane = (picture * self.inputs + input) * self.height * self.width;
                        let plane = &x[plane..][..self.height * self.width];
                        for (dy, to) in to.chunks_exact_mut(bundle.line).enumerate() {
                            self.padded(plane, y + dy, to);
                        }
                    }
                    turn_tiles(to, (first, rows), lines, rest, bundle);
                }
            });
        });
    }

    /// A line of a picture, counted from the padding on, into zeros.
    fn padded(&self, plane: &[f32], y: usize, to: &mut [f32]) {
        let line = y.checked_sub(self.padding);
        let line = line.and_then(|y| plane.get(y * self.width..(y + 1) * self.width));
        if let Some(line) = line {
            let end = (self.padding + self.width).min(to.len());
            to[self.padding..end].copy_from_slice(&line[..end - self.padding]);
        }
    }

    fn multiply(&self, out: &mut [f32], turned: &[f32], weight: Values<'_>, group: Group) {
        let (inputs, tiles) = (self.inputs, group.tiles);
        let at_once = (TASK / (ALL * inputs)).clamp(ROWS, 4 * ROWS) / ROWS * ROWS;
        let pixels = self.rows * self.across;
        let tasks = self.outputs.div_ceil(at_once);
        // Each task has its outputs of every picture.
        let mut planes: Vec<Vec<&mut [f32]>> = Vec::new();
        planes.resize_with(tasks, Vec::new);
        for (at, plane) in out.chunks_exact_mut(pixels).enumerate() {
            planes[at % self.outputs / at_once].push(plane);
        }
        planes.into_par_iter().enumerate().for_each(|(task, mut planes)| {
            let first = task * at_once;
            let count = at_once.min(self.outputs - first);
            let [weight_step, step] = [count * inputs, count * tiles].map(apart);
            let (weights, products) = (ALL * weight_step, ALL * step);
            with_scratch(weights + products, |scratch| {
                let (weights, products) = scratch.split_at_mut(weights);
                let kernels = weight.part(first * inputs * 9, (first + count) * inputs * 9);
                turn_all_weights(weights, kernels, inputs);
                for at in 0..ALL {
                    let a = Matrix::new(&weights[at * weight_step..], count, inputs);
                    let b = Matrix::spread(&turned[at * tiles..], inputs, tiles, ALL * tiles);
                    let to = &mut products[at * step..][..count * tiles];
                    Block::new(to, count, tiles).product(a, b, false);
                }
                for (at, plane) in planes.iter_mut().enumerate() {
                    let (picture, output) = (at / count, at % count);
                    let (begin, end) = (group.first, group.first + group.count);
                    let down = self.tiles_down();
                    let rows = begin.max(picture * down)..end.min((picture + 1) * down);
                    if !rows.is_empty() {
                        let first = (rows.start - begin) * self.tiles_across();
                        let places = (output * tiles + first, rows.len() * self.tiles_across());
                        let y = (rows.start - picture * down) * TILE;
                        let lines = &mut plane[y * self.across..];
                        turn_back(lines, products, places, step, self.across);
                    }
                }
            });
        });
    }
}

/// How far 36 stretches of so many values begin behind each other: a cache puts what is 4 KiB apart into one
/// place, of which it has few.
fn apart(values: usize) -> usize {
    /// Values of a line of the cache.
    const LINE: usize = 16;
    values.div_ceil(LINE) / 2 * 2 * LINE + LINE
}
