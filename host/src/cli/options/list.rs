//! `atelier options list`.

use clap::Args;
use comfy_table::{Cell, Color, ColumnConstraint, Width};
use serde_json::json;

use super::{as_json, takes};
use crate::{
    Atelier,
    cli::{
        error::Failure,
        ui::{Ui, coloured, cut, faint, style},
    },
    options::{OptionId, OptionSet, Section, Writer},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Only one section, by its id or the beginning of its title
    #[arg(long, value_name = "SECTION")]
    section: Option<String>,
    /// Only what somebody set
    #[arg(long)]
    changed: bool,
}

pub(super) fn run(ui: &Ui, atelier: &Atelier, args: &ListArgs) -> Result<(), Failure> {
    let options = atelier.store().load().options.clone();
    let schema = options.schema();
    let mut sections: Vec<Section> = Vec::new();
    for (_, spec) in schema.iter() {
        if !sections.contains(&spec.section) {
            sections.push(spec.section.clone());
        }
    }
    if let Some(wanted) = &args.section {
        let lower = wanted.to_lowercase();
        let matches = |section: &Section| {
            *section.id == **wanted || section.title.to_lowercase().starts_with(&lower)
        };
        if !sections.iter().any(matches) {
            let known: Vec<&str> = sections.iter().map(|section| &*section.id).collect();
            return Err(Failure::refused(format!(
                "there is no section “{wanted}”; there are {}",
                known.join(", ")
            )));
        }
        sections.retain(matches);
    }
    let wanted = |id: &OptionId| {
        sections.contains(&schema.spec(*id).section) && (!args.changed || options.explicit(*id))
    };
    let ids: Vec<OptionId> = schema.iter().map(|(id, _)| id).filter(wanted).collect();
    let unknown: Vec<_> = options.iter_unknown().filter(|_| args.section.is_none()).collect();
    if ui.json {
        let known = ids.iter().map(|id| as_json(&options, *id));
        let unknown = unknown
            .iter()
            .map(|(key, value)| json!({"key": key, "value": value, "set_by": Writer::File}));
        return Ok(ui.document(&known.chain(unknown).collect::<Vec<_>>())?);
    }
    for section in &sections {
        let of = ids.iter().filter(|id| schema.spec(**id).section == *section);
        print(ui, &options, section, &of.copied().collect::<Vec<_>>());
    }
    if !unknown.is_empty() {
        ui.heading("Kept for programs and plugins that are not loaded");
        let mut table = ui.table(&["option", "value"]);
        for (key, value) in &unknown {
            table.add_row([(*key).to_owned(), cut(&value.to_string(), 60)]);
        }
        ui.show(&table, "");
    }
    if ids.is_empty() && unknown.is_empty() {
        Ui::line(&ui.paint(style::FAINT, "every option has its default"));
    }
    Ok(())
}

fn print(ui: &Ui, options: &OptionSet, section: &Section, ids: &[OptionId]) {
    if ids.is_empty() {
        return;
    }
    ui.heading(&format!("{} ({})", section.title, section.id));
    let mut table = ui.table(&["option", "value", "default", "takes", "set by"]);
    for id in ids {
        let spec = options.schema().spec(*id);
        let (value, default) = (options.get(*id), &spec.default);
        let value_text = cut(&value.to_string(), 36);
        let writer = options.writer(*id);
        table.add_row([
            Cell::new(&spec.key),
            if value == default {
                Cell::new(value_text)
            } else {
                coloured(value_text, Color::Green)
            },
            if value == default { faint("") } else { faint(cut(&default.to_string(), 20)) },
            faint(cut(&takes(spec), 24)),
            if *writer == Writer::Default { faint("") } else { Cell::new(writer) },
        ]);
    }
    // The same place in every section's table: the eye runs down.
    table.set_constraints([
        ColumnConstraint::LowerBoundary(Width::Fixed(40)),
        ColumnConstraint::LowerBoundary(Width::Fixed(18)),
    ]);
    ui.show(&table, "");
}
