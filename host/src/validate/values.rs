//! Values to try options and arguments with.

use crate::{
    options::{Kind, OptionSpec, Value, cast},
    plugins::ArgSpec,
};

/// Values at the edges of what an option takes: its limits, its choices, both switches, another text.
pub fn limits(spec: &OptionSpec) -> Vec<Value> {
    edges(spec.kind, (spec.min, spec.max), &spec.choices)
        .into_iter()
        .filter(|value| cast::cast(spec, value).is_ok())
        .collect()
}

/// The same for an argument.
pub fn arg_limits(arg: &ArgSpec) -> Vec<Value> {
    let choices: Vec<Value> =
        arg.choices.iter().filter_map(|choice| Value::from_json(choice.clone()).ok()).collect();
    edges(arg.kind, (arg.min, arg.max), &choices)
        .into_iter()
        .filter(|value| arg.cast(&value.to_json()).is_ok())
        .collect()
}

/// At most eight values.
const MOST: usize = 8;

fn edges(kind: Kind, (min, max): (Option<f64>, Option<f64>), choices: &[Value]) -> Vec<Value> {
    if !choices.is_empty() {
        return choices.iter().take(MOST).cloned().collect();
    }
    match kind {
        Kind::Bool => vec![Value::Bool(false), Value::Bool(true)],
        Kind::Int => {
            let (min, max) = (min.unwrap_or(0.0) as i64, max.unwrap_or(100.0) as i64);
            vec![Value::Int(min), Value::Int(max)]
        }
        Kind::Float => vec![Value::Float(min.unwrap_or(0.0)), Value::Float(max.unwrap_or(1.0))],
        Kind::Text => vec![Value::from(""), Value::from("another text")],
        Kind::List => {
            vec![Value::texts(Vec::<String>::new()), Value::texts(["one", "two"])]
        }
        Kind::Object | Kind::Any => Vec::new(),
    }
}

/// A legal value that is not the one there, if there is any.
pub fn another(spec: &OptionSpec, now: &Value) -> Option<Value> {
    others(spec, now).into_iter().next()
}

/// Legal values that are not the one there: every choice (eight at most), the limits of a number, the
/// other switch, another text.
pub fn others(spec: &OptionSpec, now: &Value) -> Vec<Value> {
    let mut all = limits(spec);
    if spec.kind == Kind::Text && spec.choices.is_empty() {
        all.reverse();
    }
    all.retain(|value| cast::cast(spec, value).is_ok_and(|cast| cast != *now));
    all
}
