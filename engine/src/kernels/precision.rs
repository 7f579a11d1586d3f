//! What networks compute in.

use super::product::bf16;

/// What the values of products are rounded to; sums and everything else are single precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// Single precision, whatever a checkpoint's weights are kept in.
    #[default]
    Full,
    /// bf16, eight bits of a value, as torch's autocast does on processors: linear layers, attention, and
    /// convolutions that are not turned into Winograd's form. A step takes a quarter to a third less time and its
    /// weights half of the memory; a picture of the default checkpoint is 0.2 of 256 steps off on
    /// average. Only for processors with instructions for it (AVX512-BF16).
    Bf16,
}

impl Precision {
    /// Whether this processor has what it needs.
    #[must_use]
    pub fn is_available(self) -> bool {
        self == Self::Full || bf16::available()
    }
}
