//! Atelier's host: options with a snapshot per run, plugins, and the run itself.

#![deny(unsafe_code)]

mod atelier;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "engine")]
pub mod engine;
pub mod options;
pub mod output;
pub mod plugins;
pub mod run;

pub use atelier::{Atelier, Config, OpenError};
