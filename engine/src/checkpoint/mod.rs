//! The checkpoint on disk: folder layout, configuration, facts.

mod config;
mod error;
mod info;

pub(crate) use config::{ConfigFile, PerBlock, read};
pub use error::LoadError;
pub use info::{ModelFile, ModelInfo, Part};

use std::path::{Path, PathBuf};

/// The weights file `stem` of a part's folder; `stem.fp16` where a checkpoint has only that.
pub(crate) fn weights_file(folder: &Path, stem: &str) -> PathBuf {
    let plain = folder.join(format!("{stem}.safetensors"));
    let half = folder.join(format!("{stem}.fp16.safetensors"));
    if !plain.exists() && half.exists() { half } else { plain }
}
