//! A loaded checkpoint and what it can do.

mod pictures;
mod variants;

use std::collections::{HashMap, hash_map::Entry};
use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{ConfigFile, Files, LoadError, ModelInfo};
use crate::compute::{Backend, Compute};
use crate::conditioning::Conditioning;
use crate::embedding::{Embedding, Embeddings};
use crate::error::EngineError;
use crate::prompt::{Pass, Scheduled, Side, SubPrompt, TextSettings, schedules};
use crate::sampling::{self, DiscreteSchedule, Observer, Padding, SampleError, SampleJob};
use crate::scheduled::{Part as ScheduledPart, ScheduledConditioning};
use crate::tensor::Tensor;
use crate::text::TextEncoders;
use crate::unet::Unet;
use crate::vae::Vae;
use crate::weights::Layers;

/// A Stable Diffusion checkpoint in memory. It does not change: one engine serves any number of
/// threads. Cloning shares everything.
#[derive(Clone)]
pub struct Engine {
    info: ModelInfo,
    text: Arc<TextEncoders>,
    embeddings: Arc<Embeddings>,
    pub(crate) unet: Arc<Unet>,
    vae: Arc<Vae>,
    /// Whether pictures go on on the far side.
    tiled: bool,
    schedule: DiscreteSchedule,
    backend: Backend,
    /// The layers of the UNet, and of each text encoder.
    layers: Vec<Layers>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads a diffusers folder (`unet`, `vae`, `text_encoder`, `tokenizer`, `scheduler`, for SDXL
    /// `text_encoder_2` and `tokenizer_2`, for its refiner these alone), or a single `.safetensors` file in A1111's layout.
    ///
    /// # Errors
    /// [`LoadError`] names the file and the key that will not do.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        Self::load_for(path, Compute::default())
    }

    /// The same for networks that compute as told.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`LoadError::Compute`].
    pub fn load_for(path: &Path, compute: Compute) -> Result<Self, LoadError> {
        let backend = Backend::open(compute)?;
        Self::build(path, Files::open(path)?.computed(&backend))
    }

    /// Loads the parts that were found.
    pub(crate) fn build(path: &Path, files: Files) -> Result<Self, LoadError> {
        let networks = std::iter::once(&files.unet).chain(files.texts.iter().map(|(it, _)| it));
        let layers = networks.map(|network| network.weights.layers()).collect();
        let backend = files.unet.weights.backend().clone();
        let unet = Unet::load(&files.unet)?;
        let vae = Vae::load(&files.vae)?;
        let text = TextEncoders::load(&files.texts, unet.vector_width() > 0)?;
        let mut scheduler = files.scheduler;
        let velocity =
            || unet.predicts_velocity().map_err(|source| files.unet.weights.broken(source));
        if files.ask_prediction && velocity()? {
            scheduler.value["prediction_type"] = "v_prediction".into();
        }
        let schedule = DiscreteSchedule::load(&scheduler)?.of_xl(unet.vector_width() > 0);
        let latent_channels = vae.latent_channels();
        let unet_config = ConfigFile { file: files.unet.config.file.clone() };
        let (inputs, outputs) = unet.channels();
        let inpaints = inputs == 2 * latent_channels + 1;
        let expected = format!("the autoencoder's {latent_channels} latent channels");
        unet_config.require(outputs == latent_channels, "out_channels", outputs, &expected)?;
        let expected = format!("{expected}, or {} for inpainting", 2 * latent_channels + 1);
        let fits = inpaints || inputs == latent_channels;
        unet_config.require(fits, "in_channels", inputs, &expected)?;
        let text_width = text.width();
        let expected = format!("the text encoder's hidden_size {text_width}");
        let value = unet.text_width();
        unet_config.require(value == text_width, "cross_attention_dim", value, &expected)?;
        let (value, expected) = (unet.vector_width(), text.vector_width());
        let key = "projection_class_embeddings_input_dim";
        let told = format!("{expected}, which the text encoders and the sizes make");
        unet_config.require(value == expected, key, value, &told)?;
        let [height, width] = unet.sample_size();
        let info = ModelInfo {
            name: name_of(path),
            folder: path.to_owned(),
            native_width: width * vae.factor(),
            native_height: height * vae.factor(),
            vae_factor: vae.factor(),
            latent_channels,
            inpaints,
            text_width,
            text_layers: text.layers(),
            files: files.on_disk,
            compute: backend.compute,
        };
        tracing::debug!(name = info.name, text_width, "checkpoint loaded");
        let (text, unet, vae) = (Arc::new(text), Arc::new(unet), Arc::new(vae));
        let embeddings = Arc::default();
        Ok(Self { info, text, embeddings, unet, vae, tiled: false, schedule, backend, layers })
    }

    /// Facts about the checkpoint.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// Encodes prompts, one row each. Long prompts take several chunks of 75 tokens, cut as in
    /// A1111 v1.10.1; shorter rows are filled with the empty prompt to the longest one's chunks.
    /// Brackets weigh what is in them ([`pieces`](crate::pieces)); schedules and `AND` are for
    /// [`encode_schedules`](Self::encode_schedules).
    ///
    /// # Errors
    /// [`EngineError::NoPrompts`], [`EngineError::ClipSkip`], [`EngineError::Prompt`], or a failure of
    /// computing.
    pub fn encode_prompts(
        &self,
        prompts: &[&str],
        settings: TextSettings,
    ) -> Result<Conditioning, EngineError> {
        self.encode_texts(prompts, Side::Positive, settings)
    }

    fn encode_texts(
        &self,
        prompts: &[&str],
        side: Side,
        settings: TextSettings,
    ) -> Result<Conditioning, EngineError> {
        self.text.encode(prompts, side, settings, &self.embeddings)
    }

    /// Encodes the prompts of a batch with all that they say in the course of `pass`, whose steps are
    /// the sampler's model calls ([`Sampler::calls_of`](crate::Sampler::calls_of)).
    ///
    /// As A1111 v1.10.1: `AND` is read in prompts and not in negative prompts, and each part's rows are
    /// as long as its longest text.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    pub fn encode_schedules(
        &self,
        prompts: &[&str],
        side: Side,
        settings: TextSettings,
        pass: Pass,
    ) -> Result<ScheduledConditioning, EngineError> {
        if prompts.is_empty() {
            return Err(EngineError::NoPrompts);
        }
        let mut rows = Vec::new();
        let mut known: HashMap<String, Vec<(usize, usize)>> = HashMap::new();
        let mut pictures = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let mut parts = Vec::new();
            for SubPrompt { text, weight } in side.parts(prompt) {
                let schedule = match known.entry(text) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let schedule =
                            self.encode_schedule(new.key(), side, settings, pass, &mut rows)?;
                        new.insert(schedule)
                    }
                };
                parts.push(ScheduledPart { weight, schedule: schedule.clone() });
            }
            pictures.push(parts);
        }
        if side == Side::Negative && prompts.iter().all(|prompt| prompt.is_empty()) {
            let without = rows.into_iter().map(|row| self.text.without_text(row));
            rows = without.collect::<Result<_, _>>()?;
        }
        Ok(ScheduledConditioning::of(&pictures, &rows)?)
    }

    /// Puts the encoded texts of one part into `rows` and tells the last step and the row of each.
    fn encode_schedule(
        &self,
        prompt: &str,
        side: Side,
        settings: TextSettings,
        pass: Pass,
        rows: &mut Vec<Conditioning>,
    ) -> Result<Vec<(usize, usize)>, EngineError> {
        let scheduled = schedules(prompt, pass);
        let mut texts: Vec<&str> = Vec::new();
        let mut schedule = Vec::with_capacity(scheduled.len());
        for Scheduled { until, text } in &scheduled {
            let at = texts.iter().position(|known| known == text).unwrap_or_else(|| {
                texts.push(text);
                texts.len() - 1
            });
            schedule.push((*until, rows.len() + at));
        }
        let encoded = self.encode_texts(&texts, side, settings)?;
        rows.extend((0..encoded.rows()).filter_map(|row| encoded.select(row)));
        Ok(schedule)
    }

    /// The embeddings whose names are in the prompts of a batch, each once, as
    /// [`encode_schedules`](Self::encode_schedules) meets them.
    ///
    /// # Errors
    /// [`EngineError::Prompt`].
    pub fn embeddings_in(
        &self,
        prompts: &[&str],
        side: Side,
        settings: TextSettings,
        pass: Pass,
    ) -> Result<Vec<Arc<Embedding>>, EngineError> {
        let mut found: Vec<Arc<Embedding>> = Vec::new();
        if self.embeddings.all.is_empty() {
            return Ok(found);
        }
        let parts = prompts.iter().flat_map(|prompt| side.parts(prompt));
        for Scheduled { text, .. } in parts.flat_map(|part| schedules(&part.text, pass)) {
            for embedding in self.text.embeddings_in(&text, settings, &self.embeddings)? {
                if !found.iter().any(|known| Arc::ptr_eq(known, &embedding)) {
                    found.push(embedding);
                }
            }
        }
        Ok(found)
    }

    /// The number of tokens of a prompt and of the chunks that hold it, as A1111's counter shows
    /// them: tokens without begin and end, and 75 for each chunk.
    ///
    /// # Errors
    /// [`EngineError::Prompt`].
    pub fn count_tokens(
        &self,
        prompt: &str,
        settings: TextSettings,
    ) -> Result<(usize, usize), EngineError> {
        Ok(self.text.count(prompt, settings, &self.embeddings)?)
    }

    /// What fills up the shorter of prompt and negative prompt in A1111 v1.10.1 with its option
    /// `pad_cond_uncond`: the empty prompt, at `clip_skip` 1.
    ///
    /// # Errors
    /// As [`encode_prompts`](Self::encode_prompts).
    pub fn padding(&self) -> Result<Padding, EngineError> {
        Ok(Padding::Empty(self.encode_prompts(&[""], TextSettings::default())?))
    }

    pub(crate) fn unet(&self) -> &Unet {
        &self.unet
    }

    pub(crate) fn schedule(&self) -> &DiscreteSchedule {
        &self.schedule
    }

    /// Samples a batch of latents; `observer` sees every step.
    ///
    /// # Errors
    /// [`SampleError`]: an impossible job, a stop asked for by the observer, or output that is not
    /// finite.
    pub fn sample(
        &self,
        job: SampleJob<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Tensor, SampleError> {
        sampling::run(&self.unet, &self.schedule, self.info.shown_channels(), job, observer)
    }
}

/// A folder's name, or a file's without its extension.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    name.map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
