//! Declares an option of the host's with another type.

use atelier_plugin_api::prelude::*;

/// Does nothing.
#[derive(Debug)]
pub struct Redeclares;

#[plugin(id = "redeclares", name = "Redeclares")]
impl Run for Redeclares {
    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::int("samples_format", 1)]
    }

    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    fn process(&mut self, _: &mut RunCx<'_>) -> HookResult {
        Ok(())
    }
}
