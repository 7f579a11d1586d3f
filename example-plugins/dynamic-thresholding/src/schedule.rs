//! How a scale changes over the steps.

use std::f64::consts::{FRAC_PI_2, TAU};

use crate::named::Named;

/// The schedules of sd-dynamic-thresholding, by its names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    Constant,
    LinearDown,
    CosineDown,
    HalfCosineDown,
    LinearUp,
    CosineUp,
    HalfCosineUp,
    PowerUp,
    PowerDown,
    LinearRepeating,
    CosineRepeating,
    Sawtooth,
}

impl Named for Schedule {
    const ALL: &'static [(Self, &'static str)] = &[
        (Self::Constant, "Constant"),
        (Self::LinearDown, "Linear Down"),
        (Self::CosineDown, "Cosine Down"),
        (Self::HalfCosineDown, "Half Cosine Down"),
        (Self::LinearUp, "Linear Up"),
        (Self::CosineUp, "Cosine Up"),
        (Self::HalfCosineUp, "Half Cosine Up"),
        (Self::PowerUp, "Power Up"),
        (Self::PowerDown, "Power Down"),
        (Self::LinearRepeating, "Linear Repeating"),
        (Self::CosineRepeating, "Cosine Repeating"),
        (Self::Sawtooth, "Sawtooth"),
    ];
}

impl Schedule {
    /// Whether it looks at the scheduler's value: a power, or a number of repeats.
    pub(crate) fn has_value(self) -> bool {
        matches!(
            self,
            Self::PowerUp
                | Self::PowerDown
                | Self::LinearRepeating
                | Self::CosineRepeating
                | Self::Sawtooth
        )
    }

    /// The share of the way from the minimum to the scale, 0 to 1. `progress` is 0 at the first step
    /// and 1 at the last one.
    pub(crate) fn share(self, progress: f64, value: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::LinearDown => 1.0 - progress,
            Self::CosineDown => (progress * FRAC_PI_2).cos(),
            // “Half” is the extension's word: the angle ends at one radian.
            Self::HalfCosineDown => progress.cos(),
            Self::LinearUp => progress,
            Self::CosineUp => 1.0 - (progress * FRAC_PI_2).cos(),
            Self::HalfCosineUp => 1.0 - progress.cos(),
            Self::PowerUp => progress.powf(value),
            Self::PowerDown => 1.0 - progress.powf(value),
            Self::LinearRepeating => ((progress * value).fract() - 0.5).abs() * 2.0,
            Self::CosineRepeating => (progress * value * TAU).cos() * 0.5 + 0.5,
            Self::Sawtooth => (progress * value).fract(),
        }
    }
}

/// A scale with its schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scheduled {
    pub(crate) schedule: Schedule,
    /// What the schedule goes down to.
    pub(crate) least: f64,
}

impl Scheduled {
    /// What `scale` is at this point of the run.
    pub(crate) fn at(self, scale: f64, progress: f64, value: f64) -> f64 {
        (scale - self.least) * self.schedule.share(progress, value) + self.least
    }
}

/// How far a run is at a step, 0 to 1. The only step of a run is its first.
pub(crate) fn progress(step: u32, total: u32) -> f64 {
    f64::from(step) / f64::from(total.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_1_SQRT_2;

    use super::*;

    /// Shares at the beginning, a quarter, the middle and the end, with the value 2.
    const SHARES: [(Schedule, [f64; 4]); 12] = [
        (Schedule::Constant, [1.0, 1.0, 1.0, 1.0]),
        (Schedule::LinearDown, [1.0, 0.75, 0.5, 0.0]),
        (Schedule::CosineDown, [1.0, 0.923_879_532_5, FRAC_1_SQRT_2, 0.0]),
        (Schedule::HalfCosineDown, [1.0, 0.968_912_421_7, 0.877_582_561_9, 0.540_302_305_9]),
        (Schedule::LinearUp, [0.0, 0.25, 0.5, 1.0]),
        (Schedule::CosineUp, [0.0, 0.076_120_467_5, 1.0 - FRAC_1_SQRT_2, 1.0]),
        (Schedule::HalfCosineUp, [0.0, 0.031_087_578_3, 0.122_417_438_1, 0.459_697_694_1]),
        (Schedule::PowerUp, [0.0, 0.0625, 0.25, 1.0]),
        (Schedule::PowerDown, [1.0, 0.9375, 0.75, 0.0]),
        (Schedule::LinearRepeating, [1.0, 0.0, 1.0, 1.0]),
        (Schedule::CosineRepeating, [1.0, 0.0, 1.0, 1.0]),
        (Schedule::Sawtooth, [0.0, 0.5, 0.0, 0.0]),
    ];

    #[test]
    fn schedules_go_where_their_names_say() {
        for (schedule, expected) in SHARES {
            for (progress, expected) in [0.0, 0.25, 0.5, 1.0].into_iter().zip(expected) {
                let share = schedule.share(progress, 2.0);
                assert!((share - expected).abs() < 1e-9, "{schedule:?} at {progress}: {share}");
            }
        }
    }

    #[test]
    fn a_schedule_goes_from_the_scale_to_the_minimum() {
        let down = Scheduled { schedule: Schedule::LinearDown, least: 3.0 };
        let constant = Scheduled { schedule: Schedule::Constant, least: 0.0 };
        for (scheduled, scale, at, expected) in [
            (down, 11.0, 0.0, 11.0),
            (down, 11.0, 0.5, 7.0),
            (down, 11.0, 1.0, 3.0),
            (constant, 11.0, 0.5, 11.0),
        ] {
            let found = scheduled.at(scale, at, 4.0);
            assert!((found - expected).abs() < 1e-12, "{scheduled:?} at {at}: {found}");
        }
    }

    #[test]
    fn shares_are_between_0_and_1_for_every_value_that_the_option_may_have() {
        for (schedule, name) in Schedule::ALL {
            for value in [0.0, 0.5, 4.0, 40.0] {
                for step in 0..=20 {
                    let share = schedule.share(progress(step, 21), value);
                    assert!((0.0..=1.0).contains(&share), "{name} {value} at {step}: {share}");
                }
            }
        }
    }

    #[test]
    fn a_run_goes_from_0_to_1_and_one_of_a_single_step_has_just_begun() {
        for (step, total, expected) in
            [(0, 11, 0.0), (5, 11, 0.5), (10, 11, 1.0), (0, 1, 0.0), (0, 0, 0.0)]
        {
            let found = progress(step, total);
            assert!((found - expected).abs() < 1e-12, "step {step} of {total}: {found}");
        }
    }
}
