//! Prompts of several parts: `a cat AND a dog:0.5`.

use super::words::alone;

const AND: &str = "AND";

/// What a prompt is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the picture is to show.
    Positive,
    /// What it is not to show.
    Negative,
}

impl Side {
    /// The parts that it has: a negative prompt is one.
    pub(crate) fn parts(self, prompt: &str) -> Vec<SubPrompt> {
        match self {
            Self::Positive => sub_prompts(prompt),
            Self::Negative => vec![SubPrompt { text: prompt.to_owned(), weight: 1.0 }],
        }
    }
}

/// A part of a prompt, which the model is asked for on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct SubPrompt {
    /// Its text, with schedules and attention still in it.
    pub text: String,
    /// How much its answer weighs.
    pub weight: f64,
}

/// The parts of a prompt between the words `AND`, each with the weight that it ends in.
///
/// As `get_multicond_prompt_list` of A1111 v1.10.1.
pub fn sub_prompts(prompt: &str) -> Vec<SubPrompt> {
    let mut from = 0;
    let mut parts = Vec::new();
    for at in alone(prompt, AND) {
        parts.push(weighed(&prompt[from..at]));
        from = at + AND.len();
    }
    parts.push(weighed(&prompt[from..]));
    parts
}

fn weighed(part: &str) -> SubPrompt {
    let trimmed = part.trim_end();
    // A1111's pattern reads text in one line only. What it does not read stays as it is.
    let in_one_line = |text: &str| !text.trim_start().contains('\n');
    let split = trimmed.rsplit_once(':').and_then(|(text, number)| {
        let text = text.trim_end();
        Some((text, weight(number.trim_start())?)).filter(|(text, _)| in_one_line(text))
    });
    let (text, weight) = match split {
        Some(split) => split,
        None if in_one_line(trimmed) => (trimmed, 1.0),
        None => (part, 1.0),
    };
    SubPrompt { text: text.to_owned(), weight }
}

/// Digits with at most one point, and a sign.
fn weight(number: &str) -> Option<f64> {
    let plain = number.chars().all(|c| c.is_ascii_digit() || "+-.".contains(c));
    if plain { number.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prompt: &str, expected: &[(&str, f64)]) {
        let found = sub_prompts(prompt);
        let found: Vec<_> = found.iter().map(|part| (part.text.as_str(), part.weight)).collect();
        assert_eq!(found, expected, "{prompt:?}");
    }

    /// What the parser of v1.10.1 answers.
    #[test]
    fn parts_have_weights() {
        check("a cat", &[("a cat", 1.0)]);
        check("cat AND dog:0.5", &[("cat", 1.0), (" dog", 0.5)]);
        check("a :1.2 AND b : -0.5", &[("a", 1.2), (" b", -0.5)]);
        check("a AND", &[("a", 1.0), ("", 1.0)]);
        check("a:1.2", &[("a", 1.2)]);
        check("a:1. AND b:.5 AND c:+2", &[("a", 1.0), (" b", 0.5), (" c", 2.0)]);
    }

    #[test]
    fn what_is_no_weight_is_text() {
        check("ANDroid, a and b, X_AND", &[("ANDroid, a and b, X_AND", 1.0)]);
        check("a:b AND c:1e3", &[("a:b", 1.0), (" c:1e3", 1.0)]);
        check("a (b:1.2) AND [c:d:3]", &[("a (b:1.2)", 1.0), (" [c:d:3]", 1.0)]);
        check("a\nb:0.5 ", &[("a\nb:0.5 ", 1.0)]);
        check("\na:0.5\n", &[("\na", 0.5)]);
        check("a:1.2.3", &[("a:1.2.3", 1.0)]);
        check("", &[("", 1.0)]);
    }
}
