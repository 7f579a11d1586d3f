//! Scaled dot-product attention over tokens.

mod rounded;

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::elsewhere;
use super::math::{softmax, wide};
use super::product::{Block, Matrix};
use super::values::{least, turn, with, with_scratch};
use crate::compute::Precision;

/// Queries that one task takes: their scores stay in a cache.
const QUERIES: usize = 64;

/// Which keys a query may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    /// All of them.
    None,
    /// Those up to its own place.
    Causal,
}

/// Attention of `q` (`[n, queries, c]`) over `k` and `v` (`[n, keys, c]`), `c` split among
/// `heads`; scaled by the root of a head's width. Gives `[n, queries, c]`.
pub(crate) fn attention(
    q: &Tensor,
    [k, v]: [&Tensor; 2],
    heads: usize,
    mask: Mask,
    precision: Precision,
) -> Result<Tensor> {
    if !q.device().is_cpu() {
        return elsewhere::attention(q, [k, v], heads, mask);
    }
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let (n, queries, c) = q.dims3()?;
    let keys = k.dim(1)?;
    let mut out = vec![0.0; n * queries * c];
    let job = Job { keys, heads, width: c / heads, mask };
    with(&q, |q| {
        with(&k, |k| {
            with(&v, |v| {
                job.attend_all((&mut out, queries), [q, k, v], precision);
                Ok(())
            })
        })
    })?;
    Tensor::from_vec(out, (n, queries, c), q.device())
}

#[derive(Clone, Copy)]
struct Job {
    keys: usize,
    heads: usize,
    /// Values of a head.
    width: usize,
    mask: Mask,
}

/// The queries of a picture, and its number.
struct Queries<'a> {
    picture: usize,
    values: &'a [f32],
}

impl Job {
    fn attend_all(
        self,
        (out, queries): (&mut [f32], usize),
        [q, k, v]: [&[f32]; 3],
        precision: Precision,
    ) {
        let Self { keys, heads, width, .. } = self;
        let c = heads * width;
        let size = (queries * c).max(1);
        let pictures = out.chunks_exact_mut(size).zip(q.chunks_exact(size)).enumerate();
        let tasks: Vec<_> = pictures
            .flat_map(|(picture, (out, values))| {
                let blocks = Block::new(out, queries, c).split_rows(QUERIES);
                let blocks = blocks.flat_map(|block| block.split_columns(width));
                blocks.map(move |block| (block, Queries { picture, values }))
            })
            .collect();
        // Scores and what comes of them count alike.
        let least = least(QUERIES.min(queries) * keys);
        let tasks = tasks.into_par_iter().with_min_len(least);
        // Values of a head are rounded in pairs.
        if precision == Precision::Bf16 && width.is_multiple_of(2) {
            return rounded::with_panels(self, [k, v], |panels| {
                tasks.for_each(|(block, query)| panels.attend(block, query));
            });
        }
        with_scratch(k.len(), |turned| {
            // Each picture's keys side by side: once, and not for each block of queries.
            let size = (keys * c).max(1);
            let pictures = turned.chunks_exact_mut(size).zip(k.chunks_exact(size));
            pictures.for_each(|(turned, k)| turn(turned, k, keys));
            tasks.for_each(|(block, Queries { picture, values })| {
                let [k, v] = [&*turned, v].map(|values| &values[picture * size..]);
                let q = Matrix::new(values, queries, c);
                self.attend(block, q, Matrix::new(k, c, keys), Matrix::new(v, keys, c));
            });
        });
    }

    /// Some queries of one head; `k` has a column for each key.
    fn attend(&self, mut out: Block<'_>, q: Matrix<'_>, k: Matrix<'_>, v: Matrix<'_>) {
        let (first, count, head) = (out.first_row(), out.height(), out.first_column());
        let [q, v] = [q.rows(first, count), v].map(|it| it.columns(head, self.width));
        let k = k.rows(head, self.width);
        with_scratch(count * self.keys, |scores| {
            Block::new(scores, count, self.keys).product(q, k, false);
            self.share(scores, first);
            out.product(Matrix::new(scores, count, self.keys), v, false);
        });
    }

    /// Scores of queries from `first` on become shares.
    fn share(&self, scores: &mut [f32], first: usize) {
        let seen = match self.mask {
            Mask::None => self.keys,
            Mask::Causal => first + 1,
        };
        share_rows(scores, self.keys, 1.0 / (self.width as f32).sqrt(), seen);
    }
}

wide!(share_rows is softmax_rows(scores: &mut [f32], keys: usize, scale: f32, seen: usize));

/// The first row sees so many keys, each further one another where there are more.
#[inline(always)]
fn softmax_rows(scores: &mut [f32], keys: usize, scale: f32, seen: usize) {
    for (row, scores) in scores.chunks_exact_mut(keys.max(1)).enumerate() {
        let (seen, rest) = scores.split_at_mut((seen + row).min(keys));
        softmax(seen, scale);
        rest.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::kernels::values::waves;

    #[test]
    fn in_bf16_it_finds_about_the_same() {
        for (n, queries, keys, heads, width) in
            [(2, 70, 77, 3, 40), (1, 5, 200, 1, 8), (2, 33, 33, 2, 34)]
        {
            let c = heads * width;
            let q = waves(&[n, queries, c], 0.37);
            let (k, v) = (waves(&[n, keys, c], 0.71), waves(&[n, keys, c], 1.3));
            for mask in [Mask::None, Mask::Causal] {
                let [full, rounded] = [Precision::Full, Precision::Bf16].map(|precision| {
                    let found = attention(&q, [&k, &v], heads, mask, precision).unwrap();
                    found.flatten_all().unwrap().to_vec1::<f32>().unwrap()
                });
                for (full, rounded) in full.iter().zip(&rounded) {
                    assert!((full - rounded).abs() < 0.02, "{mask:?}: {full} {rounded}");
                }
                assert!(full != rounded, "or nothing was rounded");
            }
        }
    }

    #[test]
    fn a_causal_query_sees_only_the_past() {
        let values = |seed: f32| -> Vec<f32> { (0..12).map(|i| (i as f32 * seed).sin()).collect() };
        let t = |seed| Tensor::from_vec(values(seed), (1, 3, 4), &Device::Cpu).unwrap();
        let (q, k, v) = (t(0.7), t(1.3), t(2.1));
        let all = attention(&q, [&k, &v], 2, Mask::Causal, Precision::Full).unwrap();
        let short = |x: &Tensor| x.narrow(1, 0, 2).unwrap().contiguous().unwrap();
        let first =
            attention(&short(&q), [&short(&k), &short(&v)], 2, Mask::Causal, Precision::Full)
                .unwrap();
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in flat(&short(&all)).into_iter().zip(flat(&first)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in flat(&all).into_iter().zip(flat(&v)).take(4) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
