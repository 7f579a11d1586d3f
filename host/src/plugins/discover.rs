//! Where plugins are looked for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The libraries in a folder and in its sub-folders (`extensions/<name>/lib….so`), sorted by name.
/// A folder that is not there has none.
///
/// # Errors
/// Where a folder cannot be read.
pub fn discover(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in entries(folder)? {
        if entry.is_dir() {
            found.extend(entries(&entry)?.into_iter().filter(|path| is_library(path)));
        } else if is_library(&entry) {
            found.push(entry);
        }
    }
    Ok(found)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut paths =
        listing.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn is_library(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    path.is_file() && ending == Some(std::env::consts::DLL_EXTENSION)
}
