//! The text encoders of a checkpoint, from prompts to conditioning.

use std::sync::Arc;

use candle_core::Tensor as Array;

use crate::checkpoint::{LoadError, Source, TokenizerFiles};
use crate::clip::{CHUNK, Chunk, TextModel, TextTokenizer, Wanted};
use crate::conditioning::Conditioning;
use crate::embedding::{Embedding, Embeddings, EncoderEmbeddings};
use crate::error::EngineError;
use crate::prompt::{BadWeight, Emphasis, Side, TextSettings};
use crate::unet::{WAVES, waves};

/// A text encoder with its vocabulary.
type Encoder = (TextTokenizer, TextModel);

/// The text encoders of a checkpoint: one, or SDXL's two.
pub(crate) struct TextEncoders {
    first: Encoder,
    second: Option<Encoder>,
    /// Whether the model is told a vector beside the text: SDXL, and its refiner, which has one encoder.
    told: bool,
}

/// What an encoder gives for a batch: values of all tokens, and a vector for each chunk.
type Encoded = (Vec<f32>, Vec<f32>);

impl TextEncoders {
    /// Reads one or two; `told` is whether the network takes a vector beside the text.
    pub(crate) fn load(
        sources: &[(Source, TokenizerFiles)],
        told: bool,
    ) -> Result<Self, LoadError> {
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
        Ok(Self { first: encoders.next().ok_or_else(missing)?, second: encoders.next(), told })
    }

    fn all(&self) -> impl Iterator<Item = &Encoder> {
        std::iter::once(&self.first).chain(&self.second)
    }

    /// The one whose vector for a whole text the model is told.
    fn pooling(&self) -> Option<&TextModel> {
        self.told.then_some(&self.second.as_ref().unwrap_or(&self.first).1)
    }

    /// What the model is told beside a text, in its order: SDXL the original height and width, top and
    /// left of the crop, and the target's height and width; its refiner a score in the target's place.
    fn numbers(&self, side: Side, settings: &TextSettings) -> Vec<f64> {
        let ([width, height], [left, top]) = (settings.size, settings.crop);
        let sizes = [height, width, top, left].map(f64::from);
        let last = match self.second {
            Some(_) => vec![f64::from(height), f64::from(width)],
            None => vec![settings.aesthetic_score[usize::from(side == Side::Negative)]],
        };
        [sizes.to_vec(), last].concat()
    }

    /// Values per token.
    pub(crate) fn width(&self) -> usize {
        self.all().map(|(_, model)| model.width()).sum()
    }

    /// The largest `clip_skip`.
    pub(crate) fn layers(&self) -> u32 {
        self.first.1.layers()
    }

    /// Values of the vector beside the text, 0 without one.
    pub(crate) fn vector_width(&self) -> usize {
        let numbers = || self.numbers(Side::Positive, &TextSettings::default()).len();
        self.pooling().map_or(0, |model| model.pooled_width().unwrap_or(0) + numbers() * WAVES)
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
        let encoders: Vec<_> =
            self.all().map(|(tokenizer, model)| (tokenizer, model.width())).collect();
        Embeddings::of(all, &encoders)
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
        side: Side,
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
        let mut columns = Vec::with_capacity(2);
        let (mut pooled, mut tokens) = (Vec::new(), 0);
        for (at, (tokenizer, model)) in self.all().enumerate() {
            let pools = self.pooling().is_some_and(|it| std::ptr::eq(it, model));
            let heeds =
                if self.told { settings.xl_clip_skip && !pools } else { !model.is_open_clip() };
            // SDXL takes the last layer but one of both, whatever is asked.
            let default = usize::from(self.told);
            let wanted = Wanted {
                left_out: if heeds { left_out } else { default },
                normed: !self.told,
                pooled_at: pools.then(|| tokenizer.end()),
            };
            let learnt = embeddings.encoder(at);
            let chunks = chunks_of(tokenizer, prompts, settings, learnt)?;
            let (values, vectors) = states(model, &chunks, learnt, wanted, settings.emphasis)?;
            tokens = chunks.len() / prompts.len() * CHUNK;
            columns.push((model.width(), values));
            pooled = vectors;
        }
        let text = Conditioning::new(prompts.len(), tokens, self.width(), side_by_side(columns))?;
        let Some(pooling) = self.pooling() else { return Ok(text) };
        // The vector of a prompt is its first chunk's, and behind it the numbers.
        let width = pooling.pooled_width().unwrap_or(0);
        let told = waves(&self.numbers(side, &settings));
        let rows = pooled.chunks_exact((width * tokens / CHUNK).max(1));
        let vectors = rows.flat_map(|row| row[..width].iter().chain(&told).copied()).collect();
        Ok(text.with_vectors(vectors)?)
    }

    /// The same as if there were no text (A1111 v1.10.1 does so for SDXL where all negative prompts of
    /// a batch are empty).
    pub(crate) fn without_text(&self, mut text: Conditioning) -> Result<Conditioning, EngineError> {
        let Some(pooled) = self.pooling().and_then(TextModel::pooled_width) else {
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

/// The values of each token from all encoders in one row; each has as many tokens.
fn side_by_side(mut columns: Vec<(usize, Vec<f32>)>) -> Vec<f32> {
    if let [(_, only)] = columns.as_mut_slice() {
        return std::mem::take(only);
    }
    let tokens = columns.first().map_or(0, |(width, values)| values.len() / width);
    let token = |at| {
        let parts = columns.iter().map(move |(width, values)| &values[at * width..][..*width]);
        parts.flatten().copied()
    };
    (0..tokens).flat_map(token).collect()
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
