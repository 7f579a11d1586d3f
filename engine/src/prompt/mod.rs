//! What people write into prompts beside words, as A1111 v1.10.1 reads it.

mod attention;
mod parts;
mod schedule;
mod settings;
mod words;

pub use attention::{BadWeight, Piece, pieces};
pub use parts::{Side, SubPrompt, sub_prompts};
pub use schedule::{Pass, Scheduled, schedules};
pub use settings::{Emphasis, TextSettings};
