//! Values that cross the boundary: scalars, text, and JSON text for everything deeper.

use std::sync::Arc;

/// A value lent for the length of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// UTF-8 text.
    Text(&'a str),
    /// A list or an object, as JSON text.
    Json(&'a str),
}

impl ValueRef<'_> {
    /// The type's name in messages.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            ValueRef::Null => "null",
            ValueRef::Bool(_) => "bool",
            ValueRef::Int(_) => "int",
            ValueRef::Float(_) => "float",
            ValueRef::Text(_) => "text",
            ValueRef::Json(_) => "json",
        }
    }
}

/// A value owned by the host; texts are shared, so that handing one out costs no copy.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// UTF-8 text.
    Text(Arc<str>),
    /// A list or an object, as JSON text.
    Json(Arc<str>),
}

impl Value {
    /// The value, lent.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Value::Null => ValueRef::Null,
            Value::Bool(v) => ValueRef::Bool(*v),
            Value::Int(v) => ValueRef::Int(*v),
            Value::Float(v) => ValueRef::Float(*v),
            Value::Text(v) => ValueRef::Text(v),
            Value::Json(v) => ValueRef::Json(v),
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Bool(v) => Value::Bool(v),
            ValueRef::Int(v) => Value::Int(v),
            ValueRef::Float(v) => Value::Float(v),
            ValueRef::Text(v) => Value::Text(v.into()),
            ValueRef::Json(v) => Value::Json(v.into()),
        }
    }
}
