//! Words of prompts that stand for learnt vectors.

use std::collections::HashMap;

/// Tokens that are looked for in prompts, and what they stand for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    /// By their first token, the longest first.
    by_first: HashMap<u32, Vec<Word>>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) tokens: Vec<u32>,
    /// Which of the embeddings.
    pub(crate) which: usize,
    /// Tokens that it takes of a chunk.
    pub(crate) vectors: usize,
}

impl Words {
    pub(crate) fn new(words: impl IntoIterator<Item = Word>) -> Self {
        let mut by_first: HashMap<u32, Vec<Word>> = HashMap::new();
        for word in words {
            if let Some(first) = word.tokens.first() {
                by_first.entry(*first).or_default().push(word);
            }
        }
        for words in by_first.values_mut() {
            words.sort_by_key(|word| std::cmp::Reverse(word.tokens.len()));
        }
        Self { by_first }
    }

    /// The longest word that `tokens` begin with.
    pub(crate) fn find(&self, tokens: &[u32]) -> Option<&Word> {
        let words = self.by_first.get(tokens.first()?)?;
        words.iter().find(|word| tokens.starts_with(&word.tokens))
    }
}
