//! Tensors as slices, and slices as tensors.

use candle_core::{Result, Storage, Tensor, bail};
use rayon::prelude::*;

/// Calls `f` with the values of a contiguous tensor of `f32` on the CPU.
pub(super) fn with<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a kernel needs contiguous values")
    };
    match &*storage {
        Storage::Cpu(values) => f(&values.as_slice::<f32>()?[start..end]),
        Storage::Cuda(_) | Storage::Metal(_) => bail!("a kernel of the CPU got values elsewhere"),
    }
}

/// Values that are not worth another thread.
const SMALL: usize = 1 << 14;

/// How many pieces of so many values one task takes at least.
pub(super) fn least(size: usize) -> usize {
    (SMALL / size.max(1)).max(1)
}

/// So many values, made piece by piece of `size` among threads: `make` is given the number of a piece.
pub(super) fn pieces(
    count: usize,
    size: usize,
    make: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut values = vec![0.0; count];
    let pieces = values.par_chunks_mut(size.max(1)).with_min_len(least(size)).enumerate();
    pieces.for_each(|(at, piece)| make(at, piece));
    values
}

/// Planes of so many values, each with one more added to all of it; there may be fewer `more` than planes,
/// which then take turns.
pub(super) fn planes_with(base: &[f32], more: &[f32], size: usize) -> Vec<f32> {
    pieces(base.len(), size, |at, plane| {
        let more = more[at % more.len()];
        plane.iter_mut().zip(&base[at * size..]).for_each(|(to, base)| *to = base + more);
    })
}

/// The sum of two, value by value.
pub(super) fn sum_into(to: &mut [f32], one: &[f32], other: &[f32]) {
    for ((to, one), other) in to.iter_mut().zip(one).zip(other) {
        *to = one + other;
    }
}
