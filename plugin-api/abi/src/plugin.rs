//! The plugin's side: safe contexts over a [`Call`](crate::frame::Call), the panic guard, and the
//! exported functions.
//!
//! All of this is compiled into the plugin's own image. That is what makes the guard work: only the
//! image that started an unwinding can catch it.

mod cx;
mod export;
mod guard;

pub use cx::{Buffers, HookCx, Shape, View, ViewMut, host_log, host_log_enabled};
pub use export::{Entry, Exports, PluginObject, RunObject};
pub use guard::Failure;
