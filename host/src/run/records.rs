//! Where records live.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::record::{RecordError, RunRecord, RunState};
use crate::options::Snapshot;

/// A place for records, snapshots and input pictures.
pub trait RecordStore: fmt::Debug + Send + Sync {
    /// Keeps a record, over its earlier state.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn put(&self, record: &RunRecord) -> Result<(), RecordError>;

    /// A record by id, or by the beginning of one.
    ///
    /// # Errors
    /// Where there is none, or several.
    fn get(&self, id: &str) -> Result<RunRecord, RecordError>;

    /// The last runs, newest first.
    ///
    /// # Errors
    /// Where the place cannot be read.
    fn last(&self, count: usize) -> Result<Vec<RunRecord>, RecordError>;

    /// Keeps a snapshot's canonical JSON, once per digest.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), RecordError>;

    /// Keeps bytes under their BLAKE3, and says it (hex).
    ///
    /// # Errors
    /// Where it cannot be written.
    fn put_blob(&self, bytes: &[u8]) -> Result<String, RecordError>;
}

/// Records as files: `runs/<id>.json`, `snapshots/<digest>.json`, `blobs/<hash>`.
#[derive(Debug)]
pub struct FileRecords {
    folder: PathBuf,
    /// Locks on the marks of the runs that go on in this process, by run: whoever can take one knows
    /// that the run's process is gone.
    active: Mutex<BTreeMap<String, File>>,
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let placed = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut builder = tempfile::Builder::new();
        // As any other file of the user's, not for the user alone as temporary files are.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    placed().map_err(|source| RecordError::Write { path: path.to_owned(), source })
}

impl FileRecords {
    /// Records in a folder. Runs whose process is gone are marked as interrupted.
    pub fn open(folder: impl Into<PathBuf>) -> Self {
        let records = Self { folder: folder.into(), active: Mutex::default() };
        records.mark_interrupted();
        records
    }

    fn run(&self, id: &str) -> PathBuf {
        self.folder.join("runs").join(format!("{id}.json"))
    }

    /// One empty file per run that is not over: so a start need not read every record.
    fn active(&self, id: &str) -> PathBuf {
        self.folder.join("runs").join("active").join(id)
    }

    fn mark_interrupted(&self) {
        let Ok(entries) = fs::read_dir(self.folder.join("runs").join("active")) else { return };
        for entry in entries.flatten() {
            let Some(id) = entry.file_name().to_str().map(str::to_owned) else { continue };
            let Ok(mark) = File::open(entry.path()) else { continue };
            if mark.try_lock().is_err() {
                // It goes on, in this process or another.
                continue;
            }
            match Self::read(&self.run(&id)) {
                Ok(mut record) if !record.state.is_final() => {
                    record.state = RunState::Interrupted;
                    record.error = Some("the process ended before the run did".to_owned());
                    if let Err(error) = self.put(&record) {
                        tracing::warn!("run {id} cannot be marked as interrupted: {error}");
                    }
                }
                // Closed, or never written: the mark was left behind.
                _ => _ = fs::remove_file(entry.path()),
            }
        }
    }

    /// Marks a run as going on, for as long as this process lives.
    fn hold(&self, id: &str) -> Result<(), RecordError> {
        let mut held = self.active.lock().unwrap_or_else(PoisonError::into_inner);
        if held.contains_key(id) {
            return Ok(());
        }
        let path = self.active(id);
        let marked = || -> io::Result<File> {
            fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
            let mark = File::create(&path)?;
            mark.lock()?;
            Ok(mark)
        };
        let mark = marked().map_err(|source| RecordError::Write { path: path.clone(), source })?;
        held.insert(id.to_owned(), mark);
        Ok(())
    }

    fn read(path: &Path) -> Result<RunRecord, RecordError> {
        let text = fs::read_to_string(path)
            .map_err(|source| RecordError::Read { path: path.to_owned(), source })?;
        serde_json::from_str(&text).map_err(|error| RecordError::Damaged {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }

    /// Ids, newest first.
    fn ids(&self) -> Result<Vec<String>, RecordError> {
        let folder = self.folder.join("runs");
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(RecordError::Read { path: folder, source }),
            Ok(entries) => entries,
        };
        let stem = |entry: fs::DirEntry| {
            let path = entry.path();
            let json = path.extension().is_some_and(|ending| ending == "json");
            json.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
        };
        let mut ids: Vec<String> = entries.flatten().filter_map(stem).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }
}

impl RecordStore for FileRecords {
    fn put(&self, record: &RunRecord) -> Result<(), RecordError> {
        if !record.state.is_final() {
            self.hold(&record.id)?;
        }
        let bytes = serde_json::to_vec_pretty(record).map_err(|error| RecordError::Damaged {
            path: self.run(&record.id),
            reason: error.to_string(),
        })?;
        write(&self.run(&record.id), &bytes)?;
        if record.state.is_final() {
            // A mark that stays is looked at again at the next start.
            let _ = fs::remove_file(self.active(&record.id));
            self.active.lock().unwrap_or_else(PoisonError::into_inner).remove(&record.id);
        }
        Ok(())
    }

    fn get(&self, id: &str) -> Result<RunRecord, RecordError> {
        let ids = self.ids()?;
        // The end of an id tells runs apart, its beginning is the time; either will do.
        let matches = |known: &&String| known.starts_with(id) || known.ends_with(id);
        let mut found = ids.iter().filter(matches);
        if id == "last" {
            // A child run is part of another one.
            let mut runs = ids.iter().map(|id| Self::read(&self.run(id)));
            let top = runs.find(|run| run.as_ref().map_or(true, |run| run.parent.is_none()));
            return top.unwrap_or_else(|| Err(RecordError::Unknown(id.to_owned())));
        }
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            (Some(_), Some(_)) => return Err(RecordError::Ambiguous(id.to_owned())),
            (None, _) => None,
        }
        .map_or_else(|| Err(RecordError::Unknown(id.to_owned())), |id| Self::read(&self.run(id)))
    }

    fn last(&self, count: usize) -> Result<Vec<RunRecord>, RecordError> {
        let ids = self.ids()?;
        let mut records = Vec::new();
        for id in ids.iter().take(count) {
            match Self::read(&self.run(id)) {
                Ok(record) => records.push(record),
                Err(error) => tracing::warn!("{error}"),
            }
        }
        Ok(records)
    }

    fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), RecordError> {
        let name = format!("{}.json", snapshot.digest());
        let path = self.folder.join("snapshots").join(name);
        if path.exists() { Ok(()) } else { write(&path, &snapshot.canonical_bytes()) }
    }

    fn put_blob(&self, bytes: &[u8]) -> Result<String, RecordError> {
        let hash = blake3::hash(bytes).to_hex().to_string();
        let path = self.folder.join("blobs").join(&hash);
        if !path.exists() {
            write(&path, bytes)?;
        }
        Ok(hash)
    }
}
