//! Seeded noise, value for value that of A1111 and torch.

mod brownian;
mod image_rng;
mod mt19937;
mod philox;

pub(crate) use brownian::BrownianTree;
pub use image_rng::{ImageRng, NoiseSource};
