//! What follows from the runs.

use std::fmt;

use serde::Serialize;

use super::trial::OptionTrial;

/// How far a plugin is on the way from live options to the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It reads no option live in a run.
    Ready,
    /// It reads live, and no change in mid-run changed a pixel.
    NeverDiffers,
    /// An option changed in mid-run changes the picture.
    Migrate,
    /// It writes an option live and reads it back.
    Variable,
    /// The same run does not give the same pixels.
    NotRepeatable,
}

impl Verdict {
    /// The verdict in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NeverDiffers => "reads live but never differs",
            Self::Migrate => "migrate",
            Self::Variable => "uses an option as a variable",
            Self::NotRepeatable => "not repeatable, cannot say",
        }
    }

    /// What to do, in a sentence.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Ready => {
                "nothing is to be done: what it reads in a run it reads from the snapshot"
            }
            Self::NeverDiffers => {
                "read these options from the snapshot; no picture changes by it (docs/migrating.md)"
            }
            Self::Migrate => {
                "read these options in start, from the snapshot; what somebody changes while a run \
                 draws then counts from the next run on (docs/migrating.md)"
            }
            Self::Variable => {
                "keep the value in the run's struct instead of an option, or write it with \
                 run_options(); the snapshot does not follow (docs/migrating.md)"
            }
            Self::NotRepeatable => {
                "draw its chance from the pictures' seeds first (cx.seeds()); \
                 `atelier plugins validate --include ^same-` finds where"
            }
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words())
    }
}

/// The verdict on one option.
pub(super) fn of_option(option: &OptionTrial) -> Verdict {
    if option.live == 0 {
        return Verdict::Ready;
    }
    if option.writes > 0 {
        return Verdict::Variable;
    }
    if option.shifts.iter().any(|shift| shift.pixels > 0) {
        Verdict::Migrate
    } else {
        Verdict::NeverDiffers
    }
}

/// The verdict on a plugin: the worst of its options'.
pub(super) fn of_plugin(options: &[OptionTrial], repeatable: bool) -> Verdict {
    if !repeatable {
        return Verdict::NotRepeatable;
    }
    options.iter().map(|option| option.verdict).max().unwrap_or(Verdict::Ready)
}
