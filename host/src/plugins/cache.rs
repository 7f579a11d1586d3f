//! The private copy that is really loaded.
//!
//! A plugin is loaded from a copy whose name is its hash, in a folder that only this user may enter:
//! what was checked is what runs, and the original may be built anew while the copy is in use
//! (overwriting a mapped library kills the process).

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use super::error::LoadError;

/// A private copy of a plugin's library.
#[derive(Debug)]
pub struct CachedLibrary {
    /// Where it is.
    pub path: PathBuf,
    /// BLAKE3 of its bytes, as hex.
    pub hash: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The folder of the copies below a data folder. Users who share a data folder have one each.
pub fn folder(data: &Path) -> PathBuf {
    of_this_user(data, "plugins")
}

/// The folder of the pages in which this user's processes note who is in charge.
pub fn crumbs(data: &Path) -> PathBuf {
    of_this_user(data, "crumbs")
}

fn of_this_user(data: &Path, name: &str) -> PathBuf {
    let name = match user() {
        Some(user) => format!("{name}-{user}"),
        None => name.to_owned(),
    };
    data.join("cache").join(name)
}

/// This process's user, as its own files in `/proc` have it; elsewhere nobody shares.
#[cfg(unix)]
fn user() -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").ok().map(|own| own.uid())
}

#[cfg(not(unix))]
fn user() -> Option<u32> {
    None
}

/// Copies a library into `folder`, unless the same one is there already.
///
/// # Errors
/// [`LoadError::Read`] and [`LoadError::Cache`].
pub fn copy(source: &Path, folder: &Path) -> Result<CachedLibrary, LoadError> {
    let read = |error| LoadError::Read { path: source.to_owned(), source: error };
    let mut bytes = Vec::new();
    File::open(source).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(read)?;
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let path = folder.join(format!("{hash}{}", std::env::consts::DLL_SUFFIX));
    let failed = |error| LoadError::Cache { path: path.clone(), source: error };
    // Closed first: what nobody else may change is looked at then.
    fs::create_dir_all(folder).and_then(|()| private(folder, 0o700)).map_err(failed)?;
    let same = fs::read(&path).is_ok_and(|there| there == bytes);
    if !same {
        place(folder, &path, &bytes).map_err(failed)?;
    }
    Ok(CachedLibrary { path, hash, bytes })
}

/// Writes the copy beside its final name and renames it, so that nobody ever opens half of it.
fn place(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    private(file.path(), 0o400)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(unix)]
fn private(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn private(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
