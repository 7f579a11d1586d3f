//! What a check is, and what it can find.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::subject::Subject;

/// What came of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// All is well.
    Pass,
    /// Something to think about; not a failure.
    Warn,
    /// It could not be tried; the words say what was missing.
    Skip,
    /// The plugin does not do what it should.
    Fail,
    /// The process that ran the plugin died.
    Crashed,
    /// The process that ran the plugin said nothing for too long, and was ended.
    Timeout,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 6] =
        [Self::Pass, Self::Warn, Self::Skip, Self::Fail, Self::Crashed, Self::Timeout];

    /// One word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Skip => "skip",
            Self::Fail => "fail",
            Self::Crashed => "crashed",
            Self::Timeout => "timeout",
        }
    }

    /// Whether the plugin did not get through.
    pub fn is_bad(self) -> bool {
        matches!(self, Self::Fail | Self::Crashed | Self::Timeout)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What a check found: an outcome and the words for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// What was seen; empty where all is well.
    pub words: String,
}

impl Verdict {
    /// All is well.
    pub fn pass() -> Self {
        Self { outcome: Outcome::Pass, words: String::new() }
    }

    /// Something to think about.
    pub fn warn(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warn, words: words.into() }
    }

    /// It could not be tried.
    pub fn skip(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skip, words: words.into() }
    }

    /// The plugin does not do what it should.
    pub fn fail(words: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fail, words: words.into() }
    }
}

/// What a check's function returns: `Ok` where all is well, the verdict where not.
pub type Found = Result<(), Verdict>;

/// Ends a check as failed where something does not hold.
pub(super) fn ensure(holds: bool, words: impl FnOnce() -> String) -> Found {
    if holds { Ok(()) } else { Err(Verdict::fail(words())) }
}

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The file, without running any of it.
    File,
    /// Loading it.
    Load,
    /// Its options and arguments.
    Options,
    /// Its hooks.
    Hooks,
    /// The same again.
    Repeat,
    /// How it treats the process it is a guest in.
    Manners,
    /// Hosts that are not like this one.
    Hosts,
    /// Older builds and settings of it.
    Upgrade,
    /// Much of everything.
    Stress,
}

impl Group {
    /// One word for tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Load => "load",
            Self::Options => "options",
            Self::Hooks => "hooks",
            Self::Repeat => "repeat",
            Self::Manners => "manners",
            Self::Hosts => "hosts",
            Self::Upgrade => "upgrade",
            Self::Stress => "stress",
        }
    }
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, for command lines and reports. Never changes.
    pub id: &'static str,
    /// What it is about.
    pub group: Group,
    /// How strict one has to be to care, 1 to 10. Level 5 is for every plugin, level 8 for one that is
    /// published.
    pub level: u8,
    /// A sentence that says what has to be so.
    pub about: &'static str,
    /// Does it. Runs code of the plugin unless the group is [`Group::File`].
    pub(super) run: fn(&Subject) -> Found,
}

impl Check {
    /// Whether any of the plugin's code runs.
    pub fn executes(&self) -> bool {
        self.group != Group::File
    }

    /// Runs the check in this process.
    pub fn run_here(&self, subject: &Subject) -> Verdict {
        match (self.run)(subject) {
            Ok(()) => Verdict::pass(),
            Err(verdict) => verdict,
        }
    }
}
