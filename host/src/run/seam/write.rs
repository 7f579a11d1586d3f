//! Writes of plugins.

use super::{Phase, Seam, SeamError, counts_at_start};
use crate::options::{OptionId, SetError, Value, Writer};

impl Seam {
    /// A live write of a plugin: into the layer where the run overrides the option, otherwise at once
    /// into the store, for everybody.
    ///
    /// # Errors
    /// An unknown key or a value that does not cast.
    pub fn write_live(&mut self, key: &str, value: &Value, plugin: &str) -> Result<(), SeamError> {
        let writer = Writer::plugin(plugin, Some(&self.run));
        let (id, cast) = {
            let state = self.store.load();
            self.store.rules().admit(state.options.schema(), key, value, &writer)?
        };
        self.ledger.write(id);
        if self.layer.contains(id) {
            if self.lasting.contains(id) {
                self.lasting.insert(id, cast.clone(), writer.clone());
            }
            self.layer.insert(id, cast, writer);
            return Ok(());
        }
        self.store.set(key, cast.clone(), writer.clone())?;
        self.known.insert(id, cast.clone());
        self.own.insert(id, (cast, writer));
        Ok(())
    }

    /// A write for this run only.
    ///
    /// # Errors
    /// An unknown key or a value that does not cast.
    pub fn write_run(&mut self, key: &str, value: &Value, plugin: &str) -> Result<(), SeamError> {
        self.write_layer(key, value, plugin).map(|_| ())
    }

    fn write_layer(
        &mut self,
        key: &str,
        value: &Value,
        plugin: &str,
    ) -> Result<(OptionId, Value, Writer), SeamError> {
        if counts_at_start(key) {
            return Err(SetError::AtStart { key: key.to_owned() }.into());
        }
        let writer = Writer::plugin(plugin, Some(&self.run));
        let (id, cast) = {
            let state = self.store.load();
            self.store.rules().admit(state.options.schema(), key, value, &writer)?
        };
        self.layer.insert(id, cast.clone(), writer.clone());
        self.ledger.run_write(id);
        Ok((id, cast, writer))
    }

    /// An override that a plugin adds before overrides are applied.
    ///
    /// # Errors
    /// An unknown key, a value that does not cast, or too late.
    pub fn write_override(
        &mut self,
        key: &str,
        value: &Value,
        plugin: &str,
    ) -> Result<(), SeamError> {
        if !matches!(self.phase, Phase::Request) {
            return Err(SeamError::NotNow(
                "overrides can be added in before_process only; use run_options() from here on",
            ));
        }
        let (id, value, writer) = self.write_layer(key, value, plugin)?;
        self.lasting.insert(id, value, writer);
        Ok(())
    }
}
