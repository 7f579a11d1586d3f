//! A plugin whose constructor panics.

use atelier_plugin_api::prelude::*;

/// Never comes to be.
#[derive(Debug)]
pub struct ConstructorPanic;

#[plugin(id = "constructor-panic", name = "Constructor panic")]
impl Plugin for ConstructorPanic {
    type Run = Never;

    #[allow(clippy::panic, reason = "it is what the library is for")]
    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        panic!("no colour table")
    }

    fn start(&self, _: &RunStart<'_>) -> Result<Never, PluginError> {
        Ok(Never)
    }
}

/// No run of it either.
#[derive(Debug)]
pub struct Never;

#[plugin_run]
impl Run for Never {
    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
