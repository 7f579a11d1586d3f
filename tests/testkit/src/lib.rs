//! The kit for authors of plugins: run a plugin in tests, without the `atelier` program.
//!
//! - [`TestHost`] is a whole host in a folder of its own. A run on its fake engine takes milliseconds, and
//!   what it draws depends on prompt, seed, steps and on everything that a hook may change, so that a test
//!   sees whether a hook had an effect. With the feature `checkpoint` it draws on the default checkpoint.
//! - [`Drawing`] is a request, [`Drawn`] what came of it, with assertions on pixels, prompts, the ledger,
//!   failures.
//! - [`HookCall`] calls one hook alone, with fields, options, pictures and latents that the test gives.
//! - [`logs`] are the lines that a plugin logged.
//! - [`build`] builds plugins with cargo, or with a C compiler, and says where they are.
//!
//! A plugin is linked into the test, [`TestHostBuilder::linked`], or loaded from its library as a user's
//! host does, [`TestHostBuilder::library`]. Only one plugin can be linked into a program: each exports the
//! same symbols.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics"
)]

pub mod build;
mod drawing;
mod drawn;
mod hook_call;
mod host;
pub mod logs;

pub use atelier_host::fake::{FakePipeline, FakeProvider};
pub use atelier_plugin_abi::{Buffer, Field, Hook};
pub use drawing::Drawing;
pub use drawn::Drawn;
pub use hook_call::{Called, HookCall};
pub use host::{TestHost, TestHostBuilder, Wiring, both_ways, script};
pub use image;
