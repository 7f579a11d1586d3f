//! Which checks are run.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use regex_lite::Regex;
use serde::Deserialize;

use super::{
    check::Check,
    groups::{all, find},
    subject::beside,
};

/// What somebody asks for.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The strictest level.
    pub level: u8,
    /// Only checks whose name it finds.
    pub include: Option<Regex>,
    /// No checks whose name it finds.
    pub exclude: Option<Regex>,
}

/// Checks that a `validate.toml` switches off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Check and reason.
    pub off: BTreeMap<String, String>,
}

/// Why no plan can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A pattern is none.
    #[error(
        "“{pattern}” is no regular expression ({reason}); see the syntax of the crate regex-lite"
    )]
    Pattern {
        /// What was given.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// The file is not as expected.
    #[error("{}: {reason}", path.display())]
    Switches {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
}

impl Plan {
    /// A plan for all checks up to a level.
    pub fn up_to(level: u8) -> Self {
        Self { level, include: None, exclude: None }
    }

    /// A pattern for names of checks.
    ///
    /// # Errors
    /// [`PlanError::Pattern`].
    pub fn pattern(text: &str) -> Result<Regex, PlanError> {
        Regex::new(text).map_err(|error| PlanError::Pattern {
            pattern: text.to_owned(),
            reason: error.to_string(),
        })
    }

    /// The checks, in their order. One that is named by `include` is run whatever its level is.
    pub fn checks(&self) -> Vec<&'static Check> {
        let wanted = |check: &&Check| {
            let included = match &self.include {
                Some(include) => include.is_match(check.id),
                None => check.level <= self.level,
            };
            included && !self.exclude.as_ref().is_some_and(|exclude| exclude.is_match(check.id))
        };
        all().filter(wanted).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    off: BTreeMap<String, String>,
}

impl Switches {
    /// Reads the `validate.toml` beside a library, where there is one.
    ///
    /// ```toml
    /// [off]
    /// # A check that is switched off needs a reason.
    /// no-threads-on-load = "a worker thread is what this plugin is about"
    /// ```
    ///
    /// # Errors
    /// [`PlanError::Switches`]: no TOML, a check that does not exist, no reason.
    pub fn beside(library: &Path) -> Result<Self, PlanError> {
        let path = beside(library, "validate.toml");
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(PlanError::Switches { path, reason: error.to_string() }),
            Ok(text) => Self::parse(&text).map_err(|reason| PlanError::Switches { path, reason }),
        }
    }

    /// Reads the text of such a file.
    ///
    /// # Errors
    /// A sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let File { off } = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        for (id, reason) in &off {
            if find(id).is_none() {
                return Err(format!("there is no check “{id}”; --list shows all of them"));
            }
            if reason.trim().is_empty() {
                return Err(format!("{id} is switched off without a reason; give one"));
            }
        }
        Ok(Self { off })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(plan: &Plan) -> Vec<&'static str> {
        plan.checks().iter().map(|check| check.id).collect()
    }

    #[test]
    fn levels_and_patterns_choose_checks() {
        assert!(ids(&Plan::up_to(1)).contains(&"manifest-present"));
        assert!(!ids(&Plan::up_to(1)).contains(&"loads"));
        let some = Plan { include: Some(Plan::pattern("^same-").unwrap()), ..Plan::up_to(1) };
        assert!(ids(&some).iter().all(|id| id.starts_with("same-")) && !ids(&some).is_empty());
        let others = Plan { exclude: Some(Plan::pattern("load").unwrap()), ..Plan::up_to(2) };
        assert!(!ids(&others).contains(&"loads"));
        assert!(Plan::pattern("(").unwrap_err().to_string().contains("no regular expression"));
    }

    #[test]
    fn a_check_is_switched_off_with_a_reason_only() {
        let off = Switches::parse("[off]\nloads-quickly = \"it reads 2 GB\"").unwrap().off;
        assert_eq!(off["loads-quickly"], "it reads 2 GB");
        assert!(
            Switches::parse("[off]\nloads-quickly = \" \"")
                .unwrap_err()
                .contains("without a reason")
        );
        assert!(
            Switches::parse("[off]\nno-such = \"x\"").unwrap_err().contains("there is no check")
        );
        assert!(Switches::parse("[of]\n").unwrap_err().contains("of"));
        assert!(Switches::parse("off = 3").is_err());
    }
}
