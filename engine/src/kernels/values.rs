//! Tensors as slices, and slices as tensors.

use candle_core::{Result, Storage, Tensor, bail};

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
