//! `atelier plugins trust`, `distrust`, `grant` and `release`: what the user decides about plugins.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::inspect::find;
use crate::{
    Atelier,
    cli::{
        Global,
        consent::AtTerminal,
        error::Failure,
        ui::{Ui, counted, short_path, style},
    },
    plugins::{
        Manifest, Needs, PluginId, cache,
        decisions::Decided,
        preflight::preflight,
        trust::{Candidate, Consent as _, Known, check_key, known},
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct TrustArgs {
    /// Libraries, ids of installed plugins, or folders that you build plugins in
    #[arg(value_name = "PLUGIN", required_unless_present = "publisher")]
    which: Vec<String>,
    /// Trusts every library that is signed with this minisign key
    #[arg(long, value_name = "KEY", conflicts_with = "which")]
    publisher: Option<String>,
    /// What the publisher is called here
    #[arg(long, value_name = "NAME", requires = "publisher", default_value = "a publisher")]
    name: String,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct GrantArgs {
    /// The plugin's id
    id: PluginId,
    /// Lets it open sockets
    #[arg(long)]
    network: bool,
    /// Lets it start processes
    #[arg(long)]
    processes: bool,
    /// Lets it write to a folder, beside its own
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
    /// Address space in MiB
    #[arg(long, value_name = "MIB")]
    memory: Option<u64>,
    /// Processor time of one hook, in seconds
    #[arg(long, value_name = "SECONDS")]
    cpu: Option<u64>,
    /// Takes everything back that was granted
    #[arg(long, conflicts_with_all = ["network", "processes", "write", "memory", "cpu"])]
    revoke: bool,
}

/// Sees to it that a library may run, asking on the terminal where it is unknown.
pub(super) fn consent(atelier: &Atelier, path: &Path) -> Result<(), Failure> {
    let library = cache::copy(path, &atelier.loader().cache).map_err(Failure::unusable)?;
    if preflight(&library.bytes).is_err() {
        // No library: there is no code in it that could run.
        return Ok(());
    }
    let manifest = Manifest::of_library(&library.bytes).ok();
    let candidate = Candidate::new(path, manifest.as_ref(), &library);
    if permitted(atelier, &candidate, false)?.is_some() {
        return Ok(());
    }
    Err(Failure::unusable(format!(
        "{} is not trusted, and its code can do whatever you can; if you trust it: atelier plugins \
         trust {}",
        short_path(path),
        short_path(path)
    )))
}

/// Why a library may run; none where it may not yet. Where it is unknown somebody at the terminal is asked,
/// unless they have said so already.
pub(super) fn permitted(
    atelier: &Atelier,
    candidate: &Candidate<'_>,
    trusted: bool,
) -> Result<Option<Known>, Failure> {
    if let Some(known) = known(candidate, &atelier.decisions().load()?) {
        return Ok(Some(known));
    }
    if !(trusted || AtTerminal.ask(candidate)) {
        return Ok(None);
    }
    atelier.decisions().change(|decided| decided.trust(candidate.manifest, candidate.hash))?;
    Ok(Some(Known::Decided))
}

pub(super) fn trust(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    args: &TrustArgs,
) -> Result<(), Failure> {
    if let Some(key) = &args.publisher {
        check_key(key).map_err(|error| {
            Failure::refused(format!(
                "this is no minisign key ({error}); it is the second line of a .pub file"
            ))
        })?;
        atelier
            .decisions()
            .change(|decided| decided.publishers.insert(key.clone(), args.name.clone()))?;
        if ui.json {
            return Ok(ui.document(&json!({"publisher": key, "name": args.name}))?);
        }
        Ui::line(&format!("what {} signs with this key runs from now on", args.name));
        return Ok(());
    }
    let mut trusted = Vec::new();
    for wanted in &args.which {
        if Path::new(wanted).is_dir() {
            let folder = std::fs::canonicalize(wanted).map_err(Failure::failed)?;
            atelier.decisions().change(|it| it.folders.insert(folder.clone()))?;
            if !ui.json {
                Ui::line(&format!("every build in {} runs from now on", short_path(&folder)));
            }
            trusted.push(json!({"folder": folder}));
            continue;
        }
        let path = find(global, atelier, wanted)?;
        let library = cache::copy(&path, &atelier.loader().cache)?;
        let manifest = Manifest::of_library(&library.bytes).ok();
        atelier.decisions().change(|it| it.trust(manifest.as_ref(), &library.hash))?;
        let id = manifest.map_or_else(|| short_path(&path), |manifest| manifest.id.to_string());
        if !ui.json {
            let hash = ui.paint(style::FAINT, &library.hash[..16]);
            Ui::line(&format!("this build of {id} ({hash}) runs from now on"));
        }
        trusted.push(json!({"id": id, "path": path, "hash": library.hash}));
    }
    if ui.json { Ok(ui.document(&trusted)?) } else { Ok(()) }
}

/// Takes trust back, from builds of a plugin by its id, from one build by its hash, from a publisher by
/// key or name.
pub(super) fn distrust(ui: &Ui, atelier: &Atelier, whom: &str) -> Result<(), Failure> {
    let removed = atelier.decisions().change(|decided| {
        let all = |it: &Decided| it.trusted.len() + it.publishers.len() + it.folders.len();
        let before = all(decided);
        let folder = std::fs::canonicalize(whom).ok();
        // A short piece of a hash would fit too many.
        let hash = |hash: &str| whom.len() >= 8 && hash.starts_with(whom);
        decided.trusted.retain(|known, trusted| !(trusted.id == whom || hash(known)));
        decided.publishers.retain(|key, name| !(key == whom || name == whom));
        decided.folders.retain(|known| Some(known) != folder.as_ref());
        before - all(decided)
    })?;
    if removed == 0 {
        return Err(Failure::refused(format!(
            "nothing that is trusted is called “{whom}”; it is an id, the beginning of a hash, a \
             folder, or a publisher's key or name"
        )));
    }
    if ui.json {
        return Ok(ui.document(&json!({"distrusted": removed}))?);
    }
    Ui::line(&format!("{} taken back", counted(removed, "decision")));
    Ok(())
}

pub(super) fn grant(ui: &Ui, atelier: &Atelier, args: GrantArgs) -> Result<(), Failure> {
    let GrantArgs { id, network, processes, write, memory, cpu, revoke } = args;
    let mut folders = Vec::new();
    for folder in write {
        let whole = std::fs::canonicalize(&folder).map_err(|error| {
            Failure::refused(format!(
                "{} is no folder ({error}); make it first",
                short_path(&folder)
            ))
        })?;
        folders.push(whole);
    }
    let granted = atelier.decisions().change(|decided| {
        if revoke {
            decided.granted.remove(&id);
            return Needs::default();
        }
        let granted = decided.granted.entry(id.clone()).or_default();
        granted.network |= network;
        granted.processes |= processes;
        granted.memory_mb = memory.or(granted.memory_mb);
        granted.cpu_seconds = cpu.or(granted.cpu_seconds);
        for folder in folders {
            if !granted.write.contains(&folder) {
                granted.write.push(folder);
            }
        }
        granted.clone()
    })?;
    if ui.json {
        return Ok(ui.document(&json!({"id": id, "granted": granted}))?);
    }
    Ui::line(&format!("{id} may use in its worker, from its next start on: {granted}"));
    Ok(())
}

/// Forgets the strikes of a plugin.
pub(super) fn release(ui: &Ui, atelier: &Atelier, id: &PluginId) -> Result<(), Failure> {
    let forgotten = atelier.decisions().change(|decided| {
        let before = decided.strikes.len();
        decided.strikes.retain(|strike| strike.plugin != id.as_str());
        before - decided.strikes.len()
    })?;
    if forgotten == 0 {
        return Err(Failure::refused(format!(
            "{id} has no strikes; `atelier plugins list` shows what keeps a plugin from being loaded"
        )));
    }
    if ui.json {
        return Ok(ui.document(&json!({"id": id, "forgotten": forgotten}))?);
    }
    Ui::line(&format!("{} of {id} forgotten; it is loaded again", counted(forgotten, "strike")));
    Ok(())
}
