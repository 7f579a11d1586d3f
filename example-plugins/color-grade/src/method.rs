//! What offsets are weighed by.

use crate::named::Named;

/// The methods of Vectorscope CC that go without chance, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// By the colour that is there already.
    Straight,
    StraightAbs,
    /// By the colour of the other latents: of the sampler's where predictions are graded, and the
    /// other way about.
    Cross,
    CrossAbs,
    /// All alike.
    Ones,
}

impl Named for Method {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Straight, "Straight"),
        (Self::StraightAbs, "Straight Abs."),
        (Self::Cross, "Cross"),
        (Self::CrossAbs, "Cross Abs."),
        (Self::Ones, "Ones"),
    ];
}

impl Method {
    pub(crate) fn is_cross(self) -> bool {
        matches!(self, Self::Cross | Self::CrossAbs)
    }

    /// The weight of an offset where the latents that weigh have this value.
    pub(crate) fn weight(self, value: f64) -> f64 {
        match self {
            Self::Straight | Self::Cross => value,
            Self::StraightAbs | Self::CrossAbs => value.abs(),
            Self::Ones => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_values_absolute_values_or_ones() {
        let weights = |method: Method| [-2.0, 0.0, 0.5].map(|value| method.weight(value).to_bits());
        let bits = |values: [f64; 3]| values.map(f64::to_bits);
        assert_eq!(weights(Method::Straight), bits([-2.0, 0.0, 0.5]));
        assert_eq!(weights(Method::StraightAbs), bits([2.0, 0.0, 0.5]));
        assert_eq!(weights(Method::Cross), weights(Method::Straight));
        assert_eq!(weights(Method::CrossAbs), weights(Method::StraightAbs));
        assert_eq!(weights(Method::Ones), bits([1.0; 3]));
    }

    #[test]
    fn only_cross_looks_at_the_other_latents() {
        let crossing: Vec<_> = Method::ALL
            .iter()
            .filter(|(method, _)| method.is_cross())
            .map(|(_, name)| *name)
            .collect();
        assert_eq!(crossing, ["Cross", "Cross Abs."]);
    }
}
