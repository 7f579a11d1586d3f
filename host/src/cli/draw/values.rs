//! `KEY=VALUE` flags, cast by the type that the option or argument was declared with.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use crate::{
    cli::error::Failure,
    options::{Schema, SetError, cast},
    plugins::{GivenArgs, Plugin, PluginId, PluginSet},
    run::seam::SeamMode,
};

fn pair<'a>(flag: &str, form: &str, text: &'a str) -> Result<(&'a str, &'a str), Failure> {
    text.split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Failure::refused(format!("{flag} {text}: there is no value; write {form}")))
}

/// The overrides of a run.
pub(in crate::cli) fn overrides(
    schema: &Schema,
    given: &[String],
) -> Result<Map<String, Json>, Failure> {
    let mut overrides = Map::new();
    for text in given {
        let (key, value) = pair("--override", "KEY=VALUE", text)?;
        let id = schema.id(key).ok_or_else(|| SetError::UnknownKey {
            key: key.to_owned(),
            nearest: schema.nearest(key).map(str::to_owned),
        })?;
        let value = cast::parse_text(schema.spec(id), value)?;
        overrides.insert(key.to_owned(), value.to_json());
    }
    Ok(overrides)
}

/// A loaded plugin by its id.
fn plugin<'a>(set: &'a PluginSet, id: &str) -> Result<&'a Plugin, Failure> {
    let found = PluginId::new(id).ok().and_then(|id| set.get(&id));
    found.map(AsRef::as_ref).ok_or_else(|| {
        let ids = set.iter().map(|plugin| plugin.manifest.id.as_str());
        let hint = match nearest(id, ids) {
            Some(nearest) => format!("did you mean “{nearest}”?"),
            None => "`atelier plugins list` shows what there is".to_owned(),
        };
        Failure::refused(format!("no plugin “{id}” is loaded; {hint}"))
    })
}

/// The plugin that is selected; whether it can be is the run's to say.
pub(super) fn script(set: &PluginSet, id: Option<&str>) -> Result<Option<PluginId>, Failure> {
    id.map(|id| plugin(set, id).map(|plugin| plugin.manifest.id.clone())).transpose()
}

/// The name that looks most like the given one, if any does.
pub(in crate::cli) fn nearest<'a>(
    given: &str,
    known: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(given, name);
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.75).then_some(best)
}

/// The arguments of plugins.
pub(super) fn plugin_args(
    set: &PluginSet,
    given: &[String],
) -> Result<BTreeMap<PluginId, GivenArgs>, Failure> {
    let mut all: BTreeMap<PluginId, GivenArgs> = BTreeMap::new();
    for text in given {
        let (left, value) = pair("--plugin-arg", "PLUGIN.NAME=VALUE", text)?;
        let Some((id, name)) = left.split_once('.') else {
            let plugin = plugin(set, left)?;
            all.insert(plugin.manifest.id.clone(), whole(left, value)?);
            continue;
        };
        let plugin = plugin(set, id)?;
        let specs = &plugin.declaration.args;
        let spec = specs.iter().find(|spec| spec.name == name).ok_or_else(|| {
            let known: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
            let hint = match nearest(name, known.iter().copied()) {
                Some(nearest) => format!("did you mean “{nearest}”?"),
                None if known.is_empty() => "it takes no arguments".to_owned(),
                None => format!("it takes: {}", known.join(", ")),
            };
            Failure::refused(format!("{id} takes no argument “{name}”; {hint}"))
        })?;
        let value =
            spec.parse_text(value).map_err(|reason| Failure::refused(format!("{id}: {reason}")))?;
        let args =
            all.entry(plugin.manifest.id.clone()).or_insert_with(|| GivenArgs::Named(Map::new()));
        match args {
            GivenArgs::Named(args) => _ = args.insert(name.to_owned(), value),
            GivenArgs::Positional(_) => {
                return Err(Failure::refused(format!(
                    "the arguments of {id} come in order and by name; use one of both forms"
                )));
            }
        }
    }
    Ok(all)
}

/// All arguments of a plugin at once; the run checks them.
fn whole(id: &str, text: &str) -> Result<GivenArgs, Failure> {
    let json = serde_json::from_str(text).map_err(|error| {
        Failure::refused(format!(
            "--plugin-arg {id}: no JSON ({error}); write {id}.NAME=VALUE, or JSON such as {id}='{{\"NAME\": 1}}'"
        ))
    })?;
    match json {
        Json::Object(named) => Ok(GivenArgs::Named(named)),
        Json::Array(ordered) => Ok(GivenArgs::Positional(ordered)),
        other => Err(Failure::refused(format!(
            "--plugin-arg {id}: {other} is neither a list nor an object; write {id}.NAME=VALUE"
        ))),
    }
}

/// Seam modes of single plugins.
pub(super) fn seam_of(
    set: &PluginSet,
    given: &[String],
) -> Result<BTreeMap<PluginId, SeamMode>, Failure> {
    let modes = given.iter().map(|text| {
        let (id, mode) = pair("--seam-of", "PLUGIN=MODE", text)?;
        let mode = mode.parse().map_err(|reason: String| Failure::refused(reason))?;
        Ok((plugin(set, id)?.manifest.id.clone(), mode))
    });
    modes.collect()
}
