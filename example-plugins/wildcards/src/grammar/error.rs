//! What is wrong with a template.

use super::{MOST_NESTED, MOST_WEIGHT};

/// A template that does not fit the grammar. Characters are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error(
        "the “{{” at character {at} is not closed: add a “}}”, or write “\\{{” for the brace itself"
    )]
    Unclosed { at: usize },
    #[error(
        "the “}}” at character {at} closes nothing: remove it, or write “\\}}” for the brace itself"
    )]
    Unopened { at: usize },
    #[error(
        "the “[” at character {at} is not closed in its alternative, so what “|” divides is not \
         clear: add a “]”, or write “\\[” for the bracket itself"
    )]
    OpenBracket { at: usize },
    #[error(
        "the “{{” at character {at} lies in {MOST_NESTED} others: move what is inside into a \
         wildcard file"
    )]
    TooDeep { at: usize },
    #[error(
        "“{found}” at character {at} is no weight: write a number from 0 to {MOST_WEIGHT}, as in \
         “0.5::”"
    )]
    Weight { at: usize, found: String },
    #[error(
        "“{found}$$” at character {at} does not say how many: write “2$$”, “1-2$$”, “1-$$” or \
         “-2$$”, or “\\$$” for the signs themselves"
    )]
    Count { at: usize, found: String },
    #[error(
        "nothing is left to choose in the “{{” at character {at}: give one of its alternatives a \
         weight above 0"
    )]
    NothingLeft { at: usize },
}
