//! `atelier runs list`.

use clap::Args;
use comfy_table::{Cell, Color};

use crate::{
    cli::{
        error::Failure,
        ui::{Ui, coloured, count, cut, faint, short_id, when},
    },
    run::{RecordStore, RunRecord, RunState},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// How many
    #[arg(short, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
}

pub(super) fn run(ui: &Ui, records: &dyn RecordStore, args: &ListArgs) -> Result<(), Failure> {
    let runs = records.last(args.n as usize)?;
    if ui.json {
        return Ok(ui.document(&runs)?);
    }
    let headers =
        ["run", "when", "state", "prompt", ">seed", ">pictures", ">plugins", ">diverged", ">time"];
    let mut table = ui.table(&headers);
    for run in &runs {
        table.add_row(row(run));
    }
    ui.show(&table, "no runs yet");
    Ok(())
}

fn row(run: &RunRecord) -> Vec<Cell> {
    let prompt = run.request.get("prompt").and_then(|prompt| prompt.as_str()).unwrap_or_default();
    let pictures = run.prepared.as_ref().map(|prepared| &prepared.pictures);
    let seed = pictures.and_then(|pictures| pictures.all_seeds.first());
    let plugins = run.ledger.iter().filter(|row| row.reader != "host");
    let diverged: u64 = plugins.map(|row| row.diverged).sum();
    let selected = !run.children.is_empty();
    let drawn = run.outputs.iter().filter(|output| selected || !output.grid).count();
    vec![
        // A child stands above its parent: it began later.
        match run.parent {
            None => Cell::new(short_id(&run.id)),
            Some(_) => faint(format!("↳ {}", short_id(&run.id))),
        },
        faint(when(&run.started)),
        state(run.state),
        Cell::new(cut(prompt, 28)),
        seed.map_or_else(|| faint("·"), |seed| Cell::new(seed.to_string())),
        count(drawn as u64),
        count(run.plugins.len() as u64),
        if diverged == 0 { count(0) } else { coloured(diverged, Color::Yellow) },
        faint(format!("{:.2} s", run.seconds)),
    ]
}

fn state(state: RunState) -> Cell {
    let colour = match state {
        RunState::Done => Color::Green,
        RunState::Failed | RunState::Interrupted => Color::Red,
        _ => Color::Yellow,
    };
    coloured(state.word(), colour)
}
