//! `atelier plugins validate`: is this plugin fit to be used?

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use clap::{Args, ValueEnum};
use comfy_table::{Cell, Color};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{inspect::find, trust};
use crate::{
    Atelier,
    cli::{
        Global,
        error::Failure,
        ui::{Ui, coloured, counted, faint, short_path, style},
    },
    engine::EngineProvider,
    plugins::{Manifest, discover},
    run::pipeline::ModelProvider,
    validate::{
        self, Check, Child, Outcome, Plan, PlanError, Report, Result as Checked, Subject, Switches,
        Tried, child,
    },
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ValidateArgs {
    /// A library, the id of an installed plugin, or a folder of libraries
    #[arg(required_unless_present = "list")]
    plugin: Option<String>,
    /// How strict, 1 to 10: 5 is for every plugin, 8 for one that is published
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=10))]
    level: u8,
    /// Only checks whose name this regular expression finds, whatever their level
    #[arg(long, value_name = "RE")]
    include: Option<String>,
    /// No checks whose name this regular expression finds
    #[arg(long, value_name = "RE")]
    exclude: Option<String>,
    /// Tells nothing of checks that passed
    #[arg(long)]
    only_failed: bool,
    /// An older build, to see whether users can update
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
    /// What chance is drawn from; a failure found with it is found again
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Checks at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Seconds that a check may say nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    timeout: f32,
    /// Runs the checks in this process, for a debugger: a plugin that crashes takes it along
    #[arg(long)]
    in_process: bool,
    /// Lists all checks
    #[arg(long)]
    list: bool,
    /// How to tell
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

/// The hidden command that runs one check in this very process.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    check: String,
    library: PathBuf,
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    scratch: PathBuf,
    #[arg(long)]
    against: Option<PathBuf>,
}

impl CheckArgs {
    /// Where its log goes.
    pub(in crate::cli) fn log(&self) -> PathBuf {
        self.scratch.join(child::LOG)
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::unusable(error)
    }
}

pub(super) fn run(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    args: &ValidateArgs,
) -> Result<(), Failure> {
    let format = if ui.json { Format::Json } else { args.format };
    if args.list {
        return list(ui, format);
    }
    let pattern = |text: &Option<String>| text.as_deref().map(Plan::pattern).transpose();
    let plan = Plan {
        level: args.level,
        include: pattern(&args.include)?,
        exclude: pattern(&args.exclude)?,
    };
    if !(args.timeout.is_finite() && args.timeout > 0.0) {
        return Err(Failure::unusable("--timeout takes seconds, more than 0"));
    }
    let checks = plan.checks();
    if checks.is_empty() {
        return Err(Failure::unusable("no check is left to run; --list shows all of them"));
    }
    let mut reports = Vec::new();
    for library in libraries(global, atelier, args.plugin.as_deref().unwrap_or_default())? {
        for library in [Some(&library), args.against.as_ref()].into_iter().flatten() {
            trust::consent(atelier, library)?;
        }
        let report = try_one(ui, args, &plan, &checks, &library)?;
        if format == Format::Text {
            tell(ui, args, &report);
        }
        reports.push(report);
    }
    match format {
        Format::Text => {}
        Format::Json => print_json(ui, &reports)?,
        Format::Junit => {
            for report in &reports {
                Ui::line(report.junit().map_err(Failure::unusable)?.trim_end());
            }
        }
    }
    match reports.iter().map(Report::exit_code).max().unwrap_or(0) {
        0 => Ok(()),
        code => Err(Failure::Told(code)),
    }
}

fn libraries(global: &Global, atelier: &Atelier, wanted: &str) -> Result<Vec<PathBuf>, Failure> {
    let path = Path::new(wanted);
    if !path.is_dir() {
        return find(global, atelier, wanted)
            .map(|path| vec![path])
            .map_err(Failure::into_unusable);
    }
    let found = discover::discover(path).map_err(Failure::unusable)?;
    if found.is_empty() {
        return Err(Failure::unusable(format!("there is no library in {}", short_path(path))));
    }
    Ok(found)
}

/// Runs the checks of one plugin, several at a time, and tells of each as it ends.
fn try_one(
    ui: &Ui,
    args: &ValidateArgs,
    plan: &Plan,
    checks: &[&'static Check],
    library: &Path,
) -> Result<Report, Failure> {
    let library = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let against = args.against.as_deref().map(fs::canonicalize).transpose();
    let against = against.map_err(|error| {
        Failure::unusable(format!(
            "the older build cannot be read ({error}); name a library with --against"
        ))
    })?;
    let switches = Switches::beside(&library)?;
    let scratch = tempfile::Builder::new().prefix("atelier-validate-").tempdir();
    let scratch = scratch.map_err(Failure::unusable)?;
    let manifest = fs::read(&library).ok().and_then(|bytes| Manifest::of_library(&bytes).ok());
    let wanted: Vec<&'static Check> =
        checks.iter().copied().filter(|check| !switches.off.contains_key(check.id)).collect();
    let bar = progress(ui, wanted.len());
    let runner = Child { silence: Duration::from_secs_f32(args.timeout), ..Child::default() };
    let next = Mutex::new(wanted.iter().enumerate());
    let results: Mutex<Vec<(usize, Checked)>> = Mutex::default();
    let work = || {
        loop {
            let taken = next.lock().unwrap_or_else(PoisonError::into_inner).next();
            let Some((at, check)) = taken else { return };
            bar.set_message(check.id);
            let folder = scratch.path().join(check.id);
            let mut subject = Subject::new(library.clone(), args.seed, folder);
            subject.against.clone_from(&against);
            let tried = if check.executes() && !args.in_process {
                runner.run(check.id, &subject)
            } else {
                here(check, subject)
            };
            bar.inc(1);
            let result = Checked::new(check, tried);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..if args.in_process { 1 } else { args.jobs } {
            scope.spawn(work);
        }
    });
    bar.finish_and_clear();
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    Ok(Report {
        library,
        id: manifest.as_ref().map(|manifest| manifest.id.to_string()),
        version: manifest.map(|manifest| manifest.version),
        level: plan.level,
        seed: args.seed,
        off: switches.off,
        results: results.into_iter().map(|(_, result)| result).collect(),
    })
}

fn here(check: &Check, mut subject: Subject) -> Tried {
    let begin = Instant::now();
    subject.checkpoints = Some(checkpoints(&subject.scratch));
    Tried::of(check.run_here(&subject), begin)
}

fn checkpoints(scratch: &Path) -> Arc<dyn ModelProvider> {
    Arc::new(EngineProvider::new(&scratch.join("checkpoints")))
}

/// One check in this very process, for the process that asks for it.
pub(super) fn check(args: CheckArgs) -> Result<(), Failure> {
    let check = validate::find(&args.check)
        .ok_or_else(|| Failure::refused(format!("there is no check “{}”", args.check)))?;
    let mut subject = Subject::new(args.library, args.seed, args.scratch);
    subject.against = args.against;
    subject.checkpoints = Some(checkpoints(&subject.scratch));
    child::answer(check, subject).map_err(Failure::failed)?;
    // Threads and exit handlers of the plugin's are not waited for: the check is over.
    let _ = std::io::stdout().flush();
    Ok(())
}

fn progress(ui: &Ui, checks: usize) -> ProgressBar {
    let target = if ui.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(Some(checks as u64), target);
    let style = ProgressStyle::with_template("{bar:32} {pos}/{len} checks  {msg:.dim}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

fn colour(outcome: Outcome) -> Color {
    match outcome {
        Outcome::Pass => Color::Green,
        Outcome::Warn => Color::Yellow,
        Outcome::Skip => Color::DarkGrey,
        Outcome::Fail | Outcome::Crashed | Outcome::Timeout => Color::Red,
    }
}

fn list(ui: &Ui, format: Format) -> Result<(), Failure> {
    if format == Format::Json {
        let all: Vec<_> = validate::all()
            .map(|it| json!({"check": it.id, "group": it.group, "level": it.level, "about": it.about}))
            .collect();
        return Ok(ui.document(&all)?);
    }
    let mut table = ui.prose(&[">level", "check", "what has to be so"]);
    for check in validate::all() {
        table.add_row([Cell::new(check.level), Cell::new(check.id), Cell::new(check.about)]);
    }
    ui.show(&table, "");
    Ok(())
}

fn print_json(ui: &Ui, reports: &[Report]) -> Result<(), Failure> {
    let documents: Vec<_> = reports
        .iter()
        .map(|report| {
            json!({
                "report": report,
                "reached": report.reached(),
                "counts": report.counts(),
                "advice": report.advice(),
            })
        })
        .collect();
    Ok(ui.document(&documents)?)
}

fn tell(ui: &Ui, args: &ValidateArgs, report: &Report) {
    let name = match (&report.id, &report.version) {
        (Some(id), Some(version)) => format!("{id} {version}"),
        _ => short_path(&report.library),
    };
    Ui::line(&ui.paint(style::STRONG, &name));
    let mut table = ui.prose(&["check", ">level", "outcome", "what was seen"]);
    for result in &report.results {
        let outcome = result.outcome();
        if args.only_failed && !outcome.is_bad() && outcome != Outcome::Warn {
            continue;
        }
        let words = match outcome {
            Outcome::Pass => faint(format!("{:.2} s", result.tried.seconds)),
            _ => Cell::new(&result.tried.verdict.words),
        };
        table.add_row([
            Cell::new(result.check),
            Cell::new(result.level),
            coloured(outcome, colour(outcome)),
            words,
        ]);
    }
    ui.show(&table, "no check failed");
    for (check, reason) in &report.off {
        Ui::line(&ui.paint(style::FAINT, &format!("{check} is switched off: {reason}")));
    }
    for result in report.results.iter().filter(|result| result.outcome().is_bad()) {
        last_lines(ui, result);
    }
    summary(ui, report);
}

fn last_lines(ui: &Ui, result: &Checked) {
    let lines = &result.tried.last_lines;
    if lines.is_empty() {
        return;
    }
    ui.heading(&format!("{}, last lines", result.check));
    for line in lines.iter().skip(lines.len().saturating_sub(8)) {
        Ui::line(&ui.paint(style::FAINT, line));
    }
}

fn summary(ui: &Ui, report: &Report) {
    let counts = report.counts();
    let told: Vec<String> = Outcome::ALL
        .iter()
        .filter_map(|outcome| counts.get(outcome).map(|count| format!("{count} {outcome}")))
        .collect();
    Ui::line("");
    let reached = match report.reached() {
        0 => "no level is reached".to_owned(),
        level => format!("level {level} of 10 is reached"),
    };
    let style = if report.exit_code() == 0 { style::GOOD } else { style::ERROR };
    let checks = counted(report.results.len(), "check");
    Ui::line(&format!(
        "{}: {checks}, {} (seed {})",
        ui.paint(style, &reached),
        told.join(", "),
        report.seed
    ));
    Ui::line(&ui.paint(style::HINT, &report.advice()));
}
