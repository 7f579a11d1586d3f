//! The run's end of a call.

use atelier_plugin_abi::{
    Buffer, Field, Level, Value,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    host::{Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};

use super::{
    Memory,
    message::{Answer, Ask, Data, Lent, Read, Request, Scalar, WireRefusal, Work},
};

/// Does what the far end asks for.
pub(in crate::plugins) fn respond(
    host: &mut dyn HookHost,
    memory: &mut dyn Memory,
    Ask { reads, request }: Ask,
) -> Result<Answer, WireRefusal> {
    count(host, &reads);
    answer(host, memory, request).map_err(Into::into)
}

/// Counts reads that the far end has answered itself: each is made once more, by the plugin whose hook
/// this is.
pub(in crate::plugins) fn count(host: &mut dyn HookHost, reads: &[Read]) {
    for Read { source, key, times } in reads {
        let Some(source) = OptionSource::from_code(*source) else { continue };
        for _ in 0..*times {
            // It was answered before; what it would be now changes nothing.
            let _ = host.read_option(source, key);
        }
    }
}

fn code<T>(known: Option<T>) -> Result<T, Refusal> {
    known.ok_or_else(|| Refusal::new(Status::NotHere, "this host does not know that code"))
}

fn answer(
    host: &mut dyn HookHost,
    memory: &mut dyn Memory,
    request: Request,
) -> Result<Answer, Refusal> {
    let value = |value: Value| Answer::Value(Scalar::from(value.as_ref()));
    Ok(match request {
        Request::Get { field, index } => value(host.get(code(Field::from_code(field))?, index)?),
        Request::Set { field, index, value } => {
            host.set(code(Field::from_code(field))?, index, value.lend())?;
            Answer::Done
        }
        Request::ReadOption { source, key } => {
            value(host.read_option(code(OptionSource::from_code(source))?, &key)?)
        }
        Request::ReadAllOptions { source } => {
            value(host.read_all_options(code(OptionSource::from_code(source))?)?)
        }
        Request::WriteOption { target, key, value } => {
            host.write_option(code(OptionTarget::from_code(target))?, &key, value.lend())?;
            Answer::Done
        }
        Request::Buffer { buffer, index, write } => {
            let lent = lend(host, memory, (buffer, index, write))?;
            let Lent { buffer: original, shape, rank, data, .. } = lent;
            Answer::Buffer { original, shape, rank, data }
        }
        Request::PutBack(written) => {
            put_back(host, memory, &written)?;
            Answer::Done
        }
        Request::Resize { buffer, op, index, size } => {
            let (buffer, op) = (code(Buffer::from_code(buffer))?, code(ListOp::from_code(op))?);
            host.resize(buffer, op, index, size)?;
            Answer::Done
        }
        Request::Infotext { key, value } => {
            host.infotext(&key, value.lend())?;
            Answer::Done
        }
        Request::Room { len, floats } => Answer::Room(memory.room(len, floats)?),
        Request::Service(work) => match serve(host, memory, &work)? {
            ServiceReply::Tensor { shape, rank, data } => {
                Answer::Tensor { shape, rank, data: memory.put(&Elements::F32(&data))? }
            }
            ServiceReply::Text(text) => Answer::Text(text),
            ServiceReply::Json(json) => Answer::Json(json),
            ServiceReply::Nothing => Answer::Nothing,
        },
        Request::Cancelled => Answer::Flag(host.cancelled()),
        Request::Log { level, target, message } => {
            host.log(Level::from_code(level).unwrap_or(Level::Trace), &target, &message);
            Answer::Done
        }
    })
}

/// Takes back what the far end had to change.
pub(in crate::plugins) fn put_back(
    host: &mut dyn HookHost,
    memory: &dyn Memory,
    written: &[Lent],
) -> Result<(), Refusal> {
    for lent in written {
        let view = host.buffer(code(Buffer::from_code(lent.buffer))?, lent.index, true)?;
        take_back(view.elements, memory.look(&lent.data)?)?;
    }
    Ok(())
}

/// Lends a buffer, under its own name.
pub(in crate::plugins) fn lend(
    host: &mut dyn HookHost,
    memory: &mut dyn Memory,
    (buffer, index, writable): (u32, u64, bool),
) -> Result<Lent, Refusal> {
    let original = host.original(code(Buffer::from_code(buffer))?);
    let view = host.buffer(original, index, writable)?;
    let (shape, rank, data) = (view.shape, view.rank, memory.put(&view.elements)?);
    Ok(Lent { buffer: original.code(), index, shape, rank, data, writable })
}

/// Copies what came back into the host's memory, unless it never left it.
fn take_back(to: Elements<'_>, from: Elements<'_>) -> Result<(), Refusal> {
    match (to, from) {
        (Elements::F32Mut(to), Elements::F32(from)) if to.len() == from.len() => {
            if !std::ptr::eq(to.as_ptr(), from.as_ptr()) {
                to.copy_from_slice(from);
            }
        }
        (Elements::U8Mut(to), Elements::U8(from)) if to.len() == from.len() => {
            if !std::ptr::eq(to.as_ptr(), from.as_ptr()) {
                to.copy_from_slice(from);
            }
        }
        _ => {
            let message = "a buffer came back with another size or type";
            return Err(Refusal::new(Status::HostFailed, message));
        }
    }
    Ok(())
}

fn serve(
    host: &mut dyn HookHost,
    memory: &dyn Memory,
    work: &Work,
) -> Result<ServiceReply, Refusal> {
    fn floats<'a>(memory: &'a dyn Memory, data: &'a Data) -> Result<&'a [f32], Refusal> {
        match memory.look(data)? {
            Elements::F32(data) => Ok(data),
            _ => Err(Refusal::new(Status::WrongType, "this service takes floats")),
        }
    }
    host.service(match work {
        Work::EncodeText(text) => ServiceRequest::EncodeText(text),
        Work::Child(patch) => ServiceRequest::Child(patch),
        Work::Decode { shape, data } => {
            ServiceRequest::Decode { shape: *shape, data: floats(memory, data)? }
        }
        Work::Encode { shape, data } => {
            ServiceRequest::Encode { shape: *shape, data: floats(memory, data)? }
        }
        Work::SavePicture { suffix, width, height, data } => {
            let Elements::U8(data) = memory.look(data)? else {
                return Err(Refusal::new(Status::WrongType, "a picture is made of bytes"));
            };
            ServiceRequest::SavePicture { suffix, width: *width, height: *height, data }
        }
    })
}
