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
    /// Vectors of an embedding: which, how many, and their weight.
    Embedded(usize, usize, f32),
    /// The end of a chunk.
    Break,
}

/// As many tokens as the text encoder takes at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    pub(crate) tokens: [u32; CHUNK],
    /// 1 for the special ones.
    pub(crate) weights: [f32; CHUNK],
    /// Where vectors of an embedding take the place of tokens, and of which.
    pub(crate) embedded: Vec<(usize, usize)>,
}

/// What is in a chunk at one place of its text.
#[derive(Clone, Copy)]
struct Place {
    token: u32,
    weight: f32,
    /// The embedding whose first vector is here.
    embedded: Option<usize>,
}

/// Cuts one prompt into chunks; an empty prompt makes one chunk. A chunk that would end within
/// `backtrack` tokens after a comma ends at the comma instead. An embedding is never cut (one that
/// moves behind a comma takes its vectors along; A1111 v1.10.1 leaves them behind).
pub(crate) fn chunks(
    items: impl IntoIterator<Item = Item>,
    special: Special,
    backtrack: usize,
) -> Vec<Chunk> {
    let mut done = Vec::new();
    let mut open: Vec<Place> = Vec::with_capacity(TEXT);
    let mut last_comma = None;
    for item in items {
        let (token, weight, embedded, size) = match item {
            Item::Token(token, weight) => (token, weight, None, 1),
            // A1111 has token 0 under the vectors.
            Item::Embedded(which, size, weight) => (0, weight, Some(which), size),
            Item::Break => {
                done.push(Chunk::of(&open, special));
                open.clear();
                last_comma = None;
                continue;
            }
        };
        if embedded.is_none() && Some(token) == special.comma {
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
        if open.len() + size > TEXT {
            done.push(Chunk::of(&open, special));
            open.clear();
            last_comma = None;
        }
        open.push(Place { token, weight, embedded });
        open.extend((1..size).map(|_| Place { token, weight, embedded: None }));
    }
    if !open.is_empty() || done.is_empty() {
        done.push(Chunk::of(&open, special));
    }
    done
}

impl Chunk {
    fn of(text: &[Place], special: Special) -> Self {
        let (tokens, weights) = ([special.pad; CHUNK], [1.0; CHUNK]);
        let mut chunk = Self { tokens, weights, embedded: Vec::new() };
        chunk.tokens[0] = special.begin;
        for (at, place) in text.iter().enumerate() {
            chunk.tokens[at + 1] = place.token;
            chunk.weights[at + 1] = place.weight;
            chunk.embedded.extend(place.embedded.map(|which| (at + 1, which)));
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
    fn an_embedding_is_never_cut() {
        let one = |token| Item::Token(token, 1.0);
        let text: Vec<_> = [one(1); 73].into_iter().chain([Item::Embedded(4, 3, 0.5)]).collect();
        let all = chunks(text, SPECIAL, 20);
        assert_eq!(all[0].embedded, []);
        assert_eq!(all[1].tokens[..5], [900, 0, 0, 0, 901]);
        assert_eq!(all[1].weights[..5], [1.0, 0.5, 0.5, 0.5, 1.0]);
        assert_eq!(all[1].embedded, [(1, 4)]);
        // Behind a comma it moves as a whole.
        let text = [one(1); 71].into_iter().chain([one(7), Item::Embedded(4, 3, 1.0), one(1)]);
        let all = chunks(text, SPECIAL, 20);
        assert_eq!(all[0].embedded, []);
        assert_eq!((all[1].embedded[0], all[1].tokens[4]), ((1, 4), 1));
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
