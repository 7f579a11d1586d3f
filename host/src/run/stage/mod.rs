//! What a hook may see and change, laid out by the run before it calls the hook.
//!
//! A run lends fields, tensors, conditioning and pictures to a [`Stage`], each for reading or for
//! writing. What a hook writes counts when the hook succeeds: fields are drafts until then, a buffer
//! is copied before it is first lent for writing and put back if the hook fails.

mod bytes;
mod fields;
mod memory;
mod pictures;
mod tensors;

use atelier_plugin_abi::{
    Buffer, Field, Value, ValueRef,
    codes::{ListOp, Status},
    host::{BufferView, Refusal},
};

use bytes::Bytes;
use fields::Fields;
pub use fields::Slot;
pub use pictures::PictureAccess;
use pictures::Pictures;
use tensors::Tensors;

use super::pipeline::Conditioning;

/// The data of one hook call.
#[derive(Debug, Default)]
pub struct Stage<'a> {
    fields: Fields<'a>,
    tensors: Tensors<'a>,
    bytes: Bytes<'a>,
    pictures: Option<Pictures<'a>>,
}

pub(super) fn not_here(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Status::NotHere, format!("there is no {what} at this hook"))
}

pub(super) fn read_only(what: impl std::fmt::Display) -> Refusal {
    Refusal::new(Status::ReadOnly, format!("{what} can only be read at this hook"))
}

pub(super) fn bad(message: impl Into<String>) -> Refusal {
    Refusal::new(Status::BadValue, message)
}

impl<'a> Stage<'a> {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lends a field.
    #[must_use]
    pub fn field(mut self, field: Field, slot: Slot<'a>) -> Self {
        self.fields.lend(field, slot);
        self
    }

    /// Lends a tensor to change, `[n, channels, height, width]`.
    #[must_use]
    pub fn tensor(mut self, buffer: Buffer, shape: [usize; 4], data: &'a mut [f32]) -> Self {
        self.tensors.lend(buffer, shape, data);
        self
    }

    /// Lends a tensor to look at.
    #[must_use]
    pub fn view(mut self, buffer: Buffer, shape: [usize; 4], data: &'a [f32]) -> Self {
        self.tensors.show(buffer, shape, data);
        self
    }

    /// Lends a tensor under a second name.
    #[must_use]
    pub fn alias(mut self, name: Buffer, of: Buffer) -> Self {
        self.tensors.alias(name, of);
        self
    }

    /// Lends conditioning to change and to replace.
    #[must_use]
    pub fn conditioning(mut self, buffer: Buffer, conditioning: &'a mut Conditioning) -> Self {
        self.tensors.lend_conditioning(buffer, conditioning);
        self
    }

    /// Lends bytes to change, `[height, width, channels]`.
    #[must_use]
    pub fn bytes(mut self, buffer: Buffer, shape: [usize; 3], data: &'a mut [u8]) -> Self {
        self.bytes.lend(buffer, shape, data);
        self
    }

    /// Lends bytes to look at, `[height, width, channels]`.
    #[must_use]
    pub fn show_bytes(mut self, buffer: Buffer, shape: [usize; 3], data: &'a [u8]) -> Self {
        self.bytes.show(buffer, shape, data);
        self
    }

    /// Lends pictures.
    #[must_use]
    pub fn pictures(
        mut self,
        pictures: &'a mut Vec<image::RgbImage>,
        access: PictureAccess,
    ) -> Self {
        self.pictures = Some(Pictures::new(pictures, access));
        self
    }

    pub(super) fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        if let Some(answer) = self.fields.get(field, index) {
            return answer;
        }
        if let (Field::PictureCount, Some(pictures)) = (field, &self.pictures) {
            return Ok(Value::Int(pictures.len() as i64));
        }
        Err(not_here(field))
    }

    pub(super) fn set(
        &mut self,
        field: Field,
        index: u64,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        self.fields.set(field, index, value)
    }

    pub(super) fn original(&self, buffer: Buffer) -> Buffer {
        self.tensors.original(buffer)
    }

    pub(super) fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        match (buffer, &mut self.pictures) {
            (Buffer::Image, Some(pictures)) => pictures.view(index, write),
            _ if self.bytes.has(buffer) => self.bytes.view(buffer, index, write),
            _ => self.tensors.view(buffer, write),
        }
    }

    pub(super) fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        match (buffer, &mut self.pictures) {
            (Buffer::Image, Some(pictures)) => {
                pictures.resize(op, index, size)?;
                self.fields.resize_lists(op, index);
                Ok(())
            }
            (Buffer::Cond | Buffer::Uncond, _) if op == ListOp::Replace => {
                self.tensors.replace_conditioning(buffer, size.0)
            }
            _ => Err(not_here(format!("{op} of {buffer}"))),
        }
    }

    /// Keeps what the hook did, unless it left something that cannot be kept.
    ///
    /// # Errors
    /// A sentence that says what cannot be kept; everything is as before then.
    pub(super) fn commit(&mut self) -> Result<(), String> {
        if let Some(complaint) = self.tensors.complaint() {
            self.roll_back();
            return Err(complaint);
        }
        self.fields.commit();
        self.tensors.commit();
        self.bytes.commit();
        if let Some(pictures) = &mut self.pictures {
            pictures.commit();
        }
        Ok(())
    }

    /// Puts everything back as it was before the hook.
    pub(super) fn roll_back(&mut self) {
        self.fields.roll_back();
        self.tensors.roll_back();
        self.bytes.roll_back();
        if let Some(pictures) = &mut self.pictures {
            pictures.roll_back();
        }
    }
}
