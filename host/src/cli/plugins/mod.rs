//! `atelier plugins`: what is there, what it says of itself, and switching it.

mod bisect;
mod compat;
mod inspect;
mod install;
mod list;
mod lock;
mod new;
mod switch;
mod trust;
mod validate;

use std::{path::PathBuf, time::Duration};

use clap::Subcommand;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::{Global, error::Failure, host, ui::Ui};
use crate::{
    Atelier,
    plugins::{Manifest, PluginId, discover},
};

#[derive(Debug, Subcommand)]
pub(super) enum Plugins {
    /// Lists plugins, what became of them, and the order of their hooks
    List,
    /// Looks at a plugin without running any of its code
    Inspect(inspect::InspectArgs),
    /// Tries a plugin: one named check after another, each in a process of its own
    Validate(Box<validate::ValidateArgs>),
    /// Makes a plugin to begin with: it builds and passes its test
    New(new::NewArgs),
    /// Says whether a plugin is ready to leave live options
    Compat(compat::CompatArgs),
    /// Finds the plugins that break a run, or change its picture, by halves
    Bisect(bisect::BisectArgs),
    /// One check in this process
    #[command(hide = true)]
    ValidateCheck(validate::CheckArgs),
    /// Installs a plugin: a library, or a .zip or .tar.gz with one
    Install(install::InstallArgs),
    /// Takes an installed plugin out; its options and its own folder stay
    Remove {
        /// Its id
        id: PluginId,
    },
    /// Brings the version back that an installation replaced, or that was removed
    Rollback(install::RollbackArgs),
    /// Writes down which plugins there are, to the byte
    Lock,
    /// Says where the plugins are not those that were written down
    Verify,
    /// Lets libraries run that have not run here before
    Trust(trust::TrustArgs),
    /// Takes that back
    Distrust {
        /// Id, beginning of a hash, folder, publisher's key or name
        whom: String,
    },
    /// Lets a plugin use more in its worker
    Grant(trust::GrantArgs),
    /// Forgets that the host died in a plugin's hooks
    Release {
        /// Its id
        id: PluginId,
    },
    /// Lets a plugin be loaded again
    Enable {
        /// Its id
        id: String,
    },
    /// Keeps a plugin from being loaded
    Disable {
        /// Its id
        id: String,
    },
}

pub(super) fn run(ui: &Ui, global: &Global, command: Plugins) -> Result<(), Failure> {
    match command {
        Plugins::List => list::run(ui, &host::open(ui, global)?),
        // These run no plugin: one that ends the process while it is loaded can be switched off.
        Plugins::Inspect(args) => inspect::run(ui, global, &host::open_bare(ui, global)?, &args),
        Plugins::Validate(args) => validate::run(ui, global, &host::open_bare(ui, global)?, &args),
        Plugins::New(args) => new::run(ui, &args),
        Plugins::Compat(args) => compat::run(ui, global, &host::open_bare(ui, global)?, &args),
        Plugins::Bisect(args) => bisect::run(ui, global, &host::open_bare(ui, global)?, &args),
        Plugins::ValidateCheck(args) => validate::check(args),
        Plugins::Install(args) => install::install(ui, &host::open_bare(ui, global)?, &args),
        Plugins::Remove { id } => install::remove(ui, &host::open_bare(ui, global)?, &id),
        Plugins::Rollback(args) => install::rollback(ui, &host::open_bare(ui, global)?, &args),
        Plugins::Lock => lock::lock(ui, global, &host::open_bare(ui, global)?),
        Plugins::Verify => lock::verify(ui, global, &host::open_bare(ui, global)?),
        Plugins::Trust(args) => trust::trust(ui, global, &host::open_bare(ui, global)?, &args),
        Plugins::Distrust { whom } => trust::distrust(ui, &host::open_bare(ui, global)?, &whom),
        Plugins::Grant(args) => trust::grant(ui, &host::open_bare(ui, global)?, args),
        Plugins::Release { id } => trust::release(ui, &host::open_bare(ui, global)?, &id),
        Plugins::Enable { id } => switch::enable(ui, &host::open_bare(ui, global)?, &id),
        Plugins::Disable { id } => switch::disable(ui, global, &host::open_bare(ui, global)?, &id),
    }
}

/// Something that turns while it is not known how long the work takes.
fn progress(ui: &Ui) -> ProgressBar {
    let target = if ui.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(None, target);
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

/// The libraries that a host with these flags would load.
fn libraries(global: &Global, atelier: &Atelier) -> Vec<PathBuf> {
    let extensions = (!global.no_extensions).then(|| atelier.data().join("extensions"));
    let mut found = Vec::new();
    for place in extensions.iter().chain(&global.plugins) {
        if place.is_dir() {
            // A folder that cannot be read has none; the host says so when it loads plugins.
            found.extend(discover::discover(place).unwrap_or_default());
        } else if place.is_file() {
            found.push(place.clone());
        }
    }
    found
}

/// Those among them that say what they are.
fn manifests(global: &Global, atelier: &Atelier) -> Vec<(PathBuf, Manifest)> {
    let loader = atelier.loader();
    let looked = libraries(global, atelier).into_iter().filter_map(|path| {
        let (manifest, _) = loader.inspect(&path).ok()?;
        Some((path, manifest))
    });
    looked.collect()
}
