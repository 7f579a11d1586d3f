//! How strong a step is.

use std::f64::consts::FRAC_PI_2;

use crate::named::Named;

/// The scalings of Vectorscope CC, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scaling {
    Flat,
    Cos,
    Sin,
    OneLessCos,
    OneLessSin,
}

impl Named for Scaling {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Flat, "Flat"),
        (Self::Cos, "Cos"),
        (Self::Sin, "Sin"),
        (Self::OneLessCos, "1 - Cos"),
        (Self::OneLessSin, "1 - Sin"),
    ];
}

impl Scaling {
    /// The strength of a step, 0 to 1.
    pub(crate) fn strength(self, step: u32, steps: u32) -> f64 {
        let angle = f64::from(step) / f64::from(steps.max(1)) * FRAC_PI_2;
        match self {
            Self::Flat => 1.0,
            Self::Cos => angle.cos(),
            Self::Sin => angle.sin(),
            Self::OneLessCos => 1.0 - angle.cos(),
            Self::OneLessSin => 1.0 - angle.sin(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_1_SQRT_2;

    use super::*;

    /// At the first of four steps, the third, and behind the last, which no run reaches.
    const STRENGTHS: [(Scaling, [f64; 3]); 5] = [
        (Scaling::Flat, [1.0, 1.0, 1.0]),
        (Scaling::Cos, [1.0, FRAC_1_SQRT_2, 0.0]),
        (Scaling::Sin, [0.0, FRAC_1_SQRT_2, 1.0]),
        (Scaling::OneLessCos, [0.0, 1.0 - FRAC_1_SQRT_2, 1.0]),
        (Scaling::OneLessSin, [1.0, 1.0 - FRAC_1_SQRT_2, 0.0]),
    ];

    #[test]
    fn scalings_go_where_their_names_say() {
        for (scaling, expected) in STRENGTHS {
            for (step, expected) in [0, 2, 4].into_iter().zip(expected) {
                let strength = scaling.strength(step, 4);
                assert!((strength - expected).abs() < 1e-12, "{scaling:?} at {step}: {strength}");
            }
        }
    }

    #[test]
    fn a_run_without_steps_has_a_strength_too() {
        for (scaling, name) in Scaling::ALL {
            assert!(scaling.strength(0, 0).is_finite(), "{name}");
        }
    }
}
