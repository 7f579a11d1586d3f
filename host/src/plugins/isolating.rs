//! Who decides where a plugin runs: its own needs, the operator, the options, its manifest.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{
    id::PluginId,
    isolation::{Isolation, Limits, Needs},
    manifest::{Manifest, PanicStrategy},
};
use crate::options::{OptionSet, Value};

/// How plugins are isolated.
#[derive(Clone, Debug, Default)]
pub struct Isolating {
    /// For all plugins, whatever options and manifests say; a plugin whose panics end the process is
    /// in a worker all the same.
    pub all: Option<Isolation>,
    /// How workers are started. Without it there are none.
    pub workers: Option<Workers>,
    /// What the user grants to plugins in workers, by id.
    pub granted: BTreeMap<PluginId, Needs>,
    /// What is granted to all of them.
    pub granted_to_all: Needs,
}

/// How workers are started.
#[derive(Clone, Debug)]
pub struct Workers {
    /// The `atelier` program: called as `atelier worker ID`, it is a worker.
    pub program: PathBuf,
    /// How long a hook may take, not counting what the host does for it; for ever without.
    pub deadline: Option<Duration>,
    /// Environment variables that they have beside the host's.
    pub environment: Vec<(String, String)>,
}

impl Workers {
    /// This very program as worker, with a minute for every hook. Right where the program is `atelier`.
    pub fn of_this_program() -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        Some(Self { program, deadline: Some(Duration::from_mins(1)), environment: Vec::new() })
    }
}

impl Isolating {
    /// What a plugin may use in its worker.
    pub fn limits(&self, plugin: &PluginId) -> Limits {
        let limits = Limits::default().with(&self.granted_to_all);
        match self.granted.get(plugin) {
            Some(granted) => limits.with(granted),
            None => limits,
        }
    }

    /// Where a plugin runs: where it must; where the operator says; where its manifest wants to.
    pub fn choose(&self, manifest: &Manifest, options: &OptionSet) -> Isolation {
        if manifest.panic == PanicStrategy::Abort {
            return Isolation::Worker;
        }
        if let Some(all) = self.all {
            return all;
        }
        let listed = options.texts("isolated_plugins").any(|id| id == manifest.id.as_str());
        let default = options.by_key("plugin_isolation").and_then(Value::as_str);
        let worker = listed
            || manifest.isolation == Some(Isolation::Worker)
            || default == Some(Isolation::Worker.word());
        if worker { Isolation::Worker } else { Isolation::InProcess }
    }
}
