//! SHA-256 of weights, remembered between starts.

use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};

/// Hashes of large files in one small JSON file: a file whose path, size and time of change are
/// known is not read again.
#[derive(Debug)]
pub struct HashCache {
    path: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
struct Known {
    size: u64,
    /// Nanoseconds since 1970, as a text: JSON would round them.
    modified: String,
    sha256: String,
}

type Table = BTreeMap<PathBuf, Known>;

impl HashCache {
    /// A cache in this file, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The hash of `file` as hex: the known one, or what `compute` finds.
    ///
    /// # Errors
    /// Only `compute`'s: a cache that cannot be read or written costs time and nothing else.
    pub fn sha256<E>(
        &self,
        file: &Path,
        compute: impl FnOnce() -> Result<String, E>,
    ) -> Result<String, E> {
        let place = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let Ok((size, modified)) = stamp(&place) else { return compute() };
        let known = self.read();
        let found = known.get(&place).filter(|k| k.size == size && k.modified == modified);
        if let Some(found) = found {
            return Ok(found.sha256.clone());
        }
        let sha256 = compute()?;
        let entry = Known { size, modified, sha256: sha256.clone() };
        if let Err(error) = self.write(place, entry) {
            tracing::debug!(cache = %self.path.display(), "hash not remembered: {error}");
        }
        Ok(sha256)
    }

    /// The files whose known hash begins so; those that were changed since are left out.
    pub fn files(&self, begin: &str) -> Vec<PathBuf> {
        let begins = |known: &Known| known.sha256.starts_with(begin);
        let same = |path: &Path, known: &Known| {
            stamp(path).is_ok_and(|now| now == (known.size, known.modified.clone()))
        };
        let known = self.read().into_iter();
        known.filter(|(path, known)| begins(known) && same(path, known)).map(|it| it.0).collect()
    }

    fn read(&self) -> Table {
        let text = fs::read(&self.path).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, place: PathBuf, entry: Known) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut table = self.read();
        table.insert(place, entry);
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&table)?)?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

fn stamp(file: &Path) -> io::Result<(u64, String)> {
    let about = fs::metadata(file)?;
    let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok((about.len(), since.as_nanos().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_hashed_again_only_when_it_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = (folder.path().join("cache/hashes.json"), folder.path().join("w"));
        fs::write(&file, "one").unwrap();
        let hash = |answer: &str| {
            let compute = || Ok::<_, io::Error>(answer.to_owned());
            HashCache::new(&cache).sha256(&file, compute).unwrap()
        };
        assert_eq!(hash("first"), "first");
        assert_eq!(hash("second"), "first");
        fs::write(&file, "longer").unwrap();
        assert_eq!(hash("third"), "third");
    }

    #[test]
    fn a_broken_cache_is_no_reason_to_fail() {
        let folder = tempfile::tempdir().unwrap();
        let (cache, file) = (folder.path().join("hashes.json"), folder.path().join("w"));
        fs::write(&file, "one").unwrap();
        fs::write(&cache, "{ not json").unwrap();
        let compute = || Ok::<_, io::Error>("hash".to_owned());
        assert_eq!(HashCache::new(&cache).sha256(&file, compute).unwrap(), "hash");
        let never = || Err(io::Error::other("computed twice"));
        assert_eq!(HashCache::new(&cache).sha256(&file, never).unwrap(), "hash");
    }
}
