//! Reading an infotext back, by the rules of A1111 v1.10.1.

use super::infotext::{Infotext, ParamValue, Params};
use super::python_text::{is_space, strip};

/// The parameter line counts as one from this many pairs on; a line with fewer is prompt.
const MIN_PAIRS: usize = 3;

/// What an infotext says.
///
/// All values of [`params`](Self::params) are texts, and a value `512x768` under the key `Size`
/// has become two keys, `Size-1` (`512`) and `Size-2` (`768`). Nothing is filled in: see
/// [`fill_defaults`](Self::fill_defaults) for that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ParsedInfotext {
    /// The prompt, its lines stripped.
    pub prompt: String,
    /// The negative prompt, its lines stripped.
    pub negative_prompt: String,
    /// The parameters in the order of the line. A key that stands there twice has its last value.
    pub params: Params,
}

impl ParsedInfotext {
    /// Reads any text: what is not understood is prompt or is left out, as in A1111.
    ///
    /// A prompt whose last line happens to hold three `key: value` pairs is taken for parameters:
    /// the format has no way to tell.
    pub fn parse(text: &str) -> Self {
        let text = strip(text);
        let (mut lines, last) = match text.rsplit_once('\n') {
            Some((lines, last)) => (lines.split('\n').collect(), last),
            None => (Vec::new(), text),
        };
        let mut pairs = find_pairs(last);
        if pairs.len() < MIN_PAIRS {
            lines.push(last);
            pairs.clear();
        }

        let mut parsed = Self::default();
        let mut negative = false;
        for line in lines {
            let mut line = strip(line);
            if let Some(rest) = line.strip_prefix("Negative prompt:") {
                negative = true;
                line = strip(rest);
            }
            let part = if negative { &mut parsed.negative_prompt } else { &mut parsed.prompt };
            if !part.is_empty() {
                part.push('\n');
            }
            part.push_str(line);
        }
        for (key, value) in pairs {
            parsed.take_pair(key, value);
        }
        parsed
    }

    /// The infotext again, ready to be written: `Size-1` and `Size-2` are joined to `Size`.
    pub fn into_infotext(self) -> Infotext {
        let part_of = |key: &str, end: &str, other: &str| {
            let base = key.strip_suffix(end)?;
            Some((base.to_owned(), self.params.get(&format!("{base}{other}"))?))
        };
        let mut params = Params::default();
        for (key, value) in self.params.iter() {
            if let Some((base, height)) = part_of(key, "-1", "-2") {
                params.set(base, format!("{}x{}", value.printed(), height.printed()));
            } else if part_of(key, "-2", "-1").is_none() {
                params.set(key, value.clone());
            }
        }
        Infotext::new(self.prompt, self.negative_prompt, params)
    }

    fn take_pair(&mut self, key: &str, value: &str) {
        // An empty value is an error to A1111, which then drops the pair.
        if value.is_empty() {
            return;
        }
        let value = unquote(value);
        if let Some((width, height)) = as_size(&value) {
            self.params.set(format!("{key}-1"), width);
            self.params.set(format!("{key}-2"), height);
            return;
        }
        match key {
            "Prompt" => self.prompt = value,
            "Negative prompt" => self.negative_prompt = value,
            _ => self.params.set(key, ParamValue::Text(value)),
        }
    }
}

/// The text inside a JSON string; anything else, broken JSON included, as it is.
fn unquote(text: &str) -> String {
    if text.starts_with('"')
        && text.ends_with('"')
        && let Ok(inner) = serde_json::from_str(text)
    {
        return inner;
    }
    text.to_owned()
}

/// `512x768` as its two numbers, still as text.
fn as_size(value: &str) -> Option<(&str, &str)> {
    let (width, height) = value.split_once('x')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number(width) && number(height)).then_some((width, height))
}

/// All `key: value` pairs of a line, from left to right.
///
/// Equals A1111's regular expression `\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)`, in
/// one pass: a run of key characters that no colon follows cannot hold a key.
fn find_pairs(line: &str) -> Vec<(&str, &str)> {
    let mut pairs = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_word) {
        rest = &rest[start..];
        let end = rest.find(|c| !is_word(c) && !matches!(c, ' ' | '-' | '/')).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        match after.strip_prefix(':') {
            // A key has two characters or more.
            Some(after) if key.chars().nth(1).is_some() => {
                let after = after.trim_start_matches(is_space);
                let value = quoted(after).unwrap_or_else(|| until_comma(after));
                rest = after[value.len()..].strip_prefix(',').unwrap_or("");
                pairs.push((key, value));
            }
            _ => rest = after,
        }
    }
    pairs
}

/// A character of `\w`.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn until_comma(text: &str) -> &str {
    text.split(',').next().unwrap_or(text)
}

/// The non-empty quoted string that `text` begins with, quotes included, if a comma or the end of
/// the line follows it.
fn quoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => {
                let (string, rest) = text.split_at(at + 2);
                return (at > 0 && (rest.is_empty() || rest.starts_with(','))).then_some(string);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Vec<(String, String)> {
        ParsedInfotext::parse(text)
            .params
            .iter()
            .map(|(key, value)| (key.to_owned(), value.as_text().unwrap().to_owned()))
            .collect()
    }

    fn last_line(pairs: &str) -> Vec<(String, String)> {
        let mut all = params(&format!("p\nSteps: 20, Sampler: Euler, CFG scale: 7, {pairs}"));
        all.drain(..3);
        all
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn prompts_of_several_lines_and_the_size_are_taken_apart() {
        let parsed = ParsedInfotext::parse(
            "multi\nline prompt\nNegative prompt: neg1\nneg2\nSteps: 20, Sampler: DPM++ 2M, \
             Schedule type: Karras, CFG scale: 7.5, Seed: 1, Size: 512x768, Version: v1.10.1",
        );
        assert_eq!(parsed.prompt, "multi\nline prompt");
        assert_eq!(parsed.negative_prompt, "neg1\nneg2");
        let expected: Params = [
            ("Steps", "20"),
            ("Sampler", "DPM++ 2M"),
            ("Schedule type", "Karras"),
            ("CFG scale", "7.5"),
            ("Seed", "1"),
            ("Size-1", "512"),
            ("Size-2", "768"),
            ("Version", "v1.10.1"),
        ]
        .into_iter()
        .collect();
        assert_eq!(parsed.params, expected);
    }

    #[test]
    fn two_pairs_are_prompt() {
        let parsed = ParsedInfotext::parse("p\nSteps: 20, Sampler: Euler");
        assert_eq!(parsed.prompt, "p\nSteps: 20, Sampler: Euler");
        assert!(parsed.params.is_empty());
    }

    #[test]
    fn three_pairs_are_parameters_even_where_a_prompt_was_meant() {
        let parsed = ParsedInfotext::parse("Steps: 20, Sampler: Euler, CFG scale: 7");
        assert_eq!(parsed.prompt, "");
        assert_eq!(parsed.params.len(), 3);
        let swallowed = ParsedInfotext::parse("key: v, other: w, third: z");
        assert_eq!(swallowed.prompt, "");
        assert_eq!(swallowed.params.text("third"), Some("z"));
    }

    #[test]
    fn quoted_values_lose_their_quotes() {
        assert_eq!(
            last_line(r#"Lora hashes: "a: 1234, b: 5678", TI hashes: "x: 9""#),
            [pair("Lora hashes", "a: 1234, b: 5678"), pair("TI hashes", "x: 9")]
        );
        assert_eq!(
            last_line(r#"Hires prompt: "a, (b:1.2)\nline2""#),
            [pair("Hires prompt", "a, (b:1.2)\nline2")]
        );
        assert_eq!(last_line(r#"Name: "\u00fc""#), [pair("Name", "ü")]);
    }

    #[test]
    fn broken_quotes_stay_as_they_are() {
        assert_eq!(last_line(r#"Name: "bad\x""#), [pair("Name", r#""bad\x""#)]);
        assert_eq!(last_line(r#"Name: "unclosed, b"#), [pair("Name", "\"unclosed")]);
        assert_eq!(last_line(r#"Name: "a" b, More: 1"#)[0], pair("Name", "\"a\" b"));
        assert_eq!(last_line("Name: \", More: 1")[0], pair("Name", "\""));
    }

    #[test]
    fn keys_of_one_letter_and_empty_values_do_not_arrive() {
        assert_eq!(last_line(r#"K: "unclosed, L: 2"#), []);
        assert_eq!(last_line("Empty: , Other: x"), [pair("Other", "x")]);
    }

    #[test]
    fn only_the_first_negative_prompt_marker_of_a_line_is_taken_off() {
        let parsed = ParsedInfotext::parse(
            "p\nNegative prompt: Negative prompt: x\nSteps: 1, Sampler: a, Seed: 2",
        );
        assert_eq!(parsed.negative_prompt, "Negative prompt: x");
    }

    #[test]
    fn keys_may_hold_blanks_dashes_slashes_and_foreign_letters() {
        assert_eq!(
            last_line("a-b/c d: 1, größe_2: 2, .x y: 3, ((zz: 4"),
            [pair("a-b/c d", "1"), pair("größe_2", "2"), pair("x y", "3"), pair("zz", "4"),]
        );
        // The key's run of characters begins at its first letter or digit.
        assert_eq!(last_line("- Foo: 1, ,, --Bar : b:c"), [pair("Foo", "1"), pair("Bar ", "b:c")]);
    }

    #[test]
    fn a_size_is_two_numbers_and_nothing_else() {
        assert_eq!(
            last_line("Hires resize: 1x22, Aa: 1x, Bb: 1x2x3, Cc: x2"),
            [
                pair("Hires resize-1", "1"),
                pair("Hires resize-2", "22"),
                pair("Aa", "1x"),
                pair("Bb", "1x2x3"),
                pair("Cc", "x2"),
            ]
        );
    }

    #[test]
    fn written_read_and_written_again_is_the_same_text() {
        let long = r#"a (cat:1.2), <lora:x:1>
second, line: with colons
Negative prompt: bad
worse
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1, Size: 512x768, Model: a/b, Denoising strength: 0.75, Lora hashes: "a: 1, b: 2", Hires resize: 0x1024, Hires prompt: "x\n\"y\", 猫", Say: say "hi", Path: a\b, User: Zoë"#;
        for text in [long, "a\nSteps: 20, Sampler: Euler, Seed: 1, Size: 8x8", "only a prompt", ""]
        {
            assert_eq!(ParsedInfotext::parse(text).into_infotext().to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_grow() {
        // Pieces that steer the parser, glued together by a seeded generator.
        let pieces = [
            "Negative prompt:",
            "Steps: 1",
            ", ",
            ":",
            "\"",
            "\\",
            "\n",
            "é",
            "猫",
            " ",
            "x",
            "512x512",
            "\u{0}",
            "\u{2028}",
            "Key",
            "-",
            "/",
            "\\\"",
            "\\u00",
            "1",
            ",",
            "Prompt: y",
            "\u{1f}",
        ];
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..20_000 {
            let count = next(40);
            let text: String = (0..count).map(|_| pieces[next(pieces.len())]).collect();
            let mut parsed = ParsedInfotext::parse(&text);
            parsed.fill_defaults(false);
            parsed.apply_backcompat();
            // Escapes and a line break per character are the most that writing may add.
            let once = ParsedInfotext::parse(&text).into_infotext().to_string();
            assert!(once.len() <= 4 * text.len() + 32, "{text:?}");
        }
    }
}
