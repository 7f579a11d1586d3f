//! What checkpoints are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What a checkpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ModelInfo {
    /// Name, as `sd_model_checkpoint` and the infotext have it.
    pub name: String,
    /// SHA-256 of the weights, as hex; A1111's short hash is its first ten digits.
    pub sha256: String,
    /// The size it was trained for, in pixels.
    pub native_size: (u32, u32),
    /// Pixels per latent.
    pub vae_factor: u32,
    /// Sizes must be multiples of this many pixels.
    pub size_multiple: u32,
    /// Channels of the latents.
    pub latent_channels: u32,
    /// Whether it is a checkpoint for inpainting, which is shown the masked picture.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub inpaints: bool,
    /// The autoencoder, where it is not the checkpoint's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vae: Option<VaeInfo>,
}

/// An autoencoder that a checkpoint is used with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct VaeInfo {
    /// The file's name.
    pub name: String,
    /// SHA-256 of the file, as hex.
    pub sha256: String,
}

impl ModelInfo {
    /// A1111's short hash: ten hex digits.
    pub fn short_hash(&self) -> &str {
        self.sha256.get(..10).unwrap_or(&self.sha256)
    }

    /// Name and short hash, as A1111 tells of further checkpoints.
    pub fn short_title(&self) -> String {
        format!("{} [{}]", self.name, self.short_hash())
    }
}

/// A checkpoint that could be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// Name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}
