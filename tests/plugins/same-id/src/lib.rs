//! Has the id of `probe-a` and is another library: only one of them can be loaded.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct SameId;

#[plugin(id = "probe-a", name = "Same id")]
impl Run for SameId {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
