//! The CLIP text encoder.

mod chunks;
mod config;
mod encoder;
mod tokenizer;
mod words;

pub(crate) use chunks::{CHUNK, Chunk, TEXT};
pub(crate) use encoder::{TextModel, Wanted};
pub(crate) use tokenizer::TextTokenizer;
pub(crate) use words::Words;
