//! What came of the checks of one plugin.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;

use super::{
    check::{Check, Group, Outcome},
    child::Tried,
};

/// One check with what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Result {
    /// The check.
    pub check: &'static str,
    /// What it is about.
    pub group: Group,
    /// Its level.
    pub level: u8,
    /// What has to be so.
    pub about: &'static str,
    /// What came of it.
    #[serde(flatten)]
    pub tried: Tried,
}

impl Result {
    /// A check with what came of it.
    pub fn new(check: &'static Check, tried: Tried) -> Self {
        let Check { id, group, level, about, .. } = check;
        Self { check: id, group: *group, level: *level, about, tried }
    }

    /// The outcome.
    pub fn outcome(&self) -> Outcome {
        self.tried.verdict.outcome
    }
}

/// All results of one plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its library.
    pub library: PathBuf,
    /// Its id, where it has one.
    pub id: Option<String>,
    /// Its version, where it has one.
    pub version: Option<String>,
    /// The strictest level that was asked for.
    pub level: u8,
    /// What chance was drawn from.
    pub seed: u64,
    /// Checks that are switched off, with the reasons.
    pub off: BTreeMap<String, String>,
    /// The results, in the order of the checks.
    pub results: Vec<Result>,
}

impl Report {
    /// How many checks ended in which way.
    pub fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for result in &self.results {
            *counts.entry(result.outcome()).or_insert(0) += 1;
        }
        counts
    }

    /// The highest level up to which nothing is wrong; 0 where the first is.
    pub fn reached(&self) -> u8 {
        let worst = self.results.iter().filter(|result| result.outcome().is_bad());
        let lowest = worst.map(|result| result.level).min();
        lowest.map_or(self.level, |level| level - 1)
    }

    /// 0 passed, 1 failed, 2 crashed or timed out.
    pub fn exit_code(&self) -> u8 {
        let is = |wanted: &[Outcome]| self.results.iter().any(|it| wanted.contains(&it.outcome()));
        if is(&[Outcome::Crashed, Outcome::Timeout]) { 2 } else { u8::from(is(&[Outcome::Fail])) }
    }

    /// What to do next, in one sentence.
    pub fn advice(&self) -> String {
        let bad: Vec<_> = self.results.iter().filter(|result| result.outcome().is_bad()).collect();
        // One fault fails many checks with the same words; the one that says more is nearer to it.
        let said: Vec<&str> = bad.iter().map(|it| it.tried.verdict.words.as_str()).collect();
        let once = |words: &&str| said.iter().filter(|other| *other == words).count() == 1;
        let alone = said.iter().position(once).and_then(|at| bad.get(at));
        match alone.or(bad.first()) {
            Some(result) => {
                let words = match result.outcome() {
                    Outcome::Crashed => "look at its last lines; the hook where it died is named",
                    Outcome::Timeout => {
                        "look for an endless loop or a lock in the hook that is named"
                    }
                    _ => "mend what it says",
                };
                format!(
                    "begin with {}: {words}, then try it alone with --include '^{}$'",
                    result.check, result.check
                )
            }
            None if self.results.iter().any(|it| it.outcome() == Outcome::Warn) => {
                let warned = self.results.iter().filter(|it| it.outcome() == Outcome::Warn);
                let names: Vec<&str> = warned.map(|it| it.check).collect();
                format!("nothing failed; look at what is warned of: {}", names.join(", "))
            }
            None if self.level < 5 => {
                "all is well so far; level 5 is for every plugin: --level 5".to_owned()
            }
            None if self.level < 8 => {
                "all is well; before you publish it, try --level 8".to_owned()
            }
            None => "all is well: nothing speaks against publishing it".to_owned(),
        }
    }

    /// The results as `JUnit`'s XML, for CI systems.
    pub fn junit(&self) -> std::result::Result<String, quick_junit::SerializeError> {
        use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
        let name = self.id.clone().unwrap_or_else(|| self.library.display().to_string());
        let mut suite = TestSuite::new(name);
        for result in &self.results {
            let words = &result.tried.verdict.words;
            let mut status = match result.outcome() {
                Outcome::Pass | Outcome::Warn => TestCaseStatus::success(),
                Outcome::Skip => TestCaseStatus::skipped(),
                Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Outcome::Crashed | Outcome::Timeout => {
                    TestCaseStatus::non_success(NonSuccessKind::Error)
                }
            };
            if !words.is_empty() {
                status.set_message(words.as_str());
            }
            let mut case = TestCase::new(result.check, status);
            case.set_classname(format!("level {} {}", result.level, result.group.word()));
            case.set_time(std::time::Duration::from_secs_f64(result.tried.seconds));
            if result.outcome() == Outcome::Warn {
                case.set_system_out(words.as_str());
            }
            if !result.tried.last_lines.is_empty() {
                case.set_system_err(result.tried.last_lines.join("\n"));
            }
            suite.add_test_case(case);
        }
        let mut report = quick_junit::Report::new("atelier plugins validate");
        report.add_test_suite(suite);
        report.to_string()
    }
}
