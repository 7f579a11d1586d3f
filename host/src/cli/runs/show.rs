//! `atelier runs show`.

use clap::Args;
use comfy_table::{Cell, Color};

use crate::{
    cli::{
        error::Failure,
        seam,
        ui::{Ui, coloured, count, cut, faint, short_path, style, when},
    },
    run::{RecordStore, RunRecord, RunState},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// A run's id, its beginning or end; or `last`
    #[arg(default_value = "last")]
    id: String,
}

pub(super) fn run(ui: &Ui, records: &dyn RecordStore, args: &ShowArgs) -> Result<(), Failure> {
    let run = records.get(&args.id)?;
    if ui.json {
        return Ok(ui.document(&run)?);
    }
    head(ui, &run);
    plugins(ui, &run);
    hooks(ui, &run);
    failures(ui, &run);
    if !run.ledger.is_empty() {
        ui.heading("Seam");
        seam::show(ui, std::slice::from_ref(&run), None, false);
    }
    Ok(())
}

fn head(ui: &Ui, run: &RunRecord) {
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            Ui::line(&format!("{} {value}", ui.paint(style::FAINT, &format!("{name:<10}"))));
        }
    };
    let word = match run.state {
        RunState::Done => style::GOOD,
        RunState::Failed | RunState::Interrupted => style::ERROR,
        _ => style::CARE,
    };
    line(
        "run",
        &format!("{}  {}", ui.paint(style::STRONG, &run.id), ui.paint(word, run.state.word())),
    );
    line("error", run.error.as_deref().unwrap_or_default());
    let parent = run.parent.as_deref().unwrap_or_default();
    line("parent", parent);
    line(
        "when",
        &format!(
            "{}, {:.2} s, {:.2} s of them sampling",
            when(&run.started),
            run.seconds,
            run.sampling_seconds
        ),
    );
    let asked = |field: &str| {
        run.request.get(field).and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    };
    line("prompt", &asked("prompt"));
    line("negative", &asked("negative_prompt"));
    if let Some(prepared) = &run.prepared {
        prepared_lines(&line, prepared, &asked("prompt"));
    }
    if let Some(model) = &run.model {
        line("checkpoint", &format!("{} [{}]", model.name, model.short_hash()));
    }
    line("engine", run.engine.as_deref().unwrap_or_default());
    line("snapshot", &run.snapshot.map(|digest| digest.to_string()).unwrap_or_default());
    for (key, entry) in &run.overrides {
        line("override", &format!("{key} = {} by {}", entry.value, entry.writer));
    }
    for write in &run.outside_writes {
        let (key, value, writer) = (&write.key, &write.value, &write.writer);
        line(
            "written",
            &format!("{key} = {value} by {writer}, seen by {} at {}", write.seen_by, write.hook),
        );
    }
    for output in &run.outputs {
        let kind = if output.grid { "grid" } else { "picture" };
        let place = output.path.as_deref().map_or_else(|| "not saved".to_owned(), short_path);
        line(kind, &format!("{place} (seed {}, {}×{})", output.seed, output.width, output.height));
    }
}

fn prepared_lines(
    line: &dyn Fn(&str, &str),
    prepared: &crate::run::record::PreparedRun,
    asked: &str,
) {
    let (params, pictures) = (&prepared.params, &prepared.pictures);
    if let Some(prompt) = pictures.all_prompts.first().filter(|prompt| *prompt != asked) {
        line("prepared", prompt);
    }
    let count = params.batch_size * params.n_iter;
    let seed = pictures.all_seeds.first().copied().unwrap_or_default();
    let denoising = if params.is_img2img || prepared.hires.is_some() {
        format!(", denoising {}", params.denoising_strength)
    } else {
        String::new()
    };
    line(
        "picture",
        &format!(
            "{count} of {}×{}, seed {seed}, {} steps of {} ({}), CFG {}{denoising}",
            params.width,
            params.height,
            params.steps,
            params.sampler,
            params.scheduler,
            params.cfg_scale,
        ),
    );
}

fn plugins(ui: &Ui, run: &RunRecord) {
    if run.plugins.is_empty() {
        return;
    }
    ui.heading("Plugins");
    let mut table = ui.table(&["plugin", "version", "seam", "blake3", "file"]);
    for plugin in &run.plugins {
        table.add_row([
            Cell::new(&plugin.id),
            Cell::new(&plugin.version),
            Cell::new(plugin.seam),
            faint(cut(&plugin.hash, 13)),
            faint(short_path(&plugin.path)),
        ]);
    }
    ui.show(&table, "");
}

fn hooks(ui: &Ui, run: &RunRecord) {
    if run.hooks.is_empty() {
        return;
    }
    ui.heading("Hooks");
    let mut table =
        ui.table(&["plugin", "hook", ">calls", ">failed", ">not run", ">mean", ">longest"]);
    let mut last = "";
    for timing in &run.hooks {
        let plugin = if timing.plugin == last { "" } else { &timing.plugin };
        last = &timing.plugin;
        let ran = timing.calls.saturating_sub(timing.not_run).max(1);
        table.add_row([
            Cell::new(plugin),
            Cell::new(&timing.hook),
            count(timing.calls),
            if timing.failures == 0 { count(0) } else { coloured(timing.failures, Color::Red) },
            count(timing.not_run),
            faint(duration(timing.total_us / ran as f64)),
            faint(duration(timing.max_us)),
        ]);
    }
    ui.show(&table, "");
}

fn duration(microseconds: f64) -> String {
    match microseconds {
        long if long >= 1e6 => format!("{:.2} s", long / 1e6),
        middle if middle >= 1e3 => format!("{:.2} ms", middle / 1e3),
        short => format!("{short:.1} µs"),
    }
}

fn failures(ui: &Ui, run: &RunRecord) {
    if run.failures.is_empty() {
        return;
    }
    ui.heading("Failures");
    for failure in &run.failures {
        let place = match failure.place.as_str() {
            "" => String::new(),
            place => format!(" ({place})"),
        };
        Ui::line(&format!(
            "{} {} at {} (picture {}, step {}): {}{place}",
            ui.paint(style::ERROR, &failure.plugin),
            failure.status,
            failure.hook,
            failure.image,
            failure.step,
            failure.message
        ));
    }
}
