//! Numbers and lists as Python prints them.
//!
//! Infotexts and file names are compared as text by the tools that read them, so `7` as a float
//! has to be `7.0`, not `7`.

use std::fmt::Write as _;

use super::infotext::ParamValue;

/// A float as Python's `repr`: the shortest digits that read back as the same number, in
/// scientific form below 1e-4 and from 1e16 on.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return "nan".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.into();
    }
    let shortest = format!("{value:e}");
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit);
    // Two shortest forms may be equally near: Python takes the even one, as exact rounding does.
    let exact = format!("{value:.*e}", digits.count().saturating_sub(1));
    let scientific = if exact.parse() == Ok(value) { exact } else { shortest };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if value != 0.0 && !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let decimals = mantissa.split_once('.').map_or(0, |(_, decimals)| decimals.len() as i32);
    let decimals = (decimals - exponent).max(1);
    format!("{value:.*}", decimals as usize)
}

/// A value as Python's `str()`.
pub(crate) fn str_of(value: &ParamValue) -> String {
    match value {
        ParamValue::Text(text) => text.clone(),
        other => repr(other),
    }
}

/// A value as Python's `repr()`: only texts inside lists need it.
fn repr(value: &ParamValue) -> String {
    match value {
        ParamValue::Null => "None".into(),
        ParamValue::Bool(true) => "True".into(),
        ParamValue::Bool(false) => "False".into(),
        ParamValue::Int(number) => number.to_string(),
        ParamValue::Float(number) => float(*number),
        ParamValue::Text(text) => text_repr(text),
        ParamValue::List(items) => {
            format!("[{}]", items.iter().map(repr).collect::<Vec<_>>().join(", "))
        }
    }
}

fn text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// A value as Python's `json.dumps(value, ensure_ascii=False)`.
pub(crate) fn json(value: &ParamValue) -> String {
    match value {
        ParamValue::Null => "null".into(),
        ParamValue::Bool(flag) => flag.to_string(),
        ParamValue::Int(number) => number.to_string(),
        ParamValue::Float(number) if number.is_nan() => "NaN".into(),
        ParamValue::Float(number) if *number == f64::INFINITY => "Infinity".into(),
        ParamValue::Float(number) if *number == f64::NEG_INFINITY => "-Infinity".into(),
        ParamValue::Float(number) => float(*number),
        ParamValue::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        ParamValue::List(items) => {
            format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Python's `str.strip()`: what Unicode calls white space, and the four ASCII separators.
pub(crate) fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Python's `str.isspace()` for one character, which is also `\s` in its regular expressions.
pub(crate) fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_python_prints_them() {
        // Each right side is what CPython's repr() answers.
        for (value, text) in [
            (7.0, "7.0"),
            (7.5, "7.5"),
            (81_129_091_243_602.0 + 0.125, "81129091243602.12"),
            (120.0, "120.0"),
            (0.75, "0.75"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-4, "0.0001"),
            (1e-5, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (1e15, "1000000000000000.0"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e16, "1e+16"),
            (9_999_999_999_999_998.0, "9999999999999998.0"),
            (1e100, "1e+100"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(float(value), text);
        }
    }

    #[test]
    fn lists_print_as_python_prints_them() {
        let list = ParamValue::List(vec![
            "it's".into(),
            "a\\b".into(),
            ParamValue::Null,
            true.into(),
            1.0.into(),
        ]);
        assert_eq!(str_of(&list), r#"["it's", 'a\\b', None, True, 1.0]"#);
        assert_eq!(json(&list), r#"["it's", "a\\b", null, true, 1.0]"#);
    }
}
