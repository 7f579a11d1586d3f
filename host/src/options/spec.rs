//! What an option is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::value::Value;

/// The type of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// True or false.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// A text.
    Text,
    /// A list of texts or numbers.
    List,
    /// A JSON object.
    Object,
    /// Any JSON value. Its default is null unless another is given.
    Any,
}

impl Kind {
    /// The word for the type, the same as [`Value::kind_name`] uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "text",
            Self::List => "list",
            Self::Object => "object",
            Self::Any => "any",
        }
    }
}

/// The group under which an option is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Section {
    /// Stable id, `saving-images`.
    pub id: Arc<str>,
    /// What people read, `Saving images and grids`.
    pub title: Arc<str>,
}

impl Section {
    /// A section.
    pub fn new(id: impl Into<Arc<str>>, title: impl Into<Arc<str>>) -> Self {
        Self { id: id.into(), title: title.into() }
    }
}

/// Who declares an option.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The host.
    #[default]
    Host,
    /// The plugin with this id.
    Plugin(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("the host"),
            Self::Plugin(id) => write!(f, "plugin {id}"),
        }
    }
}

/// The declaration of one option: its key, which values it takes, and how it is shown.
///
/// ```
/// use atelier_host::options::OptionSpec;
///
/// let spec = OptionSpec::int("jpeg_quality", 80)
///     .range(1, 100)
///     .label("Quality of JPEG, WebP and AVIF")
///     .section("saving-images", "Saving images and grids");
/// assert_eq!(spec.max, Some(100.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent properties, read by name")]
pub struct OptionSpec {
    /// The name by which everybody reads and writes it.
    pub key: String,
    /// The type of its values.
    pub kind: Kind,
    /// What it is worth until somebody sets it.
    pub default: Value,
    /// The least number it takes.
    pub min: Option<f64>,
    /// The greatest number it takes.
    pub max: Option<f64>,
    /// The values it takes, or the elements if it is a list; empty for no such limit.
    pub choices: Vec<Value>,
    /// Whether other values than `choices` are fine, because the list is only known at run time
    /// (checkpoints, samplers) or is only a suggestion.
    pub open_choices: bool,
    /// A short name for people.
    pub label: String,
    /// Where it is shown.
    pub section: Section,
    /// The name under which the infotext of an image mentions it.
    pub infotext: Option<String>,
    /// Fixed while the host hides its folders ([`Rules::fixed_paths`](super::Rules)).
    pub restricted: bool,
    /// Off limits for clients of the API.
    pub restrict_api: bool,
    /// Whether null is a value of it.
    pub nullable: bool,
    /// Who declared it.
    pub owner: Owner,
    /// A sentence or two for people.
    pub doc: Option<String>,
}

impl OptionSpec {
    /// A declaration with this key, type and default, and nothing else yet.
    pub fn new(key: impl Into<String>, kind: Kind, default: impl Into<Value>) -> Self {
        let key = key.into();
        Self {
            label: key.clone(),
            key,
            kind,
            default: default.into(),
            min: None,
            max: None,
            choices: Vec::new(),
            open_choices: false,
            section: Section::default(),
            infotext: None,
            restricted: false,
            restrict_api: false,
            nullable: false,
            owner: Owner::Host,
            doc: None,
        }
    }

    /// A truth value.
    pub fn bool(key: impl Into<String>, default: bool) -> Self {
        Self::new(key, Kind::Bool, default)
    }

    /// A whole number.
    pub fn int(key: impl Into<String>, default: i64) -> Self {
        Self::new(key, Kind::Int, default)
    }

    /// A number.
    pub fn float(key: impl Into<String>, default: f64) -> Self {
        Self::new(key, Kind::Float, default)
    }

    /// A text.
    pub fn text(key: impl Into<String>, default: &str) -> Self {
        Self::new(key, Kind::Text, default)
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(
        key: impl Into<String>,
        default: impl IntoIterator<Item = T>,
    ) -> Self {
        Self::new(key, Kind::List, Value::texts(default))
    }

    /// Any JSON value, null by default.
    pub fn any(key: impl Into<String>) -> Self {
        Self::new(key, Kind::Any, Value::Null).nullable()
    }

    /// What people read.
    pub fn label(self, label: impl Into<String>) -> Self {
        Self { label: label.into(), ..self }
    }

    /// Where it is shown.
    pub fn section(self, id: impl Into<Arc<str>>, title: impl Into<Arc<str>>) -> Self {
        Self { section: Section::new(id, title), ..self }
    }

    /// The least and the greatest number it takes.
    pub fn range(self, min: impl Into<f64>, max: impl Into<f64>) -> Self {
        Self { min: Some(min.into()), max: Some(max.into()), ..self }
    }

    /// All the values it takes.
    pub fn choices<V: Into<Value>>(self, choices: impl IntoIterator<Item = V>) -> Self {
        Self { choices: choices.into_iter().map(Into::into).collect(), ..self }
    }

    /// Other values than its choices are fine too.
    pub fn open_choices(self) -> Self {
        Self { open_choices: true, ..self }
    }

    /// The name under which the infotext mentions it.
    pub fn infotext(self, label: impl Into<String>) -> Self {
        Self { infotext: Some(label.into()), ..self }
    }

    /// Fixed while the host hides its folders.
    pub fn restricted(self) -> Self {
        Self { restricted: true, ..self }
    }

    /// Off limits for clients of the API.
    pub fn restrict_api(self) -> Self {
        Self { restrict_api: true, ..self }
    }

    /// Null is a value of it.
    pub fn nullable(self) -> Self {
        Self { nullable: true, ..self }
    }

    /// A sentence or two for people.
    pub fn doc(self, doc: impl Into<String>) -> Self {
        Self { doc: Some(doc.into()), ..self }
    }

    /// Whether null may be set: where the declaration says so or the default is null itself.
    pub fn takes_null(&self) -> bool {
        self.nullable || self.default == Value::Null
    }

    /// Whether both declare the same option: equal values are legal and mean the same. How it is
    /// shown (label, section, doc) and who declares it does not matter.
    pub fn means_same(&self, other: &Self) -> bool {
        self.key == other.key
            && self.kind == other.kind
            && self.default == other.default
            && (self.min, self.max) == (other.min, other.max)
            && self.choices == other.choices
            && self.open_choices == other.open_choices
            && self.infotext == other.infotext
            && self.restricted == other.restricted
            && self.restrict_api == other.restrict_api
            && self.takes_null() == other.takes_null()
    }
}
