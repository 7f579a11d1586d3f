//! The autoencoder, diffusers' `AutoencoderKL`.

mod coder;
mod config;
mod model;
mod preview;

pub(crate) use model::Vae;

use std::path::Path;

use crate::checkpoint::{Config, Files, LoadError};

/// What sides of pictures have to be multiples of, in pixels, by the configuration of a diffusers
/// folder or the shapes of a single file's tensors. No weights are read.
///
/// # Errors
/// [`LoadError`] where it is no checkpoint or cannot be read.
pub fn size_multiple(checkpoint: &Path) -> Result<usize, LoadError> {
    let config = if checkpoint.is_dir() {
        Config::read(&checkpoint.join("vae/config.json"))?
    } else {
        Files::open(checkpoint)?.vae.config
    };
    Ok(config::VaeConfig::of(&config)?.factor())
}
