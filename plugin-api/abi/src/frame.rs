//! Plain data that crosses the boundary. Frozen: none of these structs ever changes.

use abi_stable::StableAbi;

use crate::{
    codes::{Element, ValueKind},
    tables::{ContextTable, ContextTableRef},
    value::ValueRef,
};

/// Something only its owner knows the inside of.
#[repr(C)]
#[derive(Debug, StableAbi)]
pub struct Opaque {
    private: [u8; 0],
}

/// UTF-8 text that belongs to the caller of the moment; not NUL-terminated.
///
/// Text handed to a plugin lives until its hook returns; text handed to the host until the host's
/// function returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Str {
    /// First byte; may be anything where `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

impl Str {
    /// Lends `text`.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr(), len: text.len() }
    }

    /// The text, with what is not UTF-8 replaced.
    ///
    /// # Safety
    /// `ptr` must be readable for `len` bytes for the whole of `'a`, or `len` be 0.
    pub unsafe fn get<'a>(self) -> std::borrow::Cow<'a, str> {
        if self.len == 0 || self.ptr.is_null() {
            return std::borrow::Cow::Borrowed("");
        }
        // SAFETY: the caller's promise.
        let bytes = unsafe { std::slice::from_raw_parts(self.ptr, self.len) };
        // Nearly every text is good, and to see that costs less than to look for what to replace.
        std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Into::into)
    }
}

/// A value. `kind` says which of the other fields counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct RawValue {
    /// [`ValueKind`] code.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// bool (0 or 1), int (two's complement) or float (IEEE 754 bits).
    pub bits: u64,
    /// Text and JSON.
    pub text: Str,
}

impl RawValue {
    /// No value.
    pub const NULL: Self = Self { kind: 0, reserved: 0, bits: 0, text: Str::new("") };

    /// Lends a value.
    #[must_use]
    pub fn new(value: ValueRef<'_>) -> Self {
        let raw = |kind: ValueKind, bits, text| Self {
            kind: kind.code(),
            bits,
            text: Str::new(text),
            ..Self::NULL
        };
        match value {
            ValueRef::Null => Self::NULL,
            ValueRef::Bool(v) => raw(ValueKind::Bool, u64::from(v), ""),
            ValueRef::Int(v) => raw(ValueKind::Int, v.cast_unsigned(), ""),
            ValueRef::Float(v) => raw(ValueKind::Float, v.to_bits(), ""),
            ValueRef::Text(v) => raw(ValueKind::Text, 0, v),
            ValueRef::Json(v) => raw(ValueKind::Json, 0, v),
        }
    }

    /// The value, or `None` where the kind is unknown or the text is not UTF-8.
    ///
    /// # Safety
    /// As for [`Str::get`], where `kind` is text or JSON.
    #[must_use]
    pub unsafe fn get<'a>(&self) -> Option<ValueRef<'a>> {
        let text = || {
            if self.text.len == 0 || self.text.ptr.is_null() {
                return Some("");
            }
            // SAFETY: the caller's promise.
            let bytes = unsafe { std::slice::from_raw_parts(self.text.ptr, self.text.len) };
            std::str::from_utf8(bytes).ok()
        };
        Some(match ValueKind::from_code(self.kind)? {
            ValueKind::Null => ValueRef::Null,
            ValueKind::Bool => ValueRef::Bool(self.bits != 0),
            ValueKind::Int => ValueRef::Int(self.bits.cast_signed()),
            ValueKind::Float => ValueRef::Float(f64::from_bits(self.bits)),
            ValueKind::Text => ValueRef::Text(text()?),
            ValueKind::Json => ValueRef::Json(text()?),
        })
    }
}

/// The most dimensions of a [`RawBuffer`]. What 1.0 lends has four at most; a video would have five.
pub const MAX_RANK: usize = 6;

/// A view of memory, contiguous, last dimension fastest. It lives until the hook returns.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct RawBuffer {
    /// First element; aligned for its type.
    pub data: *mut Opaque,
    /// [`Element`] code.
    pub element: u32,
    /// How many entries of `shape` count.
    pub rank: u32,
    /// Sizes, outermost first; 1 behind `rank`.
    pub shape: [u64; MAX_RANK],
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 2],
}

impl RawBuffer {
    /// Nothing.
    pub const EMPTY: Self = Self {
        data: std::ptr::null_mut(),
        element: Element::U8.code(),
        rank: 0,
        shape: [1; MAX_RANK],
        reserved: [0; 2],
    };

    /// Describes memory of the given sizes, of which the first [`MAX_RANK`] count.
    #[must_use]
    pub fn new(data: *mut Opaque, element: Element, sizes: &[usize]) -> Self {
        let mut shape = [1; MAX_RANK];
        for (to, from) in shape.iter_mut().zip(sizes) {
            *to = *from as u64;
        }
        let rank = sizes.len().min(MAX_RANK) as u32;
        Self { data, element: element.code(), rank, shape, ..Self::EMPTY }
    }

    /// Number of elements, or `None` where the product leaves `usize` or there are more dimensions
    /// than a shape holds.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        if self.rank == 0 {
            return Some(0);
        }
        if self.rank as usize > MAX_RANK {
            return None;
        }
        self.shape
            .iter()
            .take(self.rank as usize)
            .try_fold(1_usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))
    }

    /// Whether there is no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// Where in a run a hook is called. Plain data, copied freely.
///
/// What a stage has no use for is 0.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, StableAbi)]
pub struct Frame {
    /// [`crate::Hook`] code.
    pub hook: u32,
    /// Iteration of the run, from 0 (A1111's `batch_number`).
    pub iteration: u32,
    /// Picture within the run, from 0.
    pub image: u32,
    /// Sampler step, from 0.
    pub step: u32,
    /// Sampler steps in all.
    pub total_steps: u32,
    /// Call of the model within the step, from 0 (some samplers need two).
    pub model_call: u32,
    /// Noise level of the step.
    pub sigma: f64,
    /// Guidance scale of the run.
    pub cfg_scale: f64,
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 4],
}

impl Frame {
    /// A frame of a hook outside sampling.
    #[must_use]
    pub const fn new(hook: crate::Hook) -> Self {
        Self {
            hook: hook.code(),
            iteration: 0,
            image: 0,
            step: 0,
            total_steps: 0,
            model_call: 0,
            sigma: 0.0,
            cfg_scale: 0.0,
            reserved: [0; 4],
        }
    }
}

/// One call of a hook: where it is, and the host it may talk to. Lives until the hook returns.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
// The table is plain memory behind a pointer; its layout is compared nonetheless.
#[sabi(phantom_type_param = ContextTableRef)]
pub struct Call {
    /// Plain data about the place in the run.
    pub frame: *const Frame,
    /// The host's side of the call; passed back with every function of `table`.
    pub context: *mut Opaque,
    /// The functions.
    #[sabi(unsafe_opaque_field)]
    pub table: *const ContextTable,
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 2],
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("frame", &self.frame).finish_non_exhaustive()
    }
}
