//! Networks in files of their own that a checkpoint is used with.

use std::path::PathBuf;

use serde::Serialize;

/// A file of a network that a checkpoint is used with: an autoencoder, a LoRA, an embedding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NetworkFile {
    /// Name, as options and prompts have it: an autoencoder's is the file's, all others' the file's
    /// without the extension.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// An embedding that prompts named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedEmbedding {
    /// Its name.
    pub name: String,
    /// SHA-256 of its file, as hex.
    pub hash: String,
}

/// How much of a LoRA is used.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraUse {
    /// Which.
    pub file: NetworkFile,
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
