//! What a guest in a process can leave behind, as Linux shows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcessState {
    /// Its threads.
    pub(super) threads: BTreeSet<String>,
    /// Its open descriptors, and what they lead to.
    pub(super) descriptors: BTreeMap<u32, PathBuf>,
    /// The current folder.
    pub(super) folder: PathBuf,
    /// Environment variables.
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// Signals that are caught or ignored, and the mask for new files, as `/proc/self/status` has them.
    pub(super) status: BTreeMap<String, String>,
}

impl ProcessState {
    /// This process now.
    pub(super) fn now() -> Self {
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
        };
        // What a check itself has open is named `crumbs`.
        let own = |target: &Path| target.file_name().is_some_and(|name| name == "crumbs");
        let descriptors = names("/proc/self/fd").into_iter().filter_map(|name| {
            // The one that lists the folder is gone by now.
            let target = fs::read_link(format!("/proc/self/fd/{name}")).ok()?;
            (!own(&target)).then_some((name.parse().ok()?, target))
        });
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kept = ["SigCgt", "SigIgn", "SigBlk", "Umask"];
        let status = status.lines().filter_map(|line| line.split_once(':'));
        let status = status.filter(|(name, _)| kept.contains(name));
        Self {
            threads: names("/proc/self/task").into_iter().collect(),
            descriptors: descriptors.collect(),
            folder: std::env::current_dir().unwrap_or_default(),
            environment: std::env::vars_os().collect(),
            status: status
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        }
    }

    /// What is different now in what a guest has no business to change.
    pub(super) fn changed_since(&self, before: &Self) -> Vec<String> {
        let mut changed = Vec::new();
        if self.folder != before.folder {
            changed.push(format!("the current folder is {} now", self.folder.display()));
        }
        for (name, value) in &self.environment {
            if before.environment.get(name) != Some(value) {
                changed.push(format!("the environment variable {} was set", name.display()));
            }
        }
        for name in before.environment.keys() {
            if !self.environment.contains_key(name) {
                changed.push(format!("the environment variable {} was removed", name.display()));
            }
        }
        let meaning = |name: &str| match name {
            "SigCgt" => "signals are caught that were not",
            "SigIgn" => "signals are ignored that were not",
            "SigBlk" => "signals are blocked that were not",
            _ => "the mask for new files (umask) was changed",
        };
        for (name, value) in &self.status {
            if before.status.get(name) != Some(value) {
                changed.push(meaning(name).to_owned());
            }
        }
        changed
    }
}

/// Resident memory of this process in bytes.
pub(super) fn resident() -> u64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4096
}

/// All files below a folder with their sizes.
pub(super) fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, u64>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => walk(&path, found),
                _ => _ = found.insert(path, entry.metadata().map_or(0, |meta| meta.len())),
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, &mut found);
    found
}

/// Runs something with standard output and error led into a file; returns what was written.
///
/// # Errors
/// Where they cannot be led elsewhere or back.
pub(super) fn captured<T>(work: impl FnOnce() -> T) -> io::Result<(T, String)> {
    use rustix::{io::dup, stdio};
    use std::io::{Read as _, Seek as _, Write as _};
    let mut file = tempfile::tempfile()?;
    let (out, err) = (dup(stdio::stdout())?, dup(stdio::stderr())?);
    io::stdout().flush()?;
    stdio::dup2_stdout(&file)?;
    stdio::dup2_stderr(&file)?;
    let answer = work();
    let back = stdio::dup2_stdout(&out).and_then(|()| stdio::dup2_stderr(&err));
    back?;
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok((answer, String::from_utf8_lossy(&bytes).into_owned()))
}
