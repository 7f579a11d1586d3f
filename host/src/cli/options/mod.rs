//! `atelier options`: what can be set, what is set, and setting it.

mod get;
mod list;
mod set;

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::{Global, error::Failure, host, ui::Ui};
use crate::options::{OptionId, OptionSet, OptionSpec};

#[derive(Debug, Subcommand)]
pub(super) enum Options {
    /// Lists options with their values
    List(list::ListArgs),
    /// Shows one option
    Get(get::GetArgs),
    /// Sets an option, in config.json
    Set(set::SetArgs),
}

pub(super) fn run(ui: &Ui, global: &Global, command: Options) -> Result<(), Failure> {
    let atelier = host::open(ui, global)?;
    match command {
        Options::List(args) => list::run(ui, &atelier, &args),
        Options::Get(args) => get::run(ui, &atelier, &args),
        Options::Set(args) => set::run(ui, &atelier, &args),
    }
}

/// What an option takes beside its type: `1 to 100`, `one of "png", "jpg"`.
fn takes(spec: &OptionSpec) -> String {
    let choices: Vec<String> = spec.choices.iter().map(ToString::to_string).collect();
    match (spec.min, spec.max) {
        _ if !choices.is_empty() => choices.join(", "),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("from {min}"),
        (None, Some(max)) => format!("to {max}"),
        (None, None) => String::new(),
    }
}

fn as_json(options: &OptionSet, id: OptionId) -> Json {
    let spec = options.schema().spec(id);
    let writer = options.writer(id);
    json!({
        "key": spec.key,
        "value": options.get(id),
        "default": spec.default,
        "type": spec.kind,
        "min": spec.min,
        "max": spec.max,
        "choices": spec.choices,
        "open_choices": spec.open_choices,
        "nullable": spec.takes_null(),
        "label": spec.label,
        "section": {"id": spec.section.id, "title": spec.section.title},
        "owner": spec.owner.to_string(),
        "doc": spec.doc,
        "set_by": writer,
    })
}
