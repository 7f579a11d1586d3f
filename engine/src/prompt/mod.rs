//! What people write into prompts beside words, as A1111 v1.10.1 reads it.

mod attention;
mod settings;

pub use attention::{BadWeight, Piece, pieces};
pub use settings::{Emphasis, TextSettings};
