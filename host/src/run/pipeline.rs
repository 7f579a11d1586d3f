//! What a run needs of an engine.
//!
//! The run knows no network and no tensor library: an engine is anything that encodes, samples and
//! decodes. The real one comes in with the feature `engine`; plugin authors' tests use one that
//! computes a picture in microseconds.

mod catalogue;
mod job;
mod model;
mod networks;
mod observer;
mod text;

use std::{fmt, sync::Arc};

pub use catalogue::{Catalogue, Heeds};
pub use job::{
    NoiseSource, NoiseStream, Refiner, SampleJob, SamplerSettings, Seeds, Start, UniPcSettings,
};
pub use model::{Checkpoint, ModelInfo, VaeInfo};
pub use networks::{LoraOutcome, LoraUse, NetworkFile, UsedEmbedding};
pub use observer::{BlendParts, Lent, Point, StepInfo, StepObserver, Stop};
pub use text::{Conditioning, Padding, PromptBatch, ScheduledConditioning, TextSettings};

/// Floats, contiguous, `[n, channels, height, width]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: [usize; 4],
    /// As many elements as the product of the sizes.
    pub data: Vec<f32>,
}

impl Tensor {
    /// Zeros.
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, data: vec![0.0; shape.iter().product()] }
    }
}

/// Why an engine did not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The observer asked for the end.
    #[error("stopped")]
    Stopped(Stop),
    /// No such sampler or scheduler.
    #[error("there is no {kind} “{name}”; there are: {known}")]
    UnknownName {
        /// `sampler` or `scheduler`.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The engine's own words.
    #[error("{0}")]
    Engine(String),
}

/// A loaded checkpoint and what can be done with it. Shared by all runs.
pub trait Pipeline: fmt::Debug + Send + Sync {
    /// The checkpoint.
    fn model(&self) -> &ModelInfo;

    /// Encodes prompts, one row each, all with the same number of tokens.
    ///
    /// # Errors
    /// A prompt that cannot be read, or where the text encoder fails.
    fn encode_prompts(
        &self,
        prompts: &[String],
        settings: &TextSettings,
    ) -> Result<Conditioning, PipelineError>;

    /// Encodes the prompts of a batch with what they say in the course of the run. An engine that reads
    /// no schedules and no `AND` takes prompts as they are written.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    fn encode_schedules(
        &self,
        batch: &PromptBatch<'_>,
    ) -> Result<ScheduledConditioning, PipelineError> {
        Ok(self.encode_prompts(batch.prompts, batch.settings)?.into())
    }

    /// Encodes pixels `[n, 3, H, W]` in 0..1 to latents.
    ///
    /// # Errors
    /// A size that does not fit, or where the encoder fails.
    fn encode(&self, pixels: &Tensor) -> Result<Tensor, PipelineError>;

    /// Decodes latents to pixels `[n, 3, H, W]` in 0..1.
    ///
    /// # Errors
    /// A size that does not fit, or where the decoder fails.
    fn decode(&self, latents: &Tensor) -> Result<Tensor, PipelineError>;

    /// What latents are about to be, `[n, 3, h, w]` in 0..1 and of any size, at no cost beside a step; `None`
    /// from an engine that has no way to tell.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    fn preview(&self, latents: &Tensor) -> Result<Option<Tensor>, PipelineError> {
        let _ = latents;
        Ok(None)
    }

    /// The generators of a batch of pictures of this size in pixels.
    fn noise(&self, seeds: &Seeds, width: u32, height: u32) -> Box<dyn NoiseStream>;

    /// Samples.
    ///
    /// # Errors
    /// [`PipelineError::Stopped`] where the observer ended it; otherwise what failed.
    fn sample(
        &self,
        job: SampleJob,
        observer: &mut dyn StepObserver,
    ) -> Result<Tensor, PipelineError>;

    /// What a checkpoint for inpainting is shown beside the latents: pictures (`[n, 3, h, w]`, 0 to 1)
    /// without what is masked (`[1, 1, h, w]`, 1 for what is drawn anew; all of it without). None for
    /// other checkpoints. `strength` is how much of the masked part is taken out (A1111's
    /// `inpainting_mask_weight`).
    ///
    /// # Errors
    /// What failed in the engine.
    fn shown(
        &self,
        pictures: &Tensor,
        mask: Option<&Tensor>,
        strength: f64,
    ) -> Result<Option<Tensor>, PipelineError> {
        let _ = (pictures, mask, strength);
        Ok(None)
    }

    /// Latents for pictures of another size, by one of A1111's latent upscalers
    /// ([`Catalogue::latent_upscalers`]).
    ///
    /// # Errors
    /// [`PipelineError::UnknownName`], or an engine that cannot.
    fn resize_latents(
        &self,
        latents: Tensor,
        width: u32,
        height: u32,
        upscaler: &str,
    ) -> Result<Tensor, PipelineError> {
        let [_, _, h, w] = latents.shape;
        let factor = self.model().vae_factor.max(1);
        if (w, h) == ((width / factor) as usize, (height / factor) as usize) {
            return Ok(latents);
        }
        let message = format!("this engine does not resize latents ({upscaler})");
        Err(PipelineError::Engine(message))
    }

    /// The same with the autoencoder of another file.
    ///
    /// # Errors
    /// A file without one, one for another kind of model, or an engine that takes none.
    fn with_vae(&self, file: &NetworkFile) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Err(PipelineError::Engine(format!("this engine takes no VAE of its own: {}", file.name)))
    }

    /// The same for pictures that go on on the far side, tiles.
    ///
    /// # Errors
    /// An engine that makes none.
    fn with_tiling(&self) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Err(PipelineError::Engine("this engine makes no tiles".to_owned()))
    }

    /// The same with textual inversion embeddings: words that prompts may have. Files that hold none, or
    /// one for other checkpoints, are left out.
    ///
    /// # Errors
    /// An engine that takes none.
    fn with_embeddings(&self, files: &[NetworkFile]) -> Result<Arc<dyn Pipeline>, PipelineError> {
        let _ = files;
        Err(PipelineError::Engine("this engine takes no embeddings".to_owned()))
    }

    /// The same with LoRAs added to its weights, and what became of each; this one stays as it is.
    ///
    /// # Errors
    /// A file that is no LoRA, or an engine that adds none.
    fn with_loras(
        &self,
        uses: &[LoraUse],
    ) -> Result<(Arc<dyn Pipeline>, Vec<LoraOutcome>), PipelineError> {
        let _ = uses;
        Err(PipelineError::Engine("this engine adds no LoRA".to_owned()))
    }

    /// For the engine: the pipeline itself.
    fn as_any(&self) -> &dyn std::any::Any;

    /// Build of the engine and instruction sets of its kernels, for the record: pixels are promised
    /// to be equal where these are.
    fn build(&self) -> String;
}

/// Gives runs their pipeline.
pub trait ModelProvider: fmt::Debug + Send + Sync {
    /// The checkpoint of that name, or the default one. Says whether it was loaded just now.
    ///
    /// # Errors
    /// No such checkpoint, or one that cannot be loaded.
    fn get(&self, name: Option<&str>) -> Result<(Arc<dyn Pipeline>, bool), PipelineError>;

    /// A checkpoint that is used beside the one that [`get`](Self::get) gave, which stays loaded.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn beside(&self, name: &str) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Ok(self.get(Some(name))?.0)
    }

    /// The checkpoints there are, the default one first.
    fn list(&self) -> Vec<Checkpoint>;

    /// The autoencoders there are in files of their own.
    fn vaes(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The autoencoder that the option `sd_vae` means for a checkpoint; none for the checkpoint's own.
    fn vae(&self, checkpoint: &str, wanted: &str) -> Option<NetworkFile> {
        let _ = (checkpoint, wanted);
        None
    }

    /// The textual inversion embeddings there are.
    fn embeddings(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The LoRAs there are.
    fn loras(&self) -> Vec<NetworkFile> {
        Vec::new()
    }

    /// The LoRA of that name, or of the name that its file says it has.
    fn lora(&self, name: &str) -> Option<NetworkFile> {
        self.loras().into_iter().find(|lora| lora.name == name)
    }

    /// The samplers and schedulers, the same for all checkpoints.
    fn catalogue(&self) -> Catalogue;

    /// Sides of pictures have to be multiples of this many pixels, by the checkpoint's configuration:
    /// no weights are read.
    ///
    /// # Errors
    /// No such checkpoint, or a configuration that cannot be read.
    fn size_multiple(&self, name: Option<&str>) -> Result<u32, PipelineError>;
}
