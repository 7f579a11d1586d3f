//! The autoencoder, diffusers' `AutoencoderKL`.

mod coder;
mod config;
mod model;

pub(crate) use model::Vae;

/// What sides of pictures have to be multiples of, in pixels, by the configuration of a diffusers
/// folder. No weights are read.
///
/// # Errors
/// [`LoadError`](crate::LoadError) where the configuration is not there or cannot be read.
pub fn size_multiple(folder: &std::path::Path) -> Result<usize, crate::LoadError> {
    Ok(config::VaeConfig::read(&folder.join("vae/config.json"))?.factor())
}
