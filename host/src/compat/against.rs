//! What is different from an older build.

use serde::Serialize;

use super::trial::{Compat, CompatError, Settings, examine};
use crate::{
    options::OptionSpec,
    plugins::ArgSpec,
    validate::{Subject, Verdict as Checked},
};

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `added`, `removed` or `changed`.
    pub what: &'static str,
    /// `hook`, `option` or `argument`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it was and is; empty where it was added or removed.
    pub words: String,
}

/// All differences.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    /// The older version.
    pub version: String,
    /// Hooks, options and arguments.
    pub changes: Vec<Change>,
    /// Pixels of the same runs that are others now.
    pub pixels: u64,
    /// The older build's verdict.
    pub verdict: super::Verdict,
}

/// Compares a plugin with an older build of it.
///
/// # Errors
/// [`CompatError`], of the older build.
pub fn against(
    new: &Compat,
    subject: &Subject,
    older: &Subject,
    settings: &Settings,
    told: &dyn Fn(&str),
) -> Result<Against, CompatError> {
    told("drawing with the older build");
    let old = examine(older, settings, told)?;
    let unusable = |verdict: Checked| CompatError::Unusable(verdict.words);
    let (before, after) = (older.plain().map_err(unusable)?, subject.plain().map_err(unusable)?);
    let hooks =
        |subject: &Subject| subject.manifest().map(|manifest| manifest.hooks).map_err(unusable);
    let mut changes = Vec::new();
    names("hook", &hooks(older)?, &hooks(subject)?, &mut changes);
    let keys = |specs: &[OptionSpec]| specs.iter().map(|spec| spec.key.clone()).collect::<Vec<_>>();
    names("option", &keys(&before.options()), &keys(&after.options()), &mut changes);
    for old in before.options() {
        if let Some(new) = after.options().iter().find(|new| new.key == old.key) {
            let (was, is) = (of_option(&old), of_option(new));
            push_changed("option", &old.key, &was, &is, &mut changes);
        }
    }
    let arg_names =
        |specs: &[ArgSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    names("argument", &arg_names(&before.args()), &arg_names(&after.args()), &mut changes);
    for old in before.args() {
        if let Some(new) = after.args().iter().find(|new| new.name == old.name) {
            push_changed("argument", &old.name, &of_arg(&old), &of_arg(new), &mut changes);
        }
    }
    Ok(Against {
        version: old.version.clone(),
        changes,
        pixels: new.base.differing(&old.base),
        verdict: old.verdict,
    })
}

fn names(kind: &'static str, old: &[String], new: &[String], changes: &mut Vec<Change>) {
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|name| !those.contains(name)).cloned().collect()
    };
    for (what, names) in [("removed", only(old, new)), ("added", only(new, old))] {
        changes.extend(names.into_iter().map(|name| Change {
            what,
            kind,
            name,
            words: String::new(),
        }));
    }
}

fn push_changed(kind: &'static str, name: &str, was: &str, is: &str, changes: &mut Vec<Change>) {
    if was != is {
        let words = format!("was {was}, is {is}");
        changes.push(Change { what: "changed", kind, name: name.to_owned(), words });
    }
}

fn limits(min: Option<f64>, max: Option<f64>) -> String {
    match (min, max) {
        (None, None) => String::new(),
        (min, max) => {
            let side =
                |limit: Option<f64>| limit.map_or("…".to_owned(), |limit| limit.to_string());
            format!(" from {} to {}", side(min), side(max))
        }
    }
}

fn of_option(spec: &OptionSpec) -> String {
    let choices: Vec<_> = spec.choices.iter().map(ToString::to_string).collect();
    let choices =
        if choices.is_empty() { String::new() } else { format!(" of {}", choices.join("|")) };
    format!("{} {}{}{choices}", spec.kind.name(), spec.default, limits(spec.min, spec.max))
}

fn of_arg(spec: &ArgSpec) -> String {
    format!("{} {}{}", spec.kind.name(), spec.default, limits(spec.min, spec.max))
}
