//! Pictures of a run while it is drawn, for whoever watches it.

use std::sync::Arc;

use image::{Rgb, RgbImage};

use super::{
    events::RunObserver,
    execute::to_pictures,
    pipeline::{Lent, Pipeline, PipelineError, StepInfo, Tensor},
    seam::Seam,
};
use crate::output::grid::{compose, grid_size};

/// Which of the model's answers is shown (A1111's `live_preview_content`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Combined,
    Prompt,
    Negative,
}

/// The previews of one pass of sampling, as A1111 v1.10.1's options ask for them.
pub(super) struct Previews<'a> {
    pipeline: &'a dyn Pipeline,
    pub(super) content: Content,
    /// Steps from one to the next; the first step has one.
    every: u32,
    /// Whether the decoder makes them, and not an approximation.
    full: bool,
    /// Whether a batch is shown whole.
    grid: bool,
    latents: Option<Tensor>,
}

impl<'a> Previews<'a> {
    /// Previews where somebody watches and wants them, and the options do not switch them off.
    pub(super) fn of(
        seam: &mut Seam,
        pipeline: &'a dyn Pipeline,
        observer: &dyn RunObserver,
    ) -> Option<Self> {
        if !observer.wants_previews() || !seam.host_bool("live_previews_enable") {
            return None;
        }
        let every = u32::try_from(seam.host_int("show_progress_every_n_steps")).ok()?;
        let content = match &*seam.host_text("live_preview_content") {
            "Prompt" => Content::Prompt,
            "Negative prompt" => Content::Negative,
            _ => Content::Combined,
        };
        let full = &*seam.host_text("show_progress_type") == "Full";
        let grid = seam.host_bool("show_progress_grid");
        (every > 0).then_some(Self { pipeline, content, every, full, grid, latents: None })
    }

    /// Keeps what the model has answered, where a preview is due. Of a step with several calls the last
    /// one counts.
    pub(super) fn keep(&mut self, content: Content, at: StepInfo, latents: &Lent<'_>) {
        if content == self.content && at.step.is_multiple_of(self.every) {
            self.latents = Some(Tensor { shape: latents.shape, data: latents.data.to_vec() });
        }
    }

    /// The picture of what was kept. A preview that fails is none: the run goes on.
    pub(super) fn take(&mut self) -> Option<Arc<RgbImage>> {
        let latents = self.latents.take()?;
        match self.picture(&latents) {
            Ok(picture) => picture.map(Arc::new),
            Err(error) => {
                tracing::debug!("no preview: {error}");
                None
            }
        }
    }

    fn picture(&self, latents: &Tensor) -> Result<Option<RgbImage>, PipelineError> {
        let pixels = if self.full {
            Some(self.pipeline.decode(latents)?)
        } else {
            self.pipeline.preview(latents)?
        };
        let Some(pixels) = pixels else { return Ok(None) };
        let mut pictures = to_pictures(&pixels);
        if pictures.len() > 1 && self.grid {
            let (columns, rows) = grid_size(pictures.len(), -1, pictures.len(), false);
            if let Ok(grid) = compose(&pictures, columns, rows, Rgb([0, 0, 0])) {
                return Ok(Some(grid));
            }
        }
        pictures.truncate(1);
        Ok(pictures.pop())
    }
}
