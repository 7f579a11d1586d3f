//! The checkpoint on disk: folder layout, configuration, facts.

mod config;
mod error;
mod files;
mod info;
pub(crate) mod single;

pub(crate) use config::{Config, ConfigFile, PerBlock, read};
pub use error::LoadError;
pub(crate) use files::{Files, Source, TokenizerFiles};
pub(crate) use info::hash_rest;
pub use info::{ModelFile, ModelInfo, Part};
pub(crate) use single::{autoencoder, original_names};

use std::path::{Path, PathBuf};

/// The weights file `stem` of a part's folder; `stem.fp16` where a checkpoint has only that.
fn weights_file(folder: &Path, stem: &str) -> PathBuf {
    let plain = folder.join(format!("{stem}.safetensors"));
    let half = folder.join(format!("{stem}.fp16.safetensors"));
    if !plain.exists() && half.exists() { half } else { plain }
}
