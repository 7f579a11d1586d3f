//! `atelier plugins lock` and `verify`.

use comfy_table::{Cell, Color};
use serde_json::json;

use super::libraries;
use crate::{
    Atelier,
    cli::{
        Global,
        error::Failure,
        ui::{Ui, coloured, counted, short_path, style},
    },
    plugins::lock::{Lock, Locked},
};

pub(super) fn lock(ui: &Ui, global: &Global, atelier: &Atelier) -> Result<(), Failure> {
    let lock = atelier.loader().look_at(&libraries(global, atelier));
    let path = lock.save(atelier.data())?;
    if ui.json {
        return Ok(ui.document(&json!({"path": path, "plugins": lock.plugins}))?);
    }
    let plugins = counted(lock.plugins.len(), "plugin");
    Ui::line(&format!(
        "{plugins} written down in {}; with --locked no others are loaded",
        short_path(&path)
    ));
    Ok(())
}

/// Whether the plugins are the locked ones: exit code 1 where they are not.
pub(super) fn verify(ui: &Ui, global: &Global, atelier: &Atelier) -> Result<(), Failure> {
    let lock = Lock::load(atelier.data())?;
    let drift = lock.drift(&atelier.loader().look_at(&libraries(global, atelier)));
    if ui.json {
        ui.document(&json!({"locked": lock.plugins.len(), "drift": drift}))?;
    } else if drift.is_empty() {
        let plugins = counted(lock.plugins.len(), "plugin");
        Ui::line(&ui.paint(style::GOOD, &format!("{plugins}, as they were locked")));
    } else {
        let mut table = ui.table(&["plugin", "", "locked", "found"]);
        let short = |it: Option<&Locked>| match it {
            Some(it) => {
                Cell::new(format!("{} {}", it.version, it.hash.get(..8).unwrap_or(&it.hash)))
            }
            None => Cell::new("–"),
        };
        for it in &drift {
            let (word, colour) = match (&it.locked, &it.found) {
                (Some(_), Some(_)) => ("other", Color::Yellow),
                (Some(_), None) => ("missing", Color::Red),
                _ => ("more", Color::Yellow),
            };
            table.add_row([
                Cell::new(&it.id),
                coloured(word, colour),
                short(it.locked.as_ref()),
                short(it.found.as_ref()),
            ]);
        }
        ui.show(&table, "");
        Ui::line(&ui.paint(
            style::HINT,
            "bring them back with `atelier plugins rollback` or `install`, or take these with \
             `atelier plugins lock`",
        ));
    }
    if drift.is_empty() { Ok(()) } else { Err(Failure::Told(1)) }
}
