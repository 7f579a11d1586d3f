//! Options: what they are, what they are worth now, and what they were worth for a run.
//!
//! Read in this order: a [`Value`] has a type, an [`OptionSpec`] says which values an option takes,
//! a [`Schema`] numbers the specs, an [`OptionSet`] is one immutable state of all of them. The
//! [`Store`] swaps one such state for the next while everybody reads. A run puts its overrides
//! into a [`Layer`] and takes a [`Snapshot`], the layer over a state, which never changes again
//! and has a [`Digest`]. A [`ConfigFile`] keeps what was set on purpose.

pub mod a1111;
pub mod cast;
mod change;
mod config_file;
mod digest;
mod error;
mod layer;
mod listen;
mod rules;
mod schema;
mod set;
mod slots;
mod snapshot;
mod spec;
mod store;
mod value;
mod writer;

pub use change::Change;
pub use config_file::{ConfigFile, ConfigReport, Loaded, Migration, SetAside};
pub use digest::{Digest, ParseDigestError};
pub use error::{ConfigError, Refusal, SchemaError, SetError, ValueError};
pub use layer::{Layer, Override};
pub use listen::{ListenerId, Watch};
pub use rules::Rules;
pub use schema::{OptionId, Schema};
pub use set::OptionSet;
pub use snapshot::Snapshot;
pub use spec::{Kind, OptionSpec, Owner, Section};
pub use store::{Registration, State, StateReader, Store};
pub use value::{Composite, Value};
pub use writer::Writer;
