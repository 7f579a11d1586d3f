//! Atelier's host: options with a snapshot per run, plugins, and the run itself.

pub mod options;
pub mod output;
