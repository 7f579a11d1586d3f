//! What may stand before an alternative's text: counts and weights.

use super::{MOST_WEIGHT, Parser, SyntaxError};
use crate::template::Picks;

/// How much of a text that is no number is shown.
const SHOWN: usize = 20;
/// What stands between two picks unless something else is asked for.
const SEPARATOR: &str = ", ";

impl Parser<'_> {
    /// How many alternatives are to be taken: one, unless the variant says so.
    pub(super) fn picks(&mut self) -> Result<Picks, SyntaxError> {
        let (count, after) = split_at(self.rest(), |c| matches!(c, '0'..='9' | '-' | ' '));
        if !after.starts_with("$$") {
            return Ok(Picks { least: 1, most: 1, separator: SEPARATOR.to_owned() });
        }
        let Some((least, most)) = range(count.trim()) else {
            let (at, found) = (self.character(self.at), excerpt(count));
            return Err(SyntaxError::Count { at, found });
        };
        self.at += count.len() + "$$".len();
        let separator = self.separator().unwrap_or_else(|| SEPARATOR.to_owned());
        Ok(Picks { least, most, separator })
    }

    /// A separator of the variant's own: what stands before a second `$$`.
    fn separator(&mut self) -> Option<String> {
        let mut ahead = self.clone();
        let mut separator = String::new();
        loop {
            match ahead.peek()? {
                '{' | '}' => return None,
                '\\' => separator.push_str(ahead.escape()),
                '$' if ahead.rest().starts_with("$$") => break,
                next => separator.push_str(ahead.take(next.len_utf8())),
            }
        }
        self.at = ahead.at + "$$".len();
        Some(separator)
    }

    /// The weight of the alternative that begins here, 1 where it says none.
    pub(super) fn weight(&mut self) -> Result<f64, SyntaxError> {
        let rest = self.rest();
        let trimmed = rest.trim_start();
        let (number, after) = split_at(trimmed, |c| matches!(c, '0'..='9' | '.' | '+' | '-'));
        if number.is_empty() || !after.starts_with("::") {
            return Ok(1.0);
        }
        let start = self.at + rest.len() - trimmed.len();
        let fits = |weight: &f64| (0.0..=f64::from(MOST_WEIGHT)).contains(weight);
        let Some(weight) = number.parse().ok().filter(fits) else {
            let (at, found) = (self.character(start), excerpt(number));
            return Err(SyntaxError::Weight { at, found });
        };
        self.at = start + number.len() + "::".len();
        Ok(weight)
    }
}

/// Divides a text behind the last of the characters that it begins with.
fn split_at(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// The two ends of `2`, `1-2`, `1-` or `-2`.
fn range(count: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.trim().parse::<u32>().ok().map(|n| n as usize);
    let or = |text: &str, open| if text.is_empty() { Some(open) } else { number(text) };
    match count.split_once('-') {
        None => number(count).map(|n| (n, n)),
        Some(("", "")) => None,
        Some((least, most)) => Some((or(least, 1)?, or(most, usize::MAX)?)),
    }
    .filter(|(least, most)| least <= most)
}

fn excerpt(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
