//! What a library says of itself, read without running any of its code.

use atelier_plugin_abi::{
    Hook, manifest,
    version::{ABI_VERSION, AbiVersion},
};
use object::{Object as _, ObjectSection as _};
use serde::{Deserialize, Serialize};

use super::{
    error::LoadError,
    id::PluginId,
    isolation::{Isolation, Needs},
};

/// A plugin's manifest. Fields that this host does not know are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Id.
    pub id: PluginId,
    /// What people see.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// The version of the ABI it was built for, `major.minor`.
    pub abi: String,
    /// How it was built to panic: `unwind`, `abort`, or `none` in a language without panics.
    pub panic: PanicStrategy,
    /// The hooks it has, by name.
    pub hooks: Vec<String>,
    /// Plugins that come after it: `id`, or `id:hook` for one hook.
    #[serde(default)]
    pub before: Vec<String>,
    /// Plugins that come before it.
    #[serde(default)]
    pub after: Vec<String>,
    /// Where it wants to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// What it needs beyond what every plugin may use in a worker.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
}

/// What a plugin's panic does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PanicStrategy {
    /// It can be caught.
    Unwind,
    /// It ends the process.
    Abort,
    /// There are none: the plugin is not written in Rust.
    None,
}

impl Manifest {
    /// The manifest of a library's bytes.
    ///
    /// # Errors
    /// A file that is no library, has no manifest, or a damaged one.
    pub fn of_library(bytes: &[u8]) -> Result<Self, LoadError> {
        let file = object::File::parse(bytes)
            .map_err(|error| LoadError::NotALibrary { reason: error.to_string() })?;
        let section = file
            .sections()
            .find(|section| section.name().is_ok_and(|name| name.ends_with("atelier")))
            .ok_or(LoadError::NoManifest)?;
        let data =
            section.data().map_err(|error| LoadError::BadManifest { reason: error.to_string() })?;
        let json = manifest::read(data)
            .map_err(|error| LoadError::BadManifest { reason: error.to_string() })?;
        Self::parse(json)
    }

    /// A manifest's JSON.
    ///
    /// # Errors
    /// JSON that is no manifest.
    pub fn parse(json: &str) -> Result<Self, LoadError> {
        serde_json::from_str(json)
            .map_err(|error| LoadError::BadManifest { reason: error.to_string() })
    }

    /// The hooks that this host knows, and the names of those it does not.
    pub fn known_hooks(&self) -> (Vec<Hook>, Vec<&str>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for name in &self.hooks {
            match Hook::from_name(name) {
                Some(hook) => known.push(hook),
                None => unknown.push(name.as_str()),
            }
        }
        (known, unknown)
    }

    /// Checks what can be checked before the library is opened.
    ///
    /// # Errors
    /// Another major version of the ABI.
    pub fn check(&self) -> Result<(), LoadError> {
        let abi = AbiVersion::parse(&self.abi).ok_or_else(|| LoadError::BadManifest {
            reason: format!("“{}” is no ABI version", self.abi),
        })?;
        if !ABI_VERSION.runs(abi) {
            return Err(LoadError::Version { plugin: abi, host: ABI_VERSION });
        }
        Ok(())
    }
}
