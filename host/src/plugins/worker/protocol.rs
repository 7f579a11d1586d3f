//! What a host and its worker tell each other, beside what [`super::super::wire`] has.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::limits::Enforced;
use crate::plugins::{
    isolation::Limits,
    wire::{Answer, Ask, Lent, Read, WireFailure, WireFrame, WireRefusal},
};

/// The first message: what the worker is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Load {
    /// The host's process: a worker that has another parent is an orphan already.
    pub(super) host: u32,
    /// The private copy of the library.
    pub(super) library: PathBuf,
    /// The plugin's own folder.
    pub(super) data: PathBuf,
    /// What the worker may use.
    pub(super) limits: Limits,
    /// Log lines of a higher level are not wanted.
    pub(super) log_level: u32,
}

/// The answer to [`Load`]: what the library says of itself, or why there is none.
pub(super) type Loaded = Result<Told, String>;

/// What a library says of itself once it is loaded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) manifest: String,
    pub(super) declaration: Result<String, WireFailure>,
    pub(super) enforced: Enforced,
}

/// After that, from the host: a conversation begins, whose socket comes with the message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Converse;

/// After that, from the worker: a line of the plugin's log from outside of hooks.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogLine {
    pub(super) level: u32,
    pub(super) target: String,
    pub(super) message: String,
}

/// What a call is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Target {
    /// Makes the plugin.
    Create,
    /// A hook of the plugin.
    Plugin,
    /// Makes this conversation's instance.
    Start,
    /// A hook of the instance.
    Run,
    /// Drops the instance.
    Close,
}

/// In a conversation, from the host. New regions of memory come first, their files with the message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FromHost {
    /// Their sizes in bytes.
    pub(super) regions: Vec<u64>,
    pub(super) what: What,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum What {
    /// With the buffers that the hook asked for the last time.
    Call {
        target: Target,
        frame: WireFrame,
        options: Option<[u64; 2]>,
        lent: Vec<Lent>,
    },
    Answer(Result<Answer, WireRefusal>),
    /// Nothing: it brings regions.
    More,
}

/// In a conversation, from the worker.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromWorker {
    Ask(Ask),
    /// With what was lent to be changed.
    Done {
        outcome: Result<(), WireFailure>,
        reads: Vec<Read>,
        written: Vec<Lent>,
    },
}
