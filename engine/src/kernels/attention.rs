//! Scaled dot-product attention over tokens.

use candle_core::{Result, Tensor};
use rayon::prelude::*;

use super::math::{softmax, wide};
use super::product::{Block, Matrix};
use super::values::{least, turn, with, with_scratch};

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
    k: &Tensor,
    v: &Tensor,
    heads: usize,
    mask: Mask,
) -> Result<Tensor> {
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let (n, queries, c) = q.dims3()?;
    let keys = k.dim(1)?;
    let mut out = vec![0.0; n * queries * c];
    let job = Job { keys, width: c / heads, mask };
    with(&q, |q| {
        with(&k, |k| {
            with(&v, |v| {
                let rows = out.chunks_exact_mut((queries * c).max(1)).enumerate();
                let tasks: Vec<_> = rows
                    .flat_map(|(row, out)| {
                        let blocks = Block::new(out, queries, c).split_rows(QUERIES);
                        let blocks = blocks.flat_map(|block| block.split_columns(job.width));
                        blocks.map(move |block| (row, block))
                    })
                    .collect();
                // Scores and what comes of them count alike.
                let least = least(QUERIES.min(queries) * keys);
                with_scratch(k.len(), |turned| {
                    // Each picture's keys side by side: once, and not for each block of queries.
                    let size = (keys * c).max(1);
                    let pictures = turned.chunks_exact_mut(size).zip(k.chunks_exact(size));
                    pictures.for_each(|(turned, k)| turn(turned, k, keys));
                    tasks.into_par_iter().with_min_len(least).for_each(|(row, block)| {
                        let q = Matrix::new(&q[row * queries * c..], queries, c);
                        let [k, v] = [&*turned, v].map(|values| &values[row * size..]);
                        job.attend(block, q, Matrix::new(k, c, keys), Matrix::new(v, keys, c));
                    });
                });
                Ok(())
            })
        })
    })?;
    Tensor::from_vec(out, (n, queries, c), q.device())
}

struct Job {
    keys: usize,
    /// Values of a head.
    width: usize,
    mask: Mask,
}

impl Job {
    /// Some queries of one head; `k` has a column for each key.
    fn attend(&self, mut out: Block<'_>, q: Matrix<'_>, k: Matrix<'_>, v: Matrix<'_>) {
        let (first, count, head) = (out.first_row(), out.height(), out.first_column());
        let [q, v] = [q.rows(first, count), v].map(|it| it.columns(head, self.width));
        let k = k.rows(head, self.width);
        let scale = 1.0 / (self.width as f32).sqrt();
        with_scratch(count * self.keys, |scores| {
            Block::new(scores, count, self.keys).product(q, k, false);
            let seen = match self.mask {
                Mask::None => self.keys,
                Mask::Causal => first + 1,
            };
            share_rows(scores, self.keys, scale, seen);
            out.product(Matrix::new(scores, count, self.keys), v, false);
        });
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

    #[test]
    fn a_causal_query_sees_only_the_past() {
        let values = |seed: f32| -> Vec<f32> { (0..12).map(|i| (i as f32 * seed).sin()).collect() };
        let t = |seed| Tensor::from_vec(values(seed), (1, 3, 4), &Device::Cpu).unwrap();
        let (q, k, v) = (t(0.7), t(1.3), t(2.1));
        let all = attention(&q, &k, &v, 2, Mask::Causal).unwrap();
        let short = |x: &Tensor| x.narrow(1, 0, 2).unwrap().contiguous().unwrap();
        let first = attention(&short(&q), &short(&k), &short(&v), 2, Mask::Causal).unwrap();
        let flat = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in flat(&short(&all)).into_iter().zip(flat(&first)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        for (a, b) in flat(&all).into_iter().zip(flat(&v)).take(4) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
