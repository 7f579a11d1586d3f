//! Its options and arguments.

use atelier_plugin_abi::{Hook, frame::Frame};
use serde_json::{Map, Value as Json, json};

use crate::{
    options::{Kind, OptionSpec, Value, Writer},
    plugins::ArgSpec,
    run::RunRequest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        random,
        subject::{Rig, Setup, Subject, pixels},
        values,
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Options, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "option-keys-prefixed",
        3,
        "the key of every option begins with the plugin's id, so that plugins do not meet",
        keys_prefixed,
    ),
    check("options-explained", 3, "every option has a label", explained),
    check(
        "numbers-limited",
        3,
        "every number among options and arguments has a range or choices",
        numbers_limited,
    ),
    check("args-distinct", 3, "no two arguments have the same name", args_distinct),
    check(
        "defaults-draw",
        3,
        "it draws with all options and arguments as they are by default",
        defaults_draw,
    ),
    check(
        "limits-draw",
        3,
        "it draws with every option and argument at its limits and choices",
        limits_draw,
    ),
    check("hostile-texts", 3, "no text in an option or argument makes it panic", hostile_texts),
    check("knows-its-options", 3, "every option that it reads or writes exists", knows_its_options),
    check(
        "snapshot-not-live",
        3,
        "an option that it reads from the snapshot is not read live as well, with another answer",
        snapshot_not_live,
    ),
    check(
        "no-options-from-last-run",
        3,
        "what one run was given does not reach the next",
        no_options_from_last_run,
    ),
    check(
        "leaves-options-as-found",
        3,
        "after a run the live options are what they were",
        leaves_options,
    ),
];

fn keys_prefixed(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let prefix = rig.id.as_str().replace('-', "_");
    let stranger = rig.options().into_iter().find(|spec| !spec.key.starts_with(&prefix));
    match stranger {
        None => Ok(()),
        Some(spec) => Err(Verdict::fail(format!(
            "{} may meet another plugin's; call it {prefix}_{0}",
            spec.key
        ))),
    }
}

fn explained(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let bare = |spec: &OptionSpec| spec.label == spec.key.replace('_', " ");
    match rig.options().iter().find(|spec| bare(spec)) {
        None => Ok(()),
        Some(spec) => Err(Verdict::warn(format!("{} has no label", spec.key))),
    }
}

fn numbers_limited(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let number = |kind: Kind| matches!(kind, Kind::Int | Kind::Float);
    let options = rig.options();
    let option = options.iter().find(|spec| {
        number(spec.kind) && spec.choices.is_empty() && (spec.min.is_none() || spec.max.is_none())
    });
    let args = rig.args();
    let arg = args.iter().find(|spec| {
        number(spec.kind) && spec.choices.is_empty() && (spec.min.is_none() || spec.max.is_none())
    });
    match option.map(|spec| &spec.key).or(arg.map(|spec| &spec.name)) {
        None => Ok(()),
        Some(name) => Err(Verdict::warn(format!("{name} takes any number; give it a range"))),
    }
}

fn args_distinct(subject: &Subject) -> Found {
    let args = subject.plain()?.args();
    for (at, arg) in args.iter().enumerate() {
        ensure(!args[..at].iter().any(|other| other.name == arg.name), || {
            format!("two arguments are called {}", arg.name)
        })?;
    }
    Ok(())
}

fn defaults_draw(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let all = rig.args().into_iter().map(|arg| (arg.name, arg.default)).collect();
    let request = rig.with_args(rig.request(), all);
    rig.draw(request).map(|_| ())
}

/// Every option and every argument, one after another, at values that it allows.
/// A free text has no limits: a plugin may refuse one, as `hostile_texts` lets it.
fn limits_draw(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let free = |kind, choices: usize| matches!(kind, Kind::Text | Kind::List) && choices == 0;
    for spec in rig.options().into_iter().filter(|it| !free(it.kind, it.choices.len())) {
        for value in values::limits(&spec) {
            let about = |verdict: Verdict| of(&spec.key, &value, verdict);
            rig.draw(overridden(&rig, &spec.key, value.to_json())).map_err(about)?;
        }
    }
    for arg in rig.args().into_iter().filter(|it| !free(it.kind, it.choices.len())) {
        for value in values::arg_limits(&arg) {
            let about = |verdict: Verdict| of(&arg.name, &value, verdict);
            rig.draw(with_arg(&rig, &arg, value.to_json())).map_err(about)?;
        }
    }
    Ok(())
}

fn of(name: &str, value: &Value, mut verdict: Verdict) -> Verdict {
    verdict.words = format!("with {name} = {value}: {}", verdict.words);
    verdict
}

fn overridden(rig: &Rig, key: &str, value: Json) -> RunRequest {
    let mut request = rig.request();
    request.override_settings.insert(key.to_owned(), value);
    request
}

fn with_arg(rig: &Rig, arg: &ArgSpec, value: Json) -> RunRequest {
    rig.with_args(rig.request(), Map::from_iter([(arg.name.clone(), value)]))
}

/// Texts that were not thought of.
fn hostile() -> Vec<String> {
    vec![
        String::new(),
        "\0".to_owned(),
        "../../../../etc/passwd".to_owned(),
        "{a|b".to_owned(),
        "(((:1.2.3)".to_owned(),
        "ß中文🦀\u{202e}\u{0301}".to_owned(),
        "\n\r\t, : \"".to_owned(),
        "x".repeat(100_000),
    ]
}

fn hostile_texts(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for text in hostile() {
        for spec in rig.options() {
            let json = match spec.kind {
                Kind::Text if spec.choices.is_empty() => json!(text),
                Kind::List => json!([text]),
                _ => continue,
            };
            rig.endure(overridden(&rig, &spec.key, json))?;
        }
        for arg in rig.args() {
            let json = match arg.kind {
                Kind::Text if arg.choices.is_empty() => json!(text),
                Kind::List => json!([text]),
                _ => continue,
            };
            rig.endure(with_arg(&rig, &arg, json))?;
        }
    }
    Ok(())
}

fn knows_its_options(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    rig.endure(rig.request())?;
    let unknown = rig.facts().unknown_options;
    ensure(unknown.is_empty(), || {
        format!("there is no option {}", unknown.into_iter().collect::<Vec<_>>().join(", "))
    })
}

/// Changes every option that the plugin reads from the snapshot behind its back. A plugin that follows
/// the snapshot draws the same; one that reads the same option live as well does not, and is half
/// migrated. Reading live alone is no fault.
fn snapshot_not_live(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let undisturbed = rig.draw(rig.request())?;
    let rows = &undisturbed.record.ledger;
    let own = || rows.iter().filter(|row| row.reader == rig.id.as_str() && row.option != "*");
    let snapshot: Vec<&str> =
        own().filter(|row| row.snapshot > 0).map(|row| row.option.as_str()).collect();
    for key in snapshot {
        let state = rig.atelier.store().load_full();
        let schema = state.options.schema();
        let Some(id) = schema.id(key) else { continue };
        let Some(other) = values::another(schema.spec(id), state.options.get(id)) else { continue };
        let before = state.options.get(id).clone();
        let store = rig.atelier.store().clone();
        let name = key.to_owned();
        rig.recorder.before_call(move |frame: &Frame| {
            // The snapshot is taken by now.
            if frame.hook == Hook::Start.code() {
                // A value that does not fit changes nothing, which is no harm.
                let _ = store.set(&name, other.clone(), Writer::Api);
            }
        });
        let disturbed = rig.endure(rig.request());
        rig.recorder.clear_before_call();
        let _ = rig.atelier.store().set(key, before, Writer::Api);
        ensure(pixels(&disturbed?) == pixels(&undisturbed), || {
            format!(
                "{key} is read from the snapshot, and live too: changing it in mid-run changes the picture"
            )
        })?;
    }
    Ok(())
}

fn no_options_from_last_run(subject: &Subject) -> Found {
    let used = subject.plain()?;
    for spec in used.options() {
        for value in values::limits(&spec).into_iter().take(3) {
            let given = overridden(&used, &spec.key, value.to_json());
            used.endure(given)?;
            let after = used.endure(used.request())?;
            let fresh = subject.plain()?;
            let alone = fresh.endure(fresh.request())?;
            ensure(pixels(&after) == pixels(&alone), || {
                format!(
                    "after a run with {} = {value} the next one, without it, draws something else",
                    spec.key
                )
            })?;
        }
    }
    Ok(())
}

fn leaves_options(subject: &Subject) -> Found {
    let rig = subject.rig(Setup { companion: true, ..Setup::default() })?;
    let options = || -> Map<String, Json> {
        let state = rig.atelier.store().load_full();
        state.options.iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect()
    };
    let before = options();
    let mut bits = subject.seed;
    for _ in 0..3 {
        rig.endure(RunRequest { seed: (random(&mut bits) >> 33) as i64, ..rig.request() })?;
    }
    let after = options();
    let changed = after.iter().find(|(key, value)| before.get(*key) != Some(value));
    match changed {
        None => Ok(()),
        Some((key, value)) => Err(Verdict::warn(format!(
            "it leaves {key} at {value} for everybody; run_options() would leave nothing behind"
        ))),
    }
}
