//! Wants to come after a plugin that nobody has.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct WantsGhost;

#[plugin(id = "wants-ghost", name = "Wants ghost", after = ["ghost"])]
impl Run for WantsGhost {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
