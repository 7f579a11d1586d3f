//! `atelier runs`: the records of runs.

mod list;
mod show;

use clap::Subcommand;

use super::{Global, error::Failure, host, ui::Ui};

#[derive(Debug, Subcommand)]
pub(super) enum Runs {
    /// Lists the last runs, newest first
    List(list::ListArgs),
    /// Shows one run
    Show(show::ShowArgs),
}

pub(super) fn run(ui: &Ui, global: &Global, command: Runs) -> Result<(), Failure> {
    let records = host::open_bare(ui, global)?.records();
    match command {
        Runs::List(args) => list::run(ui, records.as_ref(), &args),
        Runs::Show(args) => show::run(ui, records.as_ref(), &args),
    }
}
