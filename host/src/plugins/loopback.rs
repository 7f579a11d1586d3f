//! A handle that puts every frame, request and answer through bytes.
//!
//! It runs the plugin in this process but treats it as if it were behind a wire: what a call carries
//! is written as bytes and read back on the other side, in both directions. A plugin behind it must
//! behave as it does without; the whole test suite runs through both.

use std::sync::Arc;

use atelier_plugin_abi::{
    codes::Status,
    frame::Frame,
    host::{CallFailure, Elements, HookHost, Refusal},
};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    handle::{Decorator, PluginHandle, RunHandle},
    id::PluginId,
    wire::{self, Answer, Ask, Cache, Data, Far, Link, Memory, Place, WireFailure, WireFrame},
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

/// Writes a message as bytes and reads it back, as the other side would.
fn over_the_wire<T: Serialize + DeserializeOwned>(message: &T) -> T {
    let bytes = postcard::to_stdvec(message).unwrap_or_default();
    match postcard::from_bytes(&bytes) {
        Ok(message) => message,
        // The messages are plain data: both directions are total.
        Err(error) => unreachable!("a message did not survive the way through bytes: {error}"),
    }
}

fn through<T>(
    frame: &Frame,
    host: &mut dyn HookHost,
    options: &mut Cache,
    call: impl FnOnce(&Frame, &mut dyn HookHost) -> Result<T, CallFailure>,
) -> Result<T, CallFailure> {
    let frame = over_the_wire(&WireFrame::from(frame)).into();
    options.begin(host.options_version());
    let mut link = Bytes { host };
    let mut far = Far::new(&mut link, options);
    let outcome = call(&frame, &mut far);
    let written = over_the_wire(&far.written());
    wire::count(link.host, &over_the_wire(&options.reads()));
    let made =
        outcome.map_err(|failure| CallFailure::from(over_the_wire(&WireFailure::from(failure))))?;
    // The host has lent these for writing, so it takes them back.
    let _ = wire::put_back(link.host, &InMessages, &written);
    Ok(made)
}

impl PluginHandle for Loopback {
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        through(frame, host, &mut Cache::default(), |frame, host| self.0.call(frame, host))
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        let mut options = Cache::default();
        let run = through(frame, host, &mut options, |frame, host| self.0.start(frame, host))?;
        Ok(Box::new(LoopbackRun { run, options }))
    }
}

#[derive(Debug)]
struct LoopbackRun {
    run: Box<dyn RunHandle>,
    options: Cache,
}

impl RunHandle for LoopbackRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        through(frame, host, &mut self.options, |frame, host| self.run.call(frame, host))
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let Self { run, mut options } = *self;
        through(frame, host, &mut options, |frame, host| run.close(frame, host))
    }
}

/// Both ends in one process: elements travel in the messages.
struct Bytes<'h> {
    host: &'h mut dyn HookHost,
}

struct InMessages;

impl Memory for InMessages {
    fn put(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal> {
        Ok(wire::copied(elements))
    }

    fn room(&mut self, _: u64, _: bool) -> Result<Place, Refusal> {
        Err(Refusal::new(Status::HostFailed, "elements travel in the messages here"))
    }

    fn look<'a>(&'a self, data: &'a Data) -> Result<Elements<'a>, Refusal> {
        match data {
            Data::F32(data) => Ok(Elements::F32(data)),
            Data::U8(data) => Ok(Elements::U8(data)),
            Data::Shared(_) => {
                Err(Refusal::new(Status::HostFailed, "there is no memory in common here"))
            }
        }
    }
}

impl Link for Bytes<'_> {
    fn ask(&mut self, ask: Ask) -> Result<Answer, Refusal> {
        let answer = wire::respond(self.host, &mut InMessages, over_the_wire(&ask));
        over_the_wire(&answer).map_err(Into::into)
    }

    fn view<'a>(&'a mut self, data: &'a mut Data, write: bool) -> Result<Elements<'a>, Refusal> {
        match (data, write) {
            (Data::F32(data), true) => Ok(Elements::F32Mut(data)),
            (Data::F32(data), false) => Ok(Elements::F32(data)),
            (Data::U8(data), true) => Ok(Elements::U8Mut(data)),
            (Data::U8(data), false) => Ok(Elements::U8(data)),
            (Data::Shared(_), _) => {
                Err(Refusal::new(Status::HostFailed, "there is no memory in common here"))
            }
        }
    }

    fn carry(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal> {
        Ok(wire::copied(elements))
    }
}
