//! Older builds and settings of it.

use serde_json::{Map, Value as Json, json};

use crate::{
    options::Kind,
    plugins::Manifest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        subject::{Rig, Setup, Subject},
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Upgrade, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "stored-options-count",
        8,
        "what a user has stored for its options counts at the next start",
        stored_options,
    ),
    check(
        "survives-stale-settings",
        8,
        "stored values that no longer fit, and options that are gone, do not keep it from being loaded",
        stale_settings,
    ),
    check("keeps-its-id", 8, "its id is that of the older build", keeps_id),
    check(
        "keeps-its-options",
        8,
        "every option of the older build is there, with its type",
        keeps_options,
    ),
    check(
        "keeps-its-arguments",
        8,
        "every argument of the older build is there, at its place",
        keeps_arguments,
    ),
    check("newer-version", 8, "its version is above that of the older build", newer_version),
];

fn stored_options(subject: &Subject) -> Found {
    let specs = subject.plain()?.options();
    for spec in specs {
        let Some(other) = crate::validate::values::another(&spec, &spec.default) else { continue };
        let config = Map::from_iter([(spec.key.clone(), other.to_json())]);
        let rig = subject.rig(Setup { config, ..Setup::default() })?;
        rig.endure(rig.request())?;
        let state = rig.atelier.store().load_full();
        ensure(state.options.by_key(&spec.key) == Some(&other), || {
            format!("{} was stored as {other} and is something else", spec.key)
        })?;
    }
    Ok(())
}

fn stale_settings(subject: &Subject) -> Found {
    let mut config: Map<String, Json> = Map::new();
    let prefix = subject.manifest()?.id.as_str().replace('-', "_");
    config.insert(format!("{prefix}_of_an_older_version"), json!(1));
    for spec in subject.plain()?.options() {
        let misfit = if matches!(spec.kind, Kind::Text | Kind::Any) {
            json!([1])
        } else {
            json!("no such value")
        };
        config.insert(spec.key, misfit);
    }
    let rig = subject.rig(Setup { config, ..Setup::default() })?;
    rig.draw(rig.request()).map(|_| ())
}

/// The older build, in a host of its own.
fn older(subject: &Subject) -> Result<(Manifest, Rig), Verdict> {
    let Some(against) = &subject.against else {
        return Err(Verdict::skip("there is no older build; name one with --against"));
    };
    let mut old = Subject::new(against.clone(), subject.seed, subject.folder("older")?);
    old.checkpoints.clone_from(&subject.checkpoints);
    let rig = old
        .plain()
        .map_err(|verdict| Verdict::skip(format!("the older build: {}", verdict.words)))?;
    Ok((old.manifest()?, rig))
}

fn keeps_id(subject: &Subject) -> Found {
    let (old, _) = older(subject)?;
    let new = subject.manifest()?;
    ensure(old.id == new.id, || {
        format!(
            "it was {} and is {}: users' settings and other plugins name the old one",
            old.id, new.id
        )
    })
}

fn keeps_options(subject: &Subject) -> Found {
    let (_, old) = older(subject)?;
    let new = subject.plain()?.options();
    for spec in old.options() {
        match new.iter().find(|other| other.key == spec.key) {
            None => return Err(Verdict::fail(format!("the option {} is gone", spec.key))),
            Some(other) if other.kind != spec.kind => {
                let words =
                    format!("{} was {} and is {}", spec.key, spec.kind.name(), other.kind.name());
                return Err(Verdict::fail(words));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn keeps_arguments(subject: &Subject) -> Found {
    let (_, old) = older(subject)?;
    let new = subject.plain()?.args();
    for (at, spec) in old.args().iter().enumerate() {
        ensure(new.get(at).is_some_and(|other| other.name == spec.name), || {
            format!(
                "the argument {} is not at place {} any more, where clients send it",
                spec.name,
                at + 1
            )
        })?;
    }
    Ok(())
}

fn newer_version(subject: &Subject) -> Found {
    let (old, _) = older(subject)?;
    let numbers = |version: &str| -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.').filter_map(|number| number.parse().ok()).collect()
    };
    let new = subject.manifest()?;
    if numbers(&new.version) > numbers(&old.version) {
        return Ok(());
    }
    Err(Verdict::warn(format!("it is {} and the older build {}", new.version, old.version)))
}
