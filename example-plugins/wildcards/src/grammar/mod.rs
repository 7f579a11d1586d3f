//! From text to [`Template`]: the grammar of variants and wildcards.
//!
//! ```text
//! template    = ( text | escape | wildcard | variant )*
//! wildcard    = "__" name "__"
//! variant     = "{" [ count "$$" [ separator "$$" ] ] alternative ( "|" alternative )* "}"
//! alternative = [ weight "::" ] template
//! count       = n | n "-" n | n "-" | "-" n
//! escape      = "\{" | "\}" | "\_", inside of braces also "\|" and "\$"
//! line        = alternative
//! ```
//!
//! Everything else is text, A1111's own syntax included: `(a:1.2)`, `[a:b:0.5]` and `[a|b]` go
//! through as they are, in braces too, and so does a backslash before any other character.

mod error;
mod head;
#[cfg(test)]
mod tests;

pub(crate) use error::SyntaxError;

use crate::template::{Alternative, Part, Template, Variant};

/// How deep braces may lie in one another. Reading and filling recurse as deep.
const MOST_NESTED: usize = 32;
/// The greatest weight; sums of weights stay finite.
const MOST_WEIGHT: u32 = 1_000_000;
/// The longest name of a wildcard, in bytes. Keeps stray underscores from being searched for their
/// end through the whole of a long prompt.
const LONGEST_NAME: usize = 200;
/// What no name has: signs of this grammar, of A1111's, and of prose.
const NOT_IN_NAMES: &str = "{}|()[]<>:;,\"$#\\?`";
/// What may be more than text, anywhere in a template.
const SIGNS: [char; 7] = ['{', '}', '|', '[', ']', '\\', '_'];

/// Reads a prompt.
pub(crate) fn prompt(text: &str) -> Result<Template, SyntaxError> {
    Parser::new(text).template()
}

/// Reads a line of a wildcard file. A line with weight 0 is `None`.
pub(crate) fn line(text: &str) -> Result<Option<Alternative>, SyntaxError> {
    let line = Parser::new(text).alternative()?;
    Ok(line.has_weight().then_some(line))
}

impl Alternative {
    fn has_weight(&self) -> bool {
        self.weight > 0.0
    }
}

#[derive(Clone, Debug)]
struct Parser<'a> {
    text: &'a str,
    /// Bytes that are read.
    at: usize,
    /// Braces that are open.
    nested: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, nested: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// A byte's place as people count it.
    fn character(&self, byte: usize) -> usize {
        self.text[..byte].chars().count() + 1
    }

    /// Reads up to the end of the text or, inside of braces, of the alternative.
    fn template(&mut self) -> Result<Template, SyntaxError> {
        let inside = self.nested > 0;
        let mut template = Template::default();
        let mut brackets = Brackets::default();
        while let Some(next) = self.peek() {
            match next {
                '}' if inside => break,
                '|' if inside && brackets.open == 0 => break,
                '}' => return Err(SyntaxError::Unopened { at: self.character(self.at) }),
                '{' => template.0.push(Part::Variant(self.variant()?)),
                '\\' => template.push_text(self.escape()),
                '_' if let Some(name) = self.wildcard() => {
                    template.0.push(Part::Wildcard(name.to_owned()));
                }
                _ => {
                    brackets.note(next, self.at);
                    template.push_text(self.plain(next));
                }
            }
        }
        if inside && brackets.open > 0 && self.peek().is_some() {
            return Err(SyntaxError::OpenBracket { at: self.character(brackets.outermost) });
        }
        Ok(template)
    }

    fn variant(&mut self) -> Result<Variant, SyntaxError> {
        let brace = self.at;
        if self.nested == MOST_NESTED {
            return Err(SyntaxError::TooDeep { at: self.character(brace) });
        }
        self.nested += 1;
        self.at += 1;
        let picks = self.picks()?;
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.alternative()?);
            match self.peek() {
                Some('|') => self.at += 1,
                Some(_) => break,
                None => return Err(SyntaxError::Unclosed { at: self.character(brace) }),
            }
        }
        self.at += "}".len();
        self.nested -= 1;
        alternatives.retain(Alternative::has_weight);
        if alternatives.is_empty() {
            return Err(SyntaxError::NothingLeft { at: self.character(brace) });
        }
        Ok(Variant { picks, alternatives })
    }

    fn alternative(&mut self) -> Result<Alternative, SyntaxError> {
        Ok(Alternative { weight: self.weight()?, template: self.template()? })
    }

    /// The name of the wildcard that begins here.
    fn wildcard(&mut self) -> Option<&'a str> {
        let from = self.rest().strip_prefix("__")?;
        let (end, _) = from.char_indices().find(|(at, next)| {
            from[*at..].starts_with("__")
                || next.is_control()
                || NOT_IN_NAMES.contains(*next)
                || *at > LONGEST_NAME
        })?;
        let name = &from[..end];
        let is_name = !name.is_empty() && name.trim() == name && from[end..].starts_with("__");
        is_name.then(|| {
            self.at += "__".len() + end + "__".len();
            name
        })
    }

    /// What a backslash and the character behind it stand for.
    fn escape(&mut self) -> &'a str {
        let after = self.rest().chars().nth(1);
        let is_ours = |c| matches!(c, '{' | '}' | '_') || self.nested > 0 && matches!(c, '|' | '$');
        if after.is_some_and(is_ours) {
            self.at += 1;
            return self.take(1);
        }
        self.take(1 + after.map_or(0, char::len_utf8))
    }

    /// This character, whatever it is, and all behind it up to the next sign.
    fn plain(&mut self, first: char) -> &'a str {
        let behind = &self.rest()[first.len_utf8()..];
        let end = behind.find(SIGNS).unwrap_or(behind.len());
        self.take(first.len_utf8() + end)
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let taken = &self.rest()[..bytes];
        self.at += bytes;
        taken
    }
}

/// Square brackets of an alternative: A1111 has `|` in them too.
#[derive(Debug, Default)]
struct Brackets {
    open: usize,
    /// Where the outermost of them is.
    outermost: usize,
}

impl Brackets {
    fn note(&mut self, next: char, at: usize) {
        match next {
            '[' => {
                if self.open == 0 {
                    self.outermost = at;
                }
                self.open += 1;
            }
            ']' => self.open = self.open.saturating_sub(1),
            _ => {}
        }
    }
}

impl Template {
    fn push_text(&mut self, more: &str) {
        match self.0.last_mut() {
            Some(Part::Text(text)) => text.push_str(more),
            _ => self.0.push(Part::Text(more.to_owned())),
        }
    }
}
