//! What is told of a picture beside its pixels.

use atelier_plugin_abi::{Field, Value};

use crate::run::{
    execute::Batch,
    stage::{Slot, Stage},
};

/// What is told of a picture beside its pixels.
pub(super) struct Caption<'a> {
    pub(super) prompt: &'a str,
    pub(super) negative_prompt: &'a str,
    pub(super) seed: i64,
    pub(super) subseed: i64,
    /// Picture within the run, from 0.
    pub(super) number: u32,
    pub(super) batch_index: u32,
    pub(super) iteration: u32,
}

/// The texts of a caption.
pub(super) struct Prompts {
    pub(super) prompt: String,
    pub(super) negative_prompt: String,
}

impl Prompts {
    pub(super) fn of(batch: &Batch, index: usize) -> Self {
        Self {
            prompt: text_at(&batch.prompts, index),
            negative_prompt: text_at(&batch.negative_prompts, index),
        }
    }

    pub(super) fn caption(&self, batch: &Batch, index: usize, number: u32) -> Caption<'_> {
        Caption {
            prompt: &self.prompt,
            negative_prompt: &self.negative_prompt,
            seed: batch.seeds.get(index).copied().unwrap_or(0),
            subseed: batch.subseeds.get(index).copied().unwrap_or(0),
            number,
            batch_index: index as u32,
            iteration: batch.iteration,
        }
    }
}

impl Caption<'_> {
    pub(super) fn show<'a>(&self, stage: Stage<'a>) -> Stage<'a> {
        stage
            .field(Field::Prompt, Slot::Fixed(Value::Text(self.prompt.into())))
            .field(Field::NegativePrompt, Slot::Fixed(Value::Text(self.negative_prompt.into())))
            .field(Field::Seed, Slot::Fixed(Value::Int(self.seed)))
            .field(Field::Subseed, Slot::Fixed(Value::Int(self.subseed)))
    }
}

fn text_at(list: &[String], index: usize) -> String {
    list.get(index).cloned().unwrap_or_default()
}
