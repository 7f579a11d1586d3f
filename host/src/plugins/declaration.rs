//! Options and arguments that a plugin declares.

use std::sync::Arc;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IntoDeserializer as _, value::Error as WordError},
};
use serde_json::{Map, Value as Json};

use super::error::LoadError;
use crate::options::{Kind, OptionSpec, Section, Value, cast};

/// What a plugin declares when it is loaded.
#[derive(Clone, Debug, Default)]
pub struct Declaration {
    /// Options that it adds to the host's.
    pub options: Vec<OptionSpec>,
    /// Arguments that a request may give, in order.
    pub args: Vec<ArgSpec>,
}

/// An argument that a request may give to a plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ArgSpec {
    /// Name, in the named form.
    pub name: String,
    /// Type.
    #[serde(deserialize_with = "kind")]
    pub kind: Kind,
    /// What it is where the request does not say.
    pub default: Json,
    /// Smallest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The only values allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Json>,
    /// What a form calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// A sentence that explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
}

#[derive(Deserialize)]
struct RawSection {
    id: String,
    title: String,
}

#[derive(Deserialize)]
struct RawOption {
    key: String,
    #[serde(deserialize_with = "kind")]
    kind: Kind,
    default: Json,
    min: Option<f64>,
    max: Option<f64>,
    #[serde(default)]
    choices: Vec<Json>,
    label: Option<String>,
    section: Option<RawSection>,
    infotext: Option<String>,
    doc: Option<String>,
    #[serde(default)]
    restricted: bool,
}

#[derive(Deserialize)]
struct RawDeclaration {
    #[serde(default)]
    options: Vec<RawOption>,
    #[serde(default)]
    args: Vec<ArgSpec>,
}

/// A type. One that this host does not know comes from a plugin for a newer host, which checks its
/// values itself: here it may be anything.
fn kind<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Kind, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = Kind::deserialize(word.as_str().into_deserializer());
    Ok(known.unwrap_or_else(|_: WordError| {
        tracing::info!("the type “{word}” of an option is not known here: any value will do");
        Kind::Any
    }))
}

fn value(json: Json, what: &str) -> Result<Value, LoadError> {
    Value::from_json(json)
        .map_err(|error| LoadError::Declaration { reason: format!("{what}: {error}") })
}

impl Declaration {
    /// Reads what the plugin with this name wrote.
    ///
    /// # Errors
    /// [`LoadError::Declaration`].
    pub fn parse(json: &str, plugin: &str, id: &str) -> Result<Self, LoadError> {
        let raw: RawDeclaration = serde_json::from_str(json)
            .map_err(|error| LoadError::Declaration { reason: error.to_string() })?;
        let section = Section::new(id.replace('-', "_"), plugin);
        let options = raw.options.into_iter().map(|option| {
            let what = format!("option {}", option.key);
            let choices = option.choices.into_iter().map(|choice| value(choice, &what));
            Ok(OptionSpec {
                label: option.label.unwrap_or_else(|| option.key.replace('_', " ")),
                section: option
                    .section
                    .map_or_else(|| section.clone(), |own| Section::new(own.id, own.title)),
                min: option.min,
                max: option.max,
                choices: choices.collect::<Result<_, LoadError>>()?,
                infotext: option.infotext,
                doc: option.doc,
                restricted: option.restricted,
                ..OptionSpec::new(option.key, option.kind, value(option.default, &what)?)
            })
        });
        let options = options.collect::<Result<_, LoadError>>()?;
        for arg in &raw.args {
            arg.cast(&arg.default).map_err(|reason| LoadError::Declaration {
                reason: format!("default of {reason}"),
            })?;
        }
        Ok(Self { options, args: raw.args })
    }
}

impl ArgSpec {
    /// A value of the request, cast to the argument's type.
    ///
    /// # Errors
    /// A sentence that names the argument, what is expected and what was given.
    pub fn cast(&self, given: &Json) -> Result<Json, String> {
        let given = Value::from_json(given.clone()).map_err(|error| self.wrong(&error))?;
        let value = cast::cast(&self.spec()?, &given).map_err(|error| self.wrong(&error))?;
        Ok(value.to_json())
    }

    /// A value as somebody types it on the command line ([`cast::parse_text`]).
    ///
    /// # Errors
    /// As [`ArgSpec::cast`].
    pub fn parse_text(&self, text: &str) -> Result<Json, String> {
        let value = cast::parse_text(&self.spec()?, text).map_err(|error| self.wrong(&error))?;
        Ok(value.to_json())
    }

    /// The argument as an option, which is cast in the same way.
    fn spec(&self) -> Result<OptionSpec, String> {
        let choices: Result<Vec<_>, _> =
            self.choices.iter().cloned().map(Value::from_json).collect();
        let default = Value::from_json(self.default.clone()).map_err(|error| self.wrong(&error))?;
        Ok(OptionSpec {
            min: self.min,
            max: self.max,
            choices: choices.map_err(|error| self.wrong(&error))?,
            ..OptionSpec::new(self.name.clone(), self.kind, default)
        })
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> String {
        format!("argument {}: {error}", self.name)
    }
}

/// A plugin's arguments in a request: by name, or by position as A1111's clients send them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum GivenArgs {
    /// In the order of the plugin's declarations; missing ones at the end have their defaults.
    Positional(Vec<Json>),
    /// By name.
    Named(Map<String, Json>),
}

/// All arguments by name, with defaults filled in.
///
/// # Errors
/// A sentence for the first argument that is unknown or of the wrong type.
pub fn fill_args(
    specs: &[ArgSpec],
    given: Option<&GivenArgs>,
) -> Result<Arc<Map<String, Json>>, String> {
    let mut filled: Map<String, Json> =
        specs.iter().map(|spec| (spec.name.clone(), spec.default.clone())).collect();
    let pairs: Vec<(&ArgSpec, &Json)> = match given {
        None => Vec::new(),
        Some(GivenArgs::Positional(values)) => {
            if values.len() > specs.len() {
                return Err(format!(
                    "{} arguments were given, {} are declared",
                    values.len(),
                    specs.len()
                ));
            }
            specs.iter().zip(values).collect()
        }
        Some(GivenArgs::Named(values)) => {
            let find = |name: &String| {
                specs.iter().find(|spec| spec.name == *name).ok_or_else(|| {
                    let known: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
                    format!("no argument “{name}”; there are: {}", known.join(", "))
                })
            };
            let pairs = values.iter().map(|(name, value)| Ok((find(name)?, value)));
            pairs.collect::<Result<_, String>>()?
        }
    };
    for (spec, value) in pairs {
        filled.insert(spec.name.clone(), spec.cast(value)?);
    }
    Ok(Arc::new(filled))
}
