//! Plugins: found, looked at, loaded, ordered, called.
//!
//! Read in the order of a plugin's life: [`discover`] finds libraries, [`cache`] makes the private
//! copy, [`preflight`] and [`manifest`] look at it without running any of it, [`library`] opens it,
//! [`isolation`] says where it runs, [`declaration`] reads what it adds, [`registry`] keeps it, [`order`] says when it is called, and
//! [`handle`] is how.

pub mod cache;
pub mod crumbs;
pub mod decisions;
pub mod declaration;
pub mod discover;
mod error;
pub mod handle;
mod id;
mod isolation;
pub mod library;
pub mod log;
pub mod loopback;
pub mod manifest;
pub mod order;
mod outside;
pub mod preflight;
pub mod registry;
pub mod trust;
pub mod values;
mod wire;
#[cfg(all(feature = "worker", target_os = "linux"))]
pub mod worker;

pub use declaration::{ArgSpec, Declaration, GivenArgs};
pub use error::LoadError;
pub use handle::{Decorator, PluginHandle, RunHandle};
pub use id::{BadId, PluginId};
pub use isolation::{Isolating, Isolation, Limits, Needs, Workers};
pub use loopback::ThroughBytes;
pub use manifest::Manifest;
pub use order::Order;
pub use registry::{Entry, LiveOptions, Loader, Loading, Plugin, PluginSet, PluginState};
