//! Convolutions of 3×3 with a quarter of the multiplications: Winograd's F(4×4, 3×3), in the form of Lavin
//! and Gray, "Fast Algorithms for Convolutional Neural Networks" (2015).
//!
//! A tile of 4×4 results needs 6×6 inputs. Both are turned into 36 values each, which are multiplied one
//! by one: 36 products of matrices, tiles × inputs and inputs × outputs. The weights are turned each
//! time, as keeping them so would take four times the memory of single precision.
//!
//! All is done for sixteen channels at once, which lie beside each other: a picture as narrow as one tile
//! fills the registers as well as a wide one.

mod lanes;
mod pictures;
mod products;
mod turns;

use std::ops::Range;

use bytemuck::{cast_slice, cast_slice_mut};
use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::job::Job;
use crate::kernels::values::{Values, least, turned, with_scratch};
use lanes::{LANES, Lanes};
use pictures::{Rectangle, Window, gather, rectangles, scatter};
use products::{Factors, ROWS, product};
use turns::{ALL, TILE, turn_back, turn_tiles, turn_weights};

/// Turned inputs that are made at once, in values: they stay in the cache that threads share (6 MiB), unless
/// [`BLOCK`] tiles of very many inputs are more.
const AT_ONCE: usize = 3 << 19;
/// Some tiles of sixteen inputs, turned: 36 times [`ROWS`] tiles.
const BAND: usize = ALL * ROWS;
/// Tiles that are multiplied before they are turned back: the products stay in the cache of one core.
const BLOCK: usize = 4 * ROWS;
/// Fewer inputs or outputs are faster without.
const FEWEST: usize = 32;

/// Whether it is worth it for so many channels.
pub(super) fn pays(inputs: usize, outputs: usize) -> bool {
    inputs.min(outputs) >= FEWEST
}

/// Kernels (`[outputs, inputs, 3, 3]`) with sixteen outputs beside each other:
/// `[outputs / 16, inputs · 9, 16]`.
pub(super) fn kept(kernels: &Tensor) -> Result<Tensor> {
    let kernels = kernels.flatten_from(1)?;
    let (outputs, inner) = kernels.dims2()?;
    let padded = outputs.next_multiple_of(LANES);
    let kernels = kernels.pad_with_zeros(0, 0, padded - outputs)?;
    turned(&kernels.reshape((padded / LANES, LANES, inner))?)
}

impl Job {
    /// Tiles of a picture, down and across.
    fn tiles(&self) -> (usize, usize) {
        (self.rows.div_ceil(TILE), self.across.div_ceil(TILE))
    }

    /// Sixteen inputs each.
    fn groups(&self) -> usize {
        self.inputs.div_ceil(LANES)
    }

    /// Adds the convolution of `x` to `out`, with fewer multiplications.
    pub(super) fn add_turned(&self, out: &mut [f32], x: &[f32], weight: Values<'_>) {
        let (down, across) = self.tiles();
        let tiles = self.pictures * down * across;
        if tiles == 0 {
            return;
        }
        let at_once = (AT_ONCE / (self.groups() * LANES * BAND)).max(BLOCK / ROWS);
        let bands = tiles.div_ceil(ROWS);
        // As even as bands allow, and not a small one at the end.
        let parts = bands.div_ceil(at_once);
        for at in 0..parts {
            let [begin, end] = [at, at + 1].map(|at| tiles.min(bands * at / parts * ROWS));
            let part = begin..end;
            with_scratch(part.len().div_ceil(ROWS) * self.groups() * BAND, |turned| {
                self.turn_inputs(turned, x, &part);
                self.multiply(out, turned, weight, &part);
            });
        }
    }

    /// Makes bands of some tiles, each of sixteen inputs.
    fn turn_inputs(&self, turned: &mut [Lanes], x: &[f32], part: &Range<usize>) {
        let groups = self.groups();
        let size = self.height * self.width;
        let bands = turned.par_chunks_exact_mut(BAND).with_min_len(least(BAND * LANES));
        bands.enumerate().for_each(|(at, to)| {
            let input = at % groups * LANES;
            let channels = LANES.min(self.inputs - input);
            let mut done = 0;
            let first = part.start + at / groups * ROWS;
            for tiles in rectangles(first..part.end.min(first + ROWS), self.tiles()) {
                let begin = (tiles.picture * self.inputs + input) * size;
                let planes = &x[begin..][..channels * size];
                let [height, width] = [tiles.rows, tiles.columns].map(|count| count * TILE + 2);
                with_scratch(height * width, |pixels| {
                    let window = self.inputs_of(tiles);
                    if (window.lines.len(), window.columns.len()) != (height, width) {
                        pixels.fill(Lanes::ZERO);
                    }
                    gather(pixels, planes, size, &window);
                    turn_tiles(&mut to[done..], (tiles.rows, tiles.columns), pixels);
                });
                done += tiles.rows * tiles.columns;
            }
        });
    }

    /// What of a picture lies under some tiles.
    fn inputs_of(&self, tiles: Rectangle) -> Window {
        let inside = |first: usize, count: usize, length: usize| {
            let (begin, end) = (first * TILE, (first + count) * TILE + 2);
            let within = |place: usize| place.saturating_sub(self.patch.padding).min(length);
            (within(begin)..within(end), self.patch.padding.saturating_sub(begin))
        };
        let (lines, above) = inside(tiles.row, tiles.rows, self.height);
        let (columns, before) = inside(tiles.column, tiles.columns, self.width);
        let step = tiles.columns * TILE + 2;
        Window { lines, columns, width: self.width, first: above * step + before, step }
    }

    /// What of a result is made of some tiles, which reach beyond it below and on the right.
    fn outputs_of(&self, tiles: Rectangle) -> Window {
        let inside = |first: usize, count: usize, length: usize| {
            first * TILE..((first + count) * TILE).min(length)
        };
        Window {
            lines: inside(tiles.row, tiles.rows, self.rows),
            columns: inside(tiles.column, tiles.columns, self.across),
            width: self.across,
            first: 0,
            step: tiles.columns * TILE,
        }
    }

    /// Adds the products of some tiles, each task those of sixteen outputs.
    fn multiply(&self, out: &mut [f32], turned: &[Lanes], weight: Values<'_>, part: &Range<usize>) {
        let mut planes: Vec<Vec<&mut [f32]>> = Vec::new();
        planes.resize_with(self.outputs.div_ceil(LANES), Vec::new);
        for (at, plane) in out.chunks_exact_mut(self.rows * self.across).enumerate() {
            planes[at % self.outputs / LANES].push(plane);
        }
        planes.into_par_iter().enumerate().for_each(|(task, mut planes)| {
            let step = apart(self.inputs);
            let size = self.inputs * 9 * LANES;
            with_scratch(ALL * step, |weights| {
                self.turn_kernels(weights, step, weight.part(task * size, (task + 1) * size));
                for first in (0..part.len()).step_by(BLOCK) {
                    let block = part.start + first..part.end.min(part.start + first + BLOCK);
                    let from = first / ROWS * self.groups() * BAND;
                    self.add_block(&mut planes, &turned[from..], (weights, step), &block);
                }
            });
        });
    }

    /// Sixteen outputs' kernels: those of some inputs are widened and turned while they are in the cache.
    fn turn_kernels(&self, to: &mut [Lanes], step: usize, kernels: Values<'_>) {
        with_scratch(LANES * 9, |widened: &mut [Lanes]| {
            for first in (0..self.inputs).step_by(LANES) {
                let count = LANES.min(self.inputs - first) * 9;
                let from = first * 9 * LANES;
                let kernels = kernels.part(from, from + count * LANES);
                let to = &mut to[first..];
                if let Some(kernels) = kernels.single() {
                    turn_weights(to, step, cast_slice(kernels));
                } else {
                    let widened = &mut widened[..count];
                    kernels.widen(count * LANES, 0, cast_slice_mut(widened));
                    turn_weights(to, step, widened);
                }
            }
        });
    }

    /// Adds the products of at most [`BLOCK`] tiles to the planes of sixteen outputs of every picture.
    fn add_block(
        &self,
        planes: &mut [&mut [f32]],
        turned: &[Lanes],
        (weights, weight_step): (&[Lanes], usize),
        block: &Range<usize>,
    ) {
        let (inputs, outputs) = (self.inputs, planes.len() / self.pictures);
        let groups = self.groups();
        let step = apart(block.len());
        with_scratch(ALL * step + block.len() * TILE * TILE, |scratch| {
            let (products, pixels) = scratch.split_at_mut(ALL * step);
            for at in 0..ALL {
                let weights = &weights[at * weight_step..][..inputs];
                let products = &mut products[at * step..][..block.len()];
                for (band, to) in products.chunks_mut(ROWS).enumerate() {
                    let turned = &turned[band * groups * BAND + at * ROWS..];
                    product(to, Factors { turned, step: BAND, weights });
                }
            }
            let mut products = &products[..];
            for tiles in rectangles(block.clone(), self.tiles()) {
                turn_back(pixels, (tiles.rows, tiles.columns), products, step);
                let planes = &mut planes[tiles.picture * outputs..][..outputs];
                scatter(planes, pixels, &self.outputs_of(tiles));
                products = &products[tiles.rows * tiles.columns..];
            }
        });
    }
}

/// How far 36 stretches of so many registers begin behind each other: a cache puts what is 4 KiB apart into one
/// place, of which it has few.
fn apart(registers: usize) -> usize {
    registers | 1
}
