//! The registry of options.

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use super::cast::cast;
use super::error::SchemaError;
use super::spec::{OptionSpec, Owner};

/// The number of an option: dense, from 0, and the same for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionId(u32);

impl OptionId {
    /// Its place in the schema.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// All declared options. Immutable: declaring more makes a new schema in which every option that
/// was there keeps its id, so an id of an older schema is good in every newer one.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    specs: Vec<Arc<OptionSpec>>,
    ids: HashMap<Arc<str>, OptionId, FxBuildHasher>,
}

impl Schema {
    /// How many options there are.
    pub fn len(&self) -> usize {
        self.specs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty()
    }

    /// The option with this key.
    pub fn id(&self, key: &str) -> Option<OptionId> {
        self.ids.get(key).copied()
    }

    /// The declaration of an option.
    ///
    /// # Panics
    /// If the id comes from a newer schema.
    pub fn spec(&self, id: OptionId) -> &Arc<OptionSpec> {
        &self.specs[id.index()]
    }

    /// The declaration, or none if the id comes from a newer schema.
    pub(super) fn try_spec(&self, id: OptionId) -> Option<&Arc<OptionSpec>> {
        self.specs.get(id.index())
    }

    /// All options in the order in which they were declared.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (OptionId, &OptionSpec)> {
        self.specs.iter().enumerate().map(|(index, spec)| (OptionId(index as u32), &**spec))
    }

    /// The known key that looks most like this one, if any comes close.
    pub fn nearest(&self, key: &str) -> Option<&str> {
        // Distances cost the product of both lengths, and no key is anywhere near that long.
        const LONGEST: usize = 100;
        if key.len() > LONGEST {
            return None;
        }
        let key = key.to_ascii_lowercase();
        let far = (key.len() / 3).clamp(1, 4);
        let distance = |known: &str| strsim::damerau_levenshtein(&known.to_ascii_lowercase(), &key);
        let near = self.specs.iter().map(|spec| (distance(&spec.key), spec.key.as_str()));
        near.filter(|(distance, _)| *distance <= far).min().map(|(_, known)| known)
    }

    /// The schema with further options.
    ///
    /// Declaring an option again with the same meaning ([`OptionSpec::means_same`]) changes
    /// nothing, whoever does it.
    ///
    /// # Errors
    /// [`SchemaError`] if a key is taken by an option of another meaning, cannot be written, or
    /// its default is not valid; then none of the options is added.
    pub fn with(
        &self,
        specs: impl IntoIterator<Item = OptionSpec>,
        owner: &Owner,
    ) -> Result<Self, SchemaError> {
        let mut next = self.clone();
        for spec in specs {
            next.add(checked(spec, owner)?)?;
        }
        Ok(next)
    }

    fn add(&mut self, spec: OptionSpec) -> Result<(), SchemaError> {
        if let Some(id) = self.id(&spec.key) {
            let known = self.spec(id);
            if known.means_same(&spec) {
                return Ok(());
            }
            let (key, owner) = (spec.key, known.owner.clone());
            return Err(SchemaError::Redeclared { key, owner, by: spec.owner });
        }
        self.ids.insert(spec.key.as_str().into(), OptionId(self.specs.len() as u32));
        self.specs.push(Arc::new(spec));
        Ok(())
    }
}

/// The declaration with its owner, and its default cast to its own type.
fn checked(spec: OptionSpec, owner: &Owner) -> Result<OptionSpec, SchemaError> {
    if spec.key.is_empty() || spec.key.trim() != spec.key || spec.key.contains(char::is_control) {
        return Err(SchemaError::BadKey { key: spec.key, by: owner.clone() });
    }
    match cast(&spec, &spec.default) {
        Ok(default) => Ok(OptionSpec { default, owner: owner.clone(), ..spec }),
        Err(reason) => Err(SchemaError::BadDefault {
            key: spec.key,
            by: owner.clone(),
            reason: Box::new(reason),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Kind, Value};

    fn schema() -> Schema {
        let specs =
            [OptionSpec::int("jpeg_quality", 80).range(1, 100), OptionSpec::bool("b", true)];
        Schema::default().with(specs, &Owner::Host).unwrap()
    }

    fn plugin() -> Owner {
        Owner::Plugin("blur".into())
    }

    #[test]
    fn ids_stay_when_options_are_added() {
        let old = schema();
        let new = old.with([OptionSpec::bool("blur_on", false)], &plugin()).unwrap();
        assert_eq!(new.id("jpeg_quality"), old.id("jpeg_quality"));
        assert_eq!(old.id("blur_on"), None);
        let id = new.id("blur_on").unwrap();
        assert_eq!((id.index(), &new.spec(id).owner), (2, &plugin()));
    }

    #[test]
    fn a_foreign_key_with_another_meaning_is_refused_and_nothing_is_added() {
        let specs = [OptionSpec::bool("blur_on", false), OptionSpec::int("jpeg_quality", 90)];
        let refused = schema().with(specs, &plugin()).unwrap_err();
        let (key, owner) = ("jpeg_quality".to_owned(), Owner::Host);
        assert_eq!(refused, SchemaError::Redeclared { key, owner, by: plugin() });
        assert_eq!(schema().id("blur_on"), None);
    }

    #[test]
    fn the_same_declaration_again_changes_nothing() {
        let again = OptionSpec::int("jpeg_quality", 80).range(1, 100).label("Another label");
        let same = schema().with([again], &plugin()).unwrap();
        let id = same.id("jpeg_quality").unwrap();
        assert_eq!((same.len(), &same.spec(id).owner), (2, &Owner::Host));
    }

    #[test]
    fn a_default_is_cast_and_checked_like_any_value() {
        let spec = OptionSpec::new("cfg", Kind::Float, 7);
        let schema = Schema::default().with([spec], &Owner::Host).unwrap();
        assert_eq!(schema.spec(schema.id("cfg").unwrap()).default, Value::Float(7.0));
        let refused = Schema::default().with([OptionSpec::int("n", 0).range(1, 2)], &plugin());
        assert!(matches!(refused, Err(SchemaError::BadDefault { key, .. }) if key == "n"));
    }

    #[test]
    fn a_key_that_cannot_be_written_is_refused() {
        for key in ["", " a", "a\nb"] {
            let refused = Schema::default().with([OptionSpec::bool(key, true)], &plugin());
            assert!(matches!(refused, Err(SchemaError::BadKey { .. })), "{key:?} was taken");
        }
    }

    #[test]
    fn a_mistyped_key_finds_the_nearest_one() {
        assert_eq!(schema().nearest("jpg_quality"), Some("jpeg_quality"));
        assert_eq!(schema().nearest("JPEG_quality"), Some("jpeg_quality"));
        assert_eq!(schema().nearest("something_else"), None);
        assert_eq!(schema().nearest(&"j".repeat(1_000_000)), None);
    }
}
