//! `atelier plugins inspect`.

use std::path::{Path, PathBuf};

use atelier_plugin_abi::version::ABI_VERSION;
use clap::Args;
use serde::Serialize;

use super::manifests;
use crate::{
    Atelier,
    cli::{
        Global,
        draw::nearest,
        error::Failure,
        ui::{Ui, short_path, style},
    },
    plugins::{LoadError, Manifest, cache, manifest::PanicStrategy, preflight},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct InspectArgs {
    /// A library, or the id of an installed plugin
    plugin: String,
}

/// What can be known of a library without running it.
#[derive(Debug, Serialize)]
struct Report {
    path: PathBuf,
    size: u64,
    hash: String,
    manifest: Option<Manifest>,
    host_abi: String,
    /// The first check that fails; those that need the code to run are not among them.
    problem: Option<String>,
}

pub(super) fn run(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    args: &InspectArgs,
) -> Result<(), Failure> {
    let path = find(global, atelier, &args.plugin)?;
    let report = look(atelier, &path)?;
    if ui.json {
        ui.document(&report)?;
    } else {
        print(ui, &report);
    }
    match report.problem {
        None => Ok(()),
        Some(problem) => Err(Failure::failed(problem)),
    }
}

pub(super) fn find(global: &Global, atelier: &Atelier, wanted: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(wanted);
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let known = manifests(global, atelier);
    let found = known.iter().find(|(_, manifest)| manifest.id.as_str() == wanted);
    found.map(|(path, _)| path.clone()).ok_or_else(|| {
        let ids = known.iter().map(|(_, manifest)| manifest.id.as_str());
        let hint = match nearest(wanted, ids) {
            Some(nearest) => format!("did you mean “{nearest}”?"),
            None => "`atelier plugins list` shows what there is".to_owned(),
        };
        Failure::refused(format!("“{wanted}” is neither a file nor a plugin; {hint}"))
    })
}

fn look(atelier: &Atelier, path: &Path) -> Result<Report, Failure> {
    let library = cache::copy(path, &atelier.loader().cache)?;
    let mut report = Report {
        path: path.to_owned(),
        size: library.bytes.len() as u64,
        hash: library.hash,
        manifest: None,
        host_abi: ABI_VERSION.to_string(),
        problem: None,
    };
    let mut check = || -> Result<(), LoadError> {
        preflight::preflight(&library.bytes)?;
        report.manifest.insert(Manifest::of_library(&library.bytes)?).check()
    };
    report.problem = check().err().map(|error| error.to_string());
    Ok(report)
}

fn print(ui: &Ui, report: &Report) {
    let line = |name: &str, value: &str| {
        Ui::line(&format!("{} {value}", ui.paint(style::FAINT, &format!("{name:<9}"))));
    };
    let listed =
        |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    line("file", &format!("{} ({} KiB)", short_path(&report.path), report.size.div_ceil(1024)));
    line("blake3", &report.hash);
    if let Some(manifest) = &report.manifest {
        line("id", &ui.paint(style::STRONG, manifest.id.as_str()));
        line("name", &manifest.name);
        line("version", &manifest.version);
        line("abi", &format!("{} (this host runs {})", manifest.abi, report.host_abi));
        line(
            "panics",
            match manifest.panic {
                PanicStrategy::Unwind => "are caught",
                PanicStrategy::Abort => "would end the host",
                PanicStrategy::None => "do not exist: it is not written in Rust",
            },
        );
        line("hooks", &listed(&manifest.hooks));
        line("before", &listed(&manifest.before));
        line("after", &listed(&manifest.after));
    }
    match &report.problem {
        Some(problem) => line("check", &ui.paint(style::ERROR, problem)),
        None => line("check", &ui.paint(style::GOOD, "nothing speaks against loading it")),
    }
    Ui::line(&ui.paint(style::FAINT, "none of its code was run"));
}
