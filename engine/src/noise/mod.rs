//! Seeded noise, value for value that of A1111 and torch.

mod image_rng;
mod mt19937;
mod philox;

pub use image_rng::{ImageRng, NoiseSource};
