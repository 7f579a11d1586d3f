//! The text encoders of a checkpoint, from prompts to conditioning.

use std::sync::Arc;

use candle_core::Tensor as Array;

use crate::checkpoint::{LoadError, Source, TokenizerFiles};
use crate::clip::{CHUNK, Chunk, TextModel, TextTokenizer, Wanted};
use crate::conditioning::Conditioning;
use crate::embedding::{Embedding, Embeddings, EncoderEmbeddings};
use crate::error::EngineError;
use crate::prompt::{BadWeight, Emphasis, TextSettings};
use crate::unet::{WAVES, waves};

/// Numbers that SDXL is told beside the text: original size, crop and target size.
const TOLD: usize = 6;

/// One text encoder with its vocabulary, or SDXL's two.
pub(crate) struct TextEncoders {
    first: (TextTokenizer, TextModel),
    second: Option<(TextTokenizer, TextModel)>,
}

/// What an encoder gives for a batch: values of all tokens, and a vector for each chunk.
type Encoded = (Vec<f32>, Vec<f32>);

impl TextEncoders {
    /// Reads one or two.
    pub(crate) fn load(sources: &[(Source, TokenizerFiles)]) -> Result<Self, LoadError> {
        let mut encoders = Vec::new();
        for (source, files) in sources {
            let tokenizer = TextTokenizer::of(files)?;
            let model = TextModel::load(source, tokenizer.vocabulary())?;
            encoders.push((tokenizer, model));
        }
        let mut encoders = encoders.into_iter();
        let missing = || {
            let file = sources.first().map(|(source, _)| source.config.file.clone());
            LoadError::Missing { file: file.unwrap_or_default() }
        };
        Ok(Self { first: encoders.next().ok_or_else(missing)?, second: encoders.next() })
    }

    /// Values per token.
    pub(crate) fn width(&self) -> usize {
        self.first.1.width() + self.second.as_ref().map_or(0, |(_, model)| model.width())
    }

    /// The largest `clip_skip`.
    pub(crate) fn layers(&self) -> u32 {
        self.first.1.layers()
    }

    /// Values of the vector beside the text, 0 without one.
    pub(crate) fn vector_width(&self) -> usize {
        let pooled = self.second.as_ref().map(|(_, model)| model.pooled_width().unwrap_or(0));
        pooled.map_or(0, |pooled| pooled + TOLD * WAVES)
    }

    /// Tokens of a prompt, and the room for text in the chunks that hold it.
    pub(crate) fn count(
        &self,
        prompt: &str,
        settings: TextSettings,
        embeddings: &Embeddings,
    ) -> Result<(usize, usize), BadWeight> {
        self.first.0.count(prompt, settings, &embeddings.encoder(0).words)
    }

    /// Those of the embeddings that these encoders can use.
    pub(crate) fn embeddings(&self, all: &[Arc<Embedding>]) -> Embeddings {
        let both = std::iter::once(&self.first).chain(&self.second);
        let both: Vec<_> = both.map(|(tokenizer, model)| (tokenizer, model.width())).collect();
        Embeddings::of(all, &both)
    }

    /// Which of the embeddings are in a prompt, in their order.
    pub(crate) fn embeddings_in(
        &self,
        prompt: &str,
        settings: TextSettings,
        embeddings: &Embeddings,
    ) -> Result<Vec<Arc<Embedding>>, BadWeight> {
        let chunks = self.first.0.encode(prompt, settings, &embeddings.encoder(0).words)?;
        let all = chunks.iter().flat_map(|chunk| &chunk.embedded);
        Ok(all.filter_map(|(_, which)| embeddings.all.get(*which)).cloned().collect())
    }

    /// One row for each prompt, all as long as the longest.
    pub(crate) fn encode(
        &self,
        prompts: &[&str],
        settings: TextSettings,
        embeddings: &Embeddings,
    ) -> Result<Conditioning, EngineError> {
        if prompts.is_empty() {
            return Err(EngineError::NoPrompts);
        }
        let (clip_skip, layers) = (settings.clip_skip, self.layers());
        if !(1..=layers).contains(&clip_skip) {
            return Err(EngineError::ClipSkip { given: clip_skip, layers });
        }
        let left_out = clip_skip as usize - 1;
        let (tokenizer, model) = &self.first;
        let learnt = embeddings.encoder(0);
        let Some((second_tokenizer, second)) = &self.second else {
            let left_out = if model.is_open_clip() { 0 } else { left_out };
            let wanted = Wanted { left_out, normed: true, pooled_at: None };
            let chunks = chunks_of(tokenizer, prompts, settings, learnt)?;
            let (data, _) = states(model, &chunks, learnt, wanted, settings.emphasis)?;
            let tokens = chunks.len() / prompts.len() * CHUNK;
            return Ok(Conditioning::new(prompts.len(), tokens, model.width(), data)?);
        };
        // SDXL takes the last layer but one of both, and heeds clip_skip only where it is told to.
        let left_out = if settings.xl_clip_skip { left_out } else { 1 };
        let wanted = Wanted { left_out, normed: false, pooled_at: None };
        let chunks = chunks_of(tokenizer, prompts, settings, learnt)?;
        let (one, _) = states(model, &chunks, learnt, wanted, settings.emphasis)?;
        let end = Some(second_tokenizer.end());
        let wanted = Wanted { left_out: 1, normed: false, pooled_at: end };
        let learnt = embeddings.encoder(1);
        let chunks = chunks_of(second_tokenizer, prompts, settings, learnt)?;
        let (two, pooled) = states(second, &chunks, learnt, wanted, settings.emphasis)?;
        let rows = one.chunks_exact(model.width()).zip(two.chunks_exact(second.width()));
        let data = rows.flat_map(|(one, two)| one.iter().chain(two).copied()).collect();
        let chunks_each = chunks.len() / prompts.len();
        // The vector of a prompt is its first chunk's, and behind it what the model is told of sizes.
        let told = waves(&settings.told().map(f64::from));
        let size = second.pooled_width().unwrap_or(0) * chunks_each;
        let firsts = pooled.chunks_exact(size.max(1)).map(|row| &row[..size / chunks_each]);
        let vectors = firsts.flat_map(|first| first.iter().chain(&told).copied()).collect();
        let tokens = chunks_each * CHUNK;
        let text = Conditioning::new(prompts.len(), tokens, self.width(), data)?;
        Ok(text.with_vectors(vectors)?)
    }

    /// The same as if there were no text (A1111 v1.10.1 does so for SDXL where all negative prompts of
    /// a batch are empty).
    pub(crate) fn without_text(&self, mut text: Conditioning) -> Result<Conditioning, EngineError> {
        let Some(pooled) = self.second.as_ref().and_then(|(_, model)| model.pooled_width()) else {
            return Ok(text);
        };
        text.data_mut().fill(0.0);
        let mut vectors = text.vectors().to_vec();
        for row in vectors.chunks_exact_mut(text.vector_width().max(1)) {
            row[..pooled].fill(0.0);
        }
        Ok(text.with_vectors(vectors)?)
    }
}

/// The chunks of all prompts, as many for each.
fn chunks_of(
    tokenizer: &TextTokenizer,
    prompts: &[&str],
    settings: TextSettings,
    learnt: &EncoderEmbeddings,
) -> Result<Vec<Chunk>, BadWeight> {
    let encoded = prompts.iter().map(|prompt| tokenizer.encode(prompt, settings, &learnt.words));
    let encoded: Vec<_> = encoded.collect::<Result<_, _>>()?;
    let most = encoded.iter().map(Vec::len).max().unwrap_or(1);
    let mut chunks = Vec::with_capacity(prompts.len() * most);
    for mut row in encoded {
        row.resize(most, tokenizer.empty());
        chunks.extend(row);
    }
    Ok(chunks)
}

fn states(
    model: &TextModel,
    chunks: &[Chunk],
    learnt: &EncoderEmbeddings,
    wanted: Wanted,
    emphasis: Emphasis,
) -> Result<Encoded, EngineError> {
    let flat = |array: Array| -> candle_core::Result<Vec<f32>> { array.flatten_all()?.to_vec1() };
    let encode = || -> candle_core::Result<Encoded> {
        let (states, pooled) = model.forward(chunks, &learnt.vectors, wanted)?;
        Ok((flat(states)?, pooled.map(flat).transpose()?.unwrap_or_default()))
    };
    let (mut data, pooled) = encode().map_err(EngineError::compute("the text encoder"))?;
    let width = model.width();
    for (values, chunk) in data.chunks_exact_mut(CHUNK * width).zip(chunks) {
        emphasise(values, chunk, width, emphasis);
    }
    Ok((data, pooled))
}

/// Weighs the tokens of one chunk (`77 × width` values).
fn emphasise(values: &mut [f32], chunk: &Chunk, width: usize, emphasis: Emphasis) {
    if !matches!(emphasis, Emphasis::Original | Emphasis::NoNorm) {
        return;
    }
    let mean =
        |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
    let before = mean(values);
    for (token, weight) in values.chunks_exact_mut(width).zip(chunk.weights) {
        for value in token {
            *value *= weight;
        }
    }
    let after = mean(values);
    // Values that cancel out have no mean to go back to.
    if emphasis == Emphasis::Original && after != 0.0 {
        let back = (before / after) as f32;
        for value in values {
            *value *= back;
        }
    }
}
