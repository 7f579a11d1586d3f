//! `atelier plugins compat`: is a plugin ready to leave live options?
//!
//! The plugin is run on real generations. `trial` draws: twice the same, with recording and without,
//! recorded and pinned, and once for each way to change an option that it reads live behind its back.
//! [`verdict`] says what follows, [`against`] compares with an older build, [`html`] shows it.

pub mod against;
pub mod html;
mod trial;
pub mod verdict;

pub use trial::{Compat, CompatError, Drawn, OptionTrial, Settings, Shift, examine};
pub use verdict::Verdict;
