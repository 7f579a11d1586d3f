//! Reading the `config.json` files of a diffusers folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::LoadError;

/// A configuration as it was read or made up, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) file: PathBuf,
    pub(crate) value: Value,
}

impl Config {
    /// Reads `file`.
    ///
    /// # Errors
    /// [`LoadError::Missing`], [`LoadError::Read`] or [`LoadError::Json`].
    pub(crate) fn read(file: &Path) -> Result<Self, LoadError> {
        let json = |source| LoadError::Json { file: file.to_owned(), source };
        let value = serde_json::from_slice(&read(file)?).map_err(json)?;
        Ok(Self { file: file.to_owned(), value })
    }

    /// It as `T`, after checking the class that wrote it.
    ///
    /// # Errors
    /// [`LoadError::Json`], or [`LoadError::Config`] if `_class_name` is there and is none of
    /// `classes`.
    pub(crate) fn parse<T: DeserializeOwned>(
        &self,
        classes: &[&str],
    ) -> Result<(ConfigFile, T), LoadError> {
        let this = ConfigFile { file: self.file.clone() };
        let json = |source| LoadError::Json { file: self.file.clone(), source };
        if let Some(class) = self.value.get("_class_name").and_then(|c| c.as_str())
            && !classes.is_empty()
            && !classes.contains(&class)
        {
            return Err(this.wrong("_class_name", class, classes.join(" or ")));
        }
        Ok((this, serde_json::from_value(self.value.clone()).map_err(json)?))
    }
}

/// A configuration file, to complain about.
pub(crate) struct ConfigFile {
    pub(crate) file: PathBuf,
}

impl ConfigFile {
    /// The error for a key whose value will not do.
    pub(crate) fn wrong(
        &self,
        key: &str,
        value: impl std::fmt::Display,
        expected: impl Into<String>,
    ) -> LoadError {
        LoadError::Config {
            file: self.file.clone(),
            key: key.to_owned(),
            value: value.to_string(),
            expected: expected.into(),
        }
    }

    /// An error unless `ok`.
    pub(crate) fn require(
        &self,
        ok: bool,
        key: &str,
        value: impl std::fmt::Display,
        expected: &str,
    ) -> Result<(), LoadError> {
        if ok { Ok(()) } else { Err(self.wrong(key, value, expected)) }
    }
}

/// The whole of a file, with a missing one told apart.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    std::fs::read(file).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => LoadError::Missing { file: file.to_owned() },
        _ => LoadError::Read { file: file.to_owned(), source },
    })
}

/// A number for all blocks, or a list with one for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum PerBlock {
    Same(usize),
    Each(Vec<usize>),
}

impl PerBlock {
    /// One number for each of `blocks`, or `None` if the list has another length.
    pub(crate) fn spread(&self, blocks: usize) -> Option<Vec<usize>> {
        match self {
            Self::Same(n) => Some(vec![*n; blocks]),
            Self::Each(list) => (list.len() == blocks).then(|| list.clone()),
        }
    }
}

impl std::fmt::Display for PerBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same(n) => write!(f, "{n}"),
            Self::Each(list) => write!(f, "{list:?}"),
        }
    }
}
