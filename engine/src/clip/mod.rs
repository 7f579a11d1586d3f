//! The CLIP text encoder.

mod chunks;
mod config;
mod encoder;
mod tokenizer;

pub(crate) use chunks::{CHUNK, Chunk};
pub(crate) use encoder::{TextModel, Wanted};
pub(crate) use tokenizer::TextTokenizer;
