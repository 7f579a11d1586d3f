//! `text_encoder/config.json`.

use serde::Deserialize;

use super::chunks::CHUNK;
use crate::checkpoint::{Config, LoadError};
use crate::kernels::Activation;

/// The sizes of a text encoder.
#[derive(Debug, Deserialize)]
pub(super) struct TextConfig {
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) vocab_size: usize,
    pub(super) projection_dim: Option<usize>,
    #[serde(default = "quick_gelu")]
    hidden_act: String,
    #[serde(default = "eps")]
    pub(super) layer_norm_eps: f64,
}

fn quick_gelu() -> String {
    "quick_gelu".to_owned()
}

fn eps() -> f64 {
    1e-5
}

impl TextConfig {
    /// Reads and checks the file, and the activation between a layer's two linear maps; `vocabulary` is the
    /// tokenizer's size.
    pub(super) fn of(config: &Config, vocabulary: usize) -> Result<(Self, Activation), LoadError> {
        let (source, config): (_, Self) = config.parse(&[])?;
        let heads = config.num_attention_heads;
        source.require(
            heads > 0 && config.hidden_size.is_multiple_of(heads),
            "num_attention_heads",
            heads,
            "a divisor of hidden_size",
        )?;
        let positions = config.max_position_embeddings;
        source.require(positions == CHUNK, "max_position_embeddings", positions, "77")?;
        source.require(
            config.vocab_size >= vocabulary,
            "vocab_size",
            config.vocab_size,
            &format!("at least the tokenizer's {vocabulary}"),
        )?;
        let activation = match config.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => return Err(source.wrong("hidden_act", other, "quick_gelu or gelu")),
        };
        Ok((config, activation))
    }
}
