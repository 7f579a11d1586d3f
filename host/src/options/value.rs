//! The value of an option.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use super::error::ValueError;

/// The largest whole number that JSON keeps exactly (RFC 8785 §3.2.2.3, I-JSON): 2⁵³ − 1.
pub(super) const MAX_EXACT: i64 = (1 << 53) - 1;

/// The value of one option. Cheap to clone, immutable all the way down.
///
/// As JSON it is the plain value: `7`, `7.5`, `"png"`, `["a"]`. A value that came through
/// [`cast`](super::cast::cast) has the type that its option declares, so a float option holds
/// `Float(7.0)`, never `Int(7)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// No value, where the option allows that.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number, within ±(2⁵³ − 1) once it is cast.
    Int(i64),
    /// A number, finite once it is cast.
    Float(f64),
    /// A text.
    Text(Arc<str>),
    /// A list or an object.
    Json(Arc<Composite>),
}

/// A JSON list or object, with its compact text at hand. Nothing can change it.
#[derive(Debug)]
pub struct Composite {
    json: Json,
    text: Box<str>,
}

impl Composite {
    /// The list or object.
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// The same as compact JSON text, keys in the order in which they were written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its elements, if it is a list.
    pub fn list(&self) -> Option<&[Json]> {
        self.json.as_array().map(Vec::as_slice)
    }
}

impl PartialEq for Composite {
    /// Equal content; the order of an object's keys does not count.
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl Value {
    /// Takes a JSON value over.
    ///
    /// # Errors
    /// [`ValueError::NotExact`] for a whole number beyond ±(2⁵³ − 1), at any depth. JSON itself
    /// cannot say NaN or infinity.
    pub fn from_json(json: Json) -> Result<Self, ValueError> {
        check_exact(&json)?;
        Ok(match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Number(number) => match number.as_i64() {
                Some(value) => Self::Int(value),
                None => number.as_f64().map_or(Self::Null, Self::Float),
            },
            Json::String(text) => Self::Text(text.into()),
            json @ (Json::Array(_) | Json::Object(_)) => Self::composite(json),
        })
    }

    /// A list or object whose numbers are known to be exact.
    pub(super) fn composite(json: Json) -> Self {
        let text = json.to_string().into_boxed_str();
        Self::Json(Arc::new(Composite { json, text }))
    }

    /// A list of texts.
    pub fn texts<T: Into<String>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::composite(items.into_iter().map(|item| Json::String(item.into())).collect())
    }

    /// The plain JSON value. A float that is not finite, which no option holds, becomes null.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(value) => Json::Bool(*value),
            Self::Int(value) => Json::from(*value),
            Self::Float(value) => Json::from(*value),
            Self::Text(text) => Json::String(text.to_string()),
            Self::Json(composite) => composite.json.clone(),
        }
    }

    /// The name of the value's own type: `null`, `bool`, `int`, `float`, `text`, `list`, `object`.
    pub fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Json(composite) if composite.json.is_array() => "list",
            Self::Json(_) => "object",
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The whole number, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// The number, whole or not.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(*value),
            Self::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The elements, if it is a list.
    pub fn as_list(&self) -> Option<&[Json]> {
        if let Self::Json(composite) = self { composite.list() } else { None }
    }

    /// Type and value for a message, at most some sixty characters: `text "high"`.
    pub(super) fn describe(&self) -> String {
        const LONGEST: usize = 60;
        let text = self.to_string();
        let name = self.kind_name();
        match text.char_indices().nth(LONGEST) {
            _ if *self == Self::Null => text,
            Some((end, _)) => format!("{name} {}…", &text[..end]),
            None => format!("{name} {text}"),
        }
    }
}

/// Whether a double, and with it canonical JSON, holds exactly this number.
pub(super) fn is_exact(value: i64) -> bool {
    (-MAX_EXACT..=MAX_EXACT).contains(&value)
}

/// Refuses a whole number that a double, and with it canonical JSON, cannot hold.
fn check_exact(json: &Json) -> Result<(), ValueError> {
    match json {
        Json::Number(number) if !number.is_f64() => match number.as_i64() {
            Some(value) if is_exact(value) => Ok(()),
            _ => Err(ValueError::NotExact { given: number.to_string() }),
        },
        Json::Array(items) => items.iter().try_for_each(check_exact),
        Json::Object(map) => map.values().try_for_each(check_exact),
        _ => Ok(()),
    }
}

/// The value as compact JSON.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(composite) => f.write_str(&composite.text),
            scalar => scalar.to_json().fmt(f),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&Value> for Value {
    fn from(value: &Value) -> Self {
        value.clone()
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Float(value) if !value.is_finite() => serializer.serialize_unit(),
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Json(composite) => composite.json.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "OptionValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "An option's value: any plain JSON value." })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_json_goes_in_and_comes_out_unchanged() {
        for json in [json!(null), json!(true), json!(-3), json!(2.5), json!("ä"), json!([1, "b"])]
        {
            let value = Value::from_json(json.clone()).unwrap();
            assert_eq!(value.to_json(), json);
            assert_eq!(serde_json::to_value(&value).unwrap(), json);
            assert_eq!(serde_json::from_value::<Value>(json).unwrap(), value);
        }
    }

    #[test]
    fn a_whole_number_that_json_cannot_keep_is_refused_at_any_depth() {
        let exact = json!({"a": [MAX_EXACT, -MAX_EXACT]});
        assert!(Value::from_json(exact).is_ok());
        for json in [json!(MAX_EXACT + 1), json!(u64::MAX), json!({"a": [i64::MIN]})] {
            assert!(matches!(Value::from_json(json), Err(ValueError::NotExact { .. })));
        }
    }

    #[test]
    fn a_clone_shares_the_text() {
        let value = Value::from("x".repeat(1000));
        let (Value::Text(a), Value::Text(b)) = (value.clone(), value) else { panic!("not texts") };
        assert!(Arc::ptr_eq(&a, &b));
    }

    #[test]
    fn a_long_value_is_cut_in_messages_at_a_character() {
        let text = Value::from("ü".repeat(100)).describe();
        assert!(text.starts_with("text \"üü") && text.ends_with('…'));
        assert_eq!(Value::Null.describe(), "null");
    }
}
