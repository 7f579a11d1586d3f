//! Declaring options and arguments.

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Debug, Serialize)]
struct Section {
    id: String,
    title: String,
}

/// An option that a plugin adds to the host's.
///
/// The host keeps it among its own: users set it in the same ways, requests may override it, every
/// snapshot has it.
#[derive(Clone, Debug, Serialize)]
pub struct OptionSpec {
    key: String,
    kind: &'static str,
    default: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<Section>,
    #[serde(skip_serializing_if = "Option::is_none")]
    infotext: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    restricted: bool,
}

impl OptionSpec {
    fn new(key: &str, kind: &'static str, default: Value) -> Self {
        Self {
            key: key.to_owned(),
            kind,
            default,
            min: None,
            max: None,
            choices: Vec::new(),
            label: None,
            section: None,
            infotext: None,
            doc: None,
            restricted: false,
        }
    }

    /// A switch. Keys are `snake_case` and begin with the plugin's id, so that plugins do not meet.
    #[must_use]
    pub fn bool(key: &str, default: bool) -> Self {
        Self::new(key, "bool", default.into())
    }

    /// A whole number.
    #[must_use]
    pub fn int(key: &str, default: i64) -> Self {
        Self::new(key, "int", default.into())
    }

    /// A number.
    #[must_use]
    pub fn float(key: &str, default: f64) -> Self {
        Self::new(key, "float", default.into())
    }

    /// Text.
    #[must_use]
    pub fn text(key: &str, default: &str) -> Self {
        Self::new(key, "text", default.into())
    }

    /// A list of texts.
    #[must_use]
    pub fn list(key: &str, default: &[&str]) -> Self {
        Self::new(key, "list", default.to_vec().into())
    }

    /// Smallest and largest value of a number, both allowed.
    #[must_use]
    pub fn range(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }

    /// The only values allowed.
    #[must_use]
    pub fn choices<T: Into<Value>>(mut self, choices: impl IntoIterator<Item = T>) -> Self {
        self.choices = choices.into_iter().map(Into::into).collect();
        self
    }

    /// What the settings page calls it.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    /// The section of the settings page, by its title. Without one it is the plugin's name.
    #[must_use]
    pub fn section(mut self, title: &str) -> Self {
        let id = title.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "_");
        self.section = Some(Section { id, title: title.to_owned() });
        self
    }

    /// The key in a picture's infotext that carries this option.
    #[must_use]
    pub fn infotext(mut self, key: &str) -> Self {
        self.infotext = Some(key.to_owned());
        self
    }

    /// For folders and file names: where the operator fixes those (A1111 v1.10.1:
    /// `--hide-ui-dir-config`), nobody else can set it.
    #[must_use]
    pub fn restricted(mut self) -> Self {
        self.restricted = true;
        self
    }

    /// A sentence that explains it.
    #[must_use]
    pub fn doc(mut self, text: &str) -> Self {
        self.doc = Some(text.to_owned());
        self
    }
}

/// An argument that a request may give to a plugin.
///
/// The order of a plugin's arguments counts: A1111's clients send them by position.
#[derive(Clone, Debug, Serialize)]
pub struct ArgSpec {
    name: String,
    kind: &'static str,
    default: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    choices: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doc: Option<String>,
}

impl ArgSpec {
    fn new(name: &str, kind: &'static str, default: Value) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            default,
            min: None,
            max: None,
            choices: Vec::new(),
            label: None,
            doc: None,
        }
    }

    /// A switch.
    #[must_use]
    pub fn bool(name: &str, default: bool) -> Self {
        Self::new(name, "bool", default.into())
    }

    /// A whole number.
    #[must_use]
    pub fn int(name: &str, default: i64) -> Self {
        Self::new(name, "int", default.into())
    }

    /// A number.
    #[must_use]
    pub fn float(name: &str, default: f64) -> Self {
        Self::new(name, "float", default.into())
    }

    /// Text.
    #[must_use]
    pub fn text(name: &str, default: &str) -> Self {
        Self::new(name, "text", default.into())
    }

    /// A list of texts.
    #[must_use]
    pub fn list(name: &str, default: &[&str]) -> Self {
        Self::new(name, "list", default.to_vec().into())
    }

    /// Null where the request does not say: read it as an `Option`.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.default = Value::Null;
        self
    }

    /// A sentence that explains it.
    #[must_use]
    pub fn doc(mut self, text: &str) -> Self {
        self.doc = Some(text.to_owned());
        self
    }

    /// Smallest and largest value of a number, both allowed.
    #[must_use]
    pub fn range(mut self, min: f64, max: f64) -> Self {
        (self.min, self.max) = (Some(min), Some(max));
        self
    }

    /// The only values allowed.
    #[must_use]
    pub fn choices<T: Into<Value>>(mut self, choices: impl IntoIterator<Item = T>) -> Self {
        self.choices = choices.into_iter().map(Into::into).collect();
        self
    }

    /// What a form calls it.
    #[must_use]
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }
}
