//! The host's side: a safe trait to implement, and the function table made from it.

mod bridge;
mod instance;

use crate::{
    codes::{Buffer, Field, Level, ListOp, OptionSource, OptionTarget, Status},
    value::{Value, ValueRef},
};

pub use bridge::with_call;
pub use instance::{CallFailure, HostLog, LoadedPlugin, LoadedRun, Module, leak_host};

/// Why the host does not do what a hook asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// What kind of refusal, for programs.
    pub status: Status,
    /// What was wrong and what to do, for people.
    pub message: String,
}

impl Refusal {
    /// A refusal with its words.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Elements of a buffer.
#[derive(Debug)]
pub enum Elements<'a> {
    /// Floats to look at.
    F32(&'a [f32]),
    /// Floats to change.
    F32Mut(&'a mut [f32]),
    /// Bytes to look at.
    U8(&'a [u8]),
    /// Bytes to change.
    U8Mut(&'a mut [u8]),
}

/// A buffer with its sizes, outermost first, at most four of them.
#[derive(Debug)]
pub struct BufferView<'a> {
    /// Sizes; their product is the number of elements.
    pub shape: [usize; 4],
    /// How many entries of `shape` count; the others are 1.
    pub rank: usize,
    /// The elements.
    pub elements: Elements<'a>,
}

/// Work asked of the host, with its input.
#[derive(Debug)]
pub enum ServiceRequest<'a> {
    /// Text to conditioning.
    EncodeText(&'a str),
    /// Latents to pixels.
    Decode {
        /// `[n, channels, height, width]`.
        shape: [usize; 4],
        /// The latents.
        data: &'a [f32],
    },
    /// Pixels to latents.
    Encode {
        /// `[n, 3, height, width]`.
        shape: [usize; 4],
        /// The pixels, 0 to 1.
        data: &'a [f32],
    },
    /// Save a picture. Answers its path, or nothing where the request wants nothing saved.
    SavePicture {
        /// What to put behind the file's name.
        suffix: &'a str,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// RGB bytes, row by row.
        data: &'a [u8],
    },
    /// Make a child run: what differs from this run's request, as a JSON object.
    Child(&'a str),
}

/// The answer to a [`ServiceRequest`].
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceReply {
    /// Floats: shape, rank, elements.
    Tensor {
        /// Sizes, outermost first, 1 behind `rank`.
        shape: [usize; 4],
        /// How many sizes count.
        rank: usize,
        /// The elements.
        data: Vec<f32>,
    },
    /// A path or other text.
    Text(String),
    /// JSON.
    Json(String),
    /// Nothing: it was not to be done.
    Nothing,
}

/// What the host does for one call of a hook. The host implements it per stage of a run; a plugin
/// reaches it through the call's table.
pub trait HookHost {
    /// Reads a field; `index` counts for lists, [`crate::codes::COUNT`] reads their length.
    ///
    /// # Errors
    /// Where this stage has no such field or element.
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal>;

    /// Writes a field. It counts only when the hook succeeds.
    ///
    /// # Errors
    /// Where this stage has no such field, does not let it be written, or the value is no good.
    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal>;

    /// Reads an option.
    ///
    /// # Errors
    /// Unknown keys, and snapshot reads where there is no snapshot.
    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal>;

    /// Reads all options as one JSON object.
    ///
    /// # Errors
    /// Snapshot reads where there is no snapshot.
    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal>;

    /// Writes an option.
    ///
    /// # Errors
    /// Unknown keys, values that do not cast, targets that this stage does not have.
    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal>;

    /// Lends a buffer. One lent for writing is put back as it was if the hook fails.
    ///
    /// # Errors
    /// Where this stage has no such buffer, or lets it be read only.
    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal>;

    /// The buffer that this one is another name for at this stage; itself where it is none.
    fn original(&self, buffer: Buffer) -> Buffer {
        buffer
    }

    /// Changes a list of buffers.
    ///
    /// # Errors
    /// Where this stage has no such list or element.
    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal>;

    /// Adds a key and value to the infotext of the run's pictures.
    ///
    /// # Errors
    /// Where this stage has no infotext any more.
    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal>;

    /// Works for the hook.
    ///
    /// # Errors
    /// Where this stage has no such service, or the work fails.
    fn service(&mut self, request: ServiceRequest<'_>) -> Result<ServiceReply, Refusal>;

    /// Changes whenever a live option may have changed for this run, so that live values may be kept
    /// for as long as it stays the same; none where nobody knows.
    fn options_version(&mut self) -> Option<[u64; 2]> {
        None
    }

    /// Whether the run was cancelled.
    fn cancelled(&mut self) -> bool;

    /// Writes a log line of the plugin.
    fn log(&mut self, level: Level, target: &str, message: &str);
}

/// What a plugin said about its own failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Message.
    pub message: String,
    /// File and line, or empty.
    pub place: String,
}
