//! What the options of one run are, for good.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::digest::Digest;
use super::layer::Layer;
use super::schema::{OptionId, Schema};
use super::set::OptionSet;
use super::value::Value;

/// All options of one run: its overrides over the state it started from, every key with its
/// default filled in, nothing filtered.
///
/// Taking one costs the same however many options there are, because it shares both halves; and
/// as neither half can change, nor can any value in them, neither can a snapshot.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

struct Inner {
    base: OptionSet,
    layer: Layer,
    digest: OnceLock<Digest>,
}

impl Snapshot {
    /// Freezes a run's overrides over the state of its options.
    pub fn take(base: &OptionSet, layer: &Layer) -> Self {
        let (base, layer) = (base.clone(), layer.clone());
        Self { inner: Arc::new(Inner { base, layer, digest: OnceLock::new() }) }
    }

    /// The state under the overrides.
    pub fn base(&self) -> &OptionSet {
        &self.inner.base
    }

    /// The overrides.
    pub fn layer(&self) -> &Layer {
        &self.inner.layer
    }

    /// The options as they were declared when it was taken.
    pub fn schema(&self) -> &Arc<Schema> {
        self.inner.base.schema()
    }

    /// The value of an option. An id of a newer schema reads as null.
    pub fn get(&self, id: OptionId) -> &Value {
        match self.inner.layer.get(id) {
            Some((value, _)) => value,
            None => self.inner.base.get(id),
        }
    }

    /// The value of a key, declared or unknown.
    pub fn by_key(&self, key: &str) -> Option<&Value> {
        match self.schema().id(key) {
            Some(id) => Some(self.get(id)),
            None => self.inner.base.unknown(key),
        }
    }

    /// Every option in the order of the schema, then every unknown key by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let known = self.schema().iter().map(|(id, spec)| (spec.key.as_str(), self.get(id)));
        known.chain(self.inner.base.iter_unknown())
    }

    /// Every key and value, sorted as RFC 8785 sorts: by UTF-16 code units.
    pub fn to_json(&self) -> Map<String, Json> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        all.into_iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect()
    }

    /// The one way to write these values as JSON: RFC 8785.
    pub fn canonical_bytes(&self) -> Vec<u8> {
        match serde_json_canonicalizer::to_vec(self) {
            Ok(bytes) => bytes,
            // Only NaN and failing writers are refused: `Value` serialises no NaN, and the writer
            // is memory.
            Err(error) => unreachable!("option values are plain JSON: {error}"),
        }
    }

    /// The fingerprint of all values. Computed when first asked for, which is never on the way of
    /// a run, and kept.
    pub fn digest(&self) -> Digest {
        *self.inner.digest.get_or_init(|| Digest::of(&self.canonical_bytes()))
    }
}

/// The values as one JSON object.
impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot")
            .field("base", &self.inner.base)
            .field("layer", &self.inner.layer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Kind, OptionSpec, Owner, Rules, Writer, cast};
    use serde_json::json;

    fn base(stored: &Json) -> OptionSet {
        let specs = [
            OptionSpec::float("cfg", 7.0),
            OptionSpec::texts("list", ["a"]),
            OptionSpec::new("nested", Kind::Object, Value::from_json(json!({"x": 2})).unwrap()),
            OptionSpec::text("ß", "ü\n"),
        ];
        let schema = Arc::new(Schema::default().with(specs, &Owner::Host).unwrap());
        OptionSet::stored(schema, stored.as_object().unwrap(), &Writer::File).0
    }

    fn write(set: &OptionSet, key: &str, json: Json) -> OptionSet {
        let value = Value::from_json(json).unwrap();
        let admitted = Rules::default().admit(set.schema(), key, &value, &Writer::Cli);
        let (id, value) = admitted.unwrap();
        set.with(id, value, Writer::Cli)
    }

    fn snapshot(set: &OptionSet) -> Snapshot {
        Snapshot::take(set, &Layer::default())
    }

    #[test]
    fn later_writes_do_not_show_not_even_nested_ones() {
        let set = base(&json!({}));
        let taken = snapshot(&set);
        let set = write(&set, "nested", json!({"x": 99}));
        let set = write(&set, "list", json!(["a", "b"]));
        assert_eq!(taken.by_key("nested").unwrap().to_json(), json!({"x": 2}));
        assert_eq!(taken.by_key("list").unwrap().to_json(), json!(["a"]));
        assert_eq!(snapshot(&set).by_key("nested").unwrap().to_json(), json!({"x": 99}));
    }

    #[test]
    fn overrides_lie_over_the_base_and_leave_it_alone() {
        let set = base(&json!({}));
        let id = set.schema().id("cfg").unwrap();
        let mut layer = Layer::default();
        layer.insert(id, 3.0.into(), Writer::Override { run: "r".into() });
        let taken = Snapshot::take(&set, &layer);
        layer.insert(id, 4.0.into(), Writer::plugin("p", Some("r")));
        assert_eq!(taken.by_key("cfg"), Some(&Value::Float(3.0)));
        assert_eq!(set.by_key("cfg"), Some(&Value::Float(7.0)));
        assert_eq!(snapshot(&set).by_key("cfg"), Some(&Value::Float(7.0)));
    }

    #[test]
    fn every_key_is_there_defaults_and_unknown_ones_included() {
        let taken = snapshot(&base(&json!({"stray": [1, {"k": null}], "cfg": 5})));
        let keys: Vec<_> = taken.iter().map(|(key, _)| key.to_owned()).collect();
        assert_eq!(keys, ["cfg", "list", "nested", "ß", "stray"]);
        assert_eq!(taken.to_json().len(), 5);
        assert_eq!(taken.by_key("list").unwrap().to_json(), json!(["a"]));
        assert_eq!(taken.by_key("stray").unwrap().to_json(), json!([1, {"k": null}]));
        assert_eq!(taken.by_key("stranger"), None);
    }

    #[test]
    fn canonical_bytes_and_digest_are_pinned() {
        let taken =
            snapshot(&base(&json!({"\u{e000}": 1, "\u{1f600}": 1e21, "z": {"b": 1, "a": 2}})));
        let golden = "{\"cfg\":7,\"list\":[\"a\"],\"nested\":{\"x\":2},\"z\":{\"a\":2,\"b\":1},\
                      \"ß\":\"ü\\n\",\"\u{1f600}\":1e+21,\"\u{e000}\":1}";
        assert_eq!(String::from_utf8(taken.canonical_bytes()).unwrap(), golden);
        // As any other implementation would: tag, zero byte, canonical JSON.
        let expected = blake3::hash(format!("atelier-snapshot-1\0{golden}").as_bytes());
        assert_eq!(taken.digest().to_string(), expected.to_hex().as_str());
        let keys: Vec<_> = taken.to_json().keys().cloned().collect();
        assert_eq!(keys, ["cfg", "list", "nested", "z", "ß", "\u{1f600}", "\u{e000}"]);
    }

    #[test]
    fn equal_values_have_equal_digests_however_they_came_about() {
        let set = base(&json!({}));
        let one = write(&write(&set, "cfg", json!("8")), "list", json!(["b"]));
        let two = write(&write(&set, "list", json!(["b"])), "cfg", json!(8.0));
        let mut layer = Layer::default();
        let cfg = set.schema().id("cfg").unwrap();
        let eight = cast::cast(set.schema().spec(cfg), &8.into()).unwrap();
        layer.insert(cfg, eight, Writer::Cli);
        let three = Snapshot::take(&write(&set, "list", json!(["b"])), &layer);
        assert_eq!(snapshot(&one).digest(), snapshot(&two).digest());
        assert_eq!(snapshot(&one).digest(), three.digest());
        // A value that is set to its default is worth the same as one that is not set.
        assert_eq!(snapshot(&write(&set, "cfg", json!(7))).digest(), snapshot(&set).digest());
    }

    #[test]
    fn one_different_value_makes_another_digest() {
        let set = base(&json!({}));
        for (key, json) in [("cfg", json!(7.000_000_000_000_001)), ("ß", json!("ü"))] {
            assert_ne!(snapshot(&write(&set, key, json)).digest(), snapshot(&set).digest());
        }
        assert_ne!(snapshot(&base(&json!({"stray": 1}))).digest(), snapshot(&set).digest());
    }

    #[test]
    fn options_declared_in_another_order_have_the_same_digest() {
        let specs = || [OptionSpec::int("a", 1), OptionSpec::int("b", 2)];
        let digest = |specs: Vec<OptionSpec>| {
            let schema = Schema::default().with(specs, &Owner::Host).unwrap();
            snapshot(&OptionSet::new(Arc::new(schema))).digest()
        };
        let (forward, backward) = (specs().to_vec(), specs().into_iter().rev().collect());
        assert_eq!(digest(forward), digest(backward));
    }

    #[test]
    fn a_snapshot_read_back_from_its_json_has_the_same_digest() {
        let taken = snapshot(&base(&json!({"cfg": 0.1, "stray": 1.0})));
        let text = serde_json::to_string(&taken).unwrap();
        let values = serde_json::from_str::<Map<String, Json>>(&text).unwrap();
        let (again, stale) = OptionSet::stored(taken.schema().clone(), &values, &Writer::File);
        assert_eq!(stale, []);
        assert_eq!(snapshot(&again).digest(), taken.digest());
    }
}
