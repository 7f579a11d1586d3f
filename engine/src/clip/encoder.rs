//! The network of the text encoder.

use std::path::Path;

use candle_core::{Device, Result, Tensor};

use super::chunks::{CHUNK, Chunk};
use super::config::{Activation, TextConfig};
use crate::checkpoint::{LoadError, weights_file};
use crate::kernels::{LayerNorm, Linear, Mask, attention};
use crate::weights::Weights;

/// CLIP's text transformer.
pub(crate) struct TextModel {
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<Layer>,
    last: LayerNorm,
    width: usize,
}

struct Layer {
    heads: usize,
    activation: Activation,
    norm1: LayerNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    norm2: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

impl TextModel {
    /// Reads the text encoder of `folder`; `vocabulary` is the tokenizer's size.
    pub(crate) fn load(folder: &Path, vocabulary: usize) -> std::result::Result<Self, LoadError> {
        let (config, activation) = TextConfig::read(&folder.join("config.json"), vocabulary)?;
        let w = Weights::open(&weights_file(folder, "model"))?;
        // transformers before version 5 writes everything below `text_model`.
        let w = if w.has("text_model.final_layer_norm.weight") { w.at("text_model") } else { w };
        let width = config.hidden_size;
        let embeddings = w.at("embeddings");
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::load(&w.at("encoder.layers").at(i), &config, activation))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            tokens: embeddings.get([config.vocab_size, width], "token_embedding.weight")?,
            positions: embeddings.get([CHUNK, width], "position_embedding.weight")?,
            layers,
            last: LayerNorm::load(&w.at("final_layer_norm"), width, config.layer_norm_eps)?,
            width,
        })
    }

    /// Values per token.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The largest `clip_skip`.
    pub(crate) fn layers(&self) -> u32 {
        self.layers.len() as u32
    }

    /// Encodes chunks of tokens to `[chunks, 77, width]`. `clip_skip` 1 uses every layer, 2 leaves
    /// out the last one; the final norm always follows, as in A1111 v1.10.1.
    pub(crate) fn forward(&self, chunks: &[Chunk], clip_skip: u32) -> Result<Tensor> {
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.tokens).collect();
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let mut x = self
            .tokens
            .index_select(&ids, 0)?
            .reshape((chunks.len(), CHUNK, self.width))?
            .broadcast_add(&self.positions)?;
        let used = self.layers.len().saturating_sub(clip_skip.saturating_sub(1) as usize);
        for layer in &self.layers[..used] {
            x = layer.forward(&x)?;
        }
        self.last.forward(&x)
    }
}

impl Layer {
    fn load(
        w: &Weights,
        config: &TextConfig,
        activation: Activation,
    ) -> std::result::Result<Self, LoadError> {
        let (c, inner, eps) = (config.hidden_size, config.intermediate_size, config.layer_norm_eps);
        let projection = |name: &str| Linear::load(&w.at("self_attn").at(name), c, c);
        Ok(Self {
            heads: config.num_attention_heads,
            activation,
            norm1: LayerNorm::load(&w.at("layer_norm1"), c, eps)?,
            q: projection("q_proj")?,
            k: projection("k_proj")?,
            v: projection("v_proj")?,
            out: projection("out_proj")?,
            norm2: LayerNorm::load(&w.at("layer_norm2"), c, eps)?,
            wide: Linear::load(&w.at("mlp.fc1"), c, inner)?,
            narrow: Linear::load(&w.at("mlp.fc2"), inner, c)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let h = self.norm1.forward(x)?;
        let (q, k, v) = (self.q.forward(&h)?, self.k.forward(&h)?, self.v.forward(&h)?);
        let h = attention(&q, &k, &v, self.heads, Mask::Causal)?;
        let x = (x + self.out.forward(&h)?)?;
        let h = self.wide.forward(&self.norm2.forward(&x)?)?;
        let h = match self.activation {
            Activation::QuickGelu => (&h * candle_nn::ops::sigmoid(&(&h * 1.702)?)?)?,
            Activation::Gelu => h.gelu_erf()?,
        };
        x + self.narrow.forward(&h)?
    }
}
