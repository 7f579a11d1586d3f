//! Textual inversion: words that a checkpoint did not learn, as vectors in files of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::Tensor;

use crate::checkpoint::{LoadError, hash_rest};
use crate::clip::{TEXT, TextTokenizer, Words};
use crate::weights::Weights;

/// What the files of SDXL call the vectors for its two text encoders.
const XL: [&str; 2] = ["clip_l", "clip_g"];

/// A textual inversion embedding in memory: vectors that stand for a word of prompts.
#[derive(Clone, Debug)]
pub struct Embedding {
    name: String,
    file: PathBuf,
    hash: String,
    /// For each text encoder, `[vectors, width]`.
    vectors: Vec<Tensor>,
    count: usize,
}

impl Embedding {
    /// Reads a `.safetensors` file. The word is the file's name, whatever case it is written in.
    ///
    /// # Errors
    /// [`LoadError::NoCheckpoint`] if it holds no embedding, or why it cannot be read.
    pub fn load(file: &Path) -> Result<Self, LoadError> {
        let wrong = |what: String| LoadError::NoCheckpoint { file: file.to_owned(), what };
        let weights = Weights::open(file)?;
        let keys: Vec<String> = weights.shapes().into_keys().collect();
        let wanted: Vec<&str> = match keys.as_slice() {
            [key] => vec![key],
            _ if XL.iter().all(|key| keys.iter().any(|known| known == key)) => XL.to_vec(),
            _ => {
                return Err(wrong(format!(
                    "it is no embedding: an embedding has one tensor, or {} and {}, and this has {}",
                    XL[0],
                    XL[1],
                    keys.len()
                )));
            }
        };
        let mut vectors = Vec::with_capacity(wanted.len());
        for key in wanted {
            let tensor = weights.get_any(key)?;
            // One vector alone may come without a dimension for it.
            let tensor = if tensor.rank() == 1 { tensor.unsqueeze(0) } else { Ok(tensor) };
            let tensor = tensor.ok().filter(|tensor| tensor.rank() == 2);
            vectors.push(tensor.ok_or_else(|| wrong(format!("{key} is no list of vectors")))?);
        }
        let counts = vectors.iter().map(|tensor| tensor.dims()[0]);
        let count = counts.clone().next().unwrap_or(0);
        if count == 0 || count > TEXT || counts.clone().any(|other| other != count) {
            let counts: Vec<String> = counts.map(|count| count.to_string()).collect();
            let counts = counts.join(" and ");
            return Err(wrong(format!(
                "it has {counts} vectors, and a text has room for 1 to {TEXT}"
            )));
        }
        let hash = std::fs::File::open(file)
            .and_then(hash_rest)
            .map_err(|source| LoadError::Read { file: file.to_owned(), source })?;
        let name = file.file_stem().map(|name| name.to_string_lossy().into_owned());
        Ok(Self { name: name.unwrap_or_default(), file: file.to_owned(), hash, vectors, count })
    }

    /// The word that prompts have for it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// SHA-256 of the file, as hex; A1111 shows its first twelve digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The number of its vectors: tokens that it takes of a prompt.
    pub fn vectors(&self) -> usize {
        self.count
    }

    /// Values of a vector, of all text encoders together: which checkpoints it is for.
    pub fn width(&self) -> usize {
        self.vectors.iter().map(|tensor| tensor.dims()[1]).sum()
    }
}

/// The embeddings that a checkpoint's prompts are looked through for.
#[derive(Default)]
pub(crate) struct Embeddings {
    pub(crate) all: Vec<Arc<Embedding>>,
    /// For each text encoder its words, which stand for the embeddings in their order.
    encoders: Vec<EncoderEmbeddings>,
    /// What a text encoder has without any.
    none: EncoderEmbeddings,
}

/// What one text encoder has for the embeddings.
#[derive(Default)]
pub(crate) struct EncoderEmbeddings {
    pub(crate) words: Words,
    /// `[vectors, width]` each.
    pub(crate) vectors: Vec<Tensor>,
}

impl Embeddings {
    /// Those of `all` that fit text encoders of these widths.
    pub(crate) fn of(all: &[Arc<Embedding>], encoders: &[(&TextTokenizer, usize)]) -> Self {
        let fits = |embedding: &&Arc<Embedding>| {
            let widths = embedding.vectors.iter().map(|tensor| tensor.dims()[1]);
            widths.eq(encoders.iter().map(|(_, width)| *width))
        };
        let all: Vec<_> = all.iter().filter(fits).cloned().collect();
        let encoders = encoders.iter().enumerate().map(|(at, (tokenizer, _))| {
            let words = all.iter().map(|embedding| (embedding.name(), embedding.count));
            EncoderEmbeddings {
                words: tokenizer.words(words),
                vectors: all.iter().map(|embedding| embedding.vectors[at].clone()).collect(),
            }
        });
        Self { encoders: encoders.collect(), all, none: EncoderEmbeddings::default() }
    }

    /// Those of one text encoder.
    pub(crate) fn encoder(&self, at: usize) -> &EncoderEmbeddings {
        self.encoders.get(at).unwrap_or(&self.none)
    }
}
