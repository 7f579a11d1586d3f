//! The loaded plugins, as one value that is swapped with the options.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use atelier_plugin_abi::Hook;

use super::{Declaration, Isolation, Manifest, Order, PluginHandle, PluginId};
use crate::options::{OptionSet, Store};

/// The live options of the process, swapped as one with the plugins that declared some of them.
pub type LiveOptions = Store<Arc<PluginSet>>;

/// A loaded plugin.
#[derive(Debug)]
pub struct Plugin {
    /// What it says of itself.
    pub manifest: Manifest,
    /// What it declares.
    pub declaration: Declaration,
    /// The file it was loaded from.
    pub path: PathBuf,
    /// BLAKE3 of the file, as hex.
    pub hash: String,
    /// Where its code runs.
    pub isolation: Isolation,
    /// How it is called.
    pub handle: Arc<dyn PluginHandle>,
}

impl Plugin {
    /// Whether requests can select it to make a run out of child runs.
    pub fn is_selectable(&self) -> bool {
        self.manifest.hooks.iter().any(|hook| hook == Hook::Run.name())
    }
}

/// The loaded plugins that are called, in their order. Immutable: a change is another set.
#[derive(Clone, Debug, Default)]
pub struct PluginSet {
    plugins: BTreeMap<PluginId, Arc<Plugin>>,
    order: Order,
}

impl PluginSet {
    /// A plugin that is called.
    pub fn get(&self, id: &PluginId) -> Option<&Arc<Plugin>> {
        self.plugins.get(id)
    }

    /// All plugins that are called, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.plugins.values()
    }

    /// The order of hooks.
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// This set with a plugin more. The order follows the options' `prioritized_callbacks_…`.
    pub(super) fn with(&self, plugin: Arc<Plugin>, options: &OptionSet) -> Self {
        let mut plugins = self.plugins.clone();
        plugins.insert(plugin.manifest.id.clone(), plugin);
        let manifests: Vec<&Manifest> = plugins.values().map(|plugin| &plugin.manifest).collect();
        let prioritized = |hook: Hook| {
            let ids = options.texts(&format!("prioritized_callbacks_{hook}"));
            ids.map(str::to_owned).collect()
        };
        let order = Order::resolve(&manifests, &prioritized);
        Self { plugins, order }
    }
}
