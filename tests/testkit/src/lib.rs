//! Runs plugins in tests.
//!
//! [`FakePipeline`] draws in microseconds what depends on prompt, seed, steps and everything a hook
//! may change, so that a test sees whether a hook had an effect. [`TestHost`] is a whole host over
//! it in a folder of its own; [`build`] builds plugins with cargo and says where they are.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics"
)]

pub mod build;
mod host;

pub use atelier_host::fake::{FakePipeline, FakeProvider};
pub use host::{TestHost, Wiring, both_ways, script};
