//! The function table that a plugin calls, over whatever host serves the call.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BufferView, Elements, HookHost, Refusal, ServiceReply, ServiceRequest, Words};
use crate::{
    codes::{Buffer, Element, Field, Level, ListOp, OptionSource, OptionTarget, Service, Status},
    frame::{Call, Frame, Opaque, RawBuffer, RawValue, Str},
    tables::ContextTable,
    value::{Value, ValueRef},
    version::ABI_VERSION,
};

/// The host's end of one call. Everything it lends stays where it is until the call is over.
struct Bridge<'h> {
    host: &'h mut dyn HookHost,
    lent: Vec<Value>,
    tensors: Vec<Vec<f32>>,
    message: Value,
    words: Option<Words>,
}

impl Bridge<'_> {
    /// Hands out a value; a text is kept, because the plugin may hold on to it until it returns.
    fn lend(&mut self, value: Value) -> RawValue {
        let raw = RawValue::new(value.as_ref());
        if matches!(value, Value::Text(_) | Value::Json(_)) {
            self.lent.push(value);
        }
        raw
    }

    fn refuse(&mut self, refusal: Refusal) -> u32 {
        self.message = Value::Text(refusal.message.into());
        refusal.status.code()
    }

    fn settle(&mut self, outcome: Result<(), Refusal>) -> u32 {
        match outcome {
            Ok(()) => Status::Ok.code(),
            Err(refusal) => self.refuse(refusal),
        }
    }
}

/// Makes a [`Call`] that leads to `host`, hands it to `call`, and returns its answer with the words
/// that the plugin left about a failure.
pub fn with_call<R>(
    host: &mut dyn HookHost,
    frame: &Frame,
    call: impl FnOnce(&Call) -> R,
) -> (R, Option<Words>) {
    let mut bridge =
        Bridge { host, lent: Vec::new(), tensors: Vec::new(), message: Value::Null, words: None };
    let answer = call(&Call {
        frame,
        context: std::ptr::from_mut(&mut bridge).cast::<Opaque>(),
        table: &raw const CONTEXT,
        reserved: [0; 2],
    });
    (answer, bridge.words)
}

static CONTEXT: ContextTable = ContextTable {
    size: size_of::<ContextTable>(),
    abi_major: ABI_VERSION.major,
    abi_minor: ABI_VERSION.minor,
    get,
    set,
    read_option,
    read_all_options,
    write_option,
    buffer,
    resize,
    infotext,
    service,
    cancelled,
    log,
    message,
    fail,
};

/// Runs host code for a plugin. A panic of the host must not cross the plugin's frames, which may be
/// C: it becomes a refusal.
///
/// # Safety
/// `context` must be the one of a call made by [`with_call`] that has not returned, on its thread.
unsafe fn enter(
    context: *mut Opaque,
    work: impl FnOnce(&mut Bridge<'_>) -> Result<(), Refusal>,
) -> u32 {
    // SAFETY: the caller's promise; the bridge is reached from this thread only, and no host
    // function calls back into the plugin, so there is no second reference to it.
    let bridge = unsafe { &mut *context.cast::<Bridge<'_>>() };
    match catch_unwind(AssertUnwindSafe(|| work(bridge))) {
        Ok(outcome) => bridge.settle(outcome),
        Err(payload) => {
            // A payload may panic when it is dropped.
            std::mem::forget(payload);
            bridge.refuse(Refusal::new(Status::HostFailed, "the host panicked while it answered"))
        }
    }
}

fn not_here(what: &str, code: u32) -> Refusal {
    Refusal::new(
        Status::NotHere,
        format!("this host does not know {what} {code}; the plugin was built for a newer one"),
    )
}

fn text<'a>(text: Str) -> std::borrow::Cow<'a, str> {
    // SAFETY: the plugin lends the text for the length of the call (see `Str`).
    unsafe { text.get() }
}

/// # Safety
/// `value` must be valid for reads, and its text for the length of the call.
unsafe fn value<'a>(value: *const RawValue) -> Result<ValueRef<'a>, Refusal> {
    // SAFETY: the caller's promise.
    unsafe { (*value).get() }.ok_or_else(|| {
        Refusal::new(Status::WrongType, "the value is of no known kind, or its text is not UTF-8")
    })
}

unsafe extern "C" fn get(cx: *mut Opaque, field: u32, index: u64, out: *mut RawValue) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `out` is valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let known = Field::from_code(field).ok_or_else(|| not_here("field", field))?;
            let value = bridge.host.get(known, index)?;
            *out = bridge.lend(value);
            Ok(())
        })
    }
}

unsafe extern "C" fn set(cx: *mut Opaque, field: u32, index: u64, new: *const RawValue) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `new` is valid for reads.
    unsafe {
        enter(cx, |bridge| {
            let known = Field::from_code(field).ok_or_else(|| not_here("field", field))?;
            bridge.host.set(known, index, value(new)?)
        })
    }
}

unsafe extern "C" fn read_option(
    cx: *mut Opaque,
    source: u32,
    key: Str,
    out: *mut RawValue,
) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `out` is valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let known =
                OptionSource::from_code(source).ok_or_else(|| not_here("option source", source))?;
            let value = bridge.host.read_option(known, &text(key))?;
            *out = bridge.lend(value);
            Ok(())
        })
    }
}

unsafe extern "C" fn read_all_options(cx: *mut Opaque, source: u32, out: *mut RawValue) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `out` is valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let known =
                OptionSource::from_code(source).ok_or_else(|| not_here("option source", source))?;
            let value = bridge.host.read_all_options(known)?;
            *out = bridge.lend(value);
            Ok(())
        })
    }
}

unsafe extern "C" fn write_option(
    cx: *mut Opaque,
    target: u32,
    key: Str,
    new: *const RawValue,
) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `new` is valid for reads.
    unsafe {
        enter(cx, |bridge| {
            let known =
                OptionTarget::from_code(target).ok_or_else(|| not_here("option target", target))?;
            bridge.host.write_option(known, &text(key), value(new)?)
        })
    }
}

unsafe extern "C" fn buffer(
    cx: *mut Opaque,
    code: u32,
    index: u64,
    write: u32,
    out: *mut RawBuffer,
) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `out` is valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let known = Buffer::from_code(code).ok_or_else(|| not_here("buffer", code))?;
            *out = raw_buffer(bridge.host.buffer(known, index, write != 0)?);
            Ok(())
        })
    }
}

fn raw_buffer(view: BufferView<'_>) -> RawBuffer {
    let (data, element) = match view.elements {
        Elements::F32(data) => (data.as_ptr().cast_mut().cast::<Opaque>(), Element::F32),
        Elements::F32Mut(data) => (data.as_mut_ptr().cast::<Opaque>(), Element::F32),
        Elements::U8(data) => (data.as_ptr().cast_mut().cast::<Opaque>(), Element::U8),
        Elements::U8Mut(data) => (data.as_mut_ptr().cast::<Opaque>(), Element::U8),
    };
    RawBuffer::new(data, element, view.shape.get(..view.rank).unwrap_or(&view.shape))
}

unsafe extern "C" fn resize(
    cx: *mut Opaque,
    code: u32,
    op: u32,
    index: u64,
    width: u64,
    height: u64,
) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context.
    unsafe {
        enter(cx, |bridge| {
            let known = Buffer::from_code(code).ok_or_else(|| not_here("buffer", code))?;
            let op = ListOp::from_code(op).ok_or_else(|| not_here("list operation", op))?;
            bridge.host.resize(known, op, index, (width, height))
        })
    }
}

unsafe extern "C" fn infotext(cx: *mut Opaque, key: Str, new: *const RawValue) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `new` is valid for reads.
    unsafe { enter(cx, |bridge| bridge.host.infotext(&text(key), value(new)?)) }
}

unsafe extern "C" fn service(
    cx: *mut Opaque,
    code: u32,
    words: Str,
    input: *const RawBuffer,
    out: *mut RawBuffer,
    out_text: *mut RawValue,
) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `input` is null or valid for reads
    // with as many elements as its shape says, `out` and `out_text` are valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let known = Service::from_code(code).ok_or_else(|| not_here("service", code))?;
            let words = text(words);
            let input = if input.is_null() { RawBuffer::EMPTY } else { *input };
            let shape = four(&input)?;
            let request = match known {
                Service::EncodeText => ServiceRequest::EncodeText(&words),
                Service::Decode => ServiceRequest::Decode { shape, data: floats(&input)? },
                Service::Encode => ServiceRequest::Encode { shape, data: floats(&input)? },
                Service::Child => ServiceRequest::Child(&words),
                Service::SavePicture => ServiceRequest::SavePicture {
                    suffix: &words,
                    width: shape[1],
                    height: shape[0],
                    data: bytes(&input)?,
                },
            };
            match bridge.host.service(request)? {
                ServiceReply::Text(text) => *out_text = bridge.lend(Value::Text(text.into())),
                ServiceReply::Json(json) => *out_text = bridge.lend(Value::Json(json.into())),
                ServiceReply::Nothing => *out_text = RawValue::NULL,
                ServiceReply::Tensor { shape, rank, data } => {
                    *out = raw_buffer(BufferView { shape, rank, elements: Elements::F32(&data) });
                    bridge.tensors.push(data);
                }
            }
            Ok(())
        })
    }
}

/// The sizes of a plugin's buffer; the host's services take four at most.
fn four(buffer: &RawBuffer) -> Result<[usize; 4], Refusal> {
    let rank = buffer.rank as usize;
    if rank > 4 {
        let message = format!("the buffer has {rank} dimensions; this service takes four at most");
        return Err(Refusal::new(Status::BadValue, message));
    }
    let size = |at: usize| usize::try_from(buffer.shape[at]).unwrap_or(usize::MAX);
    Ok([size(0), size(1), size(2), size(3)])
}

/// # Safety
/// A buffer of floats must be readable for as many elements as its shape says.
unsafe fn floats(buffer: &RawBuffer) -> Result<&[f32], Refusal> {
    let len = checked(buffer, Element::F32)?;
    // SAFETY: the caller's promise; `checked` has seen type, alignment and length.
    Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(buffer.data.cast(), len) } })
}

/// # Safety
/// A buffer of bytes must be readable for as many elements as its shape says.
unsafe fn bytes(buffer: &RawBuffer) -> Result<&[u8], Refusal> {
    let len = checked(buffer, Element::U8)?;
    // SAFETY: the caller's promise; `checked` has seen type and length.
    Ok(if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(buffer.data.cast(), len) } })
}

fn checked(buffer: &RawBuffer, wanted: Element) -> Result<usize, Refusal> {
    let bad = |what: &str| Refusal::new(Status::BadValue, format!("the buffer {what}"));
    if Element::from_code(buffer.element) != Some(wanted) {
        return Err(bad(&format!("has to hold {wanted}")));
    }
    let len = buffer.len().ok_or_else(|| bad("has sizes that do not fit into memory"))?;
    let aligned = wanted != Element::F32 || buffer.data.cast::<f32>().is_aligned();
    if len > 0 && (buffer.data.is_null() || !aligned) {
        return Err(bad("has no memory, or memory that is not aligned"));
    }
    Ok(len)
}

unsafe extern "C" fn cancelled(cx: *mut Opaque) -> u32 {
    let mut answer = false;
    // SAFETY: the table's contract: `cx` is the call's context.
    unsafe {
        enter(cx, |bridge| {
            answer = bridge.host.cancelled();
            Ok(())
        });
    }
    u32::from(answer)
}

unsafe extern "C" fn log(cx: *mut Opaque, level: u32, target: Str, message: Str) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context.
    unsafe {
        enter(cx, |bridge| {
            let level = Level::from_code(level).unwrap_or(Level::Trace);
            bridge.host.log(level, &text(target), &text(message));
            Ok(())
        })
    }
}

unsafe extern "C" fn message(cx: *mut Opaque, out: *mut RawValue) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context, `out` is valid for writes.
    unsafe {
        enter(cx, |bridge| {
            let message = std::mem::replace(&mut bridge.message, Value::Null);
            *out = bridge.lend(message);
            Ok(())
        })
    }
}

unsafe extern "C" fn fail(cx: *mut Opaque, message: Str, place: Str) -> u32 {
    // SAFETY: the table's contract: `cx` is the call's context.
    unsafe {
        enter(cx, |bridge| {
            bridge.words = Some(Words {
                message: text(message).into_owned(),
                place: text(place).into_owned(),
            });
            Ok(())
        })
    }
}
