//! `atelier options get`.

use clap::Args;

use super::{as_json, takes};
use crate::{
    Atelier,
    cli::{
        error::Failure,
        ui::{Ui, style},
    },
    options::SetError,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct GetArgs {
    /// The option
    key: String,
}

pub(super) fn run(ui: &Ui, atelier: &Atelier, args: &GetArgs) -> Result<(), Failure> {
    let options = atelier.store().load().options.clone();
    let schema = options.schema();
    let Some(id) = schema.id(&args.key) else {
        // A key that config.json keeps for somebody else is an answer too.
        let Some(value) = options.unknown(&args.key) else {
            let nearest = schema.nearest(&args.key).map(str::to_owned);
            return Err(SetError::UnknownKey { key: args.key.clone(), nearest }.into());
        };
        Ui::line(&value.to_string());
        return Ok(());
    };
    if ui.json {
        return Ok(ui.document(&as_json(&options, id))?);
    }
    Ui::line(&options.get(id).to_string());
    if !ui.terminal {
        return Ok(());
    }
    let spec = schema.spec(id);
    let mut about =
        vec![spec.label.clone(), spec.kind.name().to_owned(), format!("default {}", spec.default)];
    let takes = takes(spec);
    if !takes.is_empty() {
        about.push(format!("takes {takes}"));
    }
    about.push(format!("set by {}", options.writer(id)));
    Ui::line(&ui.paint(style::FAINT, &about.join(" · ")));
    if let Some(doc) = &spec.doc {
        Ui::line(&ui.paint(style::FAINT, doc));
    }
    Ok(())
}
