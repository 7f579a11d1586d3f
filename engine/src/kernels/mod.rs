//! The operations that take the time, each behind one module, so that a faster kernel replaces a
//! file and not a network.

#![allow(
    clippy::inline_always,
    reason = "a function is compiled for wider instructions only where it is inlined"
)]

mod activation;
mod attention;
mod conv;
mod elsewhere;
mod linear;
mod math;
mod norm;
mod product;
mod upsample;
mod values;
mod widen;

pub(crate) use activation::Activation;
pub(crate) use attention::{Mask, attention};
pub(crate) use conv::Conv2d;
pub(crate) use linear::{Linear, gated};
pub(crate) use norm::{GroupNorm, LayerNorm, Then};
pub(crate) use product::bf16::available as has_bf16;
pub(crate) use upsample::upsample_nearest;
pub(crate) use values::same;

/// Runs a network on one of the threads that kernels divide their work among: from any other thread each
/// of its hundreds of kernels would have to wake one and to be woken by it.
pub(crate) fn among_threads<R: Send>(network: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| network())
}
