//! A hook call in two halves, for plugins that are not called directly.
//!
//! The *far* end is where the plugin's code runs: a host that turns everything it is asked into
//! messages. The *near* end is where the run is: it does what the messages ask. What lies between them
//! is somebody else's: bytes in this process ([`super::loopback`]) or a socket to another one.

mod cache;
mod far;
mod message;
mod near;

use atelier_plugin_abi::host::{Elements, Refusal};

pub(super) use cache::Cache;
pub(super) use far::{Far, Link};
pub(super) use message::{Answer, Ask, Data, Place, WireFailure, WireFrame};
#[cfg(all(feature = "worker", target_os = "linux"))]
pub(super) use message::{Lent, Read, Request, WireRefusal};
#[cfg(all(feature = "worker", target_os = "linux"))]
pub(super) use near::lend;
pub(super) use near::{count, put_back, respond};

/// How one end puts elements where the other one reaches them.
pub(super) trait Memory {
    /// Makes elements reachable, for reading and writing.
    ///
    /// # Errors
    /// Where there is no more memory.
    fn put(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal>;

    /// Makes room for elements that the other end will write.
    ///
    /// # Errors
    /// Where there is no more memory.
    fn room(&mut self, len: u64, floats: bool) -> Result<Place, Refusal>;

    /// The elements that came from the other end.
    ///
    /// # Errors
    /// Where they are not what the message says.
    fn look<'a>(&'a self, data: &'a Data) -> Result<Elements<'a>, Refusal>;
}

/// Floats or bytes, whichever they are.
pub(super) fn copied(elements: &Elements<'_>) -> Data {
    match elements {
        Elements::F32(data) => Data::F32(data.to_vec()),
        Elements::F32Mut(data) => Data::F32(data.to_vec()),
        Elements::U8(data) => Data::U8(data.to_vec()),
        Elements::U8Mut(data) => Data::U8(data.to_vec()),
    }
}
