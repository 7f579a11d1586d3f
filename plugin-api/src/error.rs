//! Errors of hooks and of reading options.

use atelier_plugin_abi::{codes::Status, host::Refusal, plugin::Failure};

/// What a hook returns.
pub type HookResult = Result<(), PluginError>;

/// Why a hook did not do its work.
///
/// Any error converts with `?`. By default the host goes on as if the hook had not run, and says so
/// in the answer, in the record of the run and in the picture's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginError {
    message: String,
    stop: bool,
}

impl PluginError {
    /// A failure with words for the user.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), stop: false }
    }

    /// Stops the whole run on purpose, for instance because its result must not be made.
    pub fn stop_run(message: impl Into<String>) -> Self {
        Self { message: message.into(), stop: true }
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn into_failure(self) -> Failure {
        let status = if self.stop { Status::StopRun } else { Status::Failed };
        Failure { status, message: self.message, place: String::new() }
    }
}

// `PluginError` is not itself a `std::error::Error`: that is what lets every error convert with `?`.
impl<E: std::error::Error> From<E> for PluginError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            source = cause.source();
        }
        Self::new(message)
    }
}

impl std::fmt::Display for PluginError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why an option or argument cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// There is no such option; the host's words name the nearest one.
    #[error("{0}")]
    Unknown(String),
    /// The option has another type than the one asked for.
    #[error("{key} is {found}, not {wanted}: read it as that, or change its declaration")]
    Type {
        /// The option.
        key: String,
        /// What was asked for.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// The value is not accepted.
    #[error("{0}")]
    Value(String),
    /// The run has no snapshot.
    #[error("{0}")]
    NoSnapshot(String),
    /// The host refused for another reason.
    #[error("{0}")]
    Host(String),
}

impl From<Refusal> for OptionError {
    fn from(Refusal { status, message }: Refusal) -> Self {
        match status {
            Status::UnknownKey => Self::Unknown(message),
            Status::WrongType | Status::BadValue => Self::Value(message),
            Status::NoSnapshot => Self::NoSnapshot(message),
            _ => Self::Host(message),
        }
    }
}
