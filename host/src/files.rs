//! Files that several processes may read and write.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

/// Waits until nobody else has the lock file at `path`; dropping the file gives it back.
pub(crate) fn alone(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::options().create(true).append(true).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Writes a file that is this user's alone, beside its name first: a crash leaves the old one or the new
/// one.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map(|_| ()).map_err(|error| error.error)
}
