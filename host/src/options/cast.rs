//! From a given value to a value of the option's type.
//!
//! Stricter than A1111 v1.10.1, whose API stores whatever it is given: a client may write `"80"`
//! for a number, but never a number for a text, and never anything out of range.

use serde_json::Value as Json;

use super::error::{SetError, ValueError};
use super::spec::{Kind, OptionSpec};
use super::value::{Value, is_exact};

/// Converts a value to the type of an option and checks range and choices.
///
/// | option | takes |
/// |---|---|
/// | bool | bool, 0 and 1, the texts `true` and `false` in any case |
/// | int | whole numbers, numeric texts; within ±(2⁵³ − 1) |
/// | float | numbers, numeric texts |
/// | text | texts only |
/// | list | lists whose elements are of the type of the default's elements |
/// | object | objects |
/// | any | everything |
///
/// Null is taken where the option is nullable or has null as its default.
///
/// # Errors
/// [`SetError`] names the key, what is expected and what was given.
pub fn cast(spec: &OptionSpec, value: &Value) -> Result<Value, SetError> {
    if *value == Value::Null && spec.takes_null() {
        return Ok(Value::Null);
    }
    let wrong = || wrong_type(spec, value);
    let cast = match spec.kind {
        Kind::Bool => Value::Bool(to_bool(value).ok_or_else(wrong)?),
        Kind::Int => Value::Int(to_int(spec, value)?),
        Kind::Float => Value::Float(to_float(spec, value)?),
        Kind::Text => Value::Text(match value {
            Value::Text(text) => text.clone(),
            _ => return Err(wrong()),
        }),
        Kind::List => to_list(spec, value)?,
        Kind::Object if value.kind_name() == "object" => value.clone(),
        Kind::Object => return Err(wrong()),
        Kind::Any => to_any(spec, value)?,
    };
    check_range(spec, &cast)?;
    check_choices(spec, &cast)?;
    Ok(cast)
}

/// Reads a value as somebody types it on the command line.
///
/// As [`cast`], and besides: `on`, `off`, `1` and `0` for truth values, JSON for lists, objects
/// and options of any type, `null` where the option takes it.
///
/// # Errors
/// As [`cast`].
pub fn parse_text(spec: &OptionSpec, text: &str) -> Result<Value, SetError> {
    if text == "null" && spec.takes_null() {
        return Ok(Value::Null);
    }
    let given = match spec.kind {
        Kind::Bool => match text.to_ascii_lowercase().as_str() {
            "1" | "on" => Value::Bool(true),
            "0" | "off" => Value::Bool(false),
            _ => text.into(),
        },
        Kind::List | Kind::Object | Kind::Any => match serde_json::from_str::<Json>(text) {
            Ok(json) => Value::from_json(json)
                .map_err(|source| SetError::NotExact { key: spec.key.clone(), source })?,
            Err(_) => text.into(),
        },
        Kind::Int | Kind::Float | Kind::Text => text.into(),
    };
    cast(spec, &given)
}

fn wrong_type(spec: &OptionSpec, given: &Value) -> SetError {
    let expected = match spec.kind {
        Kind::Bool => "a bool (true or false)".to_owned(),
        Kind::Int => "an int (a whole number)".to_owned(),
        Kind::Float => "a float (a number)".to_owned(),
        Kind::Text => "a text".to_owned(),
        Kind::List => match elements(spec) {
            Some(kind) => format!("a list of {kind}s, such as [{}]", kind.example()),
            None => "a list of texts or numbers, such as [\"a\", \"b\"]".to_owned(),
        },
        Kind::Object => "an object, such as {\"a\": 1}".to_owned(),
        Kind::Any => "any value but null".to_owned(),
    };
    let expected = if spec.takes_null() { format!("{expected} or null") } else { expected };
    SetError::WrongType { key: spec.key.clone(), expected, given: given.describe() }
}

fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Int(0) => Some(false),
        Value::Int(1) => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

fn to_int(spec: &OptionSpec, value: &Value) -> Result<i64, SetError> {
    let int = match value {
        Value::Int(int) => *int,
        Value::Text(text) if let Ok(int) = text.trim().parse() => int,
        _ => match to_float(spec, value)? {
            // Far outside of what is exact this saturates, so the check below sees it.
            whole if whole.fract() == 0.0 => whole as i64,
            _ => return Err(wrong_type(spec, value)),
        },
    };
    if !is_exact(int) {
        let source = ValueError::NotExact { given: int.to_string() };
        return Err(SetError::NotExact { key: spec.key.clone(), source });
    }
    Ok(int)
}

fn to_float(spec: &OptionSpec, value: &Value) -> Result<f64, SetError> {
    let float = match value {
        Value::Float(value) => *value,
        Value::Int(value) => *value as f64,
        Value::Text(text) => text.trim().parse().map_err(|_| wrong_type(spec, value))?,
        _ => return Err(wrong_type(spec, value)),
    };
    if !float.is_finite() {
        return Err(SetError::NotFinite { key: spec.key.clone() });
    }
    // Minus zero and zero are one value; adding zero leaves only the latter.
    Ok(float + 0.0)
}

/// What the elements of a list option are.
#[derive(Clone, Copy, PartialEq)]
enum Element {
    Text,
    Number,
}

impl Element {
    fn of(json: &Json) -> Option<Self> {
        match json {
            Json::String(_) => Some(Self::Text),
            Json::Number(_) => Some(Self::Number),
            _ => None,
        }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Text => "\"a\", \"b\"",
            Self::Number => "1, 2",
        }
    }
}

impl std::fmt::Display for Element {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
        })
    }
}

/// The type of a list option's elements, as far as its default or its choices tell.
fn elements(spec: &OptionSpec) -> Option<Element> {
    let first = spec.default.as_list().and_then(<[Json]>::first).and_then(Element::of);
    first.or_else(|| Element::of(&spec.choices.first()?.to_json()))
}

fn to_list(spec: &OptionSpec, value: &Value) -> Result<Value, SetError> {
    let items = value.as_list().ok_or_else(|| wrong_type(spec, value))?;
    let expected = elements(spec);
    let fits = |item: &Json| match (Element::of(item), expected) {
        (None, _) => false,
        (Some(_), None) => true,
        (given, expected) => given == expected,
    };
    if items.iter().all(fits) { Ok(value.clone()) } else { Err(wrong_type(spec, value)) }
}

fn to_any(spec: &OptionSpec, value: &Value) -> Result<Value, SetError> {
    match value {
        Value::Null => Err(wrong_type(spec, value)),
        Value::Int(_) => to_int(spec, value).map(Value::Int),
        Value::Float(_) => to_float(spec, value).map(Value::Float),
        _ => Ok(value.clone()),
    }
}

fn check_range(spec: &OptionSpec, value: &Value) -> Result<(), SetError> {
    let Some(given) = value.as_float() else { return Ok(()) };
    let below = spec.min.is_some_and(|min| given < min);
    let above = spec.max.is_some_and(|max| given > max);
    if below || above {
        let (key, min, max) = (spec.key.clone(), spec.min, spec.max);
        return Err(SetError::OutOfRange { key, min, max, given });
    }
    Ok(())
}

fn check_choices(spec: &OptionSpec, value: &Value) -> Result<(), SetError> {
    if spec.choices.is_empty() || spec.open_choices {
        return Ok(());
    }
    let refuse = |given| {
        let (key, choices) = (spec.key.clone(), spec.choices.clone());
        Err(SetError::NotAChoice { key, choices, given })
    };
    match value.as_list() {
        Some(items) => {
            let known = |item: &Json| spec.choices.iter().any(|choice| choice.to_json() == *item);
            match items.iter().find(|item| !known(item)) {
                Some(item) => refuse(Value::from_json(item.clone()).unwrap_or_default()),
                None => Ok(()),
            }
        }
        None if spec.choices.contains(value) => Ok(()),
        None => refuse(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(json: Json) -> Value {
        Value::from_json(json).unwrap()
    }

    fn casts(spec: &OptionSpec, given: Json, expected: &Value) {
        assert_eq!(cast(spec, &value(given)).as_ref(), Ok(expected));
    }

    fn refuses(spec: &OptionSpec, given: Json) {
        let given = value(given);
        assert!(cast(spec, &given).is_err(), "{given} was taken");
    }

    #[test]
    fn whole_numbers_take_whole_numbers_in_any_writing() {
        let spec = OptionSpec::int("n", 0);
        for given in [json!(7), json!(7.0), json!("7"), json!(" 7 "), json!("7.0"), json!("7e0")] {
            casts(&spec, given, &Value::Int(7));
        }
        for given in [json!(7.5), json!("7.5"), json!("x"), json!(""), json!(true), json!([7])] {
            refuses(&spec, given);
        }
        refuses(&spec, json!("9007199254740993"));
        refuses(&spec, json!(1e300));
    }

    #[test]
    fn floats_are_stored_as_floats_whatever_was_given() {
        let spec = OptionSpec::float("f", 0.0);
        for given in [json!(7), json!(7.0), json!("7"), json!("7.0")] {
            casts(&spec, given, &Value::Float(7.0));
        }
        let zero = cast(&spec, &Value::Float(-0.0)).unwrap();
        assert_eq!(zero.to_string(), "0.0");
    }

    #[test]
    fn no_option_holds_a_number_that_is_not_finite() {
        let (float, int) = (OptionSpec::float("f", 0.0), OptionSpec::int("i", 0));
        for spec in [float, int, OptionSpec::any("a")] {
            for given in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                let refused = cast(&spec, &Value::Float(given));
                assert_eq!(refused, Err(SetError::NotFinite { key: spec.key.clone() }));
            }
        }
        let text = cast(&OptionSpec::float("f", 0.0), &"NaN".into());
        assert_eq!(text, Err(SetError::NotFinite { key: "f".into() }));
    }

    #[test]
    fn truth_values_take_words_in_any_case_and_zero_and_one() {
        let spec = OptionSpec::bool("b", false);
        for given in [json!(true), json!("True"), json!("true"), json!("TRUE"), json!(1)] {
            casts(&spec, given, &Value::Bool(true));
        }
        for given in [json!(false), json!("False"), json!("false"), json!(0)] {
            casts(&spec, given, &Value::Bool(false));
        }
        for given in [json!("yes"), json!(""), json!(2), json!(1.0), json!(null)] {
            refuses(&spec, given);
        }
    }

    #[test]
    fn texts_take_texts_only() {
        let spec = OptionSpec::text("t", "");
        casts(&spec, json!("7"), &"7".into());
        for given in [json!(7), json!(true), json!(["a"]), json!(null)] {
            refuses(&spec, given);
        }
    }

    #[test]
    fn a_list_keeps_to_the_type_of_its_elements() {
        let texts = OptionSpec::texts("l", ["a"]);
        casts(&texts, json!([]), &value(json!([])));
        casts(&texts, json!(["x", "y"]), &value(json!(["x", "y"])));
        for given in [json!([1]), json!(["a", 1]), json!([["a"]]), json!("a"), json!({"a": 1})] {
            refuses(&texts, given);
        }
        let open = OptionSpec::texts("l", [""; 0]);
        casts(&open, json!(["a"]), &value(json!(["a"])));
        casts(&open, json!([1]), &value(json!([1])));
        refuses(&open, json!([null]));
    }

    #[test]
    fn null_needs_leave() {
        casts(&OptionSpec::text("t", "").nullable(), json!(null), &Value::Null);
        casts(&OptionSpec::new("t", Kind::Text, Value::Null), json!(null), &Value::Null);
        refuses(&OptionSpec::new("a", Kind::Any, 1), json!(null));
    }

    #[test]
    fn ranges_and_closed_choices_hold_and_open_ones_do_not() {
        let quality = OptionSpec::int("jpeg_quality", 80).range(1, 100);
        casts(&quality, json!(100), &Value::Int(100));
        refuses(&quality, json!(0));
        let refused = cast(&quality, &"101".into()).unwrap_err().to_string();
        assert_eq!(refused, "option \"jpeg_quality\" takes 1 to 100, not 101");

        let closed = OptionSpec::text("randn_source", "GPU").choices(["GPU", "CPU"]);
        let refused = cast(&closed, &"TPU".into()).unwrap_err().to_string();
        assert_eq!(refused, "option \"randn_source\" takes one of \"GPU\", \"CPU\", not \"TPU\"");
        casts(&closed.open_choices(), json!("TPU"), &"TPU".into());

        let many = OptionSpec::texts("l", ["GPU"]).choices(["GPU", "CPU"]);
        casts(&many, json!(["CPU", "GPU"]), &Value::texts(["CPU", "GPU"]));
        refuses(&many, json!(["CPU", "TPU"]));
    }

    #[test]
    fn an_error_names_key_expectation_and_what_was_given() {
        let spec = OptionSpec::int("CLIP_stop_at_last_layers", 1);
        let message = cast(&spec, &"two".into()).unwrap_err().to_string();
        assert_eq!(
            message,
            "option \"CLIP_stop_at_last_layers\" takes an int (a whole number), not text \"two\""
        );
    }

    #[test]
    fn the_command_line_speaks_words_numbers_and_json() {
        let parse = |spec: OptionSpec, text: &str| parse_text(&spec, text);
        for (text, expected) in [("on", true), ("Off", false), ("1", true), ("False", false)] {
            assert_eq!(parse(OptionSpec::bool("b", true), text), Ok(expected.into()));
        }
        assert_eq!(parse(OptionSpec::float("f", 0.0), "7"), Ok(7.0.into()));
        assert_eq!(parse(OptionSpec::text("t", ""), "null"), Ok("null".into()));
        assert_eq!(parse(OptionSpec::text("t", "").nullable(), "null"), Ok(Value::Null));
        assert_eq!(parse(OptionSpec::texts("l", ["a"]), "[\"b\"]"), Ok(Value::texts(["b"])));
        let message = parse(OptionSpec::texts("l", ["a"]), "b").unwrap_err().to_string();
        assert_eq!(
            message,
            "option \"l\" takes a list of texts, such as [\"a\", \"b\"], not text \"b\""
        );
    }
}
