//! Option values as they cross the boundary.

use atelier_plugin_abi::{Value as AbiValue, ValueRef, codes::Status, host::Refusal};

use crate::options::Value;

/// An option's value on its way to a plugin.
pub fn to_plugin(value: &Value) -> AbiValue {
    match value {
        Value::Null => AbiValue::Null,
        Value::Bool(v) => AbiValue::Bool(*v),
        Value::Int(v) => AbiValue::Int(*v),
        Value::Float(v) => AbiValue::Float(*v),
        Value::Text(v) => AbiValue::Text(v.clone()),
        Value::Json(v) => AbiValue::Json(v.text().into()),
    }
}

/// An option's value on its way from a plugin.
///
/// # Errors
/// JSON text that is no JSON, or numbers in it that options do not hold.
pub fn from_plugin(value: ValueRef<'_>) -> Result<Value, Refusal> {
    let bad = |error: &dyn std::fmt::Display| Refusal::new(Status::BadValue, error.to_string());
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Bool(v) => Value::Bool(v),
        ValueRef::Int(v) => Value::Int(v),
        ValueRef::Float(v) => Value::Float(v),
        ValueRef::Text(v) => Value::Text(v.into()),
        ValueRef::Json(v) => {
            let json = serde_json::from_str(v).map_err(|error| bad(&error))?;
            Value::from_json(json).map_err(|error| bad(&error))?
        }
    })
}
