//! A run, from its request to its record.
//!
//! Read in this order: a [`RunRequest`] comes to the [`Runner`]; `prepare` applies overrides, makes
//! prompts and seeds final and takes the snapshot; `execute` samples, decodes and saves; the runner
//! closes the [`RunRecord`]. Between these, `hooks` calls the plugins, with a [`stage`] for what they
//! may see and change and a [`seam`] for what they read of the options.

mod active;
mod cancel;
mod children;
mod comments;
mod error;
pub mod events;
mod execute;
mod extra_networks;
mod hires;
mod hooks;
mod img2img;
mod observe;
mod params;
pub mod pipeline;
mod prepare;
mod previews;
pub mod record;
pub mod records;
mod refiner;
mod request;
mod runner;
mod sample;
mod save;
mod scope;
mod script;
pub mod seam;
mod services;
pub mod stage;
mod styles;
mod told;

pub use cancel::CancelToken;
pub use error::{Ended, Refused, RunError};
pub use params::{Params, Pictures};
pub use record::{RunRecord, RunState};
pub use records::{FileRecords, RecordStore};
pub use request::{Hires, InitImages, Inpaint, InpaintingFill, OnError, RunRequest};
pub use runner::{Finished, Picture, Runner, RunnerBuilder};
pub use styles::{STYLES_FILE, Style, Styles, StylesError};
