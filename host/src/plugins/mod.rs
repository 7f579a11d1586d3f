//! Plugins: found, looked at, loaded, ordered, called.
//!
//! Read in the order of a plugin's life: [`discover`] finds libraries, [`cache`] makes the private
//! copy, [`preflight`] and [`manifest`] look at it without running any of it, [`trust`] says whether it
//! may run and `isolation` where, [`library`] opens it, [`declaration`] reads what it adds, `set`
//! keeps it, [`order`] says when it is called, and [`handle`] is how. `loader` leads through all that.

pub mod cache;
pub mod crumbs;
pub mod decisions;
pub mod declaration;
pub mod discover;
pub mod entry;
mod error;
pub mod handle;
mod id;
#[cfg(feature = "install")]
pub mod install;
mod isolating;
mod isolation;
pub mod library;
mod loader;
pub mod lock;
pub mod log;
pub mod loopback;
pub mod manifest;
mod opened;
pub mod order;
mod outside;
pub mod preflight;
mod set;
pub mod trust;
pub mod values;
mod wire;
#[cfg(all(feature = "worker", target_os = "linux"))]
pub mod worker;

pub use declaration::{ArgSpec, Declaration, GivenArgs};
pub use entry::{Entry, Loading, PluginState};
pub use error::LoadError;
pub use handle::{Decorator, PluginHandle, RunHandle};
pub use id::{BadId, PluginId};
pub use isolating::{Isolating, Workers};
pub use isolation::{Isolation, Limits, Needs};
pub use loader::{Loader, disabled};

pub use loopback::ThroughBytes;
pub use manifest::Manifest;
pub use order::Order;
pub use set::{LiveOptions, Plugin, PluginSet};
