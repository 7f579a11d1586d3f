//! The boundary between Atelier and its plugins: every type that crosses it, and nothing else.
//!
//! Version 1.x of this package is one ABI for ever. A minor version may append functions to a
//! table, add codes to [`codes`] and nothing more; a struct that is passed by value or by plain
//! pointer never changes. `docs/abi.md` in the repository says what may change where.
//!
//! Authors do not use this package: they depend on `atelier-plugin-api`, which wraps it. The two
//! sides of the boundary lie beside each other here so that all unsafe code of the boundary can be
//! read in one place:
//!
//! - [`plugin`]: what runs inside a plugin's own image (contexts, panic guard, export);
//! - [`host`]: what the host implements ([`host::HookHost`]) and the function tables made from it;
//! - [`frame`], [`tables`], [`codes`], [`value`], [`manifest`]: the data both sides agree on.
//!
//! One call looks like this. The host fills a [`frame::Frame`] (plain data: which hook, which step),
//! puts its [`host::HookHost`] behind an opaque pointer and calls one function of the plugin's
//! [`tables::PluginModule`] with a [`frame::Call`]. The plugin asks for everything else through the
//! [`tables::ContextTable`] of that call: fields by code, options by key, buffers by code. It
//! returns a status; the words that belong to a failure went through `ContextTable::fail` before.

/// The boundary as a C header: `atelier_plugin.h`.
pub const C_HEADER: &str = include_str!("../include/atelier_plugin.h");

pub mod codes;
pub mod frame;
pub mod host;
pub mod manifest;
pub mod plugin;
pub mod tables;
pub mod value;
pub mod version;

pub use codes::{Buffer, Field, Hook, Level};
pub use value::{Value, ValueRef};

// For the export code that `#[plugin]` writes into a plugin's crate; not for people.
#[doc(hidden)]
pub use abi_stable;
