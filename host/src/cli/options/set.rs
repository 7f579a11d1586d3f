//! `atelier options set`.

use clap::Args;
use serde_json::json;

use crate::{
    Atelier,
    cli::{
        error::Failure,
        ui::{Ui, style},
    },
    options::{SetError, Writer, cast},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct SetArgs {
    /// The option
    key: String,
    /// Its value: on or off, a number, a text; JSON for lists and objects
    #[arg(allow_hyphen_values = true)]
    value: String,
}

pub(super) fn run(ui: &Ui, atelier: &Atelier, args: &SetArgs) -> Result<(), Failure> {
    let store = atelier.store();
    let schema = store.load().options.schema().clone();
    let id = schema.id(&args.key).ok_or_else(|| SetError::UnknownKey {
        key: args.key.clone(),
        nearest: schema.nearest(&args.key).map(str::to_owned),
    })?;
    let value = cast::parse_text(schema.spec(id), &args.value)?;
    let change = store.set(&args.key, value, Writer::Cli)?;
    store.save(atelier.config())?;
    let (old, new) = (change.old(), change.value());
    if ui.json {
        let (old, new) = (old.to_json(), new.to_json());
        return Ok(ui.document(&json!({"key": args.key, "old": old, "value": new}))?);
    }
    Ui::line(&if change.is_change() {
        format!("{}: {old} → {}", args.key, ui.paint(style::GOOD, &new.to_string()))
    } else {
        format!("{}: {new}, as before", args.key)
    });
    Ok(())
}
