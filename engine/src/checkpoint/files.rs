//! A checkpoint on disk, in either layout: where each network's configuration and weights are.

use std::path::{Path, PathBuf};

use super::{Config, LoadError, ModelFile, Part, single, weights_file};
use crate::compute::Backend;
use crate::weights::Weights;

/// A network's configuration and weights.
pub(crate) struct Source {
    pub(crate) config: Config,
    pub(crate) weights: Weights,
}

impl Source {
    /// `config.json` and the weights file `stem` of a folder.
    ///
    /// # Errors
    /// One of the two is not there or cannot be read.
    pub(crate) fn folder(folder: &Path, stem: &str) -> Result<Self, LoadError> {
        let config = Config::read(&folder.join("config.json"))?;
        Ok(Self { config, weights: Weights::open(&weights_file(folder, stem))? })
    }

    /// The same for a network that computes on `backend`.
    pub(crate) fn computed(self, backend: &Backend) -> Self {
        Self { weights: self.weights.computed(backend.clone()), ..self }
    }
}

/// Where a text encoder's vocabulary is.
#[derive(Clone, Debug)]
pub(crate) enum TokenizerFiles {
    /// A folder of its own.
    Folder(PathBuf),
    /// OpenAI's, that CLIP has had ever since. It pads with the end token, OpenCLIP with 0.
    Standard { pad_with_end: bool },
}

/// All that a checkpoint consists of.
pub(crate) struct Files {
    pub(crate) unet: Source,
    pub(crate) vae: Source,
    /// One text encoder, or two (SDXL). Its refiner has the second alone.
    pub(crate) texts: Vec<(Source, TokenizerFiles)>,
    pub(crate) scheduler: Config,
    /// Whether the scheduler's configuration does not know what the network predicts: files of SD 2
    /// do not tell.
    pub(crate) ask_prediction: bool,
    pub(crate) on_disk: Vec<ModelFile>,
}

impl Files {
    /// Finds the parts of a diffusers folder or of a single file in A1111's layout.
    ///
    /// # Errors
    /// What is missing, or why the file is no checkpoint that this engine runs.
    pub(crate) fn open(path: &Path) -> Result<Self, LoadError> {
        if path.is_dir() { Self::folder(path) } else { single::open(path) }
    }

    /// The same for networks that compute on `backend`.
    pub(crate) fn computed(self, backend: &Backend) -> Self {
        let set = |source: Source| source.computed(backend);
        let texts = self.texts.into_iter().map(|(source, tokenizer)| (set(source), tokenizer));
        Self { unet: set(self.unet), vae: set(self.vae), texts: texts.collect(), ..self }
    }

    fn folder(folder: &Path) -> Result<Self, LoadError> {
        let diffusers = "diffusion_pytorch_model";
        // The UNet first: what its folder lacks says best that this is no checkpoint.
        let unet = Source::folder(&folder.join("unet"), diffusers)?;
        let vae = Source::folder(&folder.join("vae"), diffusers)?;
        let mut texts = Vec::new();
        for (encoder, tokenizer) in
            [("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2")]
        {
            let (encoder, tokenizer) = (folder.join(encoder), folder.join(tokenizer));
            if encoder.is_dir() {
                let source = Source::folder(&encoder, "model")?;
                texts.push((source, TokenizerFiles::Folder(tokenizer)));
            }
        }
        if texts.is_empty() {
            return Err(LoadError::Missing { file: folder.join("text_encoder/config.json") });
        }
        let scheduler = Config::read(&folder.join("scheduler/scheduler_config.json"))?;
        let file = |part, source: &Source| ModelFile::new(part, source.weights.file().to_owned());
        let mut files = vec![file(Part::Unet, &unet), file(Part::Vae, &vae)];
        files.extend(texts.iter().map(|(source, _)| file(Part::TextEncoder, source)));
        Ok(Self { unet, vae, texts, scheduler, ask_prediction: false, on_disk: files })
    }
}
