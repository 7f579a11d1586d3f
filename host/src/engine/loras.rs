//! A checkpoint with LoRAs, and where LoRAs are.

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use atelier_engine::Lora;

use super::{EnginePipeline, convert};
use crate::run::pipeline::{LoraFile, LoraOutcome, LoraUse, Pipeline, PipelineError};

/// Folders within folders are looked through to this depth.
const DEEPEST: usize = 8;

/// A checkpoint with LoRAs, and for which ones it is.
#[derive(Debug)]
pub(super) struct WithLoras {
    uses: Vec<LoraUse>,
    /// When each file was changed: one that is trained further is read again.
    changed: Vec<Option<SystemTime>>,
    pipeline: Arc<EnginePipeline>,
    outcomes: Vec<LoraOutcome>,
}

impl WithLoras {
    /// Reads the files and adds them.
    pub(super) fn load(base: &EnginePipeline, uses: &[LoraUse]) -> Result<Self, PipelineError> {
        let changed = changes(uses);
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
        self.uses == uses && self.changed == changes(uses)
    }

    pub(super) fn get(&self) -> (Arc<dyn Pipeline>, Vec<LoraOutcome>) {
        (self.pipeline.clone(), self.outcomes.clone())
    }
}

fn changes(uses: &[LoraUse]) -> Vec<Option<SystemTime>> {
    let changed = |used: &LoraUse| fs::metadata(&used.file.path).ok()?.modified().ok();
    uses.iter().map(changed).collect()
}

/// The LoRAs in a folder and in those below it, by their names; of two with one name the first counts.
pub(super) fn in_folder(folder: &Path) -> Vec<LoraFile> {
    let mut found: Vec<LoraFile> = Vec::new();
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = open.pop() {
        for path in super::provider::entries(&folder) {
            if path.is_dir() {
                if depth < DEEPEST {
                    open.push((path, depth + 1));
                }
            } else if let Some(name) = name_of(&path)
                && !found.iter().any(|known| known.name == name)
            {
                found.push(LoraFile { name, path });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn name_of(path: &Path) -> Option<String> {
    let fits = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("safetensors"));
    fits.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
}
