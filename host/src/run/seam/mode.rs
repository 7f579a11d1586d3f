//! What a live read inside a run answers.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How the host answers a plugin's live reads inside a run.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SeamMode {
    /// Live reads are live; what differs from the snapshot is recorded.
    #[default]
    Record,
    /// As `record`, and every difference is logged.
    Warn,
    /// Live reads are answered from the snapshot, even after a write of the reader's own: what the
    /// plugin would do after its migration.
    Pin,
}

impl fmt::Display for SeamMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Warn => "warn",
            Self::Pin => "pin",
        })
    }
}

impl FromStr for SeamMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "record" => Ok(Self::Record),
            "warn" => Ok(Self::Warn),
            "pin" => Ok(Self::Pin),
            other => Err(format!("“{other}” is no seam mode: use record, warn or pin")),
        }
    }
}
