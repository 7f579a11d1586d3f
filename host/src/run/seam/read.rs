//! Reads of plugins, live and from the snapshot, each counted.

use super::{Divergence, OutsideWrite, Phase, Seam, SeamError, SeamMode, Way};
use crate::options::{OptionId, OptionSet, SetError, Snapshot, Value, Writer};

impl Seam {
    /// A plugin's live read.
    ///
    /// # Errors
    /// A key that neither the schema nor `config.json` has.
    pub fn read_live(&mut self, key: &str, mode: SeamMode) -> Result<Value, SeamError> {
        let (options, taken) = (&self.live.load().options, self.phase.taken());
        let Some(id) = options.schema().id(key) else {
            // No option, but a key of config.json: nobody can write it, so it cannot diverge.
            let value = unknown_key(options, key)?;
            self.ledger.unknown(key, if taken.is_some() { Way::Live } else { Way::Early });
            return Ok(value);
        };
        let overridden = self.layer.get(id);
        let live = overridden.map_or_else(|| options.get(id), |(value, _)| value).clone();
        let Some(taken) = taken else {
            self.ledger.early(id);
            return Ok(live);
        };
        // While neither the store nor the layer has changed since the snapshot, they cannot differ; and
        // an option that was declared since has nothing to differ from.
        let unchanged =
            options.version() == taken.version && self.layer.generation() == taken.generation;
        if unchanged || id.index() >= taken.snapshot.schema().len() {
            self.ledger.live(id, None);
            return Ok(live);
        }
        let frozen = taken.snapshot.get(id).clone();
        let (from_layer, writer) = match overridden {
            Some((_, writer)) => (true, writer.clone()),
            None => (false, options.writer(id).clone()),
        };
        if !from_layer && mode != SeamMode::Pin {
            self.note_outside(id, key, &live, &writer);
        }
        if live == frozen {
            self.ledger.live(id, None);
            return Ok(live);
        }
        let divergence =
            Divergence { live: live.clone(), snapshot: frozen.clone(), writer: writer.clone() };
        if mode == SeamMode::Warn {
            let reader = self.ledger.caller();
            tracing::warn!(
                plugin = %reader.reader, hook = %reader.hook, option = key, %writer,
                "the live option is {live}, the snapshot has {frozen}"
            );
        }
        self.ledger.live(id, Some(divergence));
        Ok(if mode == SeamMode::Pin { frozen } else { live })
    }

    /// Notes what a live reader found in the store, where this run has not put it there. A value that
    /// came back is a write too: a replay has to repeat it.
    fn note_outside(&mut self, id: OptionId, key: &str, value: &Value, writer: &Writer) {
        let Some(base) = self.taken().map(|taken| taken.snapshot.base()) else { return };
        // An option that was declared after the snapshot has nothing to be compared with.
        let declared_since = id.index() >= base.schema().len();
        if declared_since || self.known.get(&id).unwrap_or_else(|| base.get(id)) == value {
            return;
        }
        self.known.insert(id, value.clone());
        let caller = self.ledger.caller();
        self.outside.push(OutsideWrite {
            key: key.to_owned(),
            value: value.clone(),
            writer: writer.clone(),
            seen_by: caller.reader.to_string(),
            hook: caller.hook.clone(),
            // The call that saw it is counted already.
            after_calls: self.calls.saturating_sub(1),
        });
    }

    /// A plugin's live read of everything, as one JSON object.
    pub fn read_all_live(&mut self, mode: SeamMode) -> serde_json::Map<String, serde_json::Value> {
        let options = self.store.load().options.clone();
        let now = Snapshot::take(&options, &self.layer);
        let Some(taken) = self.taken() else {
            self.ledger.all(true, &[]);
            return to_json(&now);
        };
        let frozen = taken.snapshot.clone();
        let mut diverged = Vec::new();
        for (id, spec) in options.schema().iter() {
            let (key, live) = (spec.key.as_str(), now.get(id));
            if mode != SeamMode::Pin && !self.layer.contains(id) {
                self.note_outside(id, key, live, options.writer(id));
            }
            if frozen.by_key(key) != Some(live) {
                diverged.push(key.to_owned());
            }
        }
        if mode == SeamMode::Warn && !diverged.is_empty() {
            let reader = self.ledger.caller();
            tracing::warn!(
                plugin = %reader.reader, hook = %reader.hook, options = %diverged.join(", "),
                "live options that were read with all others are not as in the snapshot"
            );
        }
        self.ledger.all(false, &diverged);
        to_json(if mode == SeamMode::Pin { &frozen } else { &now })
    }

    /// A plugin's read of the snapshot.
    ///
    /// # Errors
    /// An unknown key, or no snapshot.
    pub fn read_snapshot(&mut self, key: &str) -> Result<Value, SeamError> {
        let Some(taken) = self.taken() else { return Err(self.no_snapshot()) };
        let snapshot = &taken.snapshot;
        if let Some(id) = snapshot.schema().id(key) {
            let value = snapshot.get(id).clone();
            self.ledger.snapshot(id);
            return Ok(value);
        }
        let value = unknown_key(snapshot.base(), key)?;
        self.ledger.unknown(key, Way::Snapshot);
        Ok(value)
    }

    /// A plugin's read of the whole snapshot.
    ///
    /// # Errors
    /// No snapshot.
    pub fn read_all_snapshot(
        &mut self,
    ) -> Result<serde_json::Map<String, serde_json::Value>, SeamError> {
        let Some(snapshot) = self.snapshot() else { return Err(self.no_snapshot()) };
        let all = to_json(snapshot);
        self.ledger.all_snapshot();
        Ok(all)
    }

    fn no_snapshot(&self) -> SeamError {
        SeamError::NoSnapshot(match self.phase {
            Phase::Request => "it is taken after before_process",
            Phase::Prepared { .. } => "recording is switched off",
        })
    }
}

fn to_json(snapshot: &Snapshot) -> serde_json::Map<String, serde_json::Value> {
    snapshot.iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect()
}

fn unknown_key(options: &OptionSet, key: &str) -> Result<Value, SeamError> {
    options.by_key(key).cloned().ok_or_else(|| {
        SetError::UnknownKey {
            key: key.to_owned(),
            nearest: options.schema().nearest(key).map(str::to_owned),
        }
        .into()
    })
}
