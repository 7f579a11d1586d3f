//! `atelier doctor`: everything that is installed, what it costs, and how to mend what is wrong.

use std::path::PathBuf;

use atelier_plugin_abi::version::{ABI_VERSION, AbiVersion};
use comfy_table::{Cell, Color};
use serde::Serialize;

use super::{
    Global,
    error::Failure,
    host,
    ui::{Ui, coloured, counted, faint, short_path, style},
};
use crate::{
    Atelier,
    engine::EngineProvider,
    plugins::{Entry, Isolation, LoadError, Loading, PluginSet, PluginState, entry::resident_kib},
    run::{RecordStore as _, RunRecord, pipeline::ModelProvider as _},
};

/// Runs whose costs are looked at.
const RUNS: usize = 20;

/// What there is to say of a plugin.
#[derive(Debug, Serialize)]
struct Patient {
    id: Option<String>,
    version: Option<String>,
    path: PathBuf,
    state: &'static str,
    reason: Option<String>,
    isolation: Option<Isolation>,
    loading: Option<Loading>,
    /// Resident memory of its worker.
    worker_kib: Option<i64>,
    /// Milliseconds in its hooks, in the mean of the last runs that it was in.
    run_ms: Option<f64>,
    /// The ABI that it was built for.
    abi: Option<String>,
    /// Whether a host of the next major version of the ABI would load it.
    survives_next_major: bool,
}

/// Something wrong.
#[derive(Debug, Serialize)]
struct Finding {
    what: String,
    /// The command that mends it.
    command: String,
}

#[derive(Debug, Serialize)]
struct Report {
    data: PathBuf,
    abi: String,
    checkpoints: Vec<String>,
    plugins: Vec<Patient>,
    findings: Vec<Finding>,
}

pub(super) fn run(ui: &Ui, global: &Global) -> Result<(), Failure> {
    let atelier = host::open(ui, global)?;
    let runs = atelier.records().last(RUNS).unwrap_or_default();
    let state = atelier.store().load_full();
    let plugins = atelier.plugins().iter().map(|entry| patient(entry, &state.companion, &runs));
    let report = Report {
        data: atelier.data().to_owned(),
        abi: ABI_VERSION.to_string(),
        checkpoints: EngineProvider::new(atelier.data())
            .list()
            .into_iter()
            .map(|it| it.name)
            .collect(),
        plugins: plugins.collect(),
        findings: findings(&atelier),
    };
    if ui.json {
        ui.document(&report)?;
    } else {
        tell(ui, &report);
    }
    Ok(())
}

fn patient(entry: &Entry, set: &PluginSet, runs: &[RunRecord]) -> Patient {
    let manifest = entry.manifest.as_ref();
    let plugin = manifest.and_then(|manifest| set.get(&manifest.id));
    let worker = plugin.and_then(|plugin| plugin.handle.process());
    let id = manifest.map(|manifest| manifest.id.to_string());
    let abi = manifest.and_then(|manifest| AbiVersion::parse(&manifest.abi));
    Patient {
        version: manifest.map(|manifest| manifest.version.clone()),
        path: entry.path.clone(),
        state: entry.state.word(),
        reason: entry.state.reason(),
        isolation: plugin.map(|plugin| plugin.isolation),
        loading: entry.loading,
        worker_kib: worker.and_then(|process| resident_kib(Some(process))),
        run_ms: id.as_deref().and_then(|id| run_ms(id, runs)),
        abi: manifest.map(|manifest| manifest.abi.clone()),
        survives_next_major: abi.is_some_and(|abi| abi.major > ABI_VERSION.major),
        id,
    }
}

/// What a run spends in a plugin, in the mean.
fn run_ms(id: &str, runs: &[RunRecord]) -> Option<f64> {
    let own = |run: &&RunRecord| run.plugins.iter().any(|plugin| plugin.id == id);
    let costs: Vec<f64> = runs
        .iter()
        .filter(own)
        .map(|run| {
            let hooks = run.hooks.iter().filter(|timing| timing.plugin == id);
            hooks.map(|timing| timing.total_us).sum::<f64>() / 1000.0
        })
        .collect();
    (!costs.is_empty()).then(|| costs.iter().sum::<f64>() / costs.len() as f64)
}

fn findings(atelier: &Atelier) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut note = |what: String, command: String| findings.push(Finding { what, command });
    if let Some(aside) = &atelier.config_report().set_aside {
        note(
            format!("config.json was broken ({}); every option has its default", aside.reason),
            format!("$EDITOR {}", short_path(&aside.path)),
        );
    }
    for stale in atelier.stale_options() {
        note(
            format!("in config.json, not used: {stale}"),
            "atelier options list --changed".to_owned(),
        );
    }
    for entry in atelier.plugins() {
        let path = short_path(&entry.path);
        let id = entry.manifest.as_ref().map(|manifest| manifest.id.to_string());
        let name = id.clone().unwrap_or_else(|| path.clone());
        let command = match &entry.state {
            // Somebody wanted it so.
            PluginState::Active | PluginState::Disabled { .. } => continue,
            PluginState::Quarantined { .. } => {
                format!("atelier options set isolated_plugins '[\"{name}\"]'")
            }
            PluginState::Failed(LoadError::Untrusted { .. }) => {
                format!("atelier plugins trust {path}")
            }
            PluginState::InCycle { .. } => format!("atelier plugins disable {name}"),
            PluginState::Failed(_) => match &id {
                Some(id) => format!("atelier plugins disable {id}"),
                None => format!("rm {path}"),
            },
        };
        // What to do stands in the command.
        let reason = entry.state.reason().unwrap_or_default();
        let what = reason.rsplit_once("; ").map_or(reason.as_str(), |(what, _)| what);
        note(format!("{name}: {what}"), command);
    }
    findings
}

fn tell(ui: &Ui, report: &Report) {
    Ui::line(&format!("{} {}", ui.paint(style::FAINT, "data folder"), short_path(&report.data)));
    Ui::line(&format!("{} {}", ui.paint(style::FAINT, "plugin ABI "), report.abi));
    let checkpoints = match &report.checkpoints[..] {
        [] => "none".to_owned(),
        some => some.join(", "),
    };
    Ui::line(&format!("{} {checkpoints}", ui.paint(style::FAINT, "checkpoints")));
    let mut table =
        ui.table(&["plugin", "version", "state", "runs", ">load", ">memory", ">per run", "abi"]);
    for plugin in &report.plugins {
        let colour = match plugin.state {
            "active" => Color::Green,
            "disabled" => Color::DarkGrey,
            _ => Color::Yellow,
        };
        let kib = plugin.worker_kib.or(plugin.loading.and_then(|loading| loading.host_kib));
        table.add_row([
            Cell::new(plugin.id.clone().unwrap_or_else(|| short_path(&plugin.path))),
            Cell::new(plugin.version.as_deref().unwrap_or("")),
            coloured(plugin.state, colour),
            plugin.isolation.map_or_else(|| faint("·"), |it| Cell::new(it.word())),
            plugin.loading.map_or_else(
                || faint("·"),
                |it| Cell::new(format!("{:.1} ms", it.seconds * 1000.0)),
            ),
            kib.map_or_else(
                || faint("·"),
                |kib| Cell::new(format!("{:.1} MiB", kib as f64 / 1024.0)),
            ),
            plugin.run_ms.map_or_else(|| faint("·"), |ms| Cell::new(format!("{ms:.2} ms"))),
            faint(plugin.abi.as_deref().unwrap_or("")),
        ]);
    }
    Ui::line("");
    ui.show(&table, "no plugins");
    let breaking = report.plugins.iter().filter(|it| it.abi.is_some() && !it.survives_next_major);
    let breaking = breaking.count();
    if breaking > 0 {
        let text = format!(
            "a host of ABI {} would ask for a new build of {}; every host of ABI {}.x loads them",
            ABI_VERSION.major + 1,
            counted(breaking, "plugin"),
            ABI_VERSION.major,
        );
        Ui::line("");
        Ui::line(&ui.paint(style::FAINT, &text));
    }
    ui.heading(&counted(report.findings.len(), "finding"));
    if report.findings.is_empty() {
        Ui::line(&ui.paint(style::GOOD, "nothing is wrong"));
    }
    for Finding { what, command } in &report.findings {
        Ui::line(&format!("{} {what}", ui.paint(style::CARE, "·")));
        Ui::line(&format!("  {}", ui.paint(style::STRONG, command)));
    }
}
