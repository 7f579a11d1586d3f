//! `config.json`: what was set on purpose, in A1111's layout.
//!
//! One JSON object, indented by four, holding explicitly set and unknown keys only. Several
//! processes may save: each takes the lock file, reads again, changes its own keys and leaves
//! those of others. A reader sees the old file or the new one and nothing between.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize as _;
use serde_json::{Map, Value as Json};

use super::error::ConfigError;
use crate::files;

/// A `config.json`.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    /// What the file held when it was last whole.
    last: Mutex<Map<String, Json>>,
}

/// A file that was read.
#[derive(Debug)]
pub struct Loaded {
    /// The file, for saving.
    pub file: ConfigFile,
    /// Every key that it holds, none checked yet.
    pub values: Map<String, Json>,
    /// What was done about its faults.
    pub report: ConfigReport,
}

/// What was found wrong or old in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigReport {
    /// A file that was no JSON object and where it is now.
    pub set_aside: Option<SetAside>,
    /// Keys of older versions that were carried over.
    pub migrated: Vec<Migration>,
}

/// A broken file, kept under another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Its new name.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// A key of an older A1111 whose value was carried over to its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The old key, which stays in the file.
    pub from: &'static str,
    /// The new one.
    pub to: &'static str,
}

impl ConfigFile {
    /// Reads a file; one that is missing holds nothing. One that is broken is renamed to
    /// `config.json.broken-<time>` and reported.
    ///
    /// # Errors
    /// [`ConfigError`] if the file cannot be read, or is broken and cannot be renamed.
    pub fn load(path: impl Into<PathBuf>) -> Result<Loaded, ConfigError> {
        let file = Self { path: path.into(), last: Mutex::default() };
        let path = file.target();
        let (values, report) = if let Ok(values) = read(&path)? {
            migrated(values)
        } else {
            // Another process may be at the same thing: look again when it is our turn.
            let _lock = lock(&path)?;
            read_or_set_aside(&path)?
        };
        file.remember(&values);
        Ok(Loaded { file, values, report })
    }

    /// The file's path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets these keys in the file and leaves all others as they are there now.
    ///
    /// # Errors
    /// [`ConfigError`]; the file then is as it was.
    pub fn save(&self, changes: Map<String, Json>) -> Result<ConfigReport, ConfigError> {
        let path = self.target();
        let _lock = lock(&path)?;
        let (mut values, report) = read_or_set_aside(&path)?;
        if report.set_aside.is_some() {
            values.clone_from(&self.last.lock().unwrap_or_else(PoisonError::into_inner));
        }
        values.extend(changes);
        replace(&path, &values).map_err(|source| write_error(&path, source))?;
        self.remember(&values);
        Ok(report)
    }

    /// Where the file really is: a link stays a link when the file behind it is replaced.
    fn target(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn remember(&self, values: &Map<String, Json>) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(values);
    }
}

/// The object in the file, or why it is none.
fn read(path: &Path) -> Result<Result<Map<String, Json>, String>, ConfigError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).map_err(|error| error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Ok(Map::new())),
        Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
    }
}

/// As [`read`], under the lock; a broken file makes way.
fn read_or_set_aside(path: &Path) -> Result<(Map<String, Json>, ConfigReport), ConfigError> {
    let reason = match read(path)? {
        Ok(values) => return Ok(migrated(values)),
        Err(reason) => reason,
    };
    let aside = unused_name(path);
    fs::rename(path, &aside).map_err(|source| write_error(&aside, source))?;
    tracing::warn!(file = %path.display(), aside = %aside.display(), reason, "broken file set aside");
    let set_aside = Some(SetAside { path: aside, reason });
    Ok((Map::new(), ConfigReport { set_aside, ..ConfigReport::default() }))
}

/// `config.json.broken-<time>`, numbered if that is taken.
fn unused_name(path: &Path) -> PathBuf {
    let time = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let first = suffixed(path, &format!(".broken-{time}"));
    let numbered = (2..).map(|n| suffixed(path, &format!(".broken-{time}-{n}")));
    std::iter::once(first.clone()).chain(numbered).find(|name| !name.exists()).unwrap_or(first)
}

/// The three renamings that A1111 v1.10.1 does on load. The old key stays, for older programs.
fn migrated(mut values: Map<String, Json>) -> (Map<String, Json>, ConfigReport) {
    let not: fn(&Json) -> Option<Json> = |old| old.as_bool().map(|old| Json::Bool(!old));
    let names: fn(&Json) -> Option<Json> = |old| {
        let names = old.as_str().filter(|names| !names.is_empty())?;
        Some(names.split(',').map(str::trim).collect())
    };
    let renamings = [
        ("sd_vae_as_default", "sd_vae_overrides_per_model_preferences", not),
        ("quicksettings", "quicksettings_list", names),
        ("ui_reorder", "ui_reorder_list", names),
    ];
    let mut report = ConfigReport::default();
    for (from, to, convert) in renamings {
        let Some(new) = values.get(from).and_then(convert) else { continue };
        if values.get(to).is_none_or(Json::is_null) {
            values.insert(to.to_owned(), new);
            report.migrated.push(Migration { from, to });
        }
    }
    (values, report)
}

/// Waits for the lock that every writer of this file takes; dropping it gives it back.
fn lock(path: &Path) -> Result<File, ConfigError> {
    let path = suffixed(path, ".lock");
    files::alone(&path).map_err(|source| write_error(&path, source))
}

/// Writes beside the file and renames, so that a crash leaves the old file or the new one.
fn replace(path: &Path, values: &Map<String, Json>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut new = new_file(path, folder)?;
    let indent = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut text = Vec::new();
    values.serialize(&mut serde_json::Serializer::with_formatter(&mut text, indent))?;
    new.write_all(&text)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The new name lasts once the folder does. Only Unix opens folders.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// A file with the permissions of the one that it will replace.
fn new_file(path: &Path, folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".config-");
    #[cfg(unix)]
    let anybody = {
        use std::os::unix::fs::PermissionsExt as _;
        fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(anybody);
    let new = builder.tempfile_in(folder)?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    Ok(new)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn write_error(path: &Path, source: io::Error) -> ConfigError {
    ConfigError::Write { path: path.to_owned(), source }
}
