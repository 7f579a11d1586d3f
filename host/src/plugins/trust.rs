//! Which libraries may run.
//!
//! A library is known by the hash of its bytes. It runs where the user said so once, where a publisher
//! whose key the user has signed it, or where it was built beside this very program. Everything else has
//! to be asked for, and nothing of it runs before.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use minisign_verify::{PublicKey, Signature};

use super::{cache::CachedLibrary, decisions::Decided, manifest::Manifest};

/// A library that may be about to run.
#[derive(Debug)]
pub struct Candidate<'a> {
    /// The file.
    pub path: &'a Path,
    /// What it says of itself, where that can be read.
    pub manifest: Option<&'a Manifest>,
    /// BLAKE3 of its bytes.
    pub hash: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

impl<'a> Candidate<'a> {
    /// A library of which there is a private copy.
    pub fn new(path: &'a Path, manifest: Option<&'a Manifest>, library: &'a CachedLibrary) -> Self {
        Self { path, manifest, hash: &library.hash, bytes: &library.bytes }
    }
}

/// Asks the user about a library that nobody knows.
pub trait Consent: std::fmt::Debug + Send + Sync {
    /// Whether it may run, now and from now on.
    fn ask(&self, candidate: &Candidate<'_>) -> bool;
}

/// Whose word counts.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Libraries that are known run; no others.
    #[default]
    Known,
    /// The same, but somebody can be asked.
    Ask(Arc<dyn Consent>),
    /// Every library runs: for programs that got them from their own build, as tests do.
    All,
}

/// Why a library is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nobody asks here.
    Unasked,
    /// The user said so.
    Decided,
    /// It is signed with the key of this name.
    Signed(String),
    /// It lies in a folder that the user trusts.
    InFolder(PathBuf),
    /// It was built in the folder in which this program was built.
    BuiltHere,
}

impl Known {
    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Unasked => "every library is trusted here".to_owned(),
            Self::Decided => "you trusted this build".to_owned(),
            Self::Signed(name) => format!("signed by {name}, whom you trust"),
            Self::InFolder(folder) => format!("in {}, which you trust", folder.display()),
            Self::BuiltHere => "built beside this program".to_owned(),
        }
    }
}

/// Where a library's signature lies: beside it, as minisign writes it.
pub fn signature_path(library: &Path) -> PathBuf {
    let mut name = OsString::from(library);
    name.push(".minisig");
    PathBuf::from(name)
}

/// Why a library is known, if it is. Nobody is asked.
pub fn known(candidate: &Candidate<'_>, decided: &Decided) -> Option<Known> {
    if decided.trusted.contains_key(candidate.hash) {
        return Some(Known::Decided);
    }
    if let Ok(path) = fs::canonicalize(candidate.path) {
        if own_target().is_some_and(|target| path.starts_with(target)) {
            return Some(Known::BuiltHere);
        }
        if let Some(folder) = decided.folders.iter().find(|folder| path.starts_with(folder)) {
            return Some(Known::InFolder(folder.clone()));
        }
    }
    signer(candidate, decided).map(|name| Known::Signed(name.to_owned()))
}

/// The trusted publisher who signed a library.
fn signer<'d>(candidate: &Candidate<'_>, decided: &'d Decided) -> Option<&'d str> {
    let text = match fs::read_to_string(signature_path(candidate.path)) {
        Ok(text) => text,
        Err(error) => {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(library = %candidate.path.display(), "its signature cannot be read: {error}");
            }
            return None;
        }
    };
    let signature = match Signature::decode(&text) {
        Ok(signature) => signature,
        Err(error) => {
            tracing::warn!(library = %candidate.path.display(), "its signature is broken: {error}");
            return None;
        }
    };
    let signed = |key: &str| {
        let key = PublicKey::from_base64(key);
        key.is_ok_and(|key| key.verify(candidate.bytes, &signature, false).is_ok())
    };
    decided.publishers.iter().find(|(key, _)| signed(key)).map(|(_, name)| name.as_str())
}

/// Whether a key is one.
///
/// # Errors
/// What is wrong with it.
pub fn check_key(key: &str) -> Result<(), String> {
    PublicKey::from_base64(key).map(|_| ()).map_err(|error| error.to_string())
}

/// The cargo target folder that this program was built into: whoever can put libraries there can change
/// the program, too.
fn own_target() -> Option<PathBuf> {
    let program = fs::canonicalize(std::env::current_exe().ok()?).ok()?;
    // What cargo leaves in every target folder.
    let marked = |folder: &&Path| folder.join(".rustc_info.json").is_file();
    program.ancestors().skip(1).find(marked).map(Path::to_owned)
}
