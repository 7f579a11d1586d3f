//! A checkpoint with words for its prompts.

use std::{sync::Arc, time::SystemTime};

use atelier_engine::Embedding;

use super::{EnginePipeline, folders::changes};
use crate::run::pipeline::NetworkFile;

/// A checkpoint with textual inversion embeddings, and for which files it is.
#[derive(Debug)]
pub(super) struct WithEmbeddings {
    files: Vec<NetworkFile>,
    changed: Vec<Option<SystemTime>>,
    pub(super) pipeline: Arc<EnginePipeline>,
}

impl WithEmbeddings {
    /// Reads the files. One that is no embedding is left out with a warning.
    pub(super) fn load(base: &EnginePipeline, files: &[NetworkFile]) -> Self {
        let changed = changes(files);
        let mut all = Vec::with_capacity(files.len());
        for file in files {
            match Embedding::load(&file.path) {
                Ok(embedding) => all.push(Arc::new(embedding)),
                Err(error) => {
                    tracing::warn!(name = file.name, "this embedding is left out: {error}");
                }
            }
        }
        let engine = base.engine.with_embeddings(&all);
        let other = all.len() - engine.embeddings().len();
        tracing::debug!(used = engine.embeddings().len(), other, "embeddings read");
        let pipeline = Arc::new(base.with_engine(engine, base.model.clone()));
        Self { files: files.to_vec(), changed, pipeline }
    }

    pub(super) fn is_for(&self, files: &[NetworkFile]) -> bool {
        self.files == files && self.changed == changes(files)
    }
}
