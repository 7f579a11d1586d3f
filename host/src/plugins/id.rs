//! Names of plugins.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A plugin's id: 1 to 64 lower-case letters, digits, `-` or `_`.
///
/// Users' settings, other plugins' orders and records name it; it never changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginId(Arc<str>);

/// A text that cannot be a plugin's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "“{0}” is no plugin id: use 1 to 64 lower-case letters, digits, “-” or “_”, and not “host”"
)]
pub struct BadId(pub String);

impl PluginId {
    /// Checks and wraps an id.
    ///
    /// # Errors
    /// [`BadId`].
    pub fn new(text: &str) -> Result<Self, BadId> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        // The ledger calls the host itself by that name.
        let taken = text == "host";
        if taken || text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
            return Err(BadId(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl std::str::FromStr for PluginId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        Self::new(text)
    }
}

impl TryFrom<String> for PluginId {
    type Error = BadId;
    fn try_from(text: String) -> Result<Self, BadId> {
        Self::new(&text)
    }
}

impl From<PluginId> for String {
    fn from(id: PluginId) -> Self {
        id.0.to_string()
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
