//! The same in bf16: queries, keys, values and shares are rounded, scores are not.

use rayon::prelude::*;

use super::{Job, Queries};
use crate::kernels::product::bf16::{
    PANEL, Panels, Rows, pair_columns, pair_lines, panel_values, product, round,
};
use crate::kernels::product::{Block, Matrix};
use crate::kernels::values::with_scratch;

/// Keys and values of every head of every picture, in panels.
pub(super) struct HeadPanels<'a> {
    job: Job,
    keys: &'a [u32],
    values: &'a [u32],
}

/// Calls `f` with what keys and values give.
pub(super) fn with_panels<R>(
    job: Job,
    [k, v]: [&[f32]; 2],
    f: impl FnOnce(HeadPanels<'_>) -> R,
) -> R {
    let heads = k.len() / (job.keys * job.width).max(1);
    with_scratch(heads * job.keys_size(), |keys| {
        with_scratch(heads * job.values_size(), |values| {
            let of_keys = keys.par_chunks_exact_mut(job.keys_size().max(1));
            let of_values = values.par_chunks_exact_mut(job.values_size().max(1));
            of_keys.zip(of_values).enumerate().for_each(|(at, (keys, values))| {
                let (picture, head) = (at / job.heads, at % job.heads);
                let from = picture * job.keys * job.channels();
                job.lay_keys(keys, &k[from..], head);
                job.lay_values(values, &v[from..], head);
            });
            f(HeadPanels { job, keys, values })
        })
    })
}

impl Job {
    fn channels(&self) -> usize {
        self.heads * self.width
    }

    /// Pairs in the panels of a head's keys, and of its values.
    fn keys_size(&self) -> usize {
        panel_values(self.width, self.keys)
    }

    fn values_size(&self) -> usize {
        panel_values(self.keys, self.width)
    }

    /// Of a picture's keys those of one head.
    fn lay_keys(&self, to: &mut [u32], k: &[f32], head: usize) {
        let k = Matrix::new(k, self.keys, self.channels()).columns(head * self.width, self.width);
        k.with_rounded(|rows| {
            for (panel, to) in to.chunks_exact_mut((self.width / 2 * PANEL).max(1)).enumerate() {
                let first = panel * PANEL;
                pair_columns(to, rows.rows(first, PANEL.min(self.keys - first)));
            }
        });
    }

    fn lay_values(&self, to: &mut [u32], v: &[f32], head: usize) {
        for (panel, to) in to.chunks_exact_mut((self.keys.div_ceil(2) * PANEL).max(1)).enumerate() {
            let first = panel * PANEL;
            let columns = PANEL.min(self.width - first);
            pair_lines(to, &v[head * self.width + first..], (self.keys, self.channels()), columns);
        }
    }
}

impl HeadPanels<'_> {
    /// Some queries of one head of a picture.
    pub(super) fn attend(&self, mut out: Block<'_>, Queries { picture, values }: Queries<'_>) {
        let Job { keys, width, .. } = self.job;
        let (first, count, column) = (out.first_row(), out.height(), out.first_column());
        let head = picture * self.job.heads + column / width;
        let even = keys.next_multiple_of(2);
        let k = Panels::new(&self.keys[head * self.job.keys_size()..], width, keys);
        let v = Panels::new(&self.values[head * self.job.values_size()..], even, width);
        let queries =
            Matrix::new(&values[first * self.job.channels()..], count, self.job.channels());
        let queries = queries.columns(column, width);
        with_scratch(count * keys, |scores| {
            queries.with_rounded(|queries| {
                product(&mut Block::new(scores, count, keys), queries, k, false);
            });
            self.job.share(scores, first);
            with_scratch(count * even, |shares| {
                for (to, from) in
                    shares.chunks_exact_mut(even.max(1)).zip(scores.chunks_exact(keys.max(1)))
                {
                    to[keys..].fill(0);
                    round(from, &mut to[..keys]);
                }
                product(&mut out, Rows::new(shares, count, even), v, false);
            });
        });
    }
}
