//! What is printed of a run that is over.

use std::{
    env, fs,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
};

use image::DynamicImage;

use super::DrawArgs;
use crate::{
    cli::{
        error::Failure,
        ui::{Ui, counted, short_path, style},
    },
    output::encode::{Format, encode},
    run::{Finished, Picture, RunRecord, RunState, record::FailureAction},
};

/// Tells of a run: its pictures, how it went, and what went wrong in it.
pub(super) fn tell(ui: &Ui, args: &DrawArgs, finished: &Finished) -> Result<(), Failure> {
    let copies = match args.out_file() {
        Some(file) => copy(file, &finished.pictures)?,
        None => Vec::new(),
    };
    if ui.json {
        return Ok(ui.document(&finished.record)?);
    }
    if ui.terminal
        && args.preview()
        && let Some(picture) = finished.pictures.first()
    {
        preview(picture);
    }
    let saved = finished.pictures.iter().filter_map(|picture| picture.path.clone());
    for path in copies.into_iter().chain(saved) {
        Ui::line(&ui.paint(style::STRONG, &short_path(&path)));
    }
    if finished.record.state == RunState::Done {
        Ui::line(&ui.paint(style::FAINT, &summary(&finished.record)));
        if let Some(seam) = seam(&finished.record) {
            Ui::line(&ui.paint(style::FAINT, &seam));
        }
    }
    for failure in &finished.record.failures {
        let done = match failure.action {
            FailureAction::Skipped => "; the run went on as if the hook had not run",
            FailureAction::Disabled => "; the plugin was not called again",
            // The run's own error says it.
            FailureAction::RunFailed | FailureAction::RunStopped => continue,
        };
        let place = match failure.place.as_str() {
            "" => String::new(),
            place => format!(" ({place})"),
        };
        ui.warn(&format!("{failure}{place}{done}"));
    }
    Ok(())
}

/// One line: what drew it, and how long that took.
fn summary(record: &RunRecord) -> String {
    let mut parts = Vec::new();
    if let Some(prepared) = &record.prepared {
        let params = &prepared.params;
        if let Some(seed) = prepared.pictures.all_seeds.first() {
            parts.push(format!("seed {seed}"));
        }
        if record.children.is_empty() {
            // A second pass or a part that is put back makes pictures of another size.
            let drawn = format!("{}×{}", params.width, params.height);
            let made = record.outputs.iter().find(|output| !output.grid);
            let made = made.map(|output| format!("{}×{}", output.width, output.height));
            parts.push(match made.filter(|made| *made != drawn) {
                Some(made) => format!("{made} (drawn as {drawn})"),
                None => drawn,
            });
            parts.push(format!("{} steps of {}", params.steps, params.sampler));
            parts.push(format!("CFG {}", params.cfg_scale));
        } else {
            parts.push(counted(record.children.len(), "child run"));
        }
    }
    if !record.plugins.is_empty() {
        parts.push(counted(record.plugins.len(), "plugin"));
    }
    if record.children.is_empty() {
        parts.push(format!("{:.2} s ({:.2} s sampling)", record.seconds, record.sampling_seconds));
    } else {
        parts.push(format!("{:.2} s", record.seconds));
    }
    parts.join(" · ")
}

/// Who read live options, where anybody did.
fn seam(record: &RunRecord) -> Option<String> {
    let of = |wanted: fn(&crate::run::seam::LedgerRow) -> bool| {
        let mut ids: Vec<&str> = Vec::new();
        for row in record.ledger.iter().filter(|row| row.reader != "host" && wanted(row)) {
            if !ids.contains(&row.reader.as_str()) {
                ids.push(&row.reader);
            }
        }
        ids
    };
    let (live, diverged) = (of(|row| row.live > 0), of(|row| row.diverged > 0));
    if live.is_empty() {
        return None;
    }
    let differed = match diverged.as_slice() {
        [] => "none diverged".to_owned(),
        ids => format!("diverged: {}", ids.join(", ")),
    };
    Some(format!("read live: {}; {differed} (see `atelier seam`)", live.join(", ")))
}

/// Copies the pictures to the file, or to numbered files beside it.
fn copy(file: &Path, pictures: &[Picture]) -> Result<Vec<PathBuf>, Failure> {
    let single = pictures.len() == 1;
    // What a selected plugin answers are all grids to the host: they are numbered then.
    let one_grid = pictures.iter().filter(|picture| picture.grid).count() == 1;
    let mut number = 0;
    let mut written = Vec::new();
    for picture in pictures {
        let name = if single {
            file.to_owned()
        } else if picture.grid && one_grid {
            beside(file, "grid")
        } else {
            number += 1;
            beside(file, &number.to_string())
        };
        write(&name, picture)?;
        written.push(name);
    }
    Ok(written)
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-{suffix}.png"))
}

fn write(file: &Path, picture: &Picture) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Failure::failed(format!("{} cannot be written ({error})", short_path(file)))
    };
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    let saved = picture.path.as_deref().filter(|path| path.extension().is_some_and(|e| e == "png"));
    if let Some(saved) = saved {
        fs::copy(saved, file).map_err(|error| failed(&error))?;
        return Ok(());
    }
    let bytes = encode(&picture.image, Format::Png, Some(&picture.infotext), &[])
        .map_err(|error| failed(&error))?;
    fs::write(file, bytes).map_err(|error| failed(&error))
}

/// Whether the terminal is one that says whether it draws pictures. Any other might leave the
/// question unanswered, and whoever asked it waiting for ever.
fn answers_queries() -> bool {
    let holds = |name: &str, words: &[&str]| {
        let value = env::var(name).unwrap_or_default().to_lowercase();
        words.iter().any(|word| value.contains(word))
    };
    io::stdin().is_terminal()
        && (env::var_os("KITTY_WINDOW_ID").is_some()
            || holds("TERM", &["kitty", "ghostty"])
            || holds("TERM_PROGRAM", &["ghostty", "wezterm"]))
}

/// Draws a picture in the terminal, pixel by pixel where it fits: half a character is a pixel.
fn preview(picture: &Picture) {
    let (columns, rows) = viuer::terminal_size();
    let room = (u32::from(columns), u32::from(rows.saturating_sub(6)) * 2);
    let (width, height) = picture.image.dimensions();
    let scale =
        (f64::from(room.0) / f64::from(width)).min(f64::from(room.1) / f64::from(height)).min(1.0);
    let config = viuer::Config {
        absolute_offset: false,
        transparent: false,
        width: Some(((f64::from(width) * scale) as u32).max(1)),
        use_kitty: answers_queries(),
        ..viuer::Config::default()
    };
    let shown = viuer::print(&DynamicImage::ImageRgb8(picture.image.clone()), &config);
    if let Err(error) = shown {
        tracing::debug!("the picture cannot be shown here: {error}");
    }
}
