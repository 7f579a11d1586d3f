//! The overrides of one run.

use std::sync::Arc;

use super::schema::OptionId;
use super::value::Value;
use super::writer::Writer;

/// An overridden option.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// The option.
    pub id: OptionId,
    /// What it is worth in the run.
    pub value: Value,
    /// Who said so.
    pub writer: Writer,
}

/// The overrides of one run, sorted by option. They lie over a state of the options and never
/// touch it, so nothing has to be restored.
///
/// A clone costs one count; a change after that copies the overrides, of which a run has few.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    entries: Arc<Vec<Override>>,
    generation: u64,
}

impl Layer {
    /// Overrides an option. The value must be cast already
    /// ([`Rules::admit`](super::Rules::admit) does both).
    pub fn insert(&mut self, id: OptionId, value: Value, writer: Writer) {
        let entries = Arc::make_mut(&mut self.entries);
        let entry = Override { id, value, writer };
        match entries.binary_search_by_key(&id, |entry| entry.id) {
            Ok(at) => entries[at] = entry,
            Err(at) => entries.insert(at, entry),
        }
        self.generation += 1;
    }

    /// Takes an override back.
    pub fn remove(&mut self, id: OptionId) -> Option<Override> {
        let at = self.find(id)?;
        self.generation += 1;
        Some(Arc::make_mut(&mut self.entries).remove(at))
    }

    /// The override of an option and who made it.
    pub fn get(&self, id: OptionId) -> Option<(&Value, &Writer)> {
        let entry = &self.entries[self.find(id)?];
        Some((&entry.value, &entry.writer))
    }

    /// Whether the option is overridden.
    pub fn contains(&self, id: OptionId) -> bool {
        self.find(id).is_some()
    }

    /// All overrides, by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Override> {
        self.entries.iter()
    }

    /// How many options are overridden.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Grows with every change of this layer.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn find(&self, id: OptionId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{OptionSpec, Owner, Schema};

    #[test]
    fn a_clone_keeps_its_overrides_when_the_original_changes() {
        let specs = ["a", "b", "c"].map(|key| OptionSpec::int(key, 0));
        let schema = Schema::default().with(specs, &Owner::Host).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(|key| schema.id(key).unwrap());
        let mut layer = Layer::default();
        layer.insert(c, 3.into(), Writer::Cli);
        layer.insert(a, 1.into(), Writer::Cli);
        let before = layer.clone();
        layer.insert(a, 10.into(), Writer::plugin("p", Some("r")));
        layer.remove(c);

        assert_eq!(before.get(a), Some((&Value::Int(1), &Writer::Cli)));
        assert_eq!(before.iter().map(|entry| entry.id).collect::<Vec<_>>(), [a, c]);
        assert_eq!(layer.get(a).unwrap().0, &Value::Int(10));
        assert!(!layer.contains(c) && !layer.contains(b));
        assert!(layer.generation() > before.generation());
        assert_eq!(layer.remove(b), None);
    }
}
