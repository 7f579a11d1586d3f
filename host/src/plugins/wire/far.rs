//! The plugin's end of a call.

use std::collections::HashMap;

use atelier_plugin_abi::{
    Buffer, Field, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    host::{BufferView, Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};

use super::{
    cache::Cache,
    message::{Answer, Ask, Data, Lent, Request, Work},
};

/// The way to the near end.
pub(in crate::plugins) trait Link {
    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// The near end's refusal, or a way that is broken.
    fn ask(&mut self, ask: Ask) -> Result<Answer, Refusal>;

    /// The elements of a buffer that was lent, to look at or to change.
    ///
    /// # Errors
    /// Where they are not what the message said.
    fn view<'a>(&'a mut self, data: &'a mut Data, write: bool) -> Result<Elements<'a>, Refusal>;

    /// Copies elements into room that the near end made, where it has to make it.
    ///
    /// # Errors
    /// As [`Link::ask`].
    fn carry(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal>;
}

/// The host as the plugin's end has it. Buffers that the plugin took for writing go back when the hook
/// has succeeded: [`Far::written`].
pub(in crate::plugins) struct Far<'l, L> {
    link: &'l mut L,
    options: &'l mut Cache,
    fields: HashMap<(u32, u64), Value>,
    /// By their own names.
    lent: HashMap<(u32, u64), Held>,
    /// Other names of buffers.
    names: HashMap<u32, u32>,
}

/// A buffer at this end.
struct Held {
    lent: Lent,
    /// Whether the plugin took it to change it.
    written: bool,
}

fn unexpected(answer: &Answer) -> Refusal {
    Refusal::new(Status::HostFailed, format!("an answer of another kind came back: {answer:?}"))
}

impl<'l, L: Link> Far<'l, L> {
    /// The host of one call.
    pub(in crate::plugins) fn new(link: &'l mut L, options: &'l mut Cache) -> Self {
        Self { link, options, fields: HashMap::new(), lent: HashMap::new(), names: HashMap::new() }
    }

    fn ask(&mut self, request: Request) -> Result<Answer, Refusal> {
        self.link.ask(Ask { reads: self.options.reads(), request })
    }

    fn value(&mut self, request: Request) -> Result<Value, Refusal> {
        match self.ask(request)? {
            Answer::Value(value) => Ok(value.into()),
            other => Err(unexpected(&other)),
        }
    }

    fn done(&mut self, request: Request) -> Result<(), Refusal> {
        self.ask(request).map(|_| ())
    }

    /// Takes buffers that the near end lends unasked.
    #[cfg(all(feature = "worker", target_os = "linux"))]
    pub(in crate::plugins) fn take(&mut self, lent: Vec<Lent>) {
        let held =
            lent.into_iter().map(|lent| ((lent.buffer, lent.index), Held { lent, written: false }));
        self.lent.extend(held);
    }

    /// What was taken to be changed and goes home now; nothing is lent after that.
    pub(in crate::plugins) fn written(&mut self) -> Vec<Lent> {
        self.names.clear();
        let held = std::mem::take(&mut self.lent).into_values();
        held.filter(|held| held.written).map(|held| held.lent).collect()
    }
}

impl<L: Link> HookHost for Far<'_, L> {
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        let at = (field.code(), index);
        if let Some(known) = self.fields.get(&at) {
            return Ok(known.clone());
        }
        let value = self.value(Request::Get { field: at.0, index })?;
        self.fields.insert(at, value.clone());
        Ok(value)
    }

    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        // What is read again may be clamped, or another field that this one moves.
        self.fields.clear();
        self.done(Request::Set { field: field.code(), index, value: value.into() })
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        if let Some(known) = self.options.get(source, key) {
            return Ok(known);
        }
        let value =
            self.value(Request::ReadOption { source: source.code(), key: key.to_owned() })?;
        self.options.keep(source, key, &value);
        Ok(value)
    }

    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal> {
        self.value(Request::ReadAllOptions { source: source.code() })
    }

    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let (target, key, value) = (target.code(), key.to_owned(), value.into());
        let done = self.done(Request::WriteOption { target, key, value });
        self.options.stale();
        // `overrides` is a field, too.
        self.fields.clear();
        done
    }

    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        let name = buffer.code();
        let mut at = (self.names.get(&name).copied().unwrap_or(name), index);
        // A buffer is fetched once, and once more asked for when reading turns into writing: the host
        // has to know, and may refuse.
        let good = |held: &Held| held.lent.writable || !write;
        if !self.lent.get(&at).is_some_and(good) {
            let answer = self.ask(Request::Buffer { buffer: name, index, write })?;
            let Answer::Buffer { original, shape, rank, data } = answer else {
                return Err(unexpected(&answer));
            };
            self.names.insert(name, original);
            at.0 = original;
            // Under its own name it may be here, and changed: then that is the one.
            if !self.lent.get(&at).is_some_and(good) {
                let lent = Lent { buffer: original, index, shape, rank, data, writable: write };
                self.lent.insert(at, Held { lent, written: false });
            }
        }
        let Some(Held { lent, written }) = self.lent.get_mut(&at) else {
            return Err(Refusal::new(Status::HostFailed, "no buffer came back"));
        };
        *written |= write;
        let elements = self.link.view(&mut lent.data, write)?;
        Ok(BufferView { shape: lent.shape, rank: lent.rank, elements })
    }

    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        // Indices and sizes change: what was written goes home first, all that was lent is void.
        let written = self.written();
        if !written.is_empty() {
            // The host has lent these for writing, so it takes them back.
            let _ = self.ask(Request::PutBack(written));
        }
        self.fields.clear();
        self.done(Request::Resize { buffer: buffer.code(), op: op.code(), index, size })
    }

    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        self.done(Request::Infotext { key: key.to_owned(), value: value.into() })
    }

    fn service(&mut self, request: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        let work = match request {
            ServiceRequest::EncodeText(text) => Work::EncodeText(text.to_owned()),
            ServiceRequest::Child(patch) => {
                // The pictures of the child before are void.
                self.lent.retain(|(buffer, _), _| *buffer != Buffer::ChildImage.code());
                Work::Child(patch.to_owned())
            }
            ServiceRequest::Decode { shape, data } => {
                Work::Decode { shape, data: self.link.carry(&Elements::F32(data))? }
            }
            ServiceRequest::Encode { shape, data } => {
                Work::Encode { shape, data: self.link.carry(&Elements::F32(data))? }
            }
            ServiceRequest::SavePicture { suffix, width, height, data } => Work::SavePicture {
                suffix: suffix.to_owned(),
                width,
                height,
                data: self.link.carry(&Elements::U8(data))?,
            },
        };
        let answer = self.ask(Request::Service(work));
        self.options.stale();
        self.fields.clear();
        match answer? {
            Answer::Tensor { shape, rank, mut data } => {
                let Elements::F32(data) = self.link.view(&mut data, false)? else {
                    return Err(Refusal::new(Status::HostFailed, "no floats came back"));
                };
                Ok(ServiceReply::Tensor { shape, rank, data: data.to_vec() })
            }
            Answer::Text(text) => Ok(ServiceReply::Text(text)),
            Answer::Json(json) => Ok(ServiceReply::Json(json)),
            Answer::Nothing => Ok(ServiceReply::Nothing),
            other => Err(unexpected(&other)),
        }
    }

    fn cancelled(&mut self) -> bool {
        matches!(self.ask(Request::Cancelled), Ok(Answer::Flag(true)))
    }

    fn log(&mut self, level: Level, target: &str, message: &str) {
        let (level, target, message) = (level.code(), target.to_owned(), message.to_owned());
        // A log line that is lost on the way is no reason to fail a hook.
        let _ = self.ask(Request::Log { level, target, message });
    }
}
