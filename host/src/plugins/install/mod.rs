//! Plugins come to the data folder, go, and come back.
//!
//! A plugin lies in `extensions/ID`. What it replaces is moved to `replaced/ID`, and so is what is
//! removed: [`Installer::rollback`] brings it back. Nothing here runs a plugin's code, and nothing takes
//! effect in a host that runs already: it has private copies.

mod archive;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{LoadError, Loader, Manifest, PluginId, discover::discover, trust::signature_path};
use crate::files;

/// As many replaced versions of a plugin are kept.
const KEPT: usize = 5;

/// Why something cannot be installed, removed or brought back. The data folder is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The file cannot be read.
    #[error("{} cannot be read ({source}); check that it is there and readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The archive is broken, or has something in it that no plugin needs.
    #[error("{} cannot be unpacked ({reason}); get it again, or ask who made it", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file cannot be written or moved.
    #[error("{} cannot be written ({source}); check free space and rights there", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No plugin in it.
    #[error(
        "no plugin for this machine is in {} (a file that ends in .{}, in its first folder); {why}",
        path.display(),
        std::env::consts::DLL_EXTENSION
    )]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        why: String,
    },
    /// Several plugins in it.
    #[error("{} has several plugins in it ({ids}); install the library of one of them", path.display())]
    Several {
        /// The file.
        path: PathBuf,
        /// Their ids.
        ids: String,
    },
    /// Nothing of that id is installed.
    #[error("{id} is not installed in {}; `atelier plugins list` shows what is", extensions.display())]
    NotInstalled {
        /// The id.
        id: PluginId,
        /// The folder of installed plugins.
        extensions: PathBuf,
    },
    /// Nothing to go back to.
    #[error("no {what} of {id} is kept; {}", if kept.is_empty() {
        "install the file of the version that you want".to_owned()
    } else {
        format!("kept are {kept}")
    })]
    NothingKept {
        /// The id.
        id: PluginId,
        /// Which version was wanted.
        what: String,
        /// Versions that are kept.
        kept: String,
    },
}

/// A version of a plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// Its id.
    pub id: PluginId,
    /// Its version.
    pub version: String,
    /// BLAKE3 of the library, as hex.
    pub hash: String,
    /// The library.
    pub path: PathBuf,
}

/// What a change put in the place of what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// What is there now.
    pub now: Option<Version>,
    /// What was there before.
    pub before: Vec<Version>,
}

/// Changes what lies in a data folder.
#[derive(Debug)]
pub struct Installer {
    data: PathBuf,
    loader: Loader,
}

impl Installer {
    /// For a data folder; the loader looks at libraries.
    pub fn new(data: &Path, loader: Loader) -> Self {
        Self { data: data.to_owned(), loader }
    }

    /// Installs a library or an archive with one.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub fn install(&self, file: &Path) -> Result<Change, InstallError> {
        let _alone = self.alone()?;
        let staging = self.staging()?;
        archive::unpack(file, staging.path())?;
        let root = only_folder(staging.path());
        let version = self.plugin_in(&root, file)?;
        self.replace(version, &root)
    }

    /// Takes a plugin out of the installed ones. Its options and its own folder stay.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub fn remove(&self, id: &PluginId) -> Result<Change, InstallError> {
        let _alone = self.alone()?;
        let before = self.installed(id);
        if before.is_empty() {
            return Err(InstallError::NotInstalled {
                id: id.clone(),
                extensions: self.extensions(),
            });
        }
        let before = self.set_aside(before)?;
        self.forget_oldest(id, None);
        Ok(Change { now: None, before })
    }

    /// Brings back what was replaced last, or a certain version. What is there now is kept in turn.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub fn rollback(&self, id: &PluginId, wanted: Option<&str>) -> Result<Change, InstallError> {
        let _alone = self.alone()?;
        let now = self.installed(id);
        let kept: Vec<(PathBuf, Version)> = self.kept(id);
        let other = |version: &Version| now.iter().all(|now| now.hash != version.hash);
        let fits = |version: &Version| match wanted {
            Some(wanted) => version.version == wanted || version.hash.starts_with(wanted),
            None => other(version),
        };
        let Some((folder, version)) = kept.iter().rev().find(|(_, version)| fits(version)) else {
            let versions: Vec<&str> = kept.iter().map(|(_, it)| it.version.as_str()).collect();
            return Err(InstallError::NothingKept {
                id: id.clone(),
                what: wanted.map_or("other build".to_owned(), |wanted| format!("version {wanted}")),
                kept: versions.join(", "),
            });
        };
        self.replace(version.clone(), folder)
    }

    /// Moves a folder with a plugin to where installed ones are.
    fn replace(&self, version: Version, folder: &Path) -> Result<Change, InstallError> {
        let before = self.set_aside(self.installed(&version.id))?;
        let place = self.extensions().join(version.id.as_str());
        let moved = fs::create_dir_all(self.extensions()).and_then(|()| {
            // A folder of that name without a plugin in it is nobody's.
            match fs::remove_dir_all(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => fs::rename(folder, &place),
            }
        });
        moved.map_err(|source| InstallError::Write { path: place.clone(), source })?;
        self.forget_oldest(&version.id, Some(&version.hash));
        let path = place.join(version.path.file_name().unwrap_or_default());
        // The same build once more replaces nothing.
        let others = before.into_iter().filter(|it| it.hash != version.hash);
        Ok(Change { before: others.collect(), now: Some(Version { path, ..version }) })
    }

    /// The one plugin in a folder.
    fn plugin_in(&self, folder: &Path, file: &Path) -> Result<Version, InstallError> {
        let mut why = String::from("nothing that looks like a library is there");
        let mut found = Vec::new();
        for path in discover_here(folder) {
            let looked = self.loader.inspect(&path);
            match looked.and_then(|looked| looked.0.check().map(|()| looked)) {
                Ok((manifest, library)) => found.push(version(&manifest, library.hash, path)),
                Err(LoadError::NoManifest) => {
                    why = String::from("a library is there, but it is no Atelier plugin");
                }
                Err(error) => why = error.to_string(),
            }
        }
        match found.len() {
            0 => Err(InstallError::Nothing { path: file.to_owned(), why }),
            1 => Ok(found.remove(0)),
            _ => {
                let ids: Vec<&str> = found.iter().map(|it| it.id.as_str()).collect();
                Err(InstallError::Several { path: file.to_owned(), ids: ids.join(", ") })
            }
        }
    }

    /// What is installed under an id; more than one where somebody copied files by hand.
    fn installed(&self, id: &PluginId) -> Vec<Version> {
        self.versions(discover(&self.extensions()).unwrap_or_default(), id)
    }

    fn versions(&self, paths: Vec<PathBuf>, id: &PluginId) -> Vec<Version> {
        let looked = paths.into_iter().filter_map(|path| {
            let (manifest, library) = self.loader.inspect(&path).ok()?;
            (manifest.id == *id).then(|| version(&manifest, library.hash, path))
        });
        looked.collect()
    }

    /// Moves versions to where replaced ones are. Returns them with their paths there.
    fn set_aside(&self, versions: Vec<Version>) -> Result<Vec<Version>, InstallError> {
        versions.into_iter().map(|version| self.set_one_aside(version)).collect()
    }

    fn set_one_aside(&self, version: Version) -> Result<Version, InstallError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| InstallError::Write { path, source }
        };
        let all = self.replaced(&version.id);
        fs::create_dir_all(&all).map_err(failed(&all))?;
        let millis = jiff::Timestamp::now().as_millisecond();
        let place = all.join(format!("{millis:014}-{}", &version.hash[..16]));
        let name = version.path.file_name().unwrap_or_default();
        let folder = version.path.parent().unwrap_or(&self.data);
        if folder != self.extensions() && discover_here(folder).len() == 1 {
            fs::rename(folder, &place).map_err(failed(&place))?;
        } else {
            // Others live in that folder.
            fs::create_dir_all(&place).map_err(failed(&place))?;
            fs::rename(&version.path, place.join(name)).map_err(failed(&place))?;
            let (from, to) = (signature_path(&version.path), signature_path(&place.join(name)));
            match fs::rename(from, &to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&to)(error));
                }
                _ => {}
            }
        }
        Ok(Version { path: place.join(name), ..version })
    }

    /// The replaced versions of a plugin with their folders, the oldest first.
    fn kept(&self, id: &PluginId) -> Vec<(PathBuf, Version)> {
        let kept = self.versions(discover(&self.replaced(id)).unwrap_or_default(), id);
        let folder = |version: Version| Some((version.path.parent()?.to_owned(), version));
        kept.into_iter().filter_map(folder).collect()
    }

    /// Keeps the newest of each build but the installed one, and not too many.
    fn forget_oldest(&self, id: &PluginId, installed: Option<&str>) {
        let mut builds: BTreeSet<String> = installed.map(str::to_owned).into_iter().collect();
        let mut left = KEPT;
        for (folder, version) in self.kept(id).iter().rev() {
            if left > 0 && builds.insert(version.hash.clone()) {
                left -= 1;
                continue;
            }
            if let Err(error) = fs::remove_dir_all(folder) {
                tracing::warn!(folder = %folder.display(), "an old version stays: {error}");
            }
        }
    }

    fn extensions(&self) -> PathBuf {
        self.data.join("extensions")
    }

    fn replaced(&self, id: &PluginId) -> PathBuf {
        self.data.join("replaced").join(id.as_str())
    }

    /// A folder beside the others, so that what is in it can be moved to them in one step.
    fn staging(&self) -> Result<tempfile::TempDir, InstallError> {
        let cache = self.data.join("cache");
        fs::create_dir_all(&cache)
            .and_then(|()| tempfile::Builder::new().prefix("install-").tempdir_in(&cache))
            .map_err(|source| InstallError::Write { path: cache, source })
    }

    /// One change at a time.
    fn alone(&self) -> Result<File, InstallError> {
        let path = self.data.join("cache").join("install.lock");
        files::alone(&path).map_err(|source| InstallError::Write { path, source })
    }
}

fn version(manifest: &Manifest, hash: String, path: PathBuf) -> Version {
    Version { id: manifest.id.clone(), version: manifest.version.clone(), hash, path }
}

/// The libraries in a folder itself.
fn discover_here(folder: &Path) -> Vec<PathBuf> {
    let found = discover(folder).unwrap_or_default();
    found.into_iter().filter(|path| path.parent() == Some(folder)).collect()
}

/// Archives often have everything in one folder.
fn only_folder(folder: &Path) -> PathBuf {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .map(|listing| listing.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    match entries.as_slice() {
        [only] if only.is_dir() => only.clone(),
        _ => folder.to_owned(),
    }
}
