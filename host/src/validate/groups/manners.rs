//! How it treats the process it is a guest in.

use serde_json::{Map, json};

use crate::{
    options::Kind,
    run::RunRequest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        process::{ProcessState, captured, files, resident},
        random,
        recorder::{Ability, Withhold},
        subject::{Rig, Subject, told},
        values,
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Manners, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "refusals-are-errors",
        6,
        "where the host refuses something it returns an error, and does not panic",
        refusals_are_errors,
    ),
    check("random-settings", 6, "no legal setting makes it panic", random_settings),
    check("quiet-in-runs", 6, "it prints nothing in a run", quiet_in_runs),
    check("ends-quietly", 6, "its last hook and its Drop succeed", ends_quietly),
    check("logs-no-errors", 6, "it logs no error in an ordinary run", logs_no_errors),
    check("memory-flat", 6, "two hundred runs need no more memory than twenty", memory_flat),
    check("no-threads-left", 6, "it leaves no threads behind", no_threads_left),
    check("no-descriptors-left", 6, "it leaves no files open", no_descriptors_left),
    check(
        "changes-nothing-in-runs",
        6,
        "it leaves folder, environment, signals and umask alone in runs",
        changes_nothing,
    ),
    check(
        "writes-where-it-may",
        6,
        "it writes files into its data folder only",
        writes_where_it_may,
    ),
];

fn refusals_are_errors(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for ability in Ability::ALL {
        rig.recorder.withhold(Withhold::One(ability));
        // What every stage always has may be relied on: its lack breaks the ABI's promise, and the guard
        // makes a failure of it.
        let finished = rig.run(RunRequest { batch_size: 2, ..rig.request() })?;
        let promised =
            matches!(ability, Ability::Fields | Ability::Buffers | Ability::WriteBuffers);
        let panicked = rig.failures(&finished).into_iter().find(|it| {
            it.status == "panicked" && !(promised && it.message.starts_with("the host does not"))
        });
        if let Some(failure) = panicked {
            let words = format!("where the host refuses {}: {}", ability.words(), told(&failure));
            return Err(Verdict::fail(words));
        }
    }
    Ok(())
}

/// Twenty runs with random legal options and arguments.
fn random_settings(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let mut bits = subject.seed;
    let mut pick = |values: Vec<crate::options::Value>| {
        let at = random(&mut bits) as usize % values.len().max(1);
        values.into_iter().nth(at)
    };
    for _ in 0..20 {
        let mut request = rig.request();
        for spec in rig.options() {
            if let Some(value) = pick(values::limits(&spec)) {
                request.override_settings.insert(spec.key, value.to_json());
            }
        }
        let mut args = Map::new();
        for arg in rig.args() {
            if let Some(value) = pick(values::arg_limits(&arg)) {
                args.insert(arg.name, value.to_json());
            } else if arg.kind == Kind::Object {
                args.insert(arg.name, json!({}));
            }
        }
        let settings = serde_json::Value::Object(request.override_settings.clone()).to_string();
        rig.endure(rig.with_args(request, args)).map_err(|verdict| Verdict {
            words: format!("{}; settings: {settings}", verdict.words),
            ..verdict
        })?;
    }
    Ok(())
}

fn runs(rig: &Rig, count: u32) -> Found {
    for index in 0..count {
        let request = RunRequest {
            seed: i64::from(index),
            steps: 2,
            do_not_save_samples: true,
            ..rig.request()
        };
        rig.run(request)?;
        // What was recorded is not to be taken for the plugin's memory.
        rig.facts();
    }
    Ok(())
}

fn quiet_in_runs(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let (outcome, said) =
        captured(|| runs(&rig, 2)).map_err(|error| Verdict::skip(error.to_string()))?;
    outcome?;
    ensure(said.is_empty(), || format!("it prints: {}", said.lines().next().unwrap_or_default()))
}

fn ends_quietly(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let finished = rig.run(rig.request())?;
    let last =
        rig.failures(&finished).into_iter().find(|it| it.hook == "finish" || it.hook == "drop");
    match last {
        None => Ok(()),
        Some(failure) => Err(Verdict::fail(told(&failure))),
    }
}

fn logs_no_errors(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    rig.run(rig.request())?;
    let facts = rig.facts();
    let in_hooks = facts.logs.get("error").and_then(|lines| lines.first()).cloned();
    let elsewhere = crate::validate::child::logged_errors(subject).into_iter().next();
    match in_hooks.or(elsewhere) {
        None => Ok(()),
        Some(line) => Err(Verdict::warn(format!("it logs an error: {line}"))),
    }
}

/// More than this much growth over 180 runs is worth a word.
const GROWTH: u64 = 16 << 20;

fn memory_flat(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    runs(&rig, 20)?;
    let before = resident();
    runs(&rig, 180)?;
    let grown = resident().saturating_sub(before);
    if grown <= GROWTH {
        return Ok(());
    }
    Err(Verdict::warn(format!("180 runs keep {} MiB", grown >> 20)))
}

/// The process before and after a few runs.
fn around_runs(subject: &Subject) -> Result<(ProcessState, ProcessState), Verdict> {
    let rig = subject.plain()?;
    // What a plugin keeps for good it has after its first run.
    runs(&rig, 1)?;
    let before = ProcessState::now();
    runs(&rig, 8)?;
    // Threads that were told to end get a moment for it.
    std::thread::sleep(std::time::Duration::from_millis(50));
    Ok((before, ProcessState::now()))
}

fn no_threads_left(subject: &Subject) -> Found {
    let (before, after) = around_runs(subject)?;
    let more = after.threads.difference(&before.threads).count();
    ensure(more == 0, || format!("{more} threads are left after 8 runs"))
}

fn no_descriptors_left(subject: &Subject) -> Found {
    let (before, after) = around_runs(subject)?;
    let left =
        after.descriptors.iter().find(|(number, _)| !before.descriptors.contains_key(number));
    match left {
        None => Ok(()),
        Some((_, target)) => Err(Verdict::fail(format!("{} is left open", target.display()))),
    }
}

fn changes_nothing(subject: &Subject) -> Found {
    let before = ProcessState::now();
    let rig = subject.plain()?;
    runs(&rig, 2)?;
    match ProcessState::now().changed_since(&before).first() {
        None => Ok(()),
        Some(change) => Err(Verdict::fail(change.clone())),
    }
}

/// Looks at the current folder, the home and the temporary folder, which are this check's alone.
fn writes_where_it_may(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let folders: Vec<_> =
        [std::env::current_dir().ok(), std::env::home_dir(), Some(std::env::temp_dir())]
            .into_iter()
            .flatten()
            .filter(|folder| folder.starts_with(&subject.scratch))
            .collect();
    let host = rig.atelier.data().to_owned();
    let list = || -> std::collections::BTreeMap<_, _> {
        folders
            .iter()
            .flat_map(|folder| files(folder))
            .filter(|(path, _)| !path.starts_with(&host))
            .collect()
    };
    let before = list();
    runs(&rig, 2)?;
    let more = list().into_keys().find(|path| !before.contains_key(path));
    match more {
        None => Ok(()),
        Some(path) => Err(Verdict::fail(format!(
            "{} was written; cx.data_folder() is the place for files",
            path.strip_prefix(&subject.scratch).unwrap_or(&path).display()
        ))),
    }
}
