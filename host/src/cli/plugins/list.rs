//! `atelier plugins list`.

use atelier_plugin_abi::Hook;
use comfy_table::{Cell, Color};
use serde_json::{Map, Value as Json, json};

use crate::{
    Atelier,
    cli::{
        error::Failure,
        ui::{Ui, coloured, counted, faint, short_path, style},
    },
    plugins::{Entry, PluginId, PluginState},
};

pub(super) fn run(ui: &Ui, atelier: &Atelier) -> Result<(), Failure> {
    let state = atelier.store().load_full();
    let order = state.companion.order();
    let orders: Vec<(Hook, Vec<&str>)> = Hook::IN_ORDER
        .iter()
        .map(|hook| (*hook, order.of(*hook).iter().map(PluginId::as_str).collect::<Vec<_>>()))
        .filter(|(_, ids)| !ids.is_empty())
        .collect();
    if ui.json {
        let plugins: Vec<Json> = atelier.plugins().iter().map(entry).collect();
        let orders: Map<String, Json> =
            orders.iter().map(|(hook, ids)| (hook.to_string(), json!(ids))).collect();
        let document = json!({"plugins": plugins, "order": orders, "notices": order.notices});
        return Ok(ui.document(&document)?);
    }
    let mut table = ui.table(&["plugin", "version", "state", "hooks", "file"]);
    for entry in atelier.plugins() {
        let manifest = entry.manifest.as_ref();
        let colour = match entry.state {
            PluginState::Active => Color::Green,
            PluginState::Disabled { .. } => Color::DarkGrey,
            PluginState::InCycle { .. } | PluginState::Quarantined { .. } => Color::Yellow,
            PluginState::Failed(_) => Color::Red,
        };
        let hooks = manifest.map_or(0, |manifest| manifest.hooks.len());
        table.add_row([
            Cell::new(manifest.map_or("?", |manifest| manifest.id.as_str())),
            Cell::new(manifest.map_or("", |manifest| &manifest.version)),
            coloured(entry.state.word(), colour),
            if hooks == 0 { faint("·") } else { Cell::new(hooks) },
            faint(short_path(&entry.path)),
        ]);
    }
    let place = short_path(&atelier.data().join("extensions"));
    ui.show(
        &table,
        &format!("no plugins; put their libraries into {place} or name them with --plugins"),
    );
    for entry in atelier.plugins() {
        if let Some(reason) = entry.state.reason() {
            let name = match &entry.manifest {
                Some(manifest) => manifest.id.to_string(),
                None => short_path(&entry.path),
            };
            Ui::line(&format!("{} {reason}", ui.paint(style::CARE, &format!("{name}:"))));
        }
    }
    hooks(ui, &orders);
    for notice in &order.notices {
        ui.warn(notice);
    }
    Ok(())
}

/// The hooks in the order of a run, each with its plugins, first to last.
fn hooks(ui: &Ui, orders: &[(Hook, Vec<&str>)]) {
    let called: Vec<_> = orders.iter().filter(|(hook, _)| *hook != Hook::Start).collect();
    if called.is_empty() {
        return;
    }
    ui.heading(&format!("{}, each calls in this order", counted(called.len(), "hook")));
    let mut table = ui.table(&["hook", "plugins"]);
    for (hook, ids) in called {
        table.add_row([hook.to_string(), ids.join(" → ")]);
    }
    ui.show(&table, "");
}

fn entry(entry: &Entry) -> Json {
    json!({
        "id": entry.manifest.as_ref().map(|manifest| &manifest.id),
        "manifest": entry.manifest,
        "hash": entry.hash,
        "path": entry.path,
        "state": entry.state.word(),
        "reason": entry.state.reason(),
    })
}
