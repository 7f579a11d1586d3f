//! The operations that take the time, each behind one module, so that a faster kernel replaces a
//! file and not a network.

mod attention;
mod conv;
mod linear;
mod norm;

pub(crate) use attention::{Mask, attention, from_tokens, to_tokens};
pub(crate) use conv::{Conv2d, upsample_nearest};
pub(crate) use linear::Linear;
pub(crate) use norm::{GroupNorm, LayerNorm, Then};
