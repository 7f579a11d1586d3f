//! `plugins.json`: what the user decided about plugins, and what they did to the host.
//!
//! Several processes may change it: each takes the lock file, reads again, changes and replaces.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{crumbs::Culprit, id::PluginId, isolation::Needs, manifest::Manifest};
use crate::files;

/// Strikes after which a library is not loaded any more.
pub const MOST_STRIKES: usize = 3;

/// The file.
#[derive(Clone, Debug)]
pub struct Decisions {
    path: PathBuf,
}

/// What is in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Decided {
    /// Libraries that may run, by BLAKE3.
    #[serde(default)]
    pub trusted: BTreeMap<String, Trusted>,
    /// Folders in which everything may run: those that the user builds plugins in.
    #[serde(default)]
    pub folders: BTreeSet<PathBuf>,
    /// Keys whose signed libraries may run, in minisign's form, with the name that the user gave.
    #[serde(default)]
    pub publishers: BTreeMap<String, String>,
    /// What plugins may use in their workers beyond what every plugin may.
    #[serde(default)]
    pub granted: BTreeMap<PluginId, Needs>,
    /// Processes that died in a plugin's hook.
    #[serde(default)]
    pub strikes: Vec<Strike>,
}

/// A library that the user trusts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trusted {
    /// Its plugin; empty where it does not say.
    pub id: String,
    /// Its version.
    pub version: String,
    /// When it was decided.
    pub since: jiff::Timestamp,
}

/// A process that died in a plugin's hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Strike {
    /// The plugin.
    pub plugin: String,
    /// BLAKE3 of its library.
    pub hash: String,
    /// The hook, or `loading`.
    pub hook: String,
    /// When it was noticed.
    pub noticed: jiff::Timestamp,
}

/// Why the file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{} {what} ({reason}); {remedy}", path.display())]
pub struct DecisionsError {
    /// The file.
    pub path: PathBuf,
    what: &'static str,
    reason: String,
    remedy: &'static str,
}

impl Decided {
    /// The strikes of a library.
    pub fn strikes(&self, plugin: &PluginId, hash: &str) -> impl Iterator<Item = &Strike> {
        let own = move |strike: &&Strike| strike.plugin == plugin.as_str() && strike.hash == hash;
        self.strikes.iter().filter(own)
    }

    /// Trusts a library.
    pub fn trust(&mut self, manifest: Option<&Manifest>, hash: &str) {
        let trusted = Trusted {
            id: manifest.map(|manifest| manifest.id.to_string()).unwrap_or_default(),
            version: manifest.map(|manifest| manifest.version.clone()).unwrap_or_default(),
            since: jiff::Timestamp::now(),
        };
        self.trusted.insert(hash.to_owned(), trusted);
    }

    /// Notes who was in charge when a process died.
    pub fn blame(&mut self, culprits: &[Culprit]) {
        let noticed = jiff::Timestamp::now();
        let in_charge = culprits.iter().filter(|culprit| culprit.in_charge);
        self.strikes.extend(in_charge.map(|culprit| Strike {
            plugin: culprit.plugin.clone(),
            hash: culprit.hash.clone(),
            hook: culprit.hook.clone(),
            noticed,
        }));
    }
}

impl Decisions {
    /// The file of a data folder.
    pub fn of(data: &Path) -> Self {
        Self { path: data.join("plugins.json") }
    }

    /// What is decided; nothing where there is no file.
    ///
    /// # Errors
    /// A file that cannot be read, or is broken.
    pub fn load(&self) -> Result<Decided, DecisionsError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Decided::default()),
            Err(error) => return Err(self.error("cannot be read", &error, "check its rights")),
        };
        serde_json::from_slice(&text).map_err(|error| {
            self.error("is broken", &error, "mend it, or remove it and decide anew")
        })
    }

    /// Decides something more.
    ///
    /// # Errors
    /// As [`Decisions::load`], and a file that cannot be written; then it is as before.
    pub fn change<T>(&self, change: impl FnOnce(&mut Decided) -> T) -> Result<T, DecisionsError> {
        let failed =
            |error: io::Error| self.error("cannot be written", &error, "check space and rights");
        let _alone = files::alone(&self.path.with_extension("lock")).map_err(failed)?;
        let mut decided = self.load()?;
        let outcome = change(&mut decided);
        let text = serde_json::to_vec_pretty(&decided).map_err(|error| failed(error.into()))?;
        files::replace(&self.path, &text).map_err(failed)?;
        Ok(outcome)
    }

    fn error(
        &self,
        what: &'static str,
        reason: &dyn std::fmt::Display,
        remedy: &'static str,
    ) -> DecisionsError {
        DecisionsError { path: self.path.clone(), what, reason: reason.to_string(), remedy }
    }
}
