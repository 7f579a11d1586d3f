//! A plugin whose constructor fails, in words of its author.

use atelier_plugin_api::prelude::*;

/// Never comes to be.
#[derive(Debug)]
pub struct ConstructorError;

#[plugin(id = "constructor-error", name = "Constructor error")]
impl Plugin for ConstructorError {
    type Run = Never;

    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        Err(PluginError::new("no colour table: put colours.txt beside the library"))
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
