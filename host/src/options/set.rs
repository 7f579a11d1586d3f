//! One immutable state of all options.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::cast::cast;
use super::error::SetError;
use super::schema::{OptionId, Schema};
use super::slots::{Slot, Slots, Written};
use super::value::Value;
use super::writer::Writer;

static NULL: Value = Value::Null;
static NOBODY: Writer = Writer::Default;

/// The value of every option at one moment, and of the unknown keys of `config.json`.
///
/// A clone costs one count and a change little more: states share all that is equal.
#[derive(Clone)]
pub struct OptionSet {
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    schema: Arc<Schema>,
    slots: Slots,
    unknown: Arc<BTreeMap<Arc<str>, Value>>,
    version: u64,
}

impl OptionSet {
    /// Every option at its default.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self::stored(schema, &Map::new(), &Writer::File).0
    }

    /// The stored values over the defaults, with keys that no option has kept as they are.
    ///
    /// A value that does not cast leaves its option at the default and is reported.
    pub fn stored(
        schema: Arc<Schema>,
        values: &Map<String, Json>,
        writer: &Writer,
    ) -> (Self, Vec<SetError>) {
        let (mut unknown, mut stale) = (BTreeMap::new(), Vec::new());
        for (key, json) in values {
            match Value::from_json(json.clone()) {
                Ok(value) => _ = unknown.insert(Arc::from(key.as_str()), value),
                Err(source) => stale.push(SetError::NotExact { key: key.clone(), source }),
            }
        }
        let mut inner = Inner { unknown: Arc::new(unknown), ..Inner::default() };
        stale.extend(inner.adopt(schema, writer));
        (Self { inner: Arc::new(inner) }, stale)
    }

    /// The declared options.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.inner.schema
    }

    /// Grows with every change, and with nothing else.
    pub fn version(&self) -> u64 {
        self.inner.version
    }

    /// The value of an option. An id of a newer schema reads as null.
    pub fn get(&self, id: OptionId) -> &Value {
        match self.inner.slots.get(id.index()) {
            Some(written) => &written.value,
            None => self.inner.schema.try_spec(id).map_or(&NULL, |spec| &spec.default),
        }
    }

    /// The value of a key, declared or unknown.
    pub fn by_key(&self, key: &str) -> Option<&Value> {
        match self.inner.schema.id(key) {
            Some(id) => Some(self.get(id)),
            None => self.unknown(key),
        }
    }

    /// The texts in a list; none where the key has no list.
    pub fn texts(&self, key: &str) -> impl Iterator<Item = &str> + use<'_> {
        let items = self.by_key(key).and_then(Value::as_list).unwrap_or_default().iter();
        items.filter_map(Json::as_str)
    }

    /// The stored value of a key that no option has.
    pub fn unknown(&self, key: &str) -> Option<&Value> {
        self.inner.unknown.get(key)
    }

    /// Whether somebody set the option.
    pub fn explicit(&self, id: OptionId) -> bool {
        self.slot(id).is_some()
    }

    /// Who wrote the option last.
    pub fn writer(&self, id: OptionId) -> &Writer {
        self.slot(id).map_or(&NOBODY, |written| &written.writer)
    }

    /// Every option in the order of the schema, then every unknown key by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let known = self.inner.schema.iter().map(|(id, spec)| (spec.key.as_str(), self.get(id)));
        known.chain(self.iter_unknown())
    }

    /// Every key that no option has, by name.
    pub fn iter_unknown(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.inner.unknown.iter().map(|(key, value)| (&**key, value))
    }

    /// This state with one option changed. The value must be cast already
    /// ([`Rules::admit`](super::Rules::admit) does both).
    ///
    /// # Panics
    /// If the id comes from a newer schema.
    pub fn with(&self, id: OptionId, value: Value, writer: Writer) -> Self {
        self.with_slot(id, Some(Arc::new(Written { value, writer })))
    }

    /// This state under a schema that was made from its own. Unknown keys that are declared now
    /// become values of their options; those that do not cast are reported and dropped.
    pub fn with_schema(&self, schema: Arc<Schema>) -> (Self, Vec<SetError>) {
        let mut inner = Inner::clone(&self.inner);
        let stale = inner.adopt(schema, &Writer::File);
        inner.version += 1;
        (Self { inner: Arc::new(inner) }, stale)
    }

    pub(super) fn slot(&self, id: OptionId) -> Option<&Arc<Written>> {
        self.inner.slots.get(id.index())
    }

    pub(super) fn with_slot(&self, id: OptionId, slot: Slot) -> Self {
        let mut inner = Inner::clone(&self.inner);
        inner.slots.set(id.index(), slot);
        inner.version += 1;
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    /// Makes the values of unknown keys those of their options, as far as the options are new.
    /// Says which do not cast; those are dropped.
    fn adopt(&mut self, schema: Arc<Schema>, writer: &Writer) -> Vec<SetError> {
        let mut stale = Vec::new();
        let unknown = Arc::make_mut(&mut self.unknown);
        self.slots.extend(schema.iter().skip(self.slots.len()).map(|(_, spec)| {
            let stored = unknown.remove(spec.key.as_str())?;
            let value = cast(spec, &stored).map_err(|error| stale.push(error)).ok()?;
            Some(Arc::new(Written { value, writer: writer.clone() }))
        }));
        self.schema = schema;
        stale
    }
}

impl fmt::Debug for OptionSet {
    /// Only what was set: the defaults are the schema's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.inner.schema.iter().filter(|(id, _)| self.explicit(*id));
        let set = set.map(|(id, spec)| (spec.key.as_str(), self.get(id)));
        write!(f, "OptionSet #{} ", self.inner.version)?;
        f.debug_map().entries(set).entries(self.iter_unknown()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{OptionSpec, Owner};
    use serde_json::json;

    fn schema() -> Arc<Schema> {
        let specs =
            [OptionSpec::int("a", 1), OptionSpec::text("b", "x"), OptionSpec::float("c", 0.5)];
        Arc::new(Schema::default().with(specs, &Owner::Host).unwrap())
    }

    fn stored(values: &Json) -> (OptionSet, Vec<SetError>) {
        OptionSet::stored(schema(), values.as_object().unwrap(), &Writer::File)
    }

    #[test]
    fn nobody_wrote_a_default() {
        let set = OptionSet::new(schema());
        let id = set.schema().id("a").unwrap();
        assert_eq!((set.get(id), set.writer(id)), (&Value::Int(1), &Writer::Default));
        assert!(!set.explicit(id));
    }

    #[test]
    fn a_change_makes_a_new_state_and_leaves_the_old_one() {
        let old = OptionSet::new(schema());
        let id = old.schema().id("a").unwrap();
        let new = old.with(id, 2.into(), Writer::Cli);
        assert_eq!((old.get(id), new.get(id)), (&Value::Int(1), &Value::Int(2)));
        assert_eq!((new.explicit(id), new.writer(id)), (true, &Writer::Cli));
        assert!(new.version() > old.version());
    }

    #[test]
    fn a_stored_value_that_does_not_cast_is_reported_and_the_default_stays() {
        let (set, stale) = stored(&json!({"a": "many", "c": 7, "b": null}));
        assert_eq!(stale.iter().map(SetError::key).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(set.by_key("a"), Some(&Value::Int(1)));
        assert_eq!(set.by_key("c"), Some(&Value::Float(7.0)));
    }

    #[test]
    fn unknown_keys_are_readable_and_come_last_by_name() {
        let (set, stale) = stored(&json!({"z": [1], "b": "y", "y": {"k": null}}));
        assert_eq!(stale, []);
        assert_eq!(set.by_key("z").map(Value::to_string).as_deref(), Some("[1]"));
        assert_eq!(set.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b", "c", "y", "z"]);
        assert_eq!(set.by_key("none"), None);
    }

    #[test]
    fn an_unknown_key_becomes_a_value_when_its_option_is_declared() {
        let (set, _) = stored(&json!({"strength": "0.5", "radius": "wide"}));
        let specs = [OptionSpec::float("strength", 1.0), OptionSpec::int("radius", 3)];
        let owner = Owner::Plugin("blur".into());
        let schema = Arc::new(set.schema().with(specs, &owner).unwrap());
        let (set, stale) = set.with_schema(schema);
        assert_eq!(stale.iter().map(SetError::key).collect::<Vec<_>>(), ["radius"]);
        assert_eq!(set.by_key("strength"), Some(&Value::Float(0.5)));
        assert_eq!(set.by_key("radius"), Some(&Value::Int(3)));
        assert_eq!(set.writer(set.schema().id("strength").unwrap()), &Writer::File);
        assert_eq!(set.iter_unknown().count(), 0);
    }

    #[test]
    fn an_id_of_a_newer_schema_reads_as_null() {
        let old = OptionSet::new(schema());
        let newer = old.schema().with([OptionSpec::bool("d", true)], &Owner::Host).unwrap();
        assert_eq!(old.get(newer.id("d").unwrap()), &Value::Null);
    }
}
