//! Tensors as slices, and slices as tensors.

use std::cell::RefCell;

use bytemuck::{AnyBitPattern, NoUninit, cast_slice_mut};
use candle_core::{CpuStorage, Device, Result, Storage, Tensor, bail};
use half::{bf16, f16};
use rayon::prelude::*;

use super::widen::{rows, widen_brains, widen_halves};

/// Values to read, in the precision that they are kept in.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    Single(&'a [f32]),
    Half(&'a [f16]),
    Brain(&'a [bf16]),
}

impl<'a> Values<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Half(values) => values.len(),
            Self::Brain(values) => values.len(),
        }
    }

    /// Those from `from` up to `until`.
    pub(super) fn part(self, from: usize, until: usize) -> Self {
        match self {
            Self::Single(values) => Self::Single(&values[from..until]),
            Self::Half(values) => Self::Half(&values[from..until]),
            Self::Brain(values) => Self::Brain(&values[from..until]),
        }
    }

    /// Them where nothing has to be widened.
    pub(super) fn single(self) -> Option<&'a [f32]> {
        match self {
            Self::Single(values) => Some(values),
            Self::Half(_) | Self::Brain(_) => None,
        }
    }

    /// So many of every stretch of `step` as `f32`, beside each other until `to` is full: every half is
    /// one exactly.
    pub(super) fn widen(self, columns: usize, step: usize, to: &mut [f32]) {
        match self {
            Self::Single(values) => {
                rows(values, (columns, step), to).for_each(|(from, to)| to.copy_from_slice(from));
            }
            Self::Half(values) => widen_halves(values, (columns, step), to),
            Self::Brain(values) => widen_brains(values, (columns, step), to),
        }
    }
}

/// Calls `f` with the values of a contiguous tensor on the CPU.
pub(super) fn with_values<R>(x: &Tensor, f: impl FnOnce(Values<'_>) -> Result<R>) -> Result<R> {
    let (storage, layout) = x.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a kernel needs contiguous values")
    };
    let Storage::Cpu(values) = &*storage else { bail!("a kernel of the CPU got values elsewhere") };
    f(match values {
        CpuStorage::F16(values) => Values::Half(&values[start..end]),
        CpuStorage::BF16(values) => Values::Brain(&values[start..end]),
        values => Values::Single(&values.as_slice()?[start..end]),
    })
}

/// Calls `f` with the values of a contiguous tensor of `f32` on the CPU.
pub(super) fn with<R>(x: &Tensor, f: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    with_values(x, |values| match values.single() {
        Some(values) => f(values),
        None => bail!("a kernel computes in single precision"),
    })
}

/// Calls `f` with the pairs of a tensor that a layer keeps in bf16.
pub(super) fn with_pairs<R>(x: &Tensor, f: impl FnOnce(&[u32]) -> Result<R>) -> Result<R> {
    let (storage, _) = x.storage_and_layout();
    let Storage::Cpu(values) = &*storage else { bail!("a kernel of the CPU got values elsewhere") };
    f(values.as_slice()?)
}

/// Contiguous matrices (`[n, rows, columns]`) with rows for columns, in their own precision.
pub(super) fn turned(x: &Tensor) -> Result<Tensor> {
    let (n, rows, columns) = x.dims3()?;
    let shape = (n, columns, rows);
    with_values(x, |values| match values {
        Values::Single(x) => {
            Tensor::from_vec(turned_values(x, (rows, columns)), shape, &Device::Cpu)
        }
        Values::Half(x) => Tensor::from_vec(turned_values(x, (rows, columns)), shape, &Device::Cpu),
        Values::Brain(x) => {
            Tensor::from_vec(turned_values(x, (rows, columns)), shape, &Device::Cpu)
        }
    })
}

fn turned_values<T: Copy + Default + Send + Sync>(
    values: &[T],
    (rows, columns): (usize, usize),
) -> Vec<T> {
    let mut out = vec![T::default(); values.len()];
    let size = (rows * columns).max(1);
    let matrices = out.par_chunks_exact_mut(size).zip(values.par_chunks_exact(size));
    matrices.for_each(|(out, values)| turn(out, values, rows));
    out
}

/// So many rows as columns: among threads, and in squares that stay in a cache.
pub(super) fn turn<T: Copy + Send + Sync>(out: &mut [T], values: &[T], rows: usize) {
    each_turned(out, values, rows, |to, value| *to = value);
}

/// The same added to what is there.
pub(super) fn add_turned(out: &mut [f32], values: &[f32], rows: usize) {
    each_turned(out, values, rows, |to, value| *to += value);
}

fn each_turned<T: Copy + Send + Sync>(
    out: &mut [T],
    values: &[T],
    rows: usize,
    put: impl Fn(&mut T, T) + Sync,
) {
    const SIDE: usize = 32;
    let columns = values.len() / rows.max(1);
    out.par_chunks_mut((rows * SIDE).max(1)).enumerate().for_each(|(at, out)| {
        let first = at * SIDE;
        for begin in (0..rows).step_by(SIDE) {
            let end = rows.min(begin + SIDE);
            for (column, out) in out.chunks_exact_mut(rows).enumerate() {
                let from = values[begin * columns + first + column..].iter().step_by(columns);
                out[begin..end].iter_mut().zip(from).for_each(|(to, value)| put(to, *value));
            }
        }
    });
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<u32>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with room for so many values, whatever they are, from the beginning of a line of the cache on:
/// memory that this thread used before needs not be cleared again.
pub(super) fn with_scratch<T: AnyBitPattern + NoUninit, R>(
    size: usize,
    f: impl FnOnce(&mut [T]) -> R,
) -> R {
    const LINE: usize = 64;
    // Taken away meanwhile: while other threads work on it, this one may begin something else.
    let mut values = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    let bytes = size * size_of::<T>() + LINE;
    values.resize(values.len().max(bytes.div_ceil(size_of::<u32>())), 0);
    let before = values.as_ptr().align_offset(LINE).min(LINE / size_of::<u32>());
    let room = &mut values[before..][..(size * size_of::<T>()).div_ceil(size_of::<u32>())];
    let result = f(&mut cast_slice_mut(room)[..size]);
    SCRATCH.with_borrow_mut(|all| all.push(values));
    result
}

/// Whether two tensors have the same values in the same places.
pub(crate) fn same(one: &Tensor, other: &Tensor) -> Result<bool> {
    if one.dims() != other.dims() {
        return Ok(false);
    }
    let (one, other) = (one.contiguous()?, other.contiguous()?);
    with(&one, |one| with(&other, |other| Ok(one == other)))
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

/// Values for tests, of any shape.
#[cfg(test)]
pub(super) fn waves(shape: &[usize], speed: f32) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|i| (i as f32 * speed).sin()).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}
