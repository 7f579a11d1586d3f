//! Wants to come before `cycle-b`, which wants the same of it.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct CycleA;

#[plugin(id = "cycle-a", name = "Cycle A", before = ["cycle-b"])]
impl Run for CycleA {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
