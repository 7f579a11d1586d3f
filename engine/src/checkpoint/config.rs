//! Reading the `config.json` files of a diffusers folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::LoadError;

/// One configuration file, with what is needed to complain about it.
pub(crate) struct ConfigFile {
    pub(crate) file: PathBuf,
}

impl ConfigFile {
    /// Reads `file` as `T`, after checking the class that wrote it.
    ///
    /// # Errors
    /// [`LoadError::Missing`], [`LoadError::Read`], [`LoadError::Json`], or [`LoadError::Config`]
    /// if `_class_name` is there and is none of `classes`.
    pub(crate) fn read<T: DeserializeOwned>(
        file: &Path,
        classes: &[&str],
    ) -> Result<(Self, T), LoadError> {
        let this = Self { file: file.to_owned() };
        let json = |source| LoadError::Json { file: file.to_owned(), source };
        let value: serde_json::Value = serde_json::from_slice(&read(file)?).map_err(json)?;
        if let Some(class) = value.get("_class_name").and_then(|c| c.as_str())
            && !classes.is_empty()
            && !classes.contains(&class)
        {
            return Err(this.wrong("_class_name", class, classes.join(" or ")));
        }
        Ok((this, serde_json::from_value(value).map_err(json)?))
    }

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
