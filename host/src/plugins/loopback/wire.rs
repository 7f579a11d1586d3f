//! What goes over the wire, as plain data that can be written as bytes.

use atelier_plugin_abi::{
    Value, ValueRef,
    codes::Status,
    frame::Frame,
    host::{CallFailure, ServiceRequest, Words},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Writes a message as bytes and reads it back, as the other side would.
pub(super) fn over_the_wire<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let bytes = postcard::to_stdvec(message).unwrap_or_default();
    match postcard::from_bytes(&bytes) {
        Ok(message) => message,
        // The types of this file are plain data: both directions are total.
        Err(error) => unreachable!("a message did not survive the way through bytes: {error}"),
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct WireFrame {
    hook: u32,
    place: [u32; 5],
    sigma: f64,
    cfg_scale: f64,
    reserved: [u64; 4],
}

pub(super) fn frame(frame: &Frame) -> Frame {
    let wire = over_the_wire(&WireFrame {
        hook: frame.hook,
        place: [frame.iteration, frame.image, frame.step, frame.total_steps, frame.model_call],
        sigma: frame.sigma,
        cfg_scale: frame.cfg_scale,
        reserved: frame.reserved,
    });
    let [iteration, image, step, total_steps, model_call] = wire.place;
    Frame {
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

pub(super) fn failure(failure: &CallFailure) -> CallFailure {
    let words = (failure.status.code(), &failure.words.message, &failure.words.place);
    let bytes = postcard::to_stdvec(&words).unwrap_or_default();
    let (status, message, place): (u32, String, String) =
        postcard::from_bytes(&bytes).unwrap_or_default();
    CallFailure {
        status: Status::from_code(status).unwrap_or(Status::Failed),
        words: Words { message, place },
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Json(String),
}

impl Scalar {
    pub(super) fn lend(&self) -> ValueRef<'_> {
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

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Data {
    F32(Vec<f32>),
    U8(Vec<u8>),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Work {
    EncodeText(String),
    Decode { shape: [usize; 4], data: Vec<f32> },
    Encode { shape: [usize; 4], data: Vec<f32> },
    SavePicture { suffix: String, width: usize, height: usize, data: Vec<u8> },
    Child(String),
}

impl From<ServiceRequest<'_>> for Work {
    fn from(request: ServiceRequest<'_>) -> Self {
        match request {
            ServiceRequest::EncodeText(text) => Self::EncodeText(text.to_owned()),
            ServiceRequest::Child(patch) => Self::Child(patch.to_owned()),
            ServiceRequest::Decode { shape, data } => Self::Decode { shape, data: data.to_vec() },
            ServiceRequest::Encode { shape, data } => Self::Encode { shape, data: data.to_vec() },
            ServiceRequest::SavePicture { suffix, width, height, data } => {
                Self::SavePicture { suffix: suffix.to_owned(), width, height, data: data.to_vec() }
            }
        }
    }
}

impl Work {
    pub(super) fn lend(&self) -> ServiceRequest<'_> {
        match self {
            Self::EncodeText(text) => ServiceRequest::EncodeText(text),
            Self::Child(patch) => ServiceRequest::Child(patch),
            Self::Decode { shape, data } => ServiceRequest::Decode { shape: *shape, data },
            Self::Encode { shape, data } => ServiceRequest::Encode { shape: *shape, data },
            Self::SavePicture { suffix, width, height, data } => {
                ServiceRequest::SavePicture { suffix, width: *width, height: *height, data }
            }
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    Get { field: u32, index: u64 },
    Set { field: u32, index: u64, value: Scalar },
    ReadOption { source: u32, key: String },
    ReadAllOptions { source: u32 },
    WriteOption { target: u32, key: String, value: Scalar },
    Buffer { buffer: u32, index: u64, write: bool },
    PutBuffer { buffer: u32, index: u64, data: Data },
    Resize { buffer: u32, op: u32, index: u64, size: (u64, u64) },
    Infotext { key: String, value: Scalar },
    Service(Work),
    Cancelled,
    Log { level: u32, target: String, message: String },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    Done,
    Flag(bool),
    Value(Scalar),
    Text(String),
    Json(String),
    Nothing,
    Buffer { shape: [usize; 4], rank: usize, data: Data },
    Tensor { shape: [usize; 4], rank: usize, data: Vec<f32> },
}
