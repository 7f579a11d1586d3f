//! Texts with commas between them, quoted as in CSV.

use super::{Problem, ValueError};

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item {
    /// Where it begins, in characters from 1.
    pub(crate) at: usize,
    /// Without white space at the ends, and without the quotes.
    pub(crate) text: String,
    pub(crate) quoted: bool,
}

impl Item {
    pub(crate) fn is(&self, problem: Problem) -> ValueError {
        ValueError { at: self.at, problem }
    }
}

/// Divides at commas and line breaks. A value in quotes may have both, and a quote written twice; no
/// text has no values.
pub(crate) fn split(text: &str) -> Result<Vec<Item>, ValueError> {
    let mut rest = Rest { chars: text.trim_end().chars().collect(), at: 0 };
    let mut items = Vec::new();
    if rest.chars.is_empty() {
        return Ok(items);
    }
    loop {
        rest.skip_blanks();
        let at = rest.at + 1;
        let quoted = rest.chars.get(rest.at) == Some(&'"');
        let text = if quoted { rest.quoted()? } else { rest.plain() };
        items.push(Item { at, text, quoted });
        if rest.at >= rest.chars.len() {
            return Ok(items);
        }
        rest.at += 1;
    }
}

/// What is not read yet.
struct Rest {
    chars: Vec<char>,
    at: usize,
}

fn separates(character: char) -> bool {
    matches!(character, ',' | '\n')
}

impl Rest {
    fn skip_blanks(&mut self) {
        let blank = |c: &&char| c.is_whitespace() && !separates(**c);
        self.at += self.chars[self.at..].iter().take_while(blank).count();
    }

    /// Up to the next separator, which is left.
    fn plain(&mut self) -> String {
        let from = self.at;
        self.at += self.chars[from..].iter().take_while(|c| !separates(**c)).count();
        self.chars[from..self.at].iter().collect::<String>().trim().to_owned()
    }

    /// From one quote to the other, and on to the next separator, which is left.
    fn quoted(&mut self) -> Result<String, ValueError> {
        let open = self.at;
        let mut text = String::new();
        loop {
            self.at += 1;
            match self.chars.get(self.at) {
                None => return Err(ValueError { at: open + 1, problem: Problem::OpenQuote }),
                Some('"') if self.chars.get(self.at + 1) == Some(&'"') => {
                    text.push('"');
                    self.at += 1;
                }
                Some('"') => break,
                Some(character) => text.push(*character),
            }
        }
        self.at += 1;
        self.skip_blanks();
        match self.chars.get(self.at) {
            Some(found) if !separates(*found) => {
                let problem = Problem::BehindQuote { found: *found };
                Err(ValueError { at: self.at + 1, problem })
            }
            _ => Ok(text.trim().to_owned()),
        }
    }
}
