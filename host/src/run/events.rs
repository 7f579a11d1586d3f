//! What observers hear of a run while it goes.

use std::{path::PathBuf, sync::Arc};

use image::RgbImage;

use super::record::{HookFailure, RunState};

/// Something happened in a run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RunEvent {
    /// It left the queue.
    Started {
        /// The run whose child it is.
        parent: Option<String>,
    },
    /// It is prepared.
    Prepared {
        /// Iterations.
        iterations: u32,
        /// Pictures in all.
        pictures: u32,
        /// Steps of an iteration, as asked for.
        steps: u32,
    },
    /// A step was made.
    Step {
        /// Iteration, from 0.
        iteration: u32,
        /// Steps made in this iteration.
        step: u32,
        /// Steps of this iteration.
        total: u32,
    },
    /// What the picture is about to be: made at steps as the options ask for it, where the observer
    /// [wants previews](RunObserver::wants_previews). Unless whole pictures are asked for, it has a pixel for
    /// each latent value, and shows a batch of several as a grid.
    Preview {
        /// Iteration, from 0.
        iteration: u32,
        /// Steps made in this iteration.
        step: u32,
        /// The picture.
        picture: Arc<RgbImage>,
    },
    /// A picture was written.
    Saved {
        /// The file.
        path: PathBuf,
    },
    /// A hook failed.
    HookFailed(HookFailure),
    /// It is over.
    Finished {
        /// How.
        state: RunState,
    },
}

/// Hears of runs. Called in the thread of the run: quick, please.
pub trait RunObserver: Send + Sync {
    /// Something happened.
    fn event(&self, run: &str, event: &RunEvent);

    /// Whether it shows [`RunEvent::Preview`]; where it does not, none are made.
    fn wants_previews(&self) -> bool {
        false
    }
}

/// The observer that does not listen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl RunObserver for Unobserved {
    fn event(&self, _: &str, _: &RunEvent) {}
}
