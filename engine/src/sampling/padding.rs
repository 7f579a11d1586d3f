//! Prompts of different lengths in one model call.

use std::borrow::Cow;

use crate::conditioning::{Conditioning, ConditioningError};

/// What is done where prompt and negative prompt have different numbers of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Padding {
    /// Nothing: the model is called for each on its own.
    #[default]
    Apart,
    /// The shorter one is filled with this, the encoded empty prompt (A1111 v1.10.1's
    /// `pad_cond_uncond`).
    Empty(Conditioning),
    /// The negative prompt repeats its last token or is cut off (A1111 v1.10.1's
    /// `pad_cond_uncond_v0`).
    LastToken,
}

impl Padding {
    /// Both with the same number of tokens, if they are to have that.
    pub(super) fn fit<'a>(
        &self,
        cond: &'a Conditioning,
        uncond: &'a Conditioning,
    ) -> Result<(Cow<'a, Conditioning>, Cow<'a, Conditioning>), ConditioningError> {
        let apart = (Cow::Borrowed(cond), Cow::Borrowed(uncond));
        if cond.tokens() == uncond.tokens() {
            return Ok(apart);
        }
        Ok(match self {
            Self::Apart => apart,
            Self::Empty(empty) if cond.tokens() > uncond.tokens() => {
                (apart.0, Cow::Owned(uncond.with_tokens(cond.tokens(), empty)?))
            }
            Self::Empty(empty) => (Cow::Owned(cond.with_tokens(uncond.tokens(), empty)?), apart.1),
            Self::LastToken => (apart.0, Cow::Owned(uncond.stretched(cond.tokens()))),
        })
    }
}
