//! What can be wrong with a checkpoint folder.

use std::path::PathBuf;

use crate::compute::ComputeError;

/// Why a folder could not be loaded. Every message names the file and, where there is one, the key; or what
/// the machine does not have.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file that a diffusers folder has is not there.
    #[error("{} is missing; a checkpoint is a .safetensors file, or a diffusers folder with unet, vae, text_encoder, tokenizer and scheduler: download or convert it again", file.display())]
    Missing {
        /// The file looked for.
        file: PathBuf,
    },
    /// A file that is whole, but no checkpoint of a kind that this engine runs.
    #[error("{} is no checkpoint of Stable Diffusion: {what}", file.display())]
    NoCheckpoint {
        /// The file.
        file: PathBuf,
        /// What is missing, or what it is instead and what to do with it.
        what: String,
    },
    /// A checkpoint in Python's own format.
    #[error("{} is a Python pickle, which can run any code when it is opened, so it is not; get the checkpoint as .safetensors or convert it with a tool that you trust", file.display())]
    Pickle {
        /// The file.
        file: PathBuf,
    },
    /// The system refused to read a file.
    #[error("cannot read {}: {source}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's report.
        source: std::io::Error,
    },
    /// A configuration file is not JSON of the expected form.
    #[error("{} is not a configuration this engine can read: {source}", file.display())]
    Json {
        /// The file.
        file: PathBuf,
        /// Place and reason.
        source: serde_json::Error,
    },
    /// A configuration value is impossible, or of a kind of model that this engine does not run.
    #[error("{}: {key} is {value}, but must be {expected}", file.display())]
    Config {
        /// The file.
        file: PathBuf,
        /// The key in it.
        key: String,
        /// Its value.
        value: String,
        /// What would do.
        expected: String,
    },
    /// The tokenizer's files contradict each other or are broken.
    #[error("{}: {problem}; copy the tokenizer folder of the original checkpoint again", file.display())]
    Tokenizer {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A weights file is cut off, is not safetensors, or has an element type that cannot be read.
    #[error("{} is not a whole safetensors file: {source}; download it again", file.display())]
    Weights {
        /// The file.
        file: PathBuf,
        /// The reader's report.
        source: candle_core::Error,
    },
    /// Networks are to compute as this machine or this build cannot.
    #[error(transparent)]
    Compute(#[from] ComputeError),
    /// A tensor that the configuration calls for is not in the file.
    #[error("{} has no tensor {key}; the file is not complete, or belongs to another configuration", file.display())]
    MissingKey {
        /// The file.
        file: PathBuf,
        /// The tensor's name.
        key: String,
    },
    /// A tensor has another shape than the configuration calls for.
    #[error("{}: {key} has shape {found:?}, the configuration calls for {expected:?}", file.display())]
    WrongShape {
        /// The file.
        file: PathBuf,
        /// The tensor's name.
        key: String,
        /// The shape by config.json.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
}
