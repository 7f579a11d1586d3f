//! CLIP's tokenizer from a checkpoint's own vocabulary.

use std::collections::HashMap;
use std::path::Path;

use instant_clip_tokenizer::{Token, Tokenizer};
use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use super::chunks::{Chunk, Item, Special, TEXT, chunks};
use super::words::{Word, Words};
use crate::checkpoint::{Config, LoadError, TokenizerFiles, read};
use crate::prompt::{BadWeight, Emphasis, Piece, TextSettings, pieces};

const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Bytes as such and at a word's end, and the two special tokens.
const WITHOUT_MERGES: usize = 512 + 2;

/// Turns prompts into chunks of token ids.
pub(crate) struct TextTokenizer {
    inner: Tokenizer,
    special: Special,
}

#[derive(Deserialize)]
struct TokenizerConfig {
    pad_token: Option<TokenName>,
}

/// A token's text alone or with its treatment.
#[derive(Deserialize)]
#[serde(untagged)]
enum TokenName {
    Plain(String),
    Added { content: String },
}

impl TextTokenizer {
    /// The tokenizer that is there, or the standard one.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(crate) fn of(files: &TokenizerFiles) -> Result<Self, LoadError> {
        match files {
            TokenizerFiles::Folder(folder) => Self::load(folder),
            TokenizerFiles::Standard { pad_with_end } => Ok(Self::standard(*pad_with_end)),
        }
    }

    /// OpenAI's vocabulary.
    fn standard(pad_with_end: bool) -> Self {
        let inner = Tokenizer::new();
        let id = |token: Token| u32::from(token.to_u16());
        let (begin, end) = (id(inner.start_of_text()), id(inner.end_of_text()));
        let mut comma = Vec::new();
        inner.encode(",", &mut comma);
        let comma = comma.first().copied().map(id);
        let pad = if pad_with_end { end } else { 0 };
        Self { inner, special: Special { begin, end, pad, comma } }
    }

    /// Reads `merges.txt`, `vocab.json` and `tokenizer_config.json` of `folder`.
    ///
    /// # Errors
    /// [`LoadError::Tokenizer`] if they are broken or do not agree, or an error of reading.
    fn load(folder: &Path) -> Result<Self, LoadError> {
        let merges_file = folder.join("merges.txt");
        let vocab_file = folder.join("vocab.json");
        let broken =
            |file: &Path, problem: String| LoadError::Tokenizer { file: file.to_owned(), problem };
        let (_, vocab): (_, HashMap<String, u32>) = Config::read(&vocab_file)?.parse(&[])?;
        let size = u16::try_from(vocab.len()).ok().filter(|n| usize::from(*n) >= WITHOUT_MERGES);
        let Some(size) = size else {
            let problem = format!("{} tokens are not a CLIP vocabulary", vocab.len());
            return Err(broken(&vocab_file, problem));
        };
        let merges = read(&merges_file)?;
        let inner = Tokenizer::with_vocabulary(merges.as_slice(), size)
            .map_err(|e| broken(&merges_file, e.to_string()))?;
        let (begin, end) = (inner.start_of_text(), inner.end_of_text());
        for (name, token) in [(BEGIN, begin), (END, end)] {
            let listed = vocab.get(name).copied();
            if listed != Some(u32::from(token.to_u16())) {
                let problem = format!(
                    "{name} is token {listed:?}, but merges.txt makes it {}",
                    token.to_u16()
                );
                return Err(broken(&vocab_file, problem));
            }
        }
        let end = u32::from(end.to_u16());
        let special = Special {
            begin: u32::from(begin.to_u16()),
            end,
            pad: pad_token(folder, &vocab)?.unwrap_or(end),
            comma: vocab.get(",</w>").copied(),
        };
        Ok(Self { inner, special })
    }

    /// The token that ends a text.
    pub(crate) fn end(&self) -> u32 {
        self.special.end
    }

    /// The number of different tokens.
    pub(crate) fn vocabulary(&self) -> usize {
        self.special.end as usize + 1
    }

    /// One prompt in chunks, with the weights of its tokens.
    ///
    /// # Errors
    /// A weight that is no number.
    pub(crate) fn encode(
        &self,
        prompt: &str,
        settings: TextSettings,
        words: &Words,
    ) -> Result<Vec<Chunk>, BadWeight> {
        let items = self.items(prompt, settings.emphasis, words)?;
        Ok(chunks(items, self.special, settings.comma_backtrack))
    }

    /// The number of a prompt's tokens, and the room for text in the chunks that hold it.
    ///
    /// # Errors
    /// A weight that is no number.
    pub(crate) fn count(
        &self,
        prompt: &str,
        settings: TextSettings,
        words: &Words,
    ) -> Result<(usize, usize), BadWeight> {
        let items = self.items(prompt, settings.emphasis, words)?;
        let tokens = items.iter().map(|item| match item {
            Item::Token(..) => 1,
            Item::Embedded(_, size, _) => *size,
            Item::Break => 0,
        });
        Ok((tokens.sum(), chunks(items, self.special, settings.comma_backtrack).len() * TEXT))
    }

    /// Names as they are looked for in prompts, each with the number of vectors that it stands for.
    pub(crate) fn words<'a>(&self, names: impl Iterator<Item = (&'a str, usize)>) -> Words {
        Words::new(names.enumerate().map(|(which, (name, vectors))| {
            let tokens = self.tokens(name);
            Word { tokens, which, vectors }
        }))
    }

    fn items(
        &self,
        prompt: &str,
        emphasis: Emphasis,
        words: &Words,
    ) -> Result<Vec<Item>, BadWeight> {
        let pieces = match emphasis {
            Emphasis::None => vec![Piece { text: prompt.to_owned(), weight: 1.0 }],
            _ => pieces(prompt)?,
        };
        let mut items = Vec::new();
        for piece in pieces {
            if piece.is_break() {
                items.push(Item::Break);
            } else {
                let weight = piece.weight as f32;
                let tokens = self.tokens(&piece.text);
                let mut rest = tokens.as_slice();
                while let Some((token, after)) = rest.split_first() {
                    rest = if let Some(word) = words.find(rest) {
                        items.push(Item::Embedded(word.which, word.vectors, weight));
                        &rest[word.tokens.len()..]
                    } else {
                        items.push(Item::Token(*token, weight));
                        after
                    };
                }
            }
        }
        Ok(items)
    }

    fn tokens(&self, prompt: &str) -> Vec<u32> {
        let normal: String = prompt.nfc().collect();
        let mut tokens: Vec<Token> = Vec::new();
        self.inner.encode(&normal, &mut tokens);
        tokens.into_iter().map(|t| u32::from(t.to_u16())).collect()
    }

    /// The chunk of an empty prompt.
    pub(crate) fn empty(&self) -> Chunk {
        chunks([], self.special, 0).remove(0)
    }
}

/// The id of the padding token: SD 2 pads with "!", SD 1 with the end token.
fn pad_token(folder: &Path, vocab: &HashMap<String, u32>) -> Result<Option<u32>, LoadError> {
    let file = folder.join("tokenizer_config.json");
    if !file.exists() {
        return Ok(None);
    }
    let (config_file, config): (_, TokenizerConfig) = Config::read(&file)?.parse(&[])?;
    let Some(TokenName::Plain(name) | TokenName::Added { content: name }) = config.pad_token else {
        return Ok(None);
    };
    match vocab.get(&name) {
        Some(id) => Ok(Some(*id)),
        None => Err(config_file.wrong("pad_token", name, "a token of vocab.json")),
    }
}
