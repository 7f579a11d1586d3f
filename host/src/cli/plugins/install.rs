//! `atelier plugins install`, `remove` and `rollback`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::trust;
use crate::{
    Atelier,
    cli::{
        error::Failure,
        ui::{Ui, short_path, style},
    },
    plugins::{
        PluginId,
        install::{Change, Installer, Version},
        trust::Candidate,
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
    tell(ui, atelier, &installer(atelier).install(&args.file)?, args.trust)
}

pub(super) fn remove(ui: &Ui, atelier: &Atelier, id: &PluginId) -> Result<(), Failure> {
    tell(ui, atelier, &installer(atelier).remove(id)?, false)
}

pub(super) fn rollback(ui: &Ui, atelier: &Atelier, args: &RollbackArgs) -> Result<(), Failure> {
    tell(ui, atelier, &installer(atelier).rollback(&args.id, args.to.as_deref())?, false)
}

/// Why an installed build may run; none where it may not yet, or nothing is there.
fn permitted(
    atelier: &Atelier,
    now: Option<&Version>,
    trusted: bool,
) -> Result<Option<String>, Failure> {
    let Some(now) = now else { return Ok(None) };
    let (manifest, library) = atelier.loader().inspect(&now.path)?;
    let candidate = Candidate::new(&now.path, Some(&manifest), &library);
    let known = trust::permitted(atelier, &candidate, trusted)?;
    Ok(known.map(|known| known.words()))
}

fn tell(ui: &Ui, atelier: &Atelier, change: &Change, trusted: bool) -> Result<(), Failure> {
    let trusted = permitted(atelier, change.now.as_ref(), trusted)?;
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
