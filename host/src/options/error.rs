//! What can go wrong with options, one enum per stage. Every message says what to do next.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::spec::Owner;
use super::value::{MAX_EXACT, Value};

/// A JSON value that no option can hold.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// A whole number that canonical JSON would round.
    #[error(
        "{given} is beyond ±{MAX_EXACT}, the whole numbers that JSON keeps exactly; write it as a text"
    )]
    NotExact {
        /// The number as it was written.
        given: String,
    },
}

/// Options that cannot be registered.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// The key is taken by an option that means something else.
    #[error(
        "option \"{key}\" of {by} is declared by {owner} with another type, default or range; rename it or declare it alike"
    )]
    Redeclared {
        /// The key.
        key: String,
        /// Who has it.
        owner: Owner,
        /// Who wanted it.
        by: Owner,
    },
    /// A key that no client could write.
    #[error(
        "an option of {by} has the key {key:?}; a key is text on one line without blanks around it"
    )]
    BadKey {
        /// The key.
        key: String,
        /// Who declared it.
        by: Owner,
    },
    /// A default that its own declaration refuses.
    #[error("the default of option \"{key}\" of {by} is not valid: {reason}")]
    BadDefault {
        /// The key.
        key: String,
        /// Who declared it.
        by: Owner,
        /// What is wrong with the default.
        reason: Box<SetError>,
    },
}

/// Why a key may not be set at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The option is marked as off limits for clients of the API.
    #[error("not over the API; set it in config.json or with `atelier options set`")]
    Api,
    /// The host was started with fixed folders and file names (`--hide-ui-dir-config`).
    #[error(
        "folders and file names are fixed on this host; set it in config.json or with `atelier options set`"
    )]
    Paths,
}

/// A value that cannot be set. The option keeps the value it had.
#[derive(Clone, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum SetError {
    /// No option has this key.
    #[error("there is no option \"{key}\"; {}", suggestion(nearest.as_deref()))]
    UnknownKey {
        /// The key as given.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// The value has another type and does not convert.
    #[error("option \"{key}\" takes {expected}, not {given}")]
    WrongType {
        /// The option's key.
        key: String,
        /// What it takes.
        expected: String,
        /// Type and value that were given.
        given: String,
    },
    /// The number is outside the option's range.
    #[error("option \"{key}\" takes {}, not {given}", range(*min, *max))]
    OutOfRange {
        /// The option's key.
        key: String,
        /// The least value, if there is one.
        min: Option<f64>,
        /// The greatest value, if there is one.
        max: Option<f64>,
        /// The number that was given.
        given: f64,
    },
    /// The value is none of the option's choices.
    #[error("option \"{key}\" takes one of {}, not {given}", join(choices))]
    NotAChoice {
        /// The option's key.
        key: String,
        /// All it takes.
        choices: Vec<Value>,
        /// The value that was given.
        given: Value,
    },
    /// NaN or an infinity.
    #[error("option \"{key}\" takes a finite number")]
    NotFinite {
        /// The option's key.
        key: String,
    },
    /// A number that canonical JSON would round.
    #[error("option \"{key}\": {source}")]
    NotExact {
        /// The option's key.
        key: String,
        /// Which number.
        source: ValueError,
    },
    /// The option may not be set this way.
    #[error("option \"{key}\" cannot be set here: {refusal}")]
    Restricted {
        /// The option's key.
        key: String,
        /// The rule that says so.
        refusal: Refusal,
    },
    /// An option that counts when the host starts cannot be another for one run.
    #[error(
        "option \"{key}\" is no override: it counts when the host starts, not for one run; set it with `atelier options set`"
    )]
    AtStart {
        /// The option's key.
        key: String,
    },
    /// A listener could not follow the change, so the old value is back.
    #[error("option \"{key}\" keeps its old value, {listener} cannot follow: {reason}")]
    Refused {
        /// The option's key.
        key: String,
        /// The listener's name.
        listener: String,
        /// What the listener said.
        reason: String,
    },
}

impl SetError {
    /// The key in question.
    pub fn key(&self) -> &str {
        match self {
            Self::UnknownKey { key, .. }
            | Self::WrongType { key, .. }
            | Self::OutOfRange { key, .. }
            | Self::NotAChoice { key, .. }
            | Self::NotFinite { key }
            | Self::NotExact { key, .. }
            | Self::Restricted { key, .. }
            | Self::AtStart { key }
            | Self::Refused { key, .. } => key,
        }
    }
}

/// A configuration file that cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file is there and cannot be read.
    #[error("cannot read {}: {source}; check its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file, its lock or its copy cannot be written.
    #[error("cannot write {}: {source}; check the folder's permissions and free space", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("did you mean \"{nearest}\"?"),
        None => "`atelier options list` shows them all".to_owned(),
    }
}

fn range(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("{min} or more"),
        (None, Some(max)) => format!("{max} or less"),
        (None, None) => "any number".to_owned(),
    }
}

fn join(choices: &[Value]) -> String {
    choices.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}
