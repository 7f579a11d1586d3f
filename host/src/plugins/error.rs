//! Why a plugin is not loaded. Each is a sentence a user can act on.

use std::{io, path::PathBuf};

use atelier_plugin_abi::{host::CallFailure, version::AbiVersion};

use super::id::PluginId;
use crate::options::SchemaError;

/// Why a plugin is not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{} cannot be read ({source}); check that it is there and readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Its path cannot be told to it.
    #[error("{} is no path in UTF-8, and plugins get paths as text; rename or move the file", path.display())]
    Path {
        /// The file.
        path: PathBuf,
    },
    /// The private copy cannot be made.
    #[error("the plugin cannot be copied to {} ({source}); check free space and rights there", path.display())]
    Cache {
        /// Where the copy would go.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No dynamic library.
    #[error("this is no dynamic library ({reason}); give the file that cargo built as a cdylib")]
    NotALibrary {
        /// What the reader found instead.
        reason: String,
    },
    /// A library for another kind of machine.
    #[error("built for {found}, this machine is {wanted}; build the plugin for this machine")]
    Machine {
        /// What the file is for.
        found: String,
        /// What this host runs on.
        wanted: &'static str,
    },
    /// The file ends too early.
    #[error("cut off: {need} bytes are needed, {have} are there; copy or build the file again")]
    Truncated {
        /// Bytes that the headers speak of.
        need: u64,
        /// Bytes of the file.
        have: u64,
    },
    /// A library without a manifest.
    #[error("a library, but no Atelier plugin: it has no manifest; build it with #[plugin]")]
    NoManifest,
    /// A manifest that cannot be read.
    #[error(
        "its manifest cannot be read ({}); build it with a released atelier-plugin-api",
        one_line(reason)
    )]
    BadManifest {
        /// What is wrong.
        reason: String,
    },
    /// Another major version of the ABI.
    #[error("built for plugin ABI {plugin}, this host runs {host}; build it with an atelier-plugin-api for ABI {}", host.major)]
    Version {
        /// The plugin's.
        plugin: AbiVersion,
        /// The host's.
        host: AbiVersion,
    },
    /// A plugin that has to be in a worker, where there are none.
    #[error("{why}, and this host has no workers; {remedy}")]
    NoWorkers {
        /// Why it has to.
        why: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// The worker does not come up, or the library does not in it.
    #[error("{reason}")]
    Worker {
        /// What the worker said, or how it ended.
        reason: String,
    },
    /// The system's loader refuses.
    #[error(
        "the system cannot load it ({}); build it on this system, with every library it needs",
        one_line(reason)
    )]
    Open {
        /// The loader's words.
        reason: String,
    },
    /// No root module.
    #[error("it has a manifest but does not export a plugin; build it with #[plugin]")]
    NoModule,
    /// Another version of `abi_stable`.
    #[error(
        "built with abi_stable {plugin}, this host needs {host}; build it with the atelier-plugin-api that this host names"
    )]
    AbiStable {
        /// The plugin's.
        plugin: String,
        /// The host's.
        host: String,
    },
    /// Types of the boundary that differ.
    #[error(
        "its view of the boundary differs from the host's: {difference}; build it with an unchanged atelier-plugin-api"
    )]
    Layout {
        /// Path and kind of the first difference.
        difference: String,
        /// The whole report.
        report: String,
    },
    /// A manifest that the code contradicts.
    #[error(
        "its code tells another manifest than its file: {difference}; build it again, and do not edit the library"
    )]
    ManifestDiffers {
        /// Which field.
        difference: String,
    },
    /// Declared options or arguments that cannot be read.
    #[error(
        "what it declares cannot be read ({}); build it with a released atelier-plugin-api",
        one_line(reason)
    )]
    Declaration {
        /// What is wrong.
        reason: String,
    },
    /// Declared options that the host does not take.
    #[error("its options are refused: {0}")]
    Options(#[from] SchemaError),
    /// The plugin itself failed while it was made.
    #[error("it failed while it was made ({}); mend that, or disable it in disabled_extensions", one_line(&.0.to_string()))]
    Create(CallFailure),
    /// A library that nobody has trusted.
    #[error(
        "this build of it is not trusted, and its code can do whatever you can; if you trust it: atelier \
         plugins trust {}",
        path.display()
    )]
    Untrusted {
        /// The file.
        path: PathBuf,
    },
    /// A library that the lock file does not have.
    #[error("{id} is not the one in the lock file; see `atelier plugins verify`")]
    NotLocked {
        /// Its id.
        id: PluginId,
    },
    /// A second plugin with the same id.
    #[error("another plugin with id “{id}” is loaded already, from {}; remove one of them", other.display())]
    DuplicateId {
        /// The id.
        id: PluginId,
        /// The one that is loaded.
        other: PathBuf,
    },
}

/// As many bytes of foreign words as a sentence has room for.
const MAX_WORDS: usize = 240;

/// Words of somebody else, who may have written pages, as a part of a sentence.
pub(super) fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > MAX_WORDS {
        let end = (0..=MAX_WORDS).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        line.truncate(end);
        line.push('…');
    }
    line
}
