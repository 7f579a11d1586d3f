//! `plugins.lock`: which plugins a data folder has, to the byte.
//!
//! Whoever wants to draw next year what was drawn today keeps this file: a host that is opened with it
//! refuses to start with other plugins.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::PluginId;
use crate::files;

/// The form of the file.
const VERSION: u32 = 1;

/// The file's name in the data folder.
pub const FILE: &str = "plugins.lock";

/// Plugins, by id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// What is locked, by id.
    #[serde(default)]
    pub plugins: BTreeMap<PluginId, Locked>,
}

/// A plugin in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Its version.
    pub version: String,
    /// BLAKE3 of its library, as hex.
    pub hash: String,
}

/// What is not as the lock file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// The plugin.
    pub id: PluginId,
    /// What is locked; none where it is not in the file.
    pub locked: Option<Locked>,
    /// What is there; none where it is missing.
    pub found: Option<Locked>,
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = &self.id;
        let short =
            |it: &Locked| format!("{} ({})", it.version, it.hash.get(..8).unwrap_or(&it.hash));
        match (&self.locked, &self.found) {
            (Some(locked), Some(found)) => {
                write!(f, "{id} is {} and was locked as {}", short(found), short(locked))
            }
            (Some(locked), None) => write!(f, "{id} {} is missing", short(locked)),
            (None, Some(found)) => write!(f, "{id} {} is not in the lock file", short(found)),
            (None, None) => write!(f, "{id} is nowhere"),
        }
    }
}

/// Why the lock file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// There is none.
    #[error("there is no {}; `atelier plugins lock` writes it", path.display())]
    Missing {
        /// Where it would be.
        path: PathBuf,
    },
    /// It cannot be read or written.
    #[error("{} cannot be {what} ({source}); check space and rights", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It is no lock file.
    #[error("{} is no lock file that this version reads ({reason}); restore it, or write it anew with `atelier plugins lock`", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The plugins are others.
    #[error("the plugins are not the locked ones: {}; bring them back with `atelier plugins rollback` or `install`, or take these with `atelier plugins lock`", list(.0))]
    Drifted(Vec<Drift>),
}

fn list(drift: &[Drift]) -> String {
    drift.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl Lock {
    /// These plugins.
    pub fn of(plugins: impl IntoIterator<Item = (PluginId, Locked)>) -> Self {
        Self { version: VERSION, plugins: plugins.into_iter().collect() }
    }

    /// The lock file of a data folder.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn load(data: &Path) -> Result<Self, LockError> {
        let path = data.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LockError::Missing { path });
            }
            Err(source) => return Err(LockError::Io { path, what: "read", source }),
        };
        let lock: Self = serde_json::from_slice(&text)
            .map_err(|error| LockError::Broken { path: path.clone(), reason: error.to_string() })?;
        if lock.version != VERSION {
            let reason = format!("its version is {}, this program reads {VERSION}", lock.version);
            return Err(LockError::Broken { path, reason });
        }
        Ok(lock)
    }

    /// Writes it.
    ///
    /// # Errors
    /// Where it cannot be written; what was there stays.
    pub fn save(&self, data: &Path) -> Result<PathBuf, LockError> {
        let path = data.join(FILE);
        let write = || {
            files::replace(&path, format!("{}\n", serde_json::to_string_pretty(self)?).as_bytes())
        };
        write().map_err(|source| LockError::Io { path: path.clone(), what: "written", source })?;
        Ok(path)
    }

    /// What is not as it is locked, by id.
    pub fn drift(&self, found: &Self) -> Vec<Drift> {
        let mut ids: Vec<&PluginId> = self.plugins.keys().chain(found.plugins.keys()).collect();
        ids.sort();
        ids.dedup();
        let pairs = ids.into_iter().map(|id| Drift {
            id: id.clone(),
            locked: self.plugins.get(id).cloned(),
            found: found.plugins.get(id).cloned(),
        });
        pairs.filter(|drift| drift.locked != drift.found).collect()
    }

    /// Whether a library is the locked one.
    pub fn has(&self, id: &PluginId, hash: &str) -> bool {
        self.plugins.get(id).is_some_and(|locked| locked.hash == hash)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn lock(plugins: &[(&str, &str)]) -> Lock {
        Lock::of(plugins.iter().map(|(id, hash)| {
            let locked = Locked { version: "1.0.0".to_owned(), hash: (*hash).to_owned() };
            (PluginId::new(id).unwrap(), locked)
        }))
    }

    #[test]
    fn drift_names_what_is_missing_what_is_more_and_what_is_other() {
        let drift = lock(&[("a", "1"), ("b", "2"), ("c", "3")]).drift(&lock(&[
            ("a", "1"),
            ("b", "9"),
            ("d", "4"),
        ]));
        let words: Vec<String> = drift.iter().map(ToString::to_string).collect();
        assert_eq!(
            words,
            [
                "b is 1.0.0 (9) and was locked as 1.0.0 (2)",
                "c 1.0.0 (3) is missing",
                "d 1.0.0 (4) is not in the lock file"
            ]
        );
        assert!(lock(&[("a", "1")]).drift(&lock(&[("a", "1")])).is_empty());
    }

    #[test]
    fn a_lock_file_is_read_as_it_was_written_and_a_broken_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Lock::load(folder.path()), Err(LockError::Missing { .. })));
        let written = lock(&[("a", "1")]);
        written.save(folder.path()).unwrap();
        assert_eq!(Lock::load(folder.path()).unwrap(), written);
        for text in ["{", "{\"version\": 2}", "{\"version\": 1, \"plugins\": {\"a\": 1}}"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(matches!(Lock::load(folder.path()), Err(LockError::Broken { .. })), "{text}");
        }
    }
}
