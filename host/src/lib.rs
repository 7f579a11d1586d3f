//! Atelier's host: options with a snapshot per run, plugins, and the run itself.

#![deny(unsafe_code)]

mod atelier;
#[cfg(all(feature = "cli", unix))]
mod bisect;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(all(feature = "validate", unix))]
pub mod compat;
#[cfg(feature = "engine")]
pub mod engine;
pub mod fake;
mod files;
pub mod imaging;
pub mod options;
pub mod output;
pub mod plugins;
#[cfg(all(any(feature = "validate", feature = "worker"), unix))]
mod processes;
pub mod run;
#[cfg(all(feature = "validate", unix))]
pub mod validate;

pub use atelier::{Atelier, Config, OpenError};
