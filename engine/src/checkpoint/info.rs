//! What a loaded checkpoint says about itself.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use crate::compute::Compute;
use crate::error::EngineError;

/// A part of a checkpoint with a weights file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The denoising network.
    Unet,
    /// The autoencoder.
    Vae,
    /// The CLIP text encoder.
    TextEncoder,
}

/// A weights file of a checkpoint.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// What it holds.
    pub part: Part,
    /// Where it lies.
    pub path: PathBuf,
    sha256: OnceLock<String>,
}

impl ModelFile {
    /// A file that holds a part.
    pub fn new(part: Part, path: PathBuf) -> Self {
        Self { part, path, sha256: OnceLock::new() }
    }

    /// SHA-256 over the file as 64 lower-case hex digits, computed at the first call.
    ///
    /// # Errors
    /// [`EngineError::Read`] if the file can no longer be read.
    pub fn sha256(&self) -> Result<&str, EngineError> {
        if let Some(known) = self.sha256.get() {
            return Ok(known);
        }
        let hash = hash_file(&self.path)
            .map_err(|source| EngineError::Read { path: self.path.clone(), source })?;
        Ok(self.sha256.get_or_init(|| hash))
    }
}

fn hash_file(path: &Path) -> std::io::Result<String> {
    hash_rest(std::fs::File::open(path)?)
}

/// SHA-256 over what is left to read, as hex.
pub(crate) fn hash_rest(mut file: impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(format!("{:x}", hasher.finalize()))
}

/// Facts about a loaded checkpoint.
#[derive(Clone, Debug)]
pub struct ModelInfo {
    /// The folder's name.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The width in pixels that the model was trained at.
    pub native_width: usize,
    /// The height in pixels that the model was trained at.
    pub native_height: usize,
    /// Pixels per latent value along one side.
    pub vae_factor: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Whether it is for inpainting: the model is shown the masked picture beside the latents
    /// ([`Engine::image_conditioning`](crate::Engine::image_conditioning)).
    pub inpaints: bool,
    /// Values per token of the conditioning.
    pub text_width: usize,
    /// Layers of the text encoder, the largest `clip_skip`.
    pub text_layers: u32,
    /// The weights files.
    pub files: Vec<ModelFile>,
    /// How its networks compute.
    pub compute: Compute,
}

impl ModelInfo {
    /// SHA-256 over the UNet's file as hex, computed at the first call. It names the checkpoint:
    /// its first ten digits stand where A1111 prints a model hash.
    ///
    /// # Errors
    /// [`EngineError::Read`] if the file can no longer be read.
    pub fn weights_hash(&self) -> Result<&str, EngineError> {
        self.files[0].sha256()
    }

    /// Width and height in pixels must be multiples of this.
    pub fn size_multiple(&self) -> usize {
        self.vae_factor
    }

    /// Channels of what an inpainting checkpoint is shown: the mask, and the picture's latents.
    pub(crate) fn shown_channels(&self) -> usize {
        if self.inpaints { 1 + self.latent_channels } else { 0 }
    }

    /// The shape of one picture's latents (channels, height, width) for a size in pixels; a rest
    /// that does not fill a latent value is dropped.
    pub fn latent_shape(&self, width: usize, height: usize) -> [usize; 3] {
        [self.latent_channels, height / self.vae_factor, width / self.vae_factor]
    }
}
