//! Engines that are made of another: with LoRAs, another autoencoder, words for prompts.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use super::Engine;
use crate::checkpoint::{Files, LoadError, autoencoder};
use crate::embedding::Embedding;
use crate::lora::{self, LoraFit, LoraUse, Target};
use crate::text::TextEncoders;
use crate::unet::Unet;
use crate::vae::Vae;

impl Engine {
    /// The same with LoRAs added to its weights, and what became of each. What they do not touch is
    /// shared: this engine stays as it is, and both are used side by side.
    ///
    /// # Errors
    /// [`LoadError`] where the checkpoint can no longer be read.
    pub fn with_loras(&self, uses: &[LoraUse]) -> Result<(Self, Vec<LoraFit>), LoadError> {
        let (patches, fits) = lora::patches(uses, &self.targets(), self.layers.len());
        let mut files = Files::open(&self.info.folder)?.computed(&self.backend);
        let networks =
            std::iter::once(&mut files.unet).chain(files.texts.iter_mut().map(|(it, _)| it));
        let mut patched = Vec::new();
        for ((network, layers), patches) in networks.zip(&self.layers).zip(patches) {
            patched.push(!patches.is_empty());
            network.weights = network.weights.patched(layers.clone(), patches);
        }
        let any = |which: &[bool]| which.iter().any(|patched| *patched);
        let (unet, text) = (any(&patched[..1]), any(&patched[1..]));
        let mut engine = self.clone();
        if unet {
            let unet = Unet::load(&files.unet)?;
            engine.unet = Arc::new(if self.tiled { unet.tiled() } else { unet });
        }
        if text {
            engine.text = Arc::new(TextEncoders::load(&files.texts, self.unet.vector_width() > 0)?);
        }
        Ok((engine, fits))
    }

    /// The same with the autoencoder of another file, a VAE of its own or one in a checkpoint.
    ///
    /// # Errors
    /// [`LoadError`] if there is none in it, or one for another kind of model.
    pub fn with_vae(&self, file: &Path) -> Result<Self, LoadError> {
        let base = Files::open(&self.info.folder)?.vae.config;
        let source = autoencoder(file, &base)?.computed(&self.backend);
        let vae = Vae::load(&source)?;
        let (channels, factor) = (vae.latent_channels(), vae.factor());
        if (channels, factor) != (self.info.latent_channels, self.info.vae_factor) {
            let what = format!(
                "its latents have {channels} channels and {factor} pixels for each value, the \
                 checkpoint's {} and {}",
                self.info.latent_channels, self.info.vae_factor
            );
            return Err(LoadError::NoCheckpoint { file: file.to_owned(), what });
        }
        let vae = if self.tiled { vae.tiled() } else { vae };
        Ok(Self { vae: Arc::new(vae), ..self.clone() })
    }

    /// The same for pictures whose left edge goes on at the right one, and the upper at the lower:
    /// tiles. Weights are shared.
    #[must_use]
    pub fn with_tiling(&self) -> Self {
        if self.tiled {
            return self.clone();
        }
        let (unet, vae) = (Arc::new(self.unet.tiled()), Arc::new(self.vae.tiled()));
        Self { unet, vae, tiled: true, ..self.clone() }
    }

    /// The same with words for prompts, textual inversion embeddings. Those that are for text encoders of
    /// other widths are left out ([`embeddings`](Self::embeddings) has the others). Of two with one
    /// name the first counts.
    #[must_use]
    pub fn with_embeddings(&self, all: &[Arc<Embedding>]) -> Self {
        let embeddings = Arc::new(self.text.embeddings(all));
        Self { embeddings, ..self.clone() }
    }

    /// The embeddings that prompts are looked through for.
    pub fn embeddings(&self) -> &[Arc<Embedding>] {
        &self.embeddings.all
    }

    /// The layers that a LoRA can be added to, by all names that LoRAs have for them.
    fn targets(&self) -> HashMap<String, Target> {
        let original = self.unet.original_names();
        let mut targets = HashMap::new();
        for (network, layers) in self.layers.iter().enumerate() {
            for (layer, shape) in layers.all() {
                let is_text = network > 0;
                let names = match network {
                    0 => [format!("lora_unet_{layer}"), format!("lora_unet_{}", original(&layer))],
                    number => {
                        let name = layer.strip_prefix("text_model.").unwrap_or(&layer);
                        let begin = if number == 1 { "lora_te" } else { "lora_te2" };
                        [format!("{begin}_text_model_{name}"), format!("{begin}_{name}")]
                    }
                };
                for name in names {
                    let layer = layer.clone();
                    let target = Target { network, layer, shape, is_text };
                    targets.insert(name.replace('.', "_"), target);
                }
            }
        }
        targets
    }
}
