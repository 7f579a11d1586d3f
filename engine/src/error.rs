//! What can go wrong outside of loading and sampling.

use std::path::PathBuf;

use crate::conditioning::ConditioningError;
use crate::prompt::BadWeight;

/// An error of text encoding, of the autoencoder or of the checkpoint's hash.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A tensor has the wrong shape for the call.
    #[error("{what} has shape {found:?}, expected {expected}")]
    Shape {
        /// Which argument.
        what: &'static str,
        /// What the call needs, in words.
        expected: String,
        /// What came: batch, channels, height, width.
        found: [usize; 4],
    },
    /// No prompt was given.
    #[error("there is no prompt to encode; pass at least one, which may be empty")]
    NoPrompts,
    /// The text encoder does not have that many layers.
    #[error("clip_skip {given} does not fit a text encoder of {layers} layers; use 1 to {layers}")]
    ClipSkip {
        /// The value asked for.
        given: u32,
        /// The largest value that works.
        layers: u32,
    },
    /// A prompt that cannot be read.
    #[error(transparent)]
    Prompt(#[from] BadWeight),
    /// Conditionings that do not fit each other.
    #[error(transparent)]
    Conditioning(#[from] ConditioningError),
    /// candle failed, which for checked shapes means memory or a defect.
    #[error("{stage} failed while computing: {source}")]
    Compute {
        /// The network that was running.
        stage: &'static str,
        /// candle's report.
        source: candle_core::Error,
    },
    /// A file of the checkpoint could not be read again.
    #[error("cannot read {}: {source}; the checkpoint must stay in place while it is loaded", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's report.
        source: std::io::Error,
    },
}

impl EngineError {
    pub(crate) fn compute(stage: &'static str) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| Self::Compute { stage, source }
    }
}
