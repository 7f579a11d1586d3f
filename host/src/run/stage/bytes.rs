//! Bytes of a stage that are no picture of a list: a mask, what is laid over a picture.

use atelier_plugin_abi::{
    Buffer,
    host::{BufferView, Elements, Refusal},
};

use super::{
    memory::{Memory, View},
    not_here, read_only,
};

/// The bytes of a stage, each `[height, width, channels]`.
#[derive(Debug, Default)]
pub(super) struct Bytes<'a>(Vec<(Buffer, [usize; 3], Memory<'a, u8>)>);

impl<'a> Bytes<'a> {
    pub(super) fn lend(&mut self, buffer: Buffer, shape: [usize; 3], data: &'a mut [u8]) {
        self.0.push((buffer, shape, Memory::lent(data)));
    }

    pub(super) fn show(&mut self, buffer: Buffer, shape: [usize; 3], data: &'a [u8]) {
        self.0.push((buffer, shape, Memory::Shown(data)));
    }

    pub(super) fn has(&self, buffer: Buffer) -> bool {
        self.0.iter().any(|(known, ..)| *known == buffer)
    }

    pub(super) fn view(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        let known = self.0.iter_mut().find(|(known, ..)| *known == buffer && index == 0);
        let (_, shape, memory) = known.ok_or_else(|| not_here(format!("{buffer} {index}")))?;
        let [height, width, channels] = *shape;
        let elements = match memory.view(write, || read_only(buffer))? {
            View::Read(data) => Elements::U8(data),
            View::Write(data) => Elements::U8Mut(data),
        };
        Ok(BufferView { shape: [height, width, channels, 1], rank: 3, elements })
    }

    pub(super) fn commit(&mut self) {
        for (.., memory) in &mut self.0 {
            memory.commit();
        }
    }

    pub(super) fn roll_back(&mut self) {
        for (.., memory) in &mut self.0 {
            memory.roll_back();
        }
    }
}
