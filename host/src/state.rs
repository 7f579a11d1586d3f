//! What the host swaps as one: the options and the plugins that declared some of them.

use std::sync::Arc;

use crate::{options::Store, plugins::PluginSet};

/// The live options of the process, with the set of plugins that fits to them.
pub type LiveOptions = Store<Arc<PluginSet>>;
