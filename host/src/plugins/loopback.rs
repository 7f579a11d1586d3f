//! A handle that puts every frame, request and answer through bytes.
//!
//! It runs the plugin in this process but treats it as if it were behind a wire: what a call carries
//! is written as bytes and read back on the other side, in both directions. A plugin behind it must
//! behave as it does without; the whole test suite runs through both.

mod wire;

use std::{collections::HashMap, sync::Arc};

use atelier_plugin_abi::{
    Buffer, Field, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    frame::Frame,
    host::{BufferView, CallFailure, Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};
use wire::{Answer, Data, Request, Scalar, Work, over_the_wire};

use super::{
    handle::{Decorator, PluginHandle, RunHandle},
    id::PluginId,
};

/// A plugin behind bytes.
#[derive(Debug)]
pub struct Loopback(Arc<dyn PluginHandle>);

impl Loopback {
    /// Puts `plugin` behind bytes.
    pub fn new(plugin: Arc<dyn PluginHandle>) -> Self {
        Self(plugin)
    }
}

/// Puts every plugin behind bytes.
#[derive(Clone, Copy, Debug)]
pub struct ThroughBytes;

impl Decorator for ThroughBytes {
    fn wrap(&self, _: &PluginId, handle: Arc<dyn PluginHandle>) -> Arc<dyn PluginHandle> {
        Arc::new(Loopback::new(handle))
    }
}

fn through<T>(
    frame: &Frame,
    host: &mut dyn HookHost,
    call: impl FnOnce(&Frame, &mut dyn HookHost) -> Result<T, CallFailure>,
) -> Result<T, CallFailure> {
    let frame = wire::frame(frame);
    let mut remote = Remote { host, lent: HashMap::new() };
    let outcome = call(&frame, &mut remote);
    if outcome.is_ok() {
        remote.send_back();
    }
    outcome.map_err(|failure| wire::failure(&failure))
}

impl PluginHandle for Loopback {
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        through(frame, host, |frame, host| self.0.call(frame, host))
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        let run = through(frame, host, |frame, host| self.0.start(frame, host))?;
        Ok(Box::new(LoopbackRun(run)))
    }
}

#[derive(Debug)]
struct LoopbackRun(Box<dyn RunHandle>);

impl RunHandle for LoopbackRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        through(frame, host, |frame, host| self.0.call(frame, host))
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        through(frame, host, |frame, host| self.0.close(frame, host))
    }
}

/// The host as it is seen from the other end of the wire: buffers are copies here, and those that
/// were lent for writing go back when the hook has succeeded.
struct Remote<'h> {
    host: &'h mut dyn HookHost,
    lent: HashMap<(u32, u64), Lent>,
}

struct Lent {
    shape: [usize; 4],
    rank: usize,
    data: Data,
    written: bool,
}

impl Remote<'_> {
    fn ask(&mut self, request: &Request) -> Result<Answer, Refusal> {
        let request: Request = over_the_wire(request);
        let answer = respond(self.host, request);
        over_the_wire(&answer).map_err(|(status, message)| Refusal {
            status: Status::from_code(status).unwrap_or(Status::HostFailed),
            message,
        })
    }

    fn value(&mut self, request: &Request) -> Result<Value, Refusal> {
        match self.ask(request)? {
            Answer::Value(value) => Ok(value.into()),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&mut self, request: &Request) -> Result<(), Refusal> {
        self.ask(request).map(|_| ())
    }

    fn send_back(&mut self) {
        for ((buffer, index), lent) in std::mem::take(&mut self.lent) {
            if lent.written {
                // The host has lent this buffer for writing, so it takes it back.
                let _ = self.ask(&Request::PutBuffer { buffer, index, data: lent.data });
            }
        }
    }
}

fn unexpected(answer: &Answer) -> Refusal {
    Refusal::new(Status::HostFailed, format!("an answer of another kind came back: {answer:?}"))
}

impl HookHost for Remote<'_> {
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        self.value(&Request::Get { field: field.code(), index })
    }

    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        self.done(&Request::Set { field: field.code(), index, value: value.into() })
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        self.value(&Request::ReadOption { source: source.code(), key: key.to_owned() })
    }

    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal> {
        self.value(&Request::ReadAllOptions { source: source.code() })
    }

    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let (target, key, value) = (target.code(), key.to_owned(), value.into());
        self.done(&Request::WriteOption { target, key, value })
    }

    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        let at = (buffer.code(), index);
        // A copy is fetched once, and once more asked for when reading turns into writing: the host
        // has to know, and may refuse.
        let known = self.lent.get(&at).is_some_and(|lent| lent.written || !write);
        if !known {
            let request = Request::Buffer { buffer: at.0, index, write };
            let Answer::Buffer { shape, rank, data } = self.ask(&request)? else {
                return Err(Refusal::new(Status::HostFailed, "no buffer came back"));
            };
            let kept = self.lent.remove(&at);
            let data = kept.map_or(data, |kept| kept.data);
            self.lent.insert(at, Lent { shape, rank, data, written: write });
        }
        let Some(lent) = self.lent.get_mut(&at) else {
            return Err(Refusal::new(Status::HostFailed, "no buffer came back"));
        };
        let elements = match (&mut lent.data, write) {
            (Data::F32(data), false) => Elements::F32(data),
            (Data::F32(data), true) => Elements::F32Mut(data),
            (Data::U8(data), false) => Elements::U8(data),
            (Data::U8(data), true) => Elements::U8Mut(data),
        };
        Ok(BufferView { shape: lent.shape, rank: lent.rank, elements })
    }

    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        // Indices and sizes change: what was written goes home first, all copies are void.
        self.send_back();
        self.done(&Request::Resize { buffer: buffer.code(), op: op.code(), index, size })
    }

    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        self.done(&Request::Infotext { key: key.to_owned(), value: value.into() })
    }

    fn service(&mut self, request: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        if matches!(request, ServiceRequest::Child(_)) {
            // The pictures of the child before are void.
            self.lent.retain(|(buffer, _), _| *buffer != Buffer::ChildImage.code());
        }
        match self.ask(&Request::Service(Work::from(request)))? {
            Answer::Tensor { shape, rank, data } => Ok(ServiceReply::Tensor { shape, rank, data }),
            Answer::Text(text) => Ok(ServiceReply::Text(text)),
            Answer::Json(json) => Ok(ServiceReply::Json(json)),
            Answer::Nothing => Ok(ServiceReply::Nothing),
            other => Err(unexpected(&other)),
        }
    }

    fn cancelled(&mut self) -> bool {
        matches!(self.ask(&Request::Cancelled), Ok(Answer::Flag(true)))
    }

    fn log(&mut self, level: Level, target: &str, message: &str) {
        let (level, target, message) = (level.code(), target.to_owned(), message.to_owned());
        // A log line that is lost on the way is no reason to fail a hook.
        let _ = self.ask(&Request::Log { level, target, message });
    }
}

/// The host's end of the wire.
fn respond(host: &mut dyn HookHost, request: Request) -> Result<Answer, (u32, String)> {
    answer(host, request).map_err(|refusal| (refusal.status.code(), refusal.message))
}

fn code<T>(known: Option<T>) -> Result<T, Refusal> {
    known.ok_or_else(|| Refusal::new(Status::NotHere, "this host does not know that code"))
}

fn answer(host: &mut dyn HookHost, request: Request) -> Result<Answer, Refusal> {
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
            let view = host.buffer(code(Buffer::from_code(buffer))?, index, write)?;
            let data = match view.elements {
                Elements::F32(data) => Data::F32(data.to_vec()),
                Elements::F32Mut(data) => Data::F32(data.to_vec()),
                Elements::U8(data) => Data::U8(data.to_vec()),
                Elements::U8Mut(data) => Data::U8(data.to_vec()),
            };
            Answer::Buffer { shape: view.shape, rank: view.rank, data }
        }
        Request::PutBuffer { buffer, index, data } => {
            let view = host.buffer(code(Buffer::from_code(buffer))?, index, true)?;
            match (view.elements, data) {
                (Elements::F32Mut(to), Data::F32(from)) if to.len() == from.len() => {
                    to.copy_from_slice(&from);
                }
                (Elements::U8Mut(to), Data::U8(from)) if to.len() == from.len() => {
                    to.copy_from_slice(&from);
                }
                _ => {
                    let message = "a buffer came back with another size or type";
                    return Err(Refusal::new(Status::HostFailed, message));
                }
            }
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
        Request::Service(work) => match host.service(work.lend())? {
            ServiceReply::Tensor { shape, rank, data } => Answer::Tensor { shape, rank, data },
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
