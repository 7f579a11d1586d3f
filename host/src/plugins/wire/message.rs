//! What goes over a wire, as plain data that can be written as bytes.

use atelier_plugin_abi::{
    Value, ValueRef,
    codes::Status,
    frame::Frame,
    host::{CallFailure, Refusal, Words},
};
use serde::{Deserialize, Serialize};

/// A [`Frame`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct WireFrame {
    hook: u32,
    place: [u32; 5],
    sigma: f64,
    cfg_scale: f64,
    reserved: [u64; 4],
}

impl From<&Frame> for WireFrame {
    fn from(frame: &Frame) -> Self {
        Self {
            hook: frame.hook,
            place: [frame.iteration, frame.image, frame.step, frame.total_steps, frame.model_call],
            sigma: frame.sigma,
            cfg_scale: frame.cfg_scale,
            reserved: frame.reserved,
        }
    }
}

impl From<WireFrame> for Frame {
    fn from(wire: WireFrame) -> Self {
        let [iteration, image, step, total_steps, model_call] = wire.place;
        Self {
            hook: wire.hook,
            iteration,
            image,
            step,
            total_steps,
            model_call,
            sigma: wire.sigma,
            cfg_scale: wire.cfg_scale,
            reserved: wire.reserved,
        }
    }
}

/// A [`CallFailure`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct WireFailure {
    status: u32,
    message: String,
    place: String,
}

impl From<CallFailure> for WireFailure {
    fn from(failure: CallFailure) -> Self {
        let Words { message, place } = failure.words;
        Self { status: failure.status.code(), message, place }
    }
}

impl From<WireFailure> for CallFailure {
    fn from(wire: WireFailure) -> Self {
        let status = Status::from_code(wire.status).unwrap_or(Status::Failed);
        Self { status, words: Words { message: wire.message, place: wire.place } }
    }
}

/// A [`Refusal`].
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct WireRefusal {
    status: u32,
    message: String,
}

impl From<Refusal> for WireRefusal {
    fn from(refusal: Refusal) -> Self {
        Self { status: refusal.status.code(), message: refusal.message }
    }
}

impl From<WireRefusal> for Refusal {
    fn from(wire: WireRefusal) -> Self {
        let status = Status::from_code(wire.status).unwrap_or(Status::HostFailed);
        Self { status, message: wire.message }
    }
}

/// A [`Value`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::plugins) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Json(String),
}

impl Scalar {
    pub(in crate::plugins) fn lend(&self) -> ValueRef<'_> {
        match self {
            Self::Null => ValueRef::Null,
            Self::Bool(v) => ValueRef::Bool(*v),
            Self::Int(v) => ValueRef::Int(*v),
            Self::Float(v) => ValueRef::Float(*v),
            Self::Text(v) => ValueRef::Text(v),
            Self::Json(v) => ValueRef::Json(v),
        }
    }
}

impl From<ValueRef<'_>> for Scalar {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(v) => Self::Bool(v),
            ValueRef::Int(v) => Self::Int(v),
            ValueRef::Float(v) => Self::Float(v),
            ValueRef::Text(v) => Self::Text(v.to_owned()),
            ValueRef::Json(v) => Self::Json(v.to_owned()),
        }
    }
}

impl From<Scalar> for Value {
    fn from(value: Scalar) -> Self {
        value.lend().into()
    }
}

/// Elements of a buffer: in the message, or where both sides can reach them.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) enum Data {
    F32(Vec<f32>),
    U8(Vec<u8>),
    Shared(Place),
}

/// A place in memory that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct Place {
    /// Number of the region.
    pub(in crate::plugins) region: u32,
    /// Bytes from its beginning.
    pub(in crate::plugins) offset: u64,
    /// How many elements.
    pub(in crate::plugins) len: u64,
    /// Whether they are floats and not bytes.
    pub(in crate::plugins) floats: bool,
}

/// A [`ServiceRequest`](atelier_plugin_abi::host::ServiceRequest).
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) enum Work {
    EncodeText(String),
    Decode { shape: [usize; 4], data: Data },
    Encode { shape: [usize; 4], data: Data },
    SavePicture { suffix: String, width: usize, height: usize, data: Data },
    Child(String),
}

/// What a plugin asks of its host.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) enum Request {
    Get {
        field: u32,
        index: u64,
    },
    Set {
        field: u32,
        index: u64,
        value: Scalar,
    },
    ReadOption {
        source: u32,
        key: String,
    },
    ReadAllOptions {
        source: u32,
    },
    WriteOption {
        target: u32,
        key: String,
        value: Scalar,
    },
    Buffer {
        buffer: u32,
        index: u64,
        write: bool,
    },
    PutBack(Vec<Lent>),
    Resize {
        buffer: u32,
        op: u32,
        index: u64,
        size: (u64, u64),
    },
    Infotext {
        key: String,
        value: Scalar,
    },
    /// Memory for so many elements, floats or bytes, that go to the host.
    Room {
        len: u64,
        floats: bool,
    },
    Service(Work),
    Cancelled,
    Log {
        level: u32,
        target: String,
        message: String,
    },
}

/// What the host answers.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) enum Answer {
    Done,
    Flag(bool),
    Value(Scalar),
    Text(String),
    Json(String),
    Nothing,
    Buffer {
        /// Which buffer it is, by whatever name it was asked for.
        original: u32,
        shape: [usize; 4],
        rank: usize,
        data: Data,
    },
    Tensor {
        shape: [usize; 4],
        rank: usize,
        data: Data,
    },
    /// Memory for the plugin's own data on its way to the host.
    Room(Place),
}

/// A question, behind the reads that were answered out there since the last one: they count at the
/// moment at which the plugin made them, which is before what it asks for now changes anything.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct Ask {
    pub(in crate::plugins) reads: Vec<Read>,
    pub(in crate::plugins) request: Request,
}

/// A buffer of the host's as the far end has it.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct Lent {
    pub(in crate::plugins) buffer: u32,
    pub(in crate::plugins) index: u64,
    pub(in crate::plugins) shape: [usize; 4],
    pub(in crate::plugins) rank: usize,
    pub(in crate::plugins) data: Data,
    /// Whether it is lent to be changed.
    pub(in crate::plugins) writable: bool,
}

/// Reads of one option.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::plugins) struct Read {
    pub(in crate::plugins) source: u32,
    pub(in crate::plugins) key: String,
    pub(in crate::plugins) times: u64,
}
