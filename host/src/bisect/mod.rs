//! Which of many plugins does it: breaks a run, or changes its picture.
//!
//! [`search`] halves the plugins, [`trial`] draws with a part of them in a process of its own: a plugin
//! that takes its host with it takes that one.

mod search;
mod trial;

pub(crate) use search::culprits;
pub(crate) use trial::{Bench, Outcome};
