//! The same in bf16: values of two inputs are paired once, and panels are laid out by copying pairs.

use rayon::prelude::*;

use super::job::{Job, MANY, PIXELS};
use crate::kernels::product::bf16::{
    PAIRS, PANEL, Panels, Rows, pair, panel_values, product, product_among_threads,
};
use crate::kernels::values::with_scratch;

/// Pixels of a panel that lie beside each other in the picture too.
struct Stretch {
    /// The first one's place in the panel, and in the plane.
    to: usize,
    from: usize,
    count: usize,
}

impl Job {
    /// Adds the convolution of `x` to `out`; there is an even number of inputs.
    pub(super) fn add_rounded(&self, out: &mut [f32], x: &[f32], kernels: Rows<'_>) {
        let plane = self.height * self.width;
        with_scratch(x.len() / 2, |pairs: &mut [u32]| {
            let planes = pairs.par_chunks_exact_mut(plane.max(1));
            planes.zip(x.par_chunks_exact(2 * plane.max(1))).for_each(|(pairs, x)| {
                let (lower, upper) = x.split_at(plane);
                pair(pairs, lower, upper);
            });
            if self.pixels() >= MANY {
                self.bands(out, pairs, kernels);
            } else {
                self.whole(out, pairs, kernels);
            }
        });
    }

    /// Tasks are bands of the pictures.
    fn bands(&self, out: &mut [f32], pairs: &[u32], kernels: Rows<'_>) {
        let bands = self
            .each(out, pairs, self.inputs / 2)
            .flat_map(|(out, picture)| out.split_columns(PIXELS).map(move |band| (band, picture)));
        let bands: Vec<_> = bands.collect();
        bands.into_par_iter().for_each(|(mut band, picture)| {
            let (first, pixels) = (band.first_column(), band.width());
            let all = self.inner() / 2;
            for begin in (0..all).step_by(PAIRS) {
                let count = PAIRS.min(all - begin);
                with_scratch(panel_values(2 * count, pixels), |panels: &mut [u32]| {
                    for (at, to) in panels.chunks_exact_mut(count * PANEL).enumerate() {
                        self.lay_panel(to, picture, begin, first + at * PANEL);
                    }
                    let kernels = kernels.columns(2 * begin, 2 * count);
                    product(&mut band, kernels, Panels::new(panels, 2 * count, pixels), true);
                });
            }
        });
    }

    /// Tasks are outputs.
    fn whole(&self, out: &mut [f32], pairs: &[u32], kernels: Rows<'_>) {
        let (inner, pixels) = (self.inner() / 2, self.rows * self.across);
        for (out, picture) in self.each(out, pairs, self.inputs / 2) {
            with_scratch(panel_values(2 * inner, pixels), |panels: &mut [u32]| {
                let each = panels.par_chunks_exact_mut((inner * PANEL).max(1)).enumerate();
                each.for_each(|(at, to)| self.lay_panel(to, picture, 0, at * PANEL));
                product_among_threads(out, kernels, Panels::new(panels, 2 * inner, pixels), true);
            });
        }
    }

    /// A panel of pixels from `first` on: as many pairs of their patches as there is room for, from
    /// `begin` on.
    fn lay_panel(&self, to: &mut [u32], picture: &[u32], begin: usize, first: usize) {
        let (channels, plane) = (self.inputs / 2, self.height * self.width);
        let end = begin + to.len() / PANEL;
        let mut stretches = Vec::with_capacity(PANEL);
        let mut lines = to.chunks_exact_mut(PANEL);
        for place in begin / channels.max(1)..end.div_ceil(channels.max(1)) {
            self.stretches(&mut stretches, place, first);
            let whole = stretches.iter().map(|it| it.count).sum::<usize>() == PANEL;
            let at = place * channels;
            let inputs = begin.max(at) - at..end.min(at + channels) - at;
            for (input, to) in inputs.zip(&mut lines) {
                let from = &picture[input * plane..][..plane];
                if !whole {
                    to.fill(0);
                }
                for stretch in &stretches {
                    let Stretch { to: at, from: begin, count } = *stretch;
                    to[at..at + count].copy_from_slice(&from[begin..begin + count]);
                }
            }
        }
    }

    /// What lies at one place of the patches of a panel's pixels; all else is padding.
    fn stretches(&self, stretches: &mut Vec<Stretch>, place: usize, first: usize) {
        let patch = self.patch;
        let (dy, dx) = (place / patch.size, place % patch.size);
        stretches.clear();
        let end = (first + PANEL).min(self.rows * self.across);
        for pixel in first..end {
            let within = |at: usize, d: usize, length: usize| {
                (at * patch.stride + d).checked_sub(patch.padding).filter(|at| *at < length)
            };
            let y = within(pixel / self.across, dy, self.height);
            let Some((y, x)) = y.zip(within(pixel % self.across, dx, self.width)) else { continue };
            let (to, from) = (pixel - first, y * self.width + x);
            match stretches.last_mut() {
                Some(last) if (last.to + last.count, last.from + last.count) == (to, from) => {
                    last.count += 1;
                }
                _ => stretches.push(Stretch { to, from, count: 1 }),
            }
        }
    }
}
