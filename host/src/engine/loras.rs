//! A checkpoint with LoRAs.

use std::{sync::Arc, time::SystemTime};

use atelier_engine::Lora;

use super::{EnginePipeline, convert, folders::changes};
use crate::run::pipeline::{LoraOutcome, LoraUse, Pipeline, PipelineError};

/// A checkpoint with LoRAs, and for which ones it is.
#[derive(Debug)]
pub(super) struct WithLoras {
    uses: Vec<LoraUse>,
    changed: Vec<Option<SystemTime>>,
    pipeline: Arc<EnginePipeline>,
    outcomes: Vec<LoraOutcome>,
}

impl WithLoras {
    /// Reads the files and adds them.
    pub(super) fn load(base: &EnginePipeline, uses: &[LoraUse]) -> Result<Self, PipelineError> {
        let changed = changes(uses.iter().map(|used| &used.file));
        let mut loras = Vec::new();
        for used in uses {
            let lora = Lora::load(&used.file.path).map_err(convert::failed)?;
            loras.push(atelier_engine::LoraUse {
                lora: Arc::new(lora),
                text: used.text,
                unet: used.unet,
                ranks: used.ranks,
            });
        }
        let (engine, fits) = base.engine.with_loras(&loras).map_err(convert::failed)?;
        let outcomes = loras.iter().zip(fits).map(|(used, fit)| LoraOutcome {
            hash: used.lora.hash().to_owned(),
            added: fit.added,
            left_out: fit.left_out,
        });
        let pipeline = Arc::new(base.with_engine(engine, base.model.clone()));
        Ok(Self { uses: uses.to_vec(), changed, pipeline, outcomes: outcomes.collect() })
    }

    pub(super) fn is_for(&self, uses: &[LoraUse]) -> bool {
        self.uses == uses && self.changed == changes(uses.iter().map(|used| &used.file))
    }

    pub(super) fn get(&self) -> (Arc<dyn Pipeline>, Vec<LoraOutcome>) {
        (self.pipeline.clone(), self.outcomes.clone())
    }
}
