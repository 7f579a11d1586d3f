//! Scaled dot-product attention over tokens.

use candle_core::{D, Result, Tensor};

/// Scores computed at once, in elements: bounds the memory of large pictures (64 MiB).
const SCORES_AT_ONCE: usize = 1 << 24;

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
    let (n, queries, c) = q.dims3()?;
    let keys = k.dim(1)?;
    let width = c / heads;
    let scale = 1.0 / (width as f64).sqrt();
    let split = |x: &Tensor, len: usize| {
        x.reshape((n, len, heads, width))?.transpose(1, 2)?.contiguous()?.reshape((
            n * heads,
            len,
            width,
        ))
    };
    let (q, k, v) = ((split(q, queries)? * scale)?, split(k, keys)?, split(v, keys)?);
    let mask = match mask {
        Mask::None => None,
        Mask::Causal => Some(causal(queries, keys, &q)?),
    };
    let at_once = (SCORES_AT_ONCE / (queries * keys).max(1)).clamp(1, n * heads);
    let mut parts = Vec::with_capacity((n * heads).div_ceil(at_once));
    for start in (0..n * heads).step_by(at_once) {
        let count = at_once.min(n * heads - start);
        let part = |x: &Tensor| x.narrow(0, start, count);
        let scores = part(&q)?.matmul(&part(&k)?.transpose(1, 2)?)?;
        let scores = match &mask {
            Some(mask) => scores.broadcast_add(mask)?,
            None => scores,
        };
        parts.push(candle_nn::ops::softmax_last_dim(&scores)?.matmul(&part(&v)?)?);
    }
    let out = if parts.len() == 1 { parts.remove(0) } else { Tensor::cat(&parts, 0)? };
    out.reshape((n, heads, queries, width))?.transpose(1, 2)?.contiguous()?.reshape((n, queries, c))
}

/// Zero up to each query's own place, minus infinity after it.
fn causal(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
    let values: Vec<f32> = (0..queries)
        .flat_map(|i| (0..keys).map(move |j| if j > i { f32::NEG_INFINITY } else { 0.0 }))
        .collect();
    Tensor::from_vec(values, (1, queries, keys), like.device())
}

/// `[n, c, h, w]` to `[n, h·w, c]`.
pub(crate) fn to_tokens(x: &Tensor) -> Result<Tensor> {
    x.flatten_from(2)?.transpose(1, 2)?.contiguous()
}

/// `[n, h·w, c]` to `[n, c, h, w]`.
pub(crate) fn from_tokens(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (n, _, c) = x.dims3()?;
    x.transpose(D::Minus1, D::Minus2)?.contiguous()?.reshape((n, c, height, width))
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
