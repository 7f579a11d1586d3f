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
    plugins::{
        Isolation, LoadError, Manifest, Needs, cache,
        decisions::MOST_STRIKES,
        manifest::PanicStrategy,
        preflight,
        trust::{self, Candidate},
    },
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
    /// Why it may run; none where it may not.
    trusted: Option<String>,
    /// Where it runs.
    isolation: Option<Isolation>,
    /// What it may use in a worker beyond what every plugin may.
    granted: Needs,
    /// Processes that died in its hooks.
    strikes: usize,
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
    if wanted.contains(std::path::MAIN_SEPARATOR) || wanted.ends_with(std::env::consts::DLL_SUFFIX)
    {
        return Err(Failure::refused(format!(
            "there is no file {wanted}; build it, or name an installed plugin by its id"
        )));
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
        hash: library.hash.clone(),
        manifest: None,
        host_abi: ABI_VERSION.to_string(),
        trusted: None,
        isolation: None,
        granted: Needs::default(),
        strikes: 0,
        problem: None,
    };
    let mut check = || -> Result<(), LoadError> {
        preflight::preflight(&library.bytes)?;
        report.manifest.insert(Manifest::of_library(&library.bytes)?).check()
    };
    report.problem = check().err().map(|error| error.to_string());
    let decided = atelier.decisions().load()?;
    let manifest = report.manifest.as_ref();
    let candidate = Candidate::new(path, manifest, &library);
    report.trusted = trust::known(&candidate, &decided).map(|known| known.words());
    if let Some(manifest) = manifest {
        let options = &atelier.store().load().options;
        report.isolation = Some(atelier.isolating().choose(manifest, options));
        report.granted = decided.granted.get(&manifest.id).cloned().unwrap_or_default();
        report.strikes = decided.strikes(&manifest.id, &report.hash).count();
    }
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
                PanicStrategy::Abort => "end its process: it only runs in a worker",
                PanicStrategy::None => "do not exist: it is not written in Rust",
            },
        );
        line("hooks", &listed(&manifest.hooks));
        line("before", &listed(&manifest.before));
        line("after", &listed(&manifest.after));
        line("runs", report.isolation.unwrap_or_default().words());
        line("needs", &manifest.needs.to_string());
        line("granted", &report.granted.to_string());
        if report.strikes > 0 {
            let strikes =
                format!("{} of {MOST_STRIKES}: the host died in its hooks", report.strikes);
            line("strikes", &ui.paint(style::CARE, &strikes));
        }
    }
    match &report.trusted {
        Some(why) => line("trusted", why),
        None => line("trusted", &ui.paint(style::CARE, "no: it does not run until you say so")),
    }
    match &report.problem {
        Some(problem) => line("check", &ui.paint(style::ERROR, problem)),
        None => line("check", &ui.paint(style::GOOD, "nothing speaks against loading it")),
    }
    Ui::line(&ui.paint(style::FAINT, "none of its code was run"));
}
