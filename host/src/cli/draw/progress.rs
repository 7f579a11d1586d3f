//! The progress bar.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::blocks::blocks;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    cli::ui::Ui,
    run::events::{RunEvent, RunObserver},
};

/// Shows on standard error how far the run is, where that is a terminal.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    previews: bool,
    iterations: Arc<AtomicU64>,
    children: Arc<AtomicU64>,
}

impl Progress {
    /// With `previews`, the picture grows above the bar, where the terminal has colours.
    pub(super) fn new(ui: &Ui, previews: bool) -> Self {
        let previews = previews && ui.colour_err();
        // A picture is some thousand characters: over a slow line it is not to be drawn all the time.
        let target = match (ui.quiet, previews) {
            (true, _) => ProgressDrawTarget::hidden(),
            (false, true) => ProgressDrawTarget::stderr_with_hz(5),
            (false, false) => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        bar.set_style(spinner());
        bar.set_message("preparing");
        bar.enable_steady_tick(Duration::from_millis(120));
        let previews = previews && !bar.is_hidden();
        Self { bar, previews, iterations: Arc::default(), children: Arc::default() }
    }

    pub(super) fn bar(&self) -> ProgressBar {
        self.bar.clone()
    }

    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

// A template that is wrong would be seen at the first run; the plain bar is no reason to end.
fn spinner() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
}

fn steps() -> ProgressStyle {
    ProgressStyle::with_template("{prefix}{bar:32} {pos}/{len} steps  {per_sec}  {msg:.dim}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
        .with_key("per_sec", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
            // A text that takes no more is the bar's own affair.
            let _ = write!(text, "{:.1}/s", state.per_sec());
        })
}

impl RunObserver for Progress {
    fn event(&self, _: &str, event: &RunEvent) {
        match event {
            RunEvent::Started { parent: Some(_) } => {
                self.children.fetch_add(1, Ordering::Relaxed);
            }
            RunEvent::Prepared { iterations, steps: asked, .. } => {
                let iterations = u64::from(*iterations);
                self.iterations.store(iterations, Ordering::Relaxed);
                self.bar.set_style(steps());
                self.bar.set_length(iterations * u64::from(*asked));
                self.bar.reset_eta();
                self.bar.set_message(match self.children.load(Ordering::Relaxed) {
                    0 => String::new(),
                    number => format!("child run {number}"),
                });
            }
            RunEvent::Step { iteration, step, total } => {
                let total = u64::from(*total);
                let iterations = self.iterations.load(Ordering::Relaxed);
                // From a picture a sampler makes fewer steps than were asked for.
                self.bar.set_length(iterations * total);
                self.bar.set_position(u64::from(*iteration) * total + u64::from(*step));
                if iterations > 1 {
                    self.bar.set_message(format!("iteration {} of {iterations}", iteration + 1));
                }
            }
            RunEvent::Preview { picture, .. } => {
                self.bar.disable_steady_tick();
                self.bar.set_prefix(format!("{}\n", blocks(picture)));
            }
            RunEvent::Finished { .. } => self.bar.set_prefix(""),
            _ => {}
        }
    }

    fn wants_previews(&self) -> bool {
        self.previews
    }
}
