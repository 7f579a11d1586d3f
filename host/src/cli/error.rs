//! How a command ends badly.

use serde_json::json;

use super::ui::{Ui, style};
use crate::{
    OpenError,
    options::{ConfigError, SetError},
    plugins::{LoadError, decisions::DecisionsError, install::InstallError, lock::LockError},
    run::{Refused, RunError, record::RecordError},
};

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing was done: what was asked for cannot be.
    Refused(Said),
    /// It was tried and did not work.
    Failed(Said),
    /// It could not be tried at all, which is told from a bad outcome.
    Unusable(Said),
    /// It is told already; only the exit code is left.
    Told(u8),
    /// Somebody cancelled it.
    Cancelled,
}

/// A sentence on what is wrong and, where there is one, on what to do.
#[derive(Debug)]
pub(super) struct Said {
    message: String,
    hint: Option<String>,
}

impl Said {
    /// The project's messages say what is wrong and, behind the last semicolon, what to do next.
    fn new(text: &str) -> Self {
        match text.rsplit_once("; ") {
            Some((message, hint)) if !hint.is_empty() => {
                Self { message: message.to_owned(), hint: Some(hint.to_owned()) }
            }
            _ => Self { message: text.to_owned(), hint: None },
        }
    }
}

impl Failure {
    pub(super) fn refused(error: impl std::fmt::Display) -> Self {
        Self::Refused(Said::new(&error.to_string()))
    }

    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed(Said::new(&error.to_string()))
    }

    pub(super) fn unusable(error: impl std::fmt::Display) -> Self {
        Self::Unusable(Said::new(&error.to_string()))
    }

    /// The same words with the code of what could not be tried.
    pub(super) fn into_unusable(self) -> Self {
        match self {
            Self::Refused(said) | Self::Failed(said) => Self::Unusable(said),
            other => other,
        }
    }

    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Refused(_) => 2,
            Self::Unusable(_) => 3,
            Self::Told(code) => *code,
            Self::Cancelled => 130,
        }
    }

    /// The failure as the command's JSON document.
    pub(super) fn document(&self) {
        let (kind, said) = match self {
            Self::Refused(said) => ("refused", Some(said)),
            Self::Failed(said) => ("failed", Some(said)),
            Self::Unusable(said) => ("unusable", Some(said)),
            Self::Told(_) => ("failed", None),
            Self::Cancelled => ("cancelled", None),
        };
        let error = json!({
            "kind": kind,
            "message": said.map_or(kind, |said| said.message.trim_end()),
            "hint": said.and_then(|said| said.hint.as_deref()),
        });
        Ui::line(&format!("{:#}", json!({ "error": error })));
    }

    pub(super) fn show(&self, ui: &Ui) {
        if ui.owes_document() {
            self.document();
        }
        match self {
            Self::Refused(said) | Self::Failed(said) | Self::Unusable(said) => {
                let word = ui.paint_err(style::ERROR, "error:");
                Ui::complain(&format!("{word} {}", said.message));
                if let Some(hint) = &said.hint {
                    let word = ui.paint_err(style::HINT, "hint:");
                    Ui::complain(&format!("{word} {hint}"));
                }
            }
            Self::Told(_) => {}
            Self::Cancelled => Ui::complain("cancelled"),
        }
    }
}

impl From<SetError> for Failure {
    fn from(error: SetError) -> Self {
        Self::refused(error)
    }
}

impl From<Refused> for Failure {
    fn from(error: Refused) -> Self {
        match error {
            Refused::Record(error) => error.into(),
            other => Self::refused(other),
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Unknown(_) | RecordError::Ambiguous(_) => Self::refused(error),
            other => Self::failed(other),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            // Nothing was begun.
            OpenError::Lock(error) => error.into(),
            other => Self::failed(other),
        }
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Io { .. } => Self::failed(error),
            other => Self::refused(other),
        }
    }
}

impl From<InstallError> for Failure {
    fn from(error: InstallError) -> Self {
        match error {
            InstallError::Write { .. } => Self::failed(error),
            other => Self::refused(other),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::failed(error)
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        Self::failed(error)
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::failed(error)
    }
}

impl From<DecisionsError> for Failure {
    fn from(error: DecisionsError) -> Self {
        Self::failed(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_next_becomes_the_hint() {
        let said = Said::new("no option “a; b”; did you mean “c”?");
        assert_eq!(said.message, "no option “a; b”");
        assert_eq!(said.hint.as_deref(), Some("did you mean “c”?"));
        assert!(Said::new("plain").hint.is_none());
    }
}
