//! The infotext: how a picture was made, as one text, in the layout of A1111 v1.10.1.
//!
//! ```text
//! a cat
//! Negative prompt: dog
//! Steps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 42, Size: 512x512, Version: v1.10.1
//! ```

use std::fmt;

use serde::Serialize;

use super::python_text;

/// One value of the parameter line.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// Not printed. Setting a key to it takes the key off the line.
    Null,
    /// `True` or `False`.
    Bool(bool),
    /// Printed as it is.
    Int(i64),
    /// Printed as Python prints floats: `7.0`, `1e-05`.
    Float(f64),
    /// Printed as it is, or as a JSON string where the line would be ambiguous.
    Text(String),
    /// One value per picture of the run: picture `i` prints element `i`.
    List(Vec<ParamValue>),
}

impl ParamValue {
    /// The text of this value as it stands on the line, quoted where needed: as JSON if and only
    /// if its text holds a comma, a colon or a line break.
    pub fn printed(&self) -> String {
        let text = python_text::str_of(self);
        if text.contains([',', '\n', ':']) { python_text::json(self) } else { text }
    }

    /// The text, if this is a [`Text`](Self::Text).
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

macro_rules! param_value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for ParamValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}
param_value_from!(bool => Bool, i32 => Int, u32 => Int, i64 => Int, f64 => Float, &str => Text,
    String => Text, Vec<ParamValue> => List);

impl<T: Into<ParamValue>> From<Option<T>> for ParamValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A list of parameters in which every key stands once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Params(Vec<(String, ParamValue)>);

impl Params {
    /// Sets a key. A key that is there keeps its place and takes the new value; a new one goes to
    /// the end.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<ParamValue>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&ParamValue> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The value of a key, if it is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(ParamValue::as_text)
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<ParamValue> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(at).1)
    }

    /// All keys and values, in the order of the line.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &ParamValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are, those with a [`ParamValue::Null`] included.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Into<String>, V: Into<ParamValue>> FromIterator<(K, V)> for Params {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut params = Self::default();
        for (key, value) in pairs {
            params.set(key, value);
        }
        params
    }
}

/// Prompt, negative prompt and parameters of one picture, or of all pictures of a run where
/// parameters are [`ParamValue::List`]s.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Infotext {
    /// May have several lines.
    pub prompt: String,
    /// Left out of the text when empty.
    pub negative_prompt: String,
    /// The last line, in order.
    pub params: Params,
}

impl Infotext {
    /// An infotext of these parts; see [`RunParams`](super::infotext_params::RunParams) for the
    /// parameters of a run in A1111's order.
    pub fn new(
        prompt: impl Into<String>,
        negative_prompt: impl Into<String>,
        params: Params,
    ) -> Self {
        Self { prompt: prompt.into(), negative_prompt: negative_prompt.into(), params }
    }

    /// The text for picture `image` (counted from 0), stripped of white space at both ends.
    ///
    /// A key with [`ParamValue::Null`], or with a list that has no element for this picture, is
    /// left out; a key whose value is its own name is printed as the bare key.
    pub fn render(&self, image: usize) -> String {
        let mut line = String::new();
        for (key, value) in self.params.iter() {
            let Some(value) = of_image(value, image) else { continue };
            if !line.is_empty() {
                line.push_str(", ");
            }
            line.push_str(key);
            if value.as_text() != Some(key) {
                line.push_str(": ");
                line.push_str(&value.printed());
            }
        }
        let mut text = self.prompt.clone();
        if !self.negative_prompt.is_empty() {
            text.push_str("\nNegative prompt: ");
            text.push_str(&self.negative_prompt);
        }
        text.push('\n');
        text.push_str(&line);
        python_text::strip(&text).to_owned()
    }

    /// Keys whose list has no element for picture `image`: [`render`](Self::render) leaves them
    /// out, the caller says so to the user.
    pub fn missing(&self, image: usize) -> Vec<&str> {
        self.params
            .iter()
            .filter(|(_, value)| matches!(value, ParamValue::List(items) if items.len() <= image))
            .map(|(key, _)| key)
            .collect()
    }
}

/// Prints the text of the first picture.
impl fmt::Display for Infotext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(0))
    }
}

fn of_image(value: &ParamValue, image: usize) -> Option<&ParamValue> {
    let value = if let ParamValue::List(items) = value { items.get(image)? } else { value };
    (*value != ParamValue::Null).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pairs: &[(&str, ParamValue)]) -> String {
        Infotext::new("", "", pairs.iter().cloned().collect()).to_string()
    }

    #[test]
    fn values_are_quoted_only_where_the_line_would_be_ambiguous() {
        for (value, printed) in [
            ("plain", "plain"),
            ("say \"hi\"", "say \"hi\""),
            ("say \"hi\", ok", r#""say \"hi\", ok""#),
            (r"a\b", r"a\b"),
            (r"a\b, c", r#""a\\b, c""#),
            ("a:b", r#""a:b""#),
            ("a\nb", r#""a\nb""#),
            ("ü, 猫", r#""ü, 猫""#),
            ("tab\t, bell\u{7}", r#""tab\t, bell\u0007""#),
            ("", ""),
        ] {
            assert_eq!(ParamValue::from(value).printed(), printed);
        }
    }

    #[test]
    fn a_list_inside_a_list_is_json() {
        let pair: ParamValue = vec!["a".into(), 1.into()].into();
        assert_eq!(line(&[("Key", vec![pair].into())]), r#"Key: ["a", 1]"#);
    }

    #[test]
    fn numbers_and_flags_print_as_python_text() {
        let text = line(&[
            ("Steps", 20.into()),
            ("CFG scale", 7.0.into()),
            ("Eta", 1e-5.into()),
            ("On", true.into()),
            ("Off", false.into()),
        ]);
        assert_eq!(text, "Steps: 20, CFG scale: 7.0, Eta: 1e-05, On: True, Off: False");
    }

    #[test]
    fn null_is_left_out_and_a_value_equal_to_its_key_is_the_bare_key() {
        let text = line(&[("Aa", "Aa".into()), ("Bb", ParamValue::Null), ("Cc", "x".into())]);
        assert_eq!(text, "Aa, Cc: x");
    }

    #[test]
    fn a_list_gives_each_picture_its_own_element() {
        let info = Infotext::new(
            "p",
            "",
            [("Hash", ParamValue::from(vec!["aa".into(), ParamValue::Null]))].into_iter().collect(),
        );
        assert_eq!(info.render(0), "p\nHash: aa");
        assert_eq!(info.render(1), "p");
        assert_eq!(info.render(2), "p");
        assert_eq!(info.missing(1), Vec::<&str>::new());
        assert_eq!(info.missing(2), ["Hash"]);
    }

    #[test]
    fn a_key_that_is_set_again_keeps_its_place() {
        let mut params: Params = [("Aa", 1), ("Bb", 2)].into_iter().collect();
        params.set("Aa", 3);
        params.set("Cc", 4);
        assert_eq!(Infotext::new("", "", params).to_string(), "Aa: 3, Bb: 2, Cc: 4");
    }

    #[test]
    fn the_whole_is_stripped_and_an_empty_negative_prompt_is_left_out() {
        let info = Infotext::new("  a cat ", "", Params::default());
        assert_eq!(info.to_string(), "a cat");
        let info = Infotext::new("a", "b ", [("Steps", 1)].into_iter().collect());
        assert_eq!(info.to_string(), "a\nNegative prompt: b \nSteps: 1");
    }
}
