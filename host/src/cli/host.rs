//! Opening the host for a command.

use std::{env, path::PathBuf, sync::Arc};

use super::{
    Global,
    consent::AtTerminal,
    error::Failure,
    ui::{Ui, short_path},
};
use crate::{
    Atelier, Config,
    plugins::{
        Isolating, Isolation, ThroughBytes, Workers, crumbs::Culprit, decisions::MOST_STRIKES,
        trust::Trust,
    },
};

/// Opens the host with its plugins, and tells what was wrong with its options.
pub(super) fn open(ui: &Ui, global: &Global) -> Result<Atelier, Failure> {
    let config = Config {
        data: data(global)?,
        plugins: named_plugins(global)?,
        no_extensions: global.no_extensions,
        trust: Trust::Ask(Arc::new(AtTerminal)),
        safe: global.safe,
        locked: global.locked,
        isolating: Isolating {
            all: global.isolation.map(Into::into),
            workers: Workers::of_this_program(),
            ..Isolating::default()
        },
        decorators: if global.loopback { vec![Arc::new(ThroughBytes)] } else { Vec::new() },
    };
    open_with(ui, &config)
}

impl From<super::Isolation> for Isolation {
    fn from(flag: super::Isolation) -> Self {
        match flag {
            super::Isolation::InProcess => Self::InProcess,
            super::Isolation::Worker => Self::Worker,
        }
    }
}

/// Opens the host without running any plugin's code: the options are the host's own then.
pub(super) fn open_bare(ui: &Ui, global: &Global) -> Result<Atelier, Failure> {
    open_with(ui, &Config { data: data(global)?, no_extensions: true, ..Config::default() })
}

/// What somebody named has to be there; what lies in `extensions` may be broken.
fn named_plugins(global: &Global) -> Result<Vec<PathBuf>, Failure> {
    let missing = global.plugins.iter().find(|path| !path.exists());
    match missing {
        None => Ok(global.plugins.clone()),
        Some(path) => Err(Failure::refused(format!(
            "there is no {}; --plugins takes a plugin's library or a folder of them",
            short_path(path)
        ))),
    }
}

fn open_with(ui: &Ui, config: &Config) -> Result<Atelier, Failure> {
    let atelier = Atelier::open(config)?;
    if let Some(aside) = &atelier.config_report().set_aside {
        ui.warn(&format!(
            "config.json could not be read ({}); it is kept as {}, and every option has its default",
            aside.reason,
            short_path(&aside.path)
        ));
    }
    for culprit in atelier.culprits() {
        ui.warn(&blame(&atelier, culprit));
    }
    for stale in atelier.stale_options() {
        ui.warn(&format!("in config.json, not used: {stale}"));
    }
    Ok(atelier)
}

fn data(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(given) = &global.data {
        return Ok(given.clone());
    }
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_DATA_HOME")
        .or_else(|| env::home_dir().map(|home| home.join(".local").join("share")));
    base.map(|base| base.join("atelier")).ok_or_else(|| {
        Failure::refused("there is no home folder to keep data in; name a folder with --data")
    })
}

/// Who was in charge when an earlier process ended, and what comes of it.
fn blame(atelier: &Atelier, Culprit { plugin, hash, hook, in_charge }: &Culprit) -> String {
    if !in_charge {
        return format!(
            "an earlier run ended outside of any hook; the last one was {hook} of {plugin}, which may \
             or may not have to do with it"
        );
    }
    let strikes = atelier.decisions().load().map_or(1, |decided| {
        decided.strikes.iter().filter(|it| it.plugin == *plugin && it.hash == *hash).count()
    });
    format!(
        "an earlier run ended while {plugin} was in charge (hook {hook}, strike {strikes} of \
         {MOST_STRIKES}); after {MOST_STRIKES} it is not loaded any more, unless it runs in a worker"
    )
}
