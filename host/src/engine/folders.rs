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
    for path in below(folder, is_safetensors) {
        if let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && !found.iter().any(|known| known.name == name)
        {
            found.push(NetworkFile { name: name.to_owned(), path });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// What is `wanted` in a folder and in those below it, the upper ones first. A folder that is wanted is
/// not looked through.
pub(super) fn below(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut level = vec![folder.to_owned()];
    for _ in 0..=DEEPEST {
        let paths = level.iter().flat_map(|folder| entries(folder));
        let (new, rest): (Vec<_>, Vec<_>) = paths.partition(|path| wanted(path));
        found.extend(new);
        level = rest.into_iter().filter(|path| path.is_dir()).collect();
    }
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
