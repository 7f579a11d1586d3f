//! The host's own reads: what steers the run.

use std::sync::Arc;

use super::{Divergence, Phase, Reader, Seam};
use crate::options::Value;

impl Seam {
    /// A read of the host's own. Keys are the program's: one that is unknown reads as null.
    pub fn host(&mut self, key: &str) -> Value {
        let state = self.store.load();
        let Some(id) = state.options.schema().id(key) else { return Value::Null };
        // A hook that was called since must not be taken for the reader.
        if let Some(part) = self.part {
            self.ledger.enter(part);
        }
        let base = match &self.phase {
            Phase::Request => &state.options,
            Phase::Prepared { base, .. } => base,
        };
        let (value, writer) = self
            .layer
            .get(id)
            .or_else(|| self.own.get(&id).map(|(value, writer)| (value, writer)))
            .unwrap_or_else(|| (base.get(id), base.writer(id)));
        let value = value.clone();
        match self.taken().map(|taken| taken.snapshot.get(id)) {
            None => self.ledger.early(id),
            Some(frozen) if *frozen == value => self.ledger.live(id, None),
            Some(frozen) => {
                let (snapshot, writer) = (frozen.clone(), writer.clone());
                let divergence = Divergence { live: value.clone(), snapshot, writer };
                self.ledger.live(id, Some(divergence));
            }
        }
        value
    }

    /// A host's switch.
    pub fn host_bool(&mut self, key: &str) -> bool {
        matches!(self.host(key), Value::Bool(true))
    }

    /// A host's number.
    pub fn host_float(&mut self, key: &str) -> f64 {
        match self.host(key) {
            Value::Float(value) => value,
            Value::Int(value) => value as f64,
            _ => 0.0,
        }
    }

    /// A host's whole number.
    pub fn host_int(&mut self, key: &str) -> i64 {
        match self.host(key) {
            Value::Int(value) => value,
            _ => 0,
        }
    }

    /// A host's text.
    pub fn host_text(&mut self, key: &str) -> Arc<str> {
        match self.host(key) {
            Value::Text(value) => value,
            _ => "".into(),
        }
    }

    /// The host's own reads from here on count for this part of the run.
    pub fn host_enters(&mut self, part: &str) {
        let caller = self.caller(Reader::Host, part);
        self.part = Some(caller);
        self.ledger.enter(caller);
    }
}
