//! What a plugin sees of a call.

use std::{marker::PhantomData, sync::OnceLock};

use crate::{
    codes::{Buffer, Element, Field, Level, ListOp, OptionSource, OptionTarget, Service, Status},
    frame::{Call, Frame, MAX_RANK, RawBuffer, RawValue, Str},
    host::{Refusal, ServiceReply, ServiceRequest},
    tables::{ContextTable, Host, HostTable, function},
    value::ValueRef,
    version::AbiVersion,
};

/// Calls a function of the call's table; where an older host does not have it, it is not here.
macro_rules! ask {
    ($self:ident, $name:ident($($arg:expr),*)) => {
        match function!($self.call.table, ContextTable, $name) {
            Some(function) => function($self.call.context, $($arg),*),
            None => Status::NotHere.code(),
        }
    };
}

/// Keeps a type on the thread of its call.
type NotSend = PhantomData<*const ()>;

/// The part of a call that may be copied: fields, options, log. Lives as long as the hook runs.
#[derive(Clone, Copy, Debug)]
pub struct HookCx<'a> {
    call: &'a Call,
    not_send: NotSend,
}

impl<'a> HookCx<'a> {
    pub(super) fn new(call: &'a Call) -> Self {
        Self { call, not_send: PhantomData }
    }

    /// Where in the run the hook is called.
    #[must_use]
    pub fn frame(self) -> Frame {
        // SAFETY: the host keeps the frame until the hook returns.
        unsafe { *self.call.frame }
    }

    /// The host's version of the ABI.
    #[must_use]
    pub fn host_abi(self) -> AbiVersion {
        let table = self.call.table;
        // SAFETY: the host keeps the table until the hook returns; its head is in every version.
        unsafe { AbiVersion { major: (*table).abi_major, minor: (*table).abi_minor } }
    }

    fn check(self, status: u32) -> Result<(), Refusal> {
        let status = Status::from_code(status).unwrap_or(Status::HostFailed);
        if status == Status::Ok {
            return Ok(());
        }
        let mut out = RawValue::NULL;
        // SAFETY: the context and table belong to this call; `out` is ours. Texts of the host live
        // until the hook returns, which is as long as `'a`.
        let message = unsafe {
            ask!(self, message(&raw mut out));
            out.get()
        };
        let message = match message {
            Some(ValueRef::Text(text)) => text.to_owned(),
            _ => format!("the host, of ABI {}, answered “{status}”", self.host_abi()),
        };
        Err(Refusal { status, message })
    }

    fn value(self, status: u32, out: RawValue) -> Result<ValueRef<'a>, Refusal> {
        self.check(status)?;
        // SAFETY: a text of the host lives until the hook returns, which is as long as `'a`.
        unsafe { out.get() }
            .ok_or_else(|| Refusal::new(Status::WrongType, "the host sent a value of unknown kind"))
    }

    /// Reads a field of the run.
    ///
    /// # Errors
    /// Where this stage has no such field or element.
    pub fn get(self, field: Field, index: u64) -> Result<ValueRef<'a>, Refusal> {
        let mut out = RawValue::NULL;
        // SAFETY: the context and table belong to this call; `out` is ours.
        let status = unsafe { ask!(self, get(field.code(), index, &raw mut out)) };
        self.value(status, out)
    }

    /// Writes a field of the run.
    ///
    /// # Errors
    /// Where this stage does not allow it, or the value is no good.
    pub fn set(self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        let value = RawValue::new(value);
        // SAFETY: the context and table belong to this call; the value lives for the call.
        let status = unsafe { ask!(self, set(field.code(), index, &raw const value)) };
        self.check(status)
    }

    /// Reads an option.
    ///
    /// # Errors
    /// Unknown keys, and snapshot reads where there is no snapshot.
    pub fn read_option(self, source: OptionSource, key: &str) -> Result<ValueRef<'a>, Refusal> {
        let mut out = RawValue::NULL;
        // SAFETY: the context and table belong to this call; `out` is ours.
        let status = unsafe { ask!(self, read_option(source.code(), Str::new(key), &raw mut out)) };
        self.value(status, out)
    }

    /// Reads all options as one JSON object.
    ///
    /// # Errors
    /// Snapshot reads where there is no snapshot.
    pub fn read_all_options(self, source: OptionSource) -> Result<ValueRef<'a>, Refusal> {
        let mut out = RawValue::NULL;
        // SAFETY: the context and table belong to this call; `out` is ours.
        let status = unsafe { ask!(self, read_all_options(source.code(), &raw mut out)) };
        self.value(status, out)
    }

    /// Writes an option.
    ///
    /// # Errors
    /// Unknown keys, values that do not cast, targets that this stage does not have.
    pub fn write_option(
        self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let value = RawValue::new(value);
        // SAFETY: the context and table belong to this call; key and value live for the call.
        let status =
            unsafe { ask!(self, write_option(target.code(), Str::new(key), &raw const value)) };
        self.check(status)
    }

    /// Adds a key and value to the infotext of the run's pictures.
    ///
    /// # Errors
    /// Where this stage has no infotext any more.
    pub fn infotext(self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        let value = RawValue::new(value);
        // SAFETY: the context and table belong to this call; key and value live for the call.
        let status = unsafe { ask!(self, infotext(Str::new(key), &raw const value)) };
        self.check(status)
    }

    /// Whether the run was cancelled.
    #[must_use]
    pub fn cancelled(self) -> bool {
        // SAFETY: the context and table belong to this call.
        unsafe { ask!(self, cancelled()) == 1 }
    }

    /// Writes a log line.
    pub fn log(self, level: Level, target: &str, message: &str) {
        // SAFETY: the context and table belong to this call; the texts live for the call.
        unsafe {
            ask!(self, log(level.code(), Str::new(target), Str::new(message)));
        }
    }

    pub(super) fn fail(self, message: &str, place: &str) {
        // SAFETY: the context and table belong to this call; the texts live for the call.
        unsafe {
            ask!(self, fail(Str::new(message), Str::new(place)));
        }
    }

    /// Lets the host work.
    ///
    /// # Errors
    /// Where this stage has no such service, or the work fails.
    pub fn service(self, request: &ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        let tensor = |shape: &[usize], data: &[f32]| {
            RawBuffer::new(data.as_ptr().cast_mut().cast(), Element::F32, shape)
        };
        let fits = |shape: &[usize], len: usize| {
            let product = shape.iter().try_fold(1_usize, |all, &size| all.checked_mul(size));
            if product == Some(len) {
                return Ok(());
            }
            let message = format!("{len} elements do not fill the shape {shape:?}");
            Err(Refusal::new(Status::BadValue, message))
        };
        let (code, text, input) = match *request {
            ServiceRequest::EncodeText(text) => (Service::EncodeText, text, RawBuffer::EMPTY),
            ServiceRequest::Child(patch) => (Service::Child, patch, RawBuffer::EMPTY),
            ServiceRequest::Decode { shape, data } => {
                fits(&shape, data.len())?;
                (Service::Decode, "", tensor(&shape, data))
            }
            ServiceRequest::Encode { shape, data } => {
                fits(&shape, data.len())?;
                (Service::Encode, "", tensor(&shape, data))
            }
            ServiceRequest::SavePicture { suffix, width, height, data } => {
                fits(&[height, width, 3], data.len())?;
                let picture = data.as_ptr().cast_mut().cast();
                let picture = RawBuffer::new(picture, Element::U8, &[height, width, 3]);
                (Service::SavePicture, suffix, picture)
            }
        };
        let (mut out, mut out_text) = (RawBuffer::EMPTY, RawValue::NULL);
        // SAFETY: the context and table belong to this call; `input` describes memory that lives for
        // the call and has the length its shape says, as checked above; the outs are ours.
        let status = unsafe {
            ask!(
                self,
                service(
                    code.code(),
                    Str::new(text),
                    &raw const input,
                    &raw mut out,
                    &raw mut out_text
                )
            )
        };
        match self.value(status, out_text)? {
            ValueRef::Text(text) => return Ok(ServiceReply::Text(text.to_owned())),
            ValueRef::Json(json) => return Ok(ServiceReply::Json(json.to_owned())),
            _ => {}
        }
        if out.data.is_null() {
            return Ok(ServiceReply::Nothing);
        }
        let view = typed::<f32>(&out)?;
        let mut shape = [1; 4];
        for (to, from) in shape.iter_mut().zip(view.0.sizes()) {
            *to = *from;
        }
        Ok(ServiceReply::Tensor {
            shape,
            rank: view.0.rank,
            // SAFETY: `typed` checked the element type; the host's memory lives until the hook
            // returns.
            data: unsafe { slice(&out, view.1) }.to_vec(),
        })
    }
}

/// Sizes of a view, outermost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    sizes: [usize; MAX_RANK],
    rank: usize,
}

impl Shape {
    /// The sizes that count.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes[..self.rank]
    }
}

/// Memory of the host to look at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a, T> {
    /// Sizes, outermost first.
    pub shape: Shape,
    /// The elements.
    pub data: &'a [T],
}

/// Memory of the host to change.
#[derive(Debug)]
pub struct ViewMut<'a, T> {
    /// Sizes, outermost first.
    pub shape: Shape,
    /// The elements.
    pub data: &'a mut [T],
}

/// An element type of a buffer.
pub trait Scalar: Copy + sealed::Sealed + 'static {
    /// Its code.
    const ELEMENT: Element;
}
mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for u8 {}
}
impl Scalar for f32 {
    const ELEMENT: Element = Element::F32;
}
impl Scalar for u8 {
    const ELEMENT: Element = Element::U8;
}

fn typed<T: Scalar>(raw: &RawBuffer) -> Result<(Shape, usize), Refusal> {
    let found = Element::from_code(raw.element);
    let len = raw.len();
    match (found, len, raw.rank) {
        // A length says that the rank is one that a shape holds.
        (Some(element), Some(len), rank) if element == T::ELEMENT => {
            let sizes = raw.shape.map(|size| size as usize);
            Ok((Shape { sizes, rank: rank as usize }, len))
        }
        _ => Err(Refusal::new(Status::WrongType, "the host lent a buffer of another type")),
    }
}

/// # Safety
/// `raw` must describe `len` elements of `T` that live for `'a` and nobody changes.
unsafe fn slice<'a, T>(raw: &RawBuffer, len: usize) -> &'a [T] {
    if len == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { std::slice::from_raw_parts(raw.data.cast(), len) }
}

/// The part of a call that must not be copied: memory of the host. There is one per call, so the
/// borrow checker keeps readers and writers apart.
#[derive(Debug)]
pub struct Buffers<'a> {
    call: &'a Call,
    not_send: NotSend,
}

impl<'a> Buffers<'a> {
    /// # Safety
    /// There must be one `Buffers` at a time for a call.
    pub(super) unsafe fn new(call: &'a Call) -> Self {
        Self { call, not_send: PhantomData }
    }

    fn raw(&self, buffer: Buffer, index: u64, write: bool) -> Result<RawBuffer, Refusal> {
        let mut out = RawBuffer::EMPTY;
        // SAFETY: the context and table belong to this call; `out` is ours.
        let status =
            unsafe { ask!(self, buffer(buffer.code(), index, u32::from(write), &raw mut out)) };
        HookCx::new(self.call).check(status)?;
        Ok(out)
    }

    /// Lends a buffer to look at.
    ///
    /// # Errors
    /// Where this stage has no such buffer.
    pub fn view<T: Scalar>(&self, buffer: Buffer, index: u64) -> Result<View<'_, T>, Refusal> {
        let raw = self.raw(buffer, index, false)?;
        let (shape, len) = typed::<T>(&raw)?;
        // SAFETY: the host lends this memory until the hook returns, and only changes or moves it in
        // answer to `view_mut` and `resize`, which need `&mut self`.
        Ok(View { shape, data: unsafe { slice(&raw, len) } })
    }

    /// Lends a buffer to change. The host puts it back if the hook fails.
    ///
    /// # Errors
    /// Where this stage has no such buffer, or lets it be read only.
    pub fn view_mut<T: Scalar>(
        &mut self,
        buffer: Buffer,
        index: u64,
    ) -> Result<ViewMut<'_, T>, Refusal> {
        let raw = self.raw(buffer, index, true)?;
        let (shape, len) = typed::<T>(&raw)?;
        let data: &mut [T] = if len == 0 {
            &mut []
        } else {
            // SAFETY: as in `view`; `&mut self` makes this the only view of any buffer.
            unsafe { std::slice::from_raw_parts_mut(raw.data.cast(), len) }
        };
        Ok(ViewMut { shape, data })
    }

    /// Lends several buffers of floats to look at and one to change, at the same time.
    ///
    /// # Errors
    /// Where this stage has no such buffer, or two of them are the same memory.
    pub fn split<const N: usize>(
        &mut self,
        shown: [Buffer; N],
        lent: Buffer,
    ) -> Result<([View<'_, f32>; N], ViewMut<'_, f32>), Refusal> {
        let write = self.raw(lent, 0, true)?;
        let (shape, len) = typed::<f32>(&write)?;
        let bytes = |raw: &RawBuffer, len: usize| {
            let start = raw.data.addr();
            start..start + len * size_of::<f32>()
        };
        let written = bytes(&write, len);
        let mut views = [View { shape: Shape { sizes: [0; MAX_RANK], rank: 0 }, data: &[][..] }; N];
        for (view, buffer) in views.iter_mut().zip(shown) {
            let raw = self.raw(buffer, 0, false)?;
            let (shape, len) = typed::<f32>(&raw)?;
            let read = bytes(&raw, len);
            if read.start < written.end && written.start < read.end {
                let message = format!("{buffer} and {lent} are the same memory at this hook");
                return Err(Refusal::new(Status::NotHere, message));
            }
            // SAFETY: as in `view`, and no byte of it is in the one buffer that is written.
            *view = View { shape, data: unsafe { slice(&raw, len) } };
        }
        let data: &mut [f32] = if len == 0 {
            &mut []
        } else {
            // SAFETY: as in `view_mut`; the views beside it were checked to lie elsewhere.
            unsafe { std::slice::from_raw_parts_mut(write.data.cast(), len) }
        };
        Ok((views, ViewMut { shape, data }))
    }

    /// Changes a list of buffers.
    ///
    /// # Errors
    /// Where this stage has no such list or element.
    pub fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        // SAFETY: the context and table belong to this call; `&mut self` says that no view is out.
        let status = unsafe { ask!(self, resize(buffer.code(), op.code(), index, size.0, size.1)) };
        HookCx::new(self.call).check(status)
    }
}

/// The host of this image, from the first plugin made in it.
static HOST: OnceLock<Host> = OnceLock::new();

pub(super) fn keep_host(host: Host) {
    // A second plugin in the same image (linked statically, in tests) keeps the first one's host.
    let _ = HOST.set(host);
}

/// Whether the host would keep a log line. Callable from any thread; false before the plugin is made.
#[must_use]
pub fn host_log_enabled(level: Level, target: &str) -> bool {
    HOST.get().is_some_and(|host| {
        // SAFETY: the host's table may be called from any thread for ever; the text lives for the
        // call.
        unsafe {
            function!(host.table, HostTable, log_enabled)
                .is_some_and(|ask| ask(host.context, level.code(), Str::new(target)) != 0)
        }
    })
}

/// Sends a log line to the host. Callable from any thread.
pub fn host_log(level: Level, target: &str, message: &str) {
    if let Some(host) = HOST.get() {
        // SAFETY: as in `host_log_enabled`.
        unsafe {
            if let Some(log) = function!(host.table, HostTable, log) {
                log(host.context, level.code(), Str::new(target), Str::new(message));
            }
        }
    }
}
