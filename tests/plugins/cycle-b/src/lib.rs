//! Wants to come before `cycle-a`, which wants the same of it.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct CycleB;

#[plugin(id = "cycle-b", name = "Cycle B", before = ["cycle-a"])]
impl Run for CycleB {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
