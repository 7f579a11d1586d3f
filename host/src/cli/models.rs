//! `atelier models`: the checkpoints there are.

use clap::Subcommand;

use super::{
    Global,
    error::Failure,
    host,
    ui::{Ui, faint, short_path},
};
use crate::{engine::EngineProvider, run::pipeline::ModelProvider as _};

#[derive(Debug, Subcommand)]
pub(super) enum Models {
    /// Lists checkpoints, the default one first
    List,
}

pub(super) fn run(ui: &Ui, global: &Global, command: &Models) -> Result<(), Failure> {
    let Models::List = command;
    let atelier = host::open_bare(ui, global)?;
    let provider = EngineProvider::new(atelier.data());
    let found = provider.list();
    if ui.json {
        return Ok(ui.document(&found)?);
    }
    let mut table = ui.table(&["checkpoint", "folder"]);
    for checkpoint in &found {
        table.add_row([checkpoint.name.clone().into(), faint(short_path(&checkpoint.path))]);
    }
    let places: Vec<_> = provider.places().iter().map(|place| short_path(place)).collect();
    ui.show(&table, &format!("no checkpoints in {}", places.join(", ")));
    Ok(())
}
