//! Files of networks in folders.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::run::pipeline::NetworkFile;

/// Folders within folders are looked through to this depth.
const DEEPEST: usize = 8;

/// The files in a folder and in those below it, by their names; of two with one name the first counts.
pub(super) fn networks(folder: &Path) -> Vec<NetworkFile> {
    let mut found: Vec<NetworkFile> = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                if depth < DEEPEST {
                    open.push((path, depth + 1));
                }
            } else if is_safetensors(&path)
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
                && !found.iter().any(|known| known.name == name)
            {
                found.push(NetworkFile { name: name.to_owned(), path });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// What is in a folder, in the order of names; nothing where there is none.
pub(super) fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

pub(super) fn is_safetensors(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

/// When each file was changed: one that is trained further is read again.
pub(super) fn changes<'a>(
    files: impl IntoIterator<Item = &'a NetworkFile>,
) -> Vec<Option<SystemTime>> {
    let changed = |file: &NetworkFile| fs::metadata(&file.path).ok()?.modified().ok();
    files.into_iter().map(changed).collect()
}
