//! Comes before `probe-a`, although its id would come later.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct OrderFirst;

#[plugin(id = "z-order-first", name = "Order first", before = ["probe-a"])]
impl Run for OrderFirst {
    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
