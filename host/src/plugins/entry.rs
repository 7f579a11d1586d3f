//! Libraries that were found, with what became of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{LoadError, Manifest, cache::CachedLibrary};

/// What became of a library.
#[derive(Debug)]
pub enum PluginState {
    /// It is called.
    Active,
    /// It is loaded but its wishes for an order contradict another's.
    InCycle {
        /// The ids, round to the first.
        path: Arc<str>,
    },
    /// It is not loaded because the options say so.
    Disabled {
        /// What says so.
        by: &'static str,
    },
    /// The host died in its hooks too often.
    Quarantined {
        /// How often.
        strikes: usize,
        /// The hook in which it did last.
        hook: String,
    },
    /// It could not be loaded.
    Failed(LoadError),
}

impl PluginState {
    /// One word for tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::InCycle { .. } => "cycle",
            Self::Disabled { .. } => "disabled",
            Self::Quarantined { .. } => "quarantined",
            Self::Failed(LoadError::Untrusted { .. }) => "untrusted",
            Self::Failed(_) => "failed",
        }
    }

    /// The reason, where there is one.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Active => None,
            Self::InCycle { path } => {
                Some(format!("its order contradicts itself: {path}; disable one of them"))
            }
            Self::Disabled { by } => Some(format!("by {by}")),
            Self::Quarantined { strikes, hook } => Some(format!(
                "not loaded: the host died in its hooks {strikes} times, the last time in {hook}; let it \
                 try again with `atelier plugins release`, or run it in a worker"
            )),
            Self::Failed(error) => Some(error.to_string()),
        }
    }
}

/// A library that was found, with what became of it.
#[derive(Debug)]
pub struct Entry {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself, where that could be read.
    pub manifest: Option<Manifest>,
    /// BLAKE3 of the file, where it could be read.
    pub hash: Option<String>,
    /// What became of it.
    pub state: PluginState,
    /// What it cost to load it, where it was.
    pub loading: Option<Loading>,
}

impl Entry {
    /// A library of which nothing is known yet.
    pub(super) fn new(path: &Path, state: PluginState) -> Self {
        Self { path: path.to_owned(), manifest: None, hash: None, state, loading: None }
    }

    /// It was looked at.
    pub(super) fn is(&mut self, manifest: &Manifest, library: &CachedLibrary) {
        self.manifest = Some(manifest.clone());
        self.hash = Some(library.hash.clone());
    }
}

/// What it cost to load a plugin.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Loading {
    /// Seconds, from opening the library to the finished plugin.
    pub seconds: f64,
    /// By how many KiB the host's resident memory grew; a worker's is in its own process.
    pub host_kib: Option<i64>,
}

/// The resident memory of a process, this one without a number, where the system tells.
pub fn resident_kib(process: Option<u32>) -> Option<i64> {
    let process = process.map_or_else(|| "self".to_owned(), |process| process.to_string());
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}
