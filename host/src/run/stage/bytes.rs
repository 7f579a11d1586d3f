//! Bytes of a stage that are no picture of a list: a mask, what is laid over a picture.

use atelier_plugin_abi::{
    Buffer,
    host::{BufferView, Elements, Refusal},
};

use super::{not_here, read_only};

#[derive(Debug)]
enum Memory<'a> {
    Shown(&'a [u8]),
    Lent(&'a mut [u8], Option<Vec<u8>>),
}

/// The bytes of a stage, each `[height, width, channels]`.
#[derive(Debug, Default)]
pub(super) struct Bytes<'a>(Vec<(Buffer, [usize; 3], Memory<'a>)>);

impl<'a> Bytes<'a> {
    pub(super) fn lend(&mut self, buffer: Buffer, shape: [usize; 3], data: &'a mut [u8]) {
        self.0.push((buffer, shape, Memory::Lent(data, None)));
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
        let elements = match (memory, write) {
            (Memory::Shown(_), true) => return Err(read_only(buffer)),
            (Memory::Shown(data), false) => Elements::U8(data),
            (Memory::Lent(data, _), false) => Elements::U8(data),
            (Memory::Lent(data, backup), true) => {
                backup.get_or_insert_with(|| data.to_vec());
                Elements::U8Mut(data)
            }
        };
        Ok(BufferView { shape: [height, width, channels, 1], rank: 3, elements })
    }

    pub(super) fn commit(&mut self) {
        for (.., memory) in &mut self.0 {
            if let Memory::Lent(_, backup) = memory {
                *backup = None;
            }
        }
    }

    pub(super) fn roll_back(&mut self) {
        for (.., memory) in &mut self.0 {
            if let Memory::Lent(data, backup) = memory
                && let Some(backup) = backup.take()
            {
                data.copy_from_slice(&backup);
            }
        }
    }
}
