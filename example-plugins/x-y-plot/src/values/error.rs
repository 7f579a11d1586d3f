//! What is wrong with a value.

/// A value that cannot be read, and where it stands: characters are counted from 1.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("character {at}: {problem}")]
pub(crate) struct ValueError {
    pub(crate) at: usize,
    pub(crate) problem: Problem,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum Problem {
    #[error("the quote is not closed; add a “\"”, or write it twice inside of quotes")]
    OpenQuote,
    #[error("“{found}” stands behind a closed quote; put the whole value into the quotes")]
    BehindQuote { found: char },
    #[error("a value is missing; remove the comma, or write a value")]
    Empty,
    #[error("“{given}” is no whole number; write 4, 1-5, 1-10 (+2) or 1-10 [4]")]
    NotWhole { given: String },
    #[error("“{given}” is no number; write 0.5, 1-3, 0.5-2 (+0.5) or 0.5-2 [4]")]
    NoNumber { given: String },
    #[error("“{given}” is no size; write width and height, such as 64x96")]
    NoSize { given: String },
    #[error("“{given}” is no JSON; write for example [\"a\"], with every quote twice")]
    NoJson { given: String },
    #[error("{given} is less than {least}, which is the least that makes sense")]
    TooSmall { given: i64, least: i64 },
    #[error("the step of “{given}” does not lead from its start to its end; turn its sign around")]
    Step { given: String },
    #[error("“{given}” has no values; ask for one or more in the brackets")]
    NoCount { given: String },
    #[error("“{given}” are more than {most} values; take a wider step, or write how many: [10]")]
    TooMany { given: String, most: usize },
}
