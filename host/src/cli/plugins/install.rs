//! `atelier plugins install`, `remove` and `rollback`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::{
    Atelier,
    cli::{
        consent::AtTerminal,
        error::Failure,
        ui::{Ui, short_path, style},
    },
    plugins::{
        LoadError, Manifest, PluginId,
        install::{Change, Installer, Version},
        trust::{Candidate, Consent as _, known},
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct InstallArgs {
    /// A library, or an archive
    file: PathBuf,
    /// Trusts this build: it runs without another question
    #[arg(long)]
    trust: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArgs {
    /// Its id
    id: PluginId,
    /// Which version, or the beginning of its hash; the one that was replaced last without
    #[arg(long, value_name = "VERSION")]
    to: Option<String>,
}

fn installer(atelier: &Atelier) -> Installer {
    Installer::new(atelier.data(), atelier.loader())
}

pub(super) fn install(ui: &Ui, atelier: &Atelier, args: &InstallArgs) -> Result<(), Failure> {
    let change = installer(atelier).install(&args.file)?;
    let trusted = match &change.now {
        Some(now) => trusted(atelier, now, args.trust)?,
        None => None,
    };
    tell(ui, &change, trusted.as_deref())
}

pub(super) fn remove(ui: &Ui, atelier: &Atelier, id: &PluginId) -> Result<(), Failure> {
    let change = installer(atelier).remove(id)?;
    tell(ui, &change, None)
}

pub(super) fn rollback(ui: &Ui, atelier: &Atelier, args: &RollbackArgs) -> Result<(), Failure> {
    let change = installer(atelier).rollback(&args.id, args.to.as_deref())?;
    let trusted = match &change.now {
        Some(now) => trusted(atelier, now, false)?,
        None => None,
    };
    tell(ui, &change, trusted.as_deref())
}

/// Why an installed build may run; none where it may not yet. Asks where somebody can be asked.
fn trusted(
    atelier: &Atelier,
    now: &Version,
    without_asking: bool,
) -> Result<Option<String>, Failure> {
    let (manifest, library): (Manifest, _) =
        atelier.loader().inspect(&now.path).map_err(|error: LoadError| Failure::failed(error))?;
    let candidate = Candidate {
        path: &now.path,
        manifest: Some(&manifest),
        hash: &library.hash,
        bytes: &library.bytes,
    };
    if let Some(known) = known(&candidate, &atelier.decisions().load()?) {
        return Ok(Some(known.words()));
    }
    if !(without_asking || AtTerminal.ask(&candidate)) {
        return Ok(None);
    }
    atelier.decisions().change(|decided| decided.trust(Some(&manifest), &library.hash))?;
    Ok(Some("you trusted this build".to_owned()))
}

fn tell(ui: &Ui, change: &Change, trusted: Option<&str>) -> Result<(), Failure> {
    if ui.json {
        return Ok(ui.document(&json!({
            "now": change.now,
            "before": change.before,
            "trusted": trusted,
        }))?);
    }
    let name = |it: &Version| format!("{} {}", it.id, it.version);
    let before = change.before.first();
    match (&change.now, before) {
        (Some(now), Some(before)) => Ui::line(&format!(
            "{} is installed, in the place of {}",
            ui.paint(style::STRONG, &name(now)),
            before.version
        )),
        (Some(now), None) => {
            Ui::line(&format!("{} is installed", ui.paint(style::STRONG, &name(now))));
        }
        (None, _) => {}
    }
    if let Some(now) = &change.now {
        Ui::line(&ui.paint(style::FAINT, &short_path(&now.path)));
        match trusted {
            Some(why) => Ui::line(&ui.paint(style::FAINT, &format!("it runs from now on: {why}"))),
            None => Ui::line(&ui.paint(
                style::HINT,
                &format!("it does not run yet; if you trust it: atelier plugins trust {}", now.id),
            )),
        }
    }
    if let Some(before) = before {
        let back = match &change.now {
            Some(_) => "to go back",
            None => "it is taken out; to bring it back",
        };
        Ui::line(
            &ui.paint(style::HINT, &format!("{back}: atelier plugins rollback {}", before.id)),
        );
    }
    Ok(())
}
