//! `atelier plugins compat`: is this plugin ready to leave live options?

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use comfy_table::{Cell, Color, ColumnConstraint};
use serde_json::json;

use super::{inspect::find, progress, trust};
use crate::{
    Atelier,
    cli::{
        Global,
        draw::overrides,
        error::Failure,
        ui::{Ui, coloured, count, counted, short_path, style},
    },
    compat::{
        Compat, CompatError, Settings, Verdict,
        against::{Against, against},
        examine, html,
    },
    engine::EngineProvider,
    validate::Subject,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct CompatArgs {
    /// A library, or the id of an installed plugin
    plugin: String,
    /// An older build, to see what is different from it
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// Writes the whole report as one HTML file, with pictures
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// What is drawn
    #[arg(long, value_name = "PROMPT", default_value = "red heart")]
    prompt: String,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = 7)]
    seed: i64,
    /// Steps of each run
    #[arg(long, value_name = "N", default_value_t = 6)]
    steps: u32,
    /// Sets an option in all runs, for instance one that switches the plugin on
    #[arg(short = 'o', long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Draws on the fake engine instead of the default checkpoint: quick, and no pictures to look at
    #[arg(long)]
    fake: bool,
}

impl From<CompatError> for Failure {
    fn from(error: CompatError) -> Self {
        Self::failed(error)
    }
}

pub(super) fn run(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    args: &CompatArgs,
) -> Result<(), Failure> {
    let library = find(global, atelier, &args.plugin)?;
    for library in [Some(&library), args.against.as_ref()].into_iter().flatten() {
        trust::consent(atelier, library)?;
    }
    let scratch = tempfile::Builder::new().prefix("atelier-compat-").tempdir();
    let scratch = scratch.map_err(Failure::failed)?;
    let subject = subject(&library, &scratch.path().join("new"));
    let settings = Settings {
        prompt: args.prompt.clone(),
        seed: args.seed,
        steps: args.steps,
        real: !args.fake,
        overrides: own_overrides(&subject, &args.overrides)?,
    };
    let bar = progress(ui);
    let told = |what: &str| bar.set_message(what.to_owned());
    let compat = examine(&subject, &settings, &told)?;
    let older = args.against.as_deref().map(|file| {
        let older = self::subject(file, &scratch.path().join("old"));
        against(&compat, &subject, &older, &settings, &told)
    });
    let older = older.transpose()?;
    bar.finish_and_clear();
    if let Some(file) = &args.html {
        fs::write(file, html::report(&compat, older.as_ref())).map_err(|error| {
            Failure::failed(format!("{} cannot be written: {error}", file.display()))
        })?;
    }
    if ui.json {
        let document = json!({
            "compat": compat,
            "advice": compat.verdict.advice(),
            "against": older,
        });
        return Ok(ui.document(&document)?);
    }
    tell(ui, &compat);
    if let Some(older) = &older {
        tell_older(ui, older);
    }
    if let Some(file) = &args.html {
        Ui::line(&ui.paint(style::FAINT, &format!("the whole report: {}", short_path(file))));
    }
    Ok(())
}

fn subject(library: &Path, scratch: &Path) -> Subject {
    let mut subject = Subject::new(library.to_owned(), 1, scratch.to_owned());
    subject.checkpoints = Some(Arc::new(EngineProvider::new(&scratch.join("checkpoints"))));
    subject
}

/// Overrides are cast by the options that the plugin adds, so it is loaded for them.
fn own_overrides(
    subject: &Subject,
    given: &[String],
) -> Result<serde_json::Map<String, serde_json::Value>, Failure> {
    if given.is_empty() {
        return Ok(serde_json::Map::new());
    }
    let rig = subject.plain().map_err(|verdict| Failure::failed(verdict.words))?;
    let state = rig.atelier.store().load_full();
    overrides(state.options.schema(), given)
}

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Ready | Verdict::NeverDiffers => Color::Green,
        Verdict::Migrate | Verdict::Variable => Color::Yellow,
        Verdict::NotRepeatable => Color::Red,
    }
}

fn tell(ui: &Ui, compat: &Compat) {
    let style = match compat.verdict {
        Verdict::Ready | Verdict::NeverDiffers => style::GOOD,
        Verdict::Migrate | Verdict::Variable => style::CARE,
        Verdict::NotRepeatable => style::ERROR,
    };
    let name = ui.paint(style::STRONG, &format!("{} {}", compat.id, compat.version));
    Ui::line(&format!("{name}: {}", ui.paint(style, compat.verdict.words())));
    let mut table = ui.table(&[
        "option",
        "read live at",
        ">live",
        ">snapshot",
        ">writes",
        ">changes",
        ">pixels",
        "verdict",
    ]);
    for option in &compat.options {
        let hooks: Vec<_> = option.hooks.keys().map(String::as_str).collect();
        let most = option.shifts.iter().map(|shift| shift.pixels).max().unwrap_or(0);
        table.add_row([
            Cell::new(&option.key),
            Cell::new(hooks.join("\n")),
            count(option.live),
            count(option.snapshot),
            count(option.writes),
            count(option.shifts.len() as u64),
            count(most),
            coloured(option.verdict, colour(option.verdict)),
        ]);
    }
    // Names and numbers stay whole; the verdict takes what is left.
    table.set_constraints([ColumnConstraint::ContentWidth; 7]);
    ui.show(&table, "it reads and writes no option");
    for option in &compat.options {
        let worst =
            option.shifts.iter().max_by_key(|shift| shift.pixels).filter(|it| it.pixels > 0);
        if let Some(worst) = worst {
            let pixels = counted(worst.pixels as usize, "pixel");
            Ui::line(&format!(
                "migrate: {}, read at {}, changes {pixels} when it is changed to {} in mid-run, before {}",
                option.key,
                option.hooks.keys().cloned().collect::<Vec<_>>().join(", "),
                worst.value,
                worst.before,
            ));
        }
    }
    let recording = match compat.without_recording {
        None => String::new(),
        Some(0) => "; without recording not one pixel differs".to_owned(),
        Some(pixels) => format!("; without recording {} differ", counted(pixels as usize, "pixel")),
    };
    let pinned = match compat.pinned {
        0 => "pinned to the snapshot it draws the same".to_owned(),
        pixels => format!("pinned to the snapshot {} differ", counted(pixels as usize, "pixel")),
    };
    let runs = counted(compat.runs as usize, "run");
    Ui::line(&ui.paint(style::FAINT, &format!("{runs}; {pinned}{recording}")));
    Ui::line(&ui.paint(style::HINT, compat.verdict.advice()));
}

fn tell_older(ui: &Ui, older: &Against) {
    ui.heading(&format!("Against {}", older.version));
    let mut table = ui.prose(&["", "", "name", ""]);
    for change in &older.changes {
        table.add_row([change.what, change.kind, &change.name, &change.words]);
    }
    ui.show(&table, "the same hooks, options and arguments");
    let pixels = match older.pixels {
        0 => "the same runs draw the same pixels".to_owned(),
        pixels => format!("{} of the same runs are others", counted(pixels as usize, "pixel")),
    };
    Ui::line(&format!("{pixels}; the older build: {}", older.verdict));
}
