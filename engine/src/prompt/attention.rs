//! Attention: `(more)`, `[less]`, `(so much:1.3)`, `BREAK`.

use super::words::alone;

/// What a round bracket multiplies by, and a square one divides by.
const STEP: f64 = 1.1;
/// The word that ends a chunk, and the weight that tells it from the same word as text.
const BREAK: (&str, f64) = ("BREAK", -1.0);

/// A piece of a prompt with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// Its text, brackets and backslashes gone.
    pub text: String,
    /// What its tokens weigh; 1 without brackets.
    pub weight: f64,
}

/// A weight that is no number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "“:{weight})” in the prompt is no weight; write a number such as 1.2, or \\( and \\) for brackets that are text"
)]
pub struct BadWeight {
    /// What stands where the number should.
    pub weight: String,
}

impl Piece {
    fn new(text: impl Into<String>, weight: f64) -> Self {
        Self { text: text.into(), weight }
    }

    /// Whether it is the end of a chunk, and no text.
    pub fn is_break(&self) -> bool {
        (self.text.as_str(), self.weight) == BREAK
    }
}

/// The pieces of a prompt, neighbours of equal weight joined; one empty piece where there is nothing.
///
/// As `parse_prompt_attention` of A1111 v1.10.1, but that a weight such as `1.2.3` is an error and not a
/// crash.
///
/// # Errors
/// [`BadWeight`].
pub fn pieces(prompt: &str) -> Result<Vec<Piece>, BadWeight> {
    let mut reader = Reader::default();
    let mut rest = prompt;
    while let Some(first) = rest.chars().next() {
        rest = reader.read(first, rest)?;
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    pieces: Vec<Piece>,
    /// Where the open brackets began, in pieces.
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    /// Reads what `rest` begins with, and returns what is left.
    fn read<'a>(&mut self, first: char, rest: &'a str) -> Result<&'a str, BadWeight> {
        let behind = &rest[first.len_utf8()..];
        match first {
            '\\' => {
                // An escaped bracket is text; a backslash before anything else is nothing.
                let escaped = behind.chars().next().filter(|next| "()[]\\".contains(*next));
                let (text, left) = behind.split_at(escaped.map_or(0, char::len_utf8));
                self.pieces.push(Piece::new(text, 1.0));
                return Ok(left);
            }
            '(' => self.round.push(self.pieces.len()),
            '[' => self.square.push(self.pieces.len()),
            ':' => {
                if let Some((weight, left)) = weight(behind) {
                    let whole = &rest[..rest.len() - left.len()];
                    self.close_with(weight, whole)?;
                    return Ok(left);
                }
                self.text(":");
            }
            ')' => match self.round.pop() {
                Some(from) => self.multiply(from, STEP),
                None => self.text(")"),
            },
            ']' => match self.square.pop() {
                Some(from) => self.multiply(from, 1.0 / STEP),
                None => self.text("]"),
            },
            _ => {
                let (text, left) =
                    rest.split_at(rest.find(['\\', '(', ')', '[', ']', ':']).unwrap_or(rest.len()));
                self.text(text);
                return Ok(left);
            }
        }
        Ok(behind)
    }

    /// `:1.2)`: the end of a round bracket, if one is open.
    fn close_with(&mut self, weight: &str, whole: &str) -> Result<(), BadWeight> {
        let Some(from) = self.round.pop() else {
            self.text(whole);
            return Ok(());
        };
        let number = weight.parse().map_err(|_| BadWeight { weight: weight.to_owned() })?;
        self.multiply(from, number);
        Ok(())
    }

    fn multiply(&mut self, from: usize, by: f64) {
        self.pieces[from..].iter_mut().for_each(|piece| piece.weight *= by);
    }

    /// Text, and the breaks in it.
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some((before, after)) = split_at_break(rest) {
            self.pieces.push(Piece::new(before, 1.0));
            self.pieces.push(Piece::new(BREAK.0, BREAK.1));
            rest = after;
        }
        self.pieces.push(Piece::new(rest, 1.0));
    }

    fn finish(mut self) -> Vec<Piece> {
        // Brackets that are never closed reach to the end.
        for from in std::mem::take(&mut self.round) {
            self.multiply(from, STEP);
        }
        for from in std::mem::take(&mut self.square) {
            self.multiply(from, 1.0 / STEP);
        }
        let mut joined: Vec<Piece> = Vec::new();
        for piece in self.pieces {
            match joined.last_mut() {
                Some(last) if (last.weight - piece.weight).abs() == 0.0 => {
                    last.text.push_str(&piece.text);
                }
                _ => joined.push(piece),
            }
        }
        if joined.is_empty() {
            joined.push(Piece::new("", 1.0));
        }
        joined
    }
}

/// The number and what is behind the bracket, of ` 1.2 )…`.
fn weight(behind: &str) -> Option<(&str, &str)> {
    let number = behind.trim_start();
    let signs = usize::from(number.starts_with(['+', '-']));
    let digit = |c: char| c.is_numeric() || c == '.';
    let end = number[signs..].find(|c| !digit(c)).map_or(number.len(), |at| signs + at);
    let left = number[end..].trim_start().strip_prefix(')')?;
    (end > signs).then_some((&number[..end], left))
}

/// What is before and behind the first `BREAK` that is a word of its own, blanks around it gone.
fn split_at_break(text: &str) -> Option<(&str, &str)> {
    let at = alone(text, BREAK.0).next()?;
    Some((text[..at].trim_end(), text[at + BREAK.0.len()..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(prompt: &str, expected: &[(&str, f64)]) {
        let found = pieces(prompt).unwrap();
        let texts: Vec<&str> = found.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(texts, expected.iter().map(|(text, _)| *text).collect::<Vec<_>>(), "{prompt}");
        for (piece, (_, weight)) in found.iter().zip(expected) {
            assert!((piece.weight - weight).abs() < 1e-9, "{prompt}: {piece:?}, not {weight}");
        }
    }

    #[test]
    fn brackets_weigh_what_is_in_them() {
        check("", &[("", 1.0)]);
        check("a cat", &[("a cat", 1.0)]);
        check("(x)", &[("x", 1.1)]);
        check("[x]", &[("x", 1.0 / 1.1)]);
        check("((x))", &[("x", 1.21)]);
        check("(x:0.5)", &[("x", 0.5)]);
        check("(x: -1.5 ) y", &[("x", -1.5), (" y", 1.0)]);
        check("(x:+.5)", &[("x", 0.5)]);
        check("([x])", &[("x", 1.0)]);
    }

    #[test]
    fn a_bracket_that_stays_open_reaches_to_the_end() {
        check(
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            &[
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        );
        check("(a:1.2", &[("a:1.2", 1.1)]);
        check("[[a", &[("a", 1.0 / 1.21)]);
    }

    #[test]
    fn what_is_no_weight_is_text() {
        check("[a:1.5]", &[("a:1.5", 1.0 / 1.1)]);
        check("(a:b)", &[("a:b", 1.1)]);
        check("a) b] c:1.2)", &[("a) b] c:1.2)", 1.0)]);
        check(r"\(a\) a\b \\ \[", &[(r"(a) ab \ [", 1.0)]);
    }

    #[test]
    fn a_break_is_a_piece_of_its_own() {
        check("a BREAK b", &[("a", 1.0), ("BREAK", -1.0), ("b", 1.0)]);
        check("BREAK", &[("", 1.0), ("BREAK", -1.0), ("", 1.0)]);
        check("aBREAK BREAKS break", &[("aBREAK BREAKS break", 1.0)]);
        assert!(pieces("a BREAK b").unwrap()[1].is_break());
        // Inside of a weight the marker is weighed too, and is text then.
        let inside = pieces("(a BREAK b:1.5)").unwrap();
        assert!(!inside.iter().any(Piece::is_break));
        check("(a BREAK b:1.5)", &[("a", 1.5), ("BREAK", -1.5), ("b", 1.5)]);
    }

    #[test]
    fn a_weight_that_is_no_number_is_an_error() {
        for (prompt, weight) in [("(a:1.2.3)", "1.2.3"), ("(a:.)", "."), ("(a:-..)", "-..")] {
            assert_eq!(pieces(prompt), Err(BadWeight { weight: weight.to_owned() }), "{prompt}");
        }
        // Nobody is hurt where no bracket is open.
        check("a:1.2.3)", &[("a:1.2.3)", 1.0)]);
    }

    #[test]
    fn nothing_that_people_write_ends_the_program() {
        for prompt in [
            "(((((",
            ")))",
            "\\",
            "(:",
            "(:)",
            "(a:٣)",
            "🦀(🦀:1.2)[",
            "( : 1 )",
            "BREAKBREAK",
            ":",
            "(:1)",
        ] {
            let _ = pieces(prompt);
        }
    }
}
