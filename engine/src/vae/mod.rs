//! The autoencoder, diffusers' `AutoencoderKL`.

mod coder;
mod config;
mod model;

pub(crate) use model::Vae;
