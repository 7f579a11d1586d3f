//! The host as a plugin under check meets it: memory is lent in copies with guards around them.

use std::collections::HashMap;

use atelier_plugin_abi::{
    Buffer, Field, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    host::{BufferView, Elements, HookHost, Refusal, ServiceReply, ServiceRequest},
};

use super::recorder::{Ability, Notes, Recorder};

/// Elements in front of and behind every buffer.
const GUARD: usize = 64;
const GUARD_FLOAT: f32 = -12_345.678;
const GUARD_BYTE: u8 = 0xA5;

/// A copy of memory of the host with guards around it.
enum Copy {
    F32(Vec<f32>),
    U8(Vec<u8>),
}

struct Lent {
    shape: [usize; 4],
    rank: usize,
    written: bool,
    copy: Copy,
    /// What was lent, to see whether what was lent for looking was left alone.
    before: Copy,
}

impl Lent {
    fn of(view: BufferView<'_>, written: bool) -> Self {
        fn guarded<T: Clone>(data: &[T], guard: &T) -> Vec<T> {
            let mut copy = vec![guard.clone(); GUARD];
            copy.extend_from_slice(data);
            copy.resize(copy.len() + GUARD, guard.clone());
            copy
        }
        let floats =
            |data: &[f32]| (Copy::F32(guarded(data, &GUARD_FLOAT)), Copy::F32(data.to_vec()));
        let bytes = |data: &[u8]| (Copy::U8(guarded(data, &GUARD_BYTE)), Copy::U8(data.to_vec()));
        let (copy, before) = match view.elements {
            Elements::F32(data) => floats(data),
            Elements::F32Mut(data) => floats(data),
            Elements::U8(data) => bytes(data),
            Elements::U8Mut(data) => bytes(data),
        };
        Self { shape: view.shape, rank: view.rank, written, copy, before }
    }

    fn view(&mut self, write: bool) -> BufferView<'_> {
        fn inner<T>(copy: &mut [T]) -> &mut [T] {
            let end = copy.len() - GUARD;
            &mut copy[GUARD..end]
        }
        let elements = match (&mut self.copy, write) {
            (Copy::F32(copy), true) => Elements::F32Mut(inner(copy)),
            (Copy::F32(copy), false) => Elements::F32(inner(copy)),
            (Copy::U8(copy), true) => Elements::U8Mut(inner(copy)),
            (Copy::U8(copy), false) => Elements::U8(inner(copy)),
        };
        BufferView { shape: self.shape, rank: self.rank, elements }
    }

    /// What the plugin did to memory that was not its to write.
    fn trespass(&self) -> Option<&'static str> {
        fn guards<T: PartialEq>(copy: &[T], guard: &T) -> bool {
            let (front, rest) = copy.split_at(GUARD);
            let back = &rest[rest.len() - GUARD..];
            front.iter().chain(back).all(|element| element == guard)
        }
        // Bits, not numbers: NaN is a value here.
        let same = |copy: &[f32], before: &[f32]| {
            copy.iter().map(|v| v.to_bits()).eq(before.iter().map(|v| v.to_bits()))
        };
        let (whole, same) = match (&self.copy, &self.before) {
            (Copy::F32(copy), Copy::F32(before)) => {
                (guards(copy, &GUARD_FLOAT), same(&copy[GUARD..copy.len() - GUARD], before))
            }
            (Copy::U8(copy), Copy::U8(before)) => {
                (guards(copy, &GUARD_BYTE), copy[GUARD..copy.len() - GUARD] == before[..])
            }
            _ => (false, false),
        };
        match (whole, same || self.written) {
            (false, _) => Some("outside of the memory that it was lent"),
            (true, false) => Some("to memory that it was lent to look at"),
            (true, true) => None,
        }
    }
}

/// Records, guards, refuses.
pub(super) struct Guarded<'h> {
    host: &'h mut dyn HookHost,
    notes: Recorder,
    lent: HashMap<(Buffer, u64), Lent>,
}

fn withheld<T>(ability: Ability) -> Result<T, Refusal> {
    let message = format!("this host does not offer {}: a check withholds it", ability.words());
    Err(Refusal::new(Status::NotHere, message))
}

impl<'h> Guarded<'h> {
    pub(super) fn new(host: &'h mut dyn HookHost, notes: Recorder) -> Self {
        Self { host, notes, lent: HashMap::new() }
    }

    /// Looks at the guards and gives back what was written, where it counts.
    pub(super) fn close(&mut self, counts: bool) {
        for ((buffer, index), mut lent) in std::mem::take(&mut self.lent) {
            if let Some(trespass) = lent.trespass() {
                self.notes.trespass(format!("{buffer}: it wrote {trespass}"));
            }
            if !(counts && lent.written) {
                continue;
            }
            let from = lent.view(false).elements;
            let Ok(to) = self.host.buffer(buffer, index, true) else { continue };
            match (to.elements, from) {
                (Elements::F32Mut(to), Elements::F32(from)) if to.len() == from.len() => {
                    to.copy_from_slice(from);
                }
                (Elements::U8Mut(to), Elements::U8(from)) if to.len() == from.len() => {
                    to.copy_from_slice(from);
                }
                // The list was changed since: the view was void.
                _ => {}
            }
        }
    }
}

macro_rules! unless_withheld {
    ($self:ident, $ability:ident) => {
        if $self.notes.refuses(Ability::$ability) {
            return withheld(Ability::$ability);
        }
    };
}

impl HookHost for Guarded<'_> {
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        unless_withheld!(self, Fields);
        self.host.get(field, index)
    }

    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        unless_withheld!(self, SetFields);
        self.host.set(field, index, value)
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        unless_withheld!(self, ReadOptions);
        let answer = self.host.read_option(source, key);
        if answer.as_ref().is_err_and(|refusal| refusal.status == Status::UnknownKey) {
            self.notes.unknown_option(key);
        }
        answer
    }

    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal> {
        unless_withheld!(self, ReadOptions);
        self.host.read_all_options(source)
    }

    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        unless_withheld!(self, WriteOptions);
        let answer = self.host.write_option(target, key, value);
        if answer.as_ref().is_err_and(|refusal| refusal.status == Status::UnknownKey) {
            self.notes.unknown_option(key);
        }
        answer
    }

    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        unless_withheld!(self, Buffers);
        if write {
            unless_withheld!(self, WriteBuffers);
        }
        // Two names of one buffer share a copy.
        let buffer = self.host.original(buffer);
        let at = (buffer, index);
        let known = self.lent.get(&at).is_some_and(|lent| lent.written || !write);
        if !known {
            let lent = Lent::of(self.host.buffer(buffer, index, write)?, write);
            self.lent.insert(at, lent);
        }
        match self.lent.get_mut(&at) {
            Some(lent) => Ok(lent.view(write)),
            None => Err(Refusal::new(Status::HostFailed, "no copy was made")),
        }
    }

    fn original(&self, buffer: Buffer) -> Buffer {
        self.host.original(buffer)
    }

    fn options_version(&mut self) -> Option<[u64; 2]> {
        self.host.options_version()
    }

    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        unless_withheld!(self, Resize);
        // What was written goes home first: indices and sizes change.
        self.close(true);
        self.host.resize(buffer, op, index, size)
    }

    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        unless_withheld!(self, Infotext);
        if let ValueRef::Text(text) = value {
            self.notes.told(key, text);
        }
        self.host.infotext(key, value)
    }

    fn service(&mut self, request: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        unless_withheld!(self, Services);
        if matches!(request, ServiceRequest::Child(_)) {
            // The pictures of the child before are void.
            self.lent.retain(|(buffer, _), _| *buffer != Buffer::ChildImage);
        }
        self.host.service(request)
    }

    fn cancelled(&mut self) -> bool {
        self.host.cancelled()
    }

    fn log(&mut self, level: Level, target: &str, message: &str) {
        self.notes.logged(level.name(), message);
        self.host.log(level, target, message);
    }
}
