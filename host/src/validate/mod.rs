//! `atelier plugins validate`: a plugin is tried, one named check after another.
//!
//! Read in this order: [`check`] is what a check is, `groups` are all of them, [`subject`] is the
//! plugin with hosts to try it in, [`recorder`] and `guard` see what it does there. [`plan`] says which
//! checks are run, [`child`] runs each in a process of its own, [`report`] tells what came of them.
//!
//! Reading live options never lowers a plugin.

pub mod check;
pub mod child;
mod companion;
mod groups;
mod guard;
pub mod plan;
mod process;
pub mod recorder;
pub mod report;
pub mod subject;
pub mod values;

pub use check::{Check, Group, Outcome, Verdict};
pub use child::{Child, Tried};
pub use groups::{all, find};
pub use plan::{Plan, PlanError, Switches};
pub use report::{Report, Result};
pub use subject::Subject;

/// The next number of a sequence that looks random (`SplitMix64`); `bits` is its state.
pub(crate) fn random(bits: &mut u64) -> u64 {
    *bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *bits;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
