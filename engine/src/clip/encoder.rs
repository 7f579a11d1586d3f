//! The network of the text encoder.

use candle_core::{DType, Device, Result, Tensor};

use super::chunks::{CHUNK, Chunk};
use super::config::TextConfig;
use crate::checkpoint::{LoadError, Source};
use crate::kernels::{Activation, LayerNorm, Linear, Mask, among_threads, attention};
use crate::weights::Weights;

/// CLIP's text transformer.
pub(crate) struct TextModel {
    tokens: Tensor,
    positions: Tensor,
    layers: Vec<Layer>,
    last: LayerNorm,
    /// From the last token's state to one vector for the text.
    projection: Option<Linear>,
    width: usize,
    activation: Activation,
    device: Device,
}

/// What the text encoder is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Layers left out at the end.
    pub(crate) left_out: usize,
    /// Whether the final norm follows.
    pub(crate) normed: bool,
    /// The token whose state, behind all layers, stands for the whole text.
    pub(crate) pooled_at: Option<u32>,
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
    /// Reads a text encoder; `vocabulary` is the tokenizer's size.
    pub(crate) fn load(source: &Source, vocabulary: usize) -> std::result::Result<Self, LoadError> {
        let (config, activation) = TextConfig::of(&source.config, vocabulary)?;
        let w = source.weights.clone();
        let projects = w.has("text_projection.weight");
        let projection = match config.projection_dim.filter(|_| projects) {
            Some(width) => Some(Linear::load_without_bias(
                &w.at("text_projection"),
                config.hidden_size,
                width,
            )?),
            None => None,
        };
        // transformers before version 5 writes everything below `text_model`.
        let w = if w.has("text_model.final_layer_norm.weight") { w.at("text_model") } else { w };
        let width = config.hidden_size;
        let embeddings = w.at("embeddings");
        let layers = (0..config.num_hidden_layers)
            .map(|i| Layer::load(&w.at("encoder.layers").at(i), &config, activation))
            .collect::<std::result::Result<_, _>>()?;
        Ok(Self {
            tokens: embeddings.get_kept([config.vocab_size, width], "token_embedding.weight")?,
            positions: embeddings.get([CHUNK, width], "position_embedding.weight")?,
            layers,
            last: LayerNorm::load(&w.at("final_layer_norm"), width, config.layer_norm_eps)?,
            projection,
            width,
            activation,
            device: w.backend().device.clone(),
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

    /// Whether it is an OpenCLIP model, which A1111 v1.10.1 takes as it is whatever `clip_skip` says.
    pub(crate) fn is_open_clip(&self) -> bool {
        self.activation == Activation::Gelu
    }

    /// The width of the vector that stands for a whole text, where it makes one.
    pub(crate) fn pooled_width(&self) -> Option<usize> {
        self.projection.as_ref().map(Linear::outputs)
    }

    /// The tokens' values before the network, `[chunks, 77, width]`. `embeddings` (`[vectors, width]`
    /// each) take their places.
    fn embed(&self, chunks: &[Chunk], embeddings: &[Tensor]) -> Result<Tensor> {
        let ids: Vec<u32> = chunks.iter().flat_map(|chunk| chunk.tokens).collect();
        let ids = Tensor::new(ids, &Device::Cpu)?;
        let vectors = self.tokens.index_select(&ids, 0)?.to_dtype(DType::F32)?;
        let mut x = vectors.reshape((chunks.len(), CHUNK, self.width))?;
        for (row, chunk) in chunks.iter().enumerate() {
            for (at, which) in &chunk.embedded {
                if let Some(vectors) = embeddings.get(*which) {
                    let place = [row..row + 1, *at..*at + vectors.dim(0)?, 0..self.width];
                    x = x.slice_assign(&place, &vectors.unsqueeze(0)?)?;
                }
            }
        }
        x.broadcast_add(&self.positions)
    }

    /// Encodes chunks of tokens to `[chunks, 77, width]`, and the chunks' vectors where they are
    /// wanted.
    pub(crate) fn forward(
        &self,
        chunks: &[Chunk],
        embeddings: &[Tensor],
        wanted: Wanted,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (states, pooled) = among_threads(|| self.states(chunks, embeddings, wanted))?;
        let back = |x: Tensor| x.to_device(&Device::Cpu);
        Ok((back(states)?, pooled.map(back).transpose()?))
    }

    fn states(
        &self,
        chunks: &[Chunk],
        embeddings: &[Tensor],
        wanted: Wanted,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let mut x = self.embed(chunks, embeddings)?.to_device(&self.device)?;
        let used = self.layers.len().saturating_sub(wanted.left_out);
        let (used, rest) = self.layers.split_at(used);
        for layer in used {
            x = layer.forward(&x)?;
        }
        let states = if wanted.normed { self.last.forward(&x)? } else { x.clone() };
        let (Some(end), Some(projection)) = (wanted.pooled_at, &self.projection) else {
            return Ok((states, None));
        };
        for layer in rest {
            x = layer.forward(&x)?;
        }
        let x = self.last.forward(&x)?;
        let ends = chunks.iter().enumerate().map(|(row, chunk)| {
            let at = chunk.tokens.iter().position(|token| *token == end).unwrap_or(CHUNK - 1);
            x.narrow(0, row, 1)?.narrow(1, at, 1)?.reshape((1, self.width))
        });
        let ends = Tensor::cat(&ends.collect::<Result<Vec<_>>>()?, 0)?;
        Ok((states, Some(projection.forward(&ends)?)))
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
        let h = attention(&q, [&k, &v], self.heads, Mask::Causal, self.q.precision())?;
        let x = self.out.forward_onto(&h, x)?;
        let h = self.wide.forward(&self.norm2.forward(&x)?)?;
        let h = self.activation.forward(&h)?;
        self.narrow.forward_onto(&h, &x)
    }
}
