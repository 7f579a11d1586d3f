//! Plugins in processes of their own.
//!
//! A *worker* is this program once more, with one plugin's library in it. The host calls its hooks
//! through a socket, by the messages of `wire`; pictures and latents lie in memory that both
//! have. Whatever the plugin does to its process, the host sees a hook that failed.
//!
//! Read in this order: [`Workers`](super::Workers) says how they are started; `plugin` is the handle that
//! the rest of the host calls; `process` starts, calls and ends one; `serve` is what runs inside of it,
//! held to its `limits`; `protocol`, `channel` and `memory` are what goes between the two.

mod channel;
mod limits;
mod memory;
mod plugin;
mod process;
mod protocol;
mod serve;

pub use limits::Enforced;
pub use plugin::WorkerPlugin;
pub(super) use plugin::{Opened, Subject};
pub use serve::main;
