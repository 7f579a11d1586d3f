//! `atelier styles`: texts that can be put around prompts.

use clap::Subcommand;

use super::{
    Global,
    error::Failure,
    host,
    ui::{Ui, short_path},
};
use crate::run::{STYLES_FILE, Style, Styles as StylesFile};

#[derive(Debug, Subcommand)]
pub(super) enum Styles {
    /// Lists the styles in styles.csv, for `--style`
    List,
}

pub(super) fn run(ui: &Ui, global: &Global, command: &Styles) -> Result<(), Failure> {
    let Styles::List = command;
    let path = host::open_bare(ui, global)?.data().join(STYLES_FILE);
    let styles = StylesFile::load(&path).map_err(Failure::refused)?;
    let found: Vec<&Style> = styles.all().collect();
    if ui.json {
        return Ok(ui.document(&found)?);
    }
    let mut table = ui.table(&["style", "prompt", "negative prompt"]);
    for style in found {
        table.add_row([&style.name, &style.prompt, &style.negative_prompt]);
    }
    let none = format!(
        "no styles; write some into {}, a table with the columns name, prompt and negative_prompt",
        short_path(&path)
    );
    ui.show(&table, &none);
    Ok(())
}
