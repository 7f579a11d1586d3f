//! `atelier seam`: who still reads live options, and where that made a difference.

mod summary;

use clap::Args;
use comfy_table::{Cell, Color, ColumnConstraint};
use summary::{OptionSummary, PluginSummary, Summary, Verdict};

use super::{
    Global,
    error::Failure,
    host,
    ui::{Ui, coloured, count, counted, cut, faint, short_id, style, when},
};
use crate::run::{RecordStore as _, RunRecord};

#[derive(Debug, Args)]
pub(super) struct SeamArgs {
    /// Over the last N runs
    #[arg(short, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    n: u32,
    /// Of one run: its id, its beginning or end; or `last`
    #[arg(long, value_name = "ID", conflicts_with = "n")]
    run: Option<String>,
    /// Of one plugin
    #[arg(long, value_name = "ID")]
    plugin: Option<String>,
    /// With what the host itself reads
    #[arg(long)]
    all: bool,
}

pub(super) fn run(ui: &Ui, global: &Global, args: &SeamArgs) -> Result<(), Failure> {
    let records = host::open_bare(ui, global)?.records();
    let runs = match &args.run {
        Some(id) => {
            let run = records.get(id)?;
            // What the children of a run read was read for it.
            let children: Vec<RunRecord> =
                run.children.iter().map(|id| records.get(id)).collect::<Result<_, _>>()?;
            std::iter::once(run).chain(children).collect()
        }
        None => records.last(args.n as usize)?,
    };
    if let Some(wanted) = &args.plugin {
        check_plugin(&runs, wanted)?;
    }
    if ui.json {
        return Ok(ui.document(&Summary::of(&runs, args.plugin.as_deref(), args.all))?);
    }
    Ui::line(&ui.paint(style::STRONG, &title(&runs)));
    show(ui, &runs, args.plugin.as_deref(), args.all);
    Ok(())
}

fn check_plugin(runs: &[RunRecord], wanted: &str) -> Result<(), Failure> {
    let ids = || runs.iter().flat_map(|run| &run.plugins).map(|plugin| plugin.id.as_str());
    if wanted == "host" || ids().any(|id| id == wanted) {
        return Ok(());
    }
    let hint = match super::draw::nearest(wanted, ids()) {
        Some(nearest) => format!("; did you mean “{nearest}”?"),
        None => String::new(),
    };
    Err(Failure::refused(format!("no plugin “{wanted}” took part in these runs{hint}")))
}

fn title(runs: &[RunRecord]) -> String {
    match runs {
        [] => "Seam".to_owned(),
        [run] => format!("Seam of run {} ({})", short_id(&run.id), when(&run.started)),
        [newest, .., oldest] => format!(
            "Seam of {} ({} to {})",
            counted(runs.len(), "run"),
            when(&oldest.started),
            when(&newest.started)
        ),
    }
}

/// Prints the table and what it means.
pub(super) fn show(ui: &Ui, runs: &[RunRecord], plugin: Option<&str>, all: bool) {
    let summary = Summary::of(runs, plugin, all);
    let headers = [
        "plugin",
        "option",
        ">live",
        ">early",
        ">snapshot",
        ">writes",
        ">diverged",
        "live ≠ snapshot",
    ];
    let mut table = ui.table(&headers);
    for plugin in &summary.plugins {
        let mut name = Some(plugin);
        for option in &plugin.options {
            table.add_row(row(name.take(), option));
        }
    }
    // Names stay whole; the last column takes what is left.
    table.set_constraints([ColumnConstraint::ContentWidth; 7]);
    let nothing = match runs {
        [] => "no runs yet; draw something with `atelier txt2img`",
        _ => "no plugin read an option",
    };
    ui.show(&table, nothing);
    if !summary.plugins.is_empty() {
        Ui::line("");
        meaning(ui, &summary);
    }
}

fn row(plugin: Option<&PluginSummary>, option: &OptionSummary) -> Vec<Cell> {
    let name = match plugin {
        Some(plugin) => {
            let modes = if plugin.pinned { " (pin)" } else { "" };
            coloured(format!("{}{modes}", plugin.id), colour(plugin.verdict))
        }
        None => Cell::new(""),
    };
    let why: Vec<String> = option
        .divergences
        .iter()
        .map(|d| {
            format!(
                "{} ≠ {}, by {}",
                cut(&d.live.to_string(), 16),
                cut(&d.snapshot.to_string(), 16),
                d.by
            )
        })
        .collect();
    let why = match (why.is_empty(), option.diverged_keys.is_empty()) {
        (false, _) => why.join("\n"),
        (true, false) => option.diverged_keys.join(", "),
        (true, true) => String::new(),
    };
    vec![
        name,
        Cell::new(if option.option == "*" { "* (all at once)" } else { &option.option }),
        count(option.live),
        count(option.early),
        if option.snapshot == 0 { count(0) } else { coloured(option.snapshot, Color::Green) },
        count(option.writes + option.run_writes),
        if option.diverged == 0 { count(0) } else { coloured(option.diverged, Color::Yellow) },
        faint(why),
    ]
}

fn colour(verdict: Verdict) -> Color {
    match verdict {
        Verdict::Ready => Color::Green,
        Verdict::Silent => Color::DarkGrey,
        Verdict::Live => Color::Cyan,
        Verdict::Diverged => Color::Yellow,
    }
}

/// One line for each kind of plugin there is.
fn meaning(ui: &Ui, summary: &Summary) {
    let of = |verdict: Verdict| {
        let plugins = summary.plugins.iter().filter(move |plugin| plugin.verdict == verdict);
        plugins.collect::<Vec<_>>()
    };
    let names = |plugins: &[&PluginSummary]| {
        plugins.iter().map(|plugin| plugin.id.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut table = ui.lines();
    let mut say = |verdict: Verdict, mark: &str, who: String, text: &str| {
        table.add_row([coloured(mark, colour(verdict)), Cell::new(format!("{who}: {text}"))]);
    };
    let lines = [
        (Verdict::Ready, "✓ ready", "only the snapshot was read; nothing to migrate"),
        (
            Verdict::Live,
            "○ live",
            "live reads, always the snapshot's answer; migrating changes nothing here",
        ),
    ];
    for (verdict, mark, text) in lines {
        let plugins = of(verdict);
        if !plugins.is_empty() {
            say(verdict, mark, names(&plugins), text);
        }
    }
    for plugin in of(Verdict::Diverged) {
        let reads = counted(plugin.live as usize, "live read");
        let writers = match plugin.writers.as_slice() {
            [] => String::new(),
            writers => format!(", set by {}", writers.join(", ")),
        };
        let so = if plugin.pinned {
            "pin answered from the snapshot"
        } else {
            "migrating may change pixels"
        };
        let text = format!("{} of {reads} differed{writers}; {so}", plugin.diverged);
        say(Verdict::Diverged, "▲ diverged", plugin.id.clone(), &text);
    }
    let silent = of(Verdict::Silent);
    if !silent.is_empty() {
        say(Verdict::Silent, "– silent", names(&silent), "no option was read");
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    ui.show(&table, "");
}
