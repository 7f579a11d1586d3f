//! Long prompts in chunks of 75 tokens, as A1111 v1.10.1 cuts them.

/// Tokens of a chunk with its begin and end token.
pub(crate) const CHUNK: usize = 77;
/// Tokens of text in a chunk.
pub(crate) const TEXT: usize = CHUNK - 2;

/// The special tokens of a tokenizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Special {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    /// Fills a chunk after its first end token.
    pub(crate) pad: u32,
    pub(crate) comma: Option<u32>,
}

/// What a prompt is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Item {
    /// A token with its weight.
    Token(u32, f32),
    /// The end of a chunk.
    Break,
}

/// As many tokens as the text encoder takes at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) tokens: [u32; CHUNK],
    /// 1 for the special ones.
    pub(crate) weights: [f32; CHUNK],
}

/// Cuts one prompt into chunks; an empty prompt makes one chunk. A chunk that would end within
/// `backtrack` tokens after a comma ends at the comma instead.
pub(crate) fn chunks(
    items: impl IntoIterator<Item = Item>,
    special: Special,
    backtrack: usize,
) -> Vec<Chunk> {
    let mut done = Vec::new();
    let mut open: Vec<(u32, f32)> = Vec::with_capacity(TEXT);
    let mut last_comma = None;
    for item in items {
        let Item::Token(token, weight) = item else {
            done.push(Chunk::of(&open, special));
            open.clear();
            last_comma = None;
            continue;
        };
        if Some(token) == special.comma {
            last_comma = Some(open.len());
        } else if open.len() == TEXT
            && let Some(comma) = last_comma
            && TEXT - comma <= backtrack
        {
            let moved = open.split_off(comma + 1);
            done.push(Chunk::of(&open, special));
            open = moved;
            last_comma = None;
        }
        if open.len() == TEXT {
            done.push(Chunk::of(&open, special));
            open.clear();
            last_comma = None;
        }
        open.push((token, weight));
    }
    if !open.is_empty() || done.is_empty() {
        done.push(Chunk::of(&open, special));
    }
    done
}

impl Chunk {
    fn of(text: &[(u32, f32)], special: Special) -> Self {
        let mut chunk = Self { tokens: [special.pad; CHUNK], weights: [1.0; CHUNK] };
        chunk.tokens[0] = special.begin;
        for (at, (token, weight)) in text.iter().enumerate() {
            chunk.tokens[at + 1] = *token;
            chunk.weights[at + 1] = *weight;
        }
        chunk.tokens[text.len() + 1] = special.end;
        chunk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: Special = Special { begin: 900, end: 901, pad: 902, comma: Some(7) };

    fn tokens(tokens: &[u32], backtrack: usize) -> Vec<[u32; CHUNK]> {
        let items = tokens.iter().map(|token| Item::Token(*token, 1.0));
        chunks(items, SPECIAL, backtrack).into_iter().map(|chunk| chunk.tokens).collect()
    }

    #[test]
    fn an_empty_prompt_is_one_chunk() {
        let all = tokens(&[], 20);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0][..3], [900, 901, 902]);
    }

    #[test]
    fn seventy_five_tokens_fill_one_chunk() {
        assert_eq!(tokens(&[1; 75], 20).len(), 1);
        let two = tokens(&[1; 76], 20);
        assert_eq!(two[0][75..], [1, 901]);
        assert_eq!(two[1][..4], [900, 1, 901, 902]);
    }

    #[test]
    fn the_text_after_a_late_comma_moves_to_the_next_chunk() {
        let mut text = vec![1; 80];
        text[60] = 7;
        let all = tokens(&text, 20);
        assert_eq!(all[0][60..64], [1, 7, 901, 902]);
        assert_eq!(all[1][19..22], [1, 901, 902]);
        // Not where nobody wants to go back, and not so far.
        assert_eq!(tokens(&text, 0)[0][76], 901);
        text[60] = 1;
        text[40] = 7;
        assert_eq!(tokens(&text, 20)[0][76], 901);
        assert_eq!(tokens(&text, 40)[0][40..43], [1, 7, 901]);
    }

    #[test]
    fn a_break_fills_its_chunk() {
        let items = [Item::Token(1, 1.0), Item::Break, Item::Break, Item::Token(2, 0.5)];
        let all = chunks(items, SPECIAL, 20);
        let begins: Vec<_> = all.iter().map(|chunk| chunk.tokens[..3].to_vec()).collect();
        assert_eq!(begins, [[900, 1, 901], [900, 901, 902], [900, 2, 901]]);
        assert_eq!(all[2].weights[..3], [1.0, 0.5, 1.0]);
        // At the end of a prompt nothing is left to begin another one with.
        assert_eq!(chunks([Item::Token(1, 1.0), Item::Break], SPECIAL, 20).len(), 1);
    }
}
