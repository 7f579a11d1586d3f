//! How a run does not come to its pictures.

use super::{pipeline::PipelineError, record::RecordError};
use crate::{options::SetError, output::OutputError, plugins::PluginId};

/// Why a request does not become a run. Nothing has begun.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A parameter is no good.
    #[error("{field}: {reason}")]
    Parameter {
        /// The request's field.
        field: &'static str,
        /// What is wrong and what would do.
        reason: String,
    },
    /// A name that is not known, or a checkpoint that is none.
    #[error("{0}")]
    Request(String),
    /// Overrides that are unknown or do not cast.
    #[error("override_settings: {}", join(.0))]
    Overrides(Vec<SetError>),
    /// A plugin that cannot be selected.
    #[error("script_name: {plugin} {reason}; selectable are: {known}")]
    Script {
        /// The plugin.
        plugin: PluginId,
        /// Why not.
        reason: &'static str,
        /// Those that can.
        known: String,
    },
    /// Arguments for a plugin that is not there, or that it did not declare.
    #[error("arguments of {plugin}: {reason}")]
    Arguments {
        /// The plugin.
        plugin: PluginId,
        /// What is wrong.
        reason: String,
    },
    /// `pin` without a snapshot to pin to.
    #[error("seam: pin needs the snapshot, and recording is switched off")]
    PinWithoutSnapshot,
    /// The record cannot be opened.
    #[error(transparent)]
    Record(#[from] RecordError),
}

fn join(errors: &[SetError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A hook made something of the request that cannot be drawn.
    #[error("{field}: {reason}")]
    Parameter {
        /// The parameter.
        field: &'static str,
        /// What is wrong and what would do.
        reason: String,
    },
    /// The checkpoint or the engine.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// Writing pictures.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// Writing the record.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A plugin stopped the run on purpose.
    #[error("{plugin} stopped the run at {hook}: {message}")]
    Stopped {
        /// The plugin.
        plugin: PluginId,
        /// The hook.
        hook: &'static str,
        /// Its reason.
        message: String,
    },
    /// A hook failed and the run's policy is to fail with it.
    #[error("{plugin} failed at {hook}: {message}")]
    Hook {
        /// The plugin.
        plugin: PluginId,
        /// The hook.
        hook: &'static str,
        /// Its words.
        message: String,
    },
}

/// Why a run ends before its natural end.
#[derive(Debug)]
pub enum Ended {
    /// Somebody cancelled it.
    Cancelled,
    /// It failed.
    Failed(RunError),
}

impl<E: Into<RunError>> From<E> for Ended {
    fn from(error: E) -> Self {
        match error.into() {
            RunError::Pipeline(PipelineError::Stopped(super::pipeline::Stop::Cancelled)) => {
                Self::Cancelled
            }
            other => Self::Failed(other),
        }
    }
}
