//! Small networks that are added to a checkpoint.

use std::path::PathBuf;

use serde::Serialize;

/// An autoencoder of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VaeFile {
    /// The file's name, as `sd_vae` and the infotext have it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// A LoRA that could be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LoraFile {
    /// Name, as tags in prompts have it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// How much of a LoRA is used.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraUse {
    /// Which.
    pub file: LoraFile,
    /// Weight in the text encoders.
    pub text: f64,
    /// Weight in the denoising network.
    pub unet: f64,
    /// Ranks that are used, of those that there are.
    pub ranks: Option<usize>,
}

/// What became of a LoRA.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoraOutcome {
    /// The hash that A1111 prints: of its weights, without the file's header.
    pub hash: String,
    /// Layers that it was added to.
    pub added: usize,
    /// Parts that the checkpoint has no place for.
    pub left_out: usize,
}
