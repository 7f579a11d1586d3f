//! Long prompts in chunks of 75 tokens, as A1111 v1.10.1 cuts them.

/// Tokens of a chunk with its begin and end token.
pub(crate) const CHUNK: usize = 77;
const TEXT: usize = CHUNK - 2;
/// A chunk that would end within so many tokens after a comma ends at the comma instead
/// (A1111's option `comma_padding_backtrack` at its default).
const COMMA_BACKTRACK: usize = 20;

/// The special tokens of a tokenizer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Special {
    pub(crate) begin: u32,
    pub(crate) end: u32,
    /// Fills a chunk after its first end token.
    pub(crate) pad: u32,
    pub(crate) comma: Option<u32>,
}

/// Cuts one prompt's tokens into chunks of [`CHUNK`]; an empty prompt makes one chunk.
pub(crate) fn chunks(tokens: &[u32], special: Special) -> Vec<[u32; CHUNK]> {
    let mut done = Vec::new();
    let mut open: Vec<u32> = Vec::with_capacity(TEXT);
    let mut last_comma = None;
    for &token in tokens {
        if Some(token) == special.comma {
            last_comma = Some(open.len());
        } else if open.len() == TEXT
            && let Some(comma) = last_comma
            && TEXT - comma <= COMMA_BACKTRACK
        {
            let moved = open.split_off(comma + 1);
            done.push(close(&open, special));
            open = moved;
            last_comma = None;
        }
        if open.len() == TEXT {
            done.push(close(&open, special));
            open.clear();
            last_comma = None;
        }
        open.push(token);
    }
    if !open.is_empty() || done.is_empty() {
        done.push(close(&open, special));
    }
    done
}

fn close(text: &[u32], special: Special) -> [u32; CHUNK] {
    let mut chunk = [special.pad; CHUNK];
    chunk[0] = special.begin;
    chunk[1..=text.len()].copy_from_slice(text);
    chunk[text.len() + 1] = special.end;
    chunk
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPECIAL: Special = Special { begin: 900, end: 901, pad: 902, comma: Some(7) };

    #[test]
    fn an_empty_prompt_is_one_chunk() {
        let all = chunks(&[], SPECIAL);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0][..3], [900, 901, 902]);
    }

    #[test]
    fn seventy_five_tokens_fill_one_chunk() {
        assert_eq!(chunks(&[1; 75], SPECIAL).len(), 1);
        let two = chunks(&[1; 76], SPECIAL);
        assert_eq!(two[0][75..], [1, 901]);
        assert_eq!(two[1][..4], [900, 1, 901, 902]);
    }

    #[test]
    fn the_text_after_a_late_comma_moves_to_the_next_chunk() {
        let mut tokens = vec![1; 80];
        tokens[60] = 7;
        let all = chunks(&tokens, SPECIAL);
        assert_eq!(all[0][60..64], [1, 7, 901, 902]);
        assert_eq!(all[1][19..22], [1, 901, 902]);
        tokens[60] = 1;
        tokens[40] = 7;
        assert_eq!(chunks(&tokens, SPECIAL)[0][76], 901);
    }
}
