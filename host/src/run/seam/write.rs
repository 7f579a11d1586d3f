//! Writes of plugins.

use super::{Phase, Seam, SeamError};
use crate::options::{OptionId, Value, Writer};

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
        let writer = Writer::plugin(plugin, Some(&self.run));
        let state = self.store.load();
        let (id, cast) = self.store.rules().admit(state.options.schema(), key, value, &writer)?;
        self.layer.insert(id, cast, writer);
        self.ledger.run_write(id);
        Ok(())
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
        self.write_run(key, value, plugin)?;
        if let Some((id, (value, writer))) =
            self.id(key).and_then(|id| Some((id, self.layer.get(id)?)))
        {
            self.lasting.insert(id, value.clone(), writer.clone());
        }
        Ok(())
    }

    fn id(&self, key: &str) -> Option<OptionId> {
        self.store.load().options.schema().id(key)
    }
}
