//! Tensors and conditioning of a stage.

use atelier_plugin_abi::{
    Buffer,
    host::{BufferView, Elements, Refusal},
};

use super::{
    bad,
    memory::{Memory, View},
    not_here, read_only,
};
use crate::run::pipeline::Conditioning;

/// As many tokens as a conditioning may be replaced with: hundreds of A1111's chunks of 77.
const MAX_TOKENS: u64 = 77 * 256;

#[derive(Debug)]
struct Tensor<'a> {
    buffer: Buffer,
    shape: [usize; 4],
    memory: Memory<'a, f32>,
}

#[derive(Debug)]
struct Cond<'a> {
    buffer: Buffer,
    conditioning: &'a mut Conditioning,
    backup: Option<Conditioning>,
}

/// The tensors of a stage.
#[derive(Debug, Default)]
pub(super) struct Tensors<'a> {
    floats: Vec<Tensor<'a>>,
    conds: Vec<Cond<'a>>,
    alias: Option<(Buffer, Buffer)>,
}

impl<'a> Tensors<'a> {
    pub(super) fn lend(&mut self, buffer: Buffer, shape: [usize; 4], data: &'a mut [f32]) {
        self.floats.push(Tensor { buffer, shape, memory: Memory::lent(data) });
    }

    pub(super) fn show(&mut self, buffer: Buffer, shape: [usize; 4], data: &'a [f32]) {
        self.floats.push(Tensor { buffer, shape, memory: Memory::Shown(data) });
    }

    pub(super) fn alias(&mut self, name: Buffer, of: Buffer) {
        self.alias = Some((name, of));
    }

    pub(super) fn lend_conditioning(&mut self, buffer: Buffer, conditioning: &'a mut Conditioning) {
        self.conds.push(Cond { buffer, conditioning, backup: None });
    }

    pub(super) fn original(&self, buffer: Buffer) -> Buffer {
        self.alias.filter(|(name, _)| *name == buffer).map_or(buffer, |(_, of)| of)
    }

    pub(super) fn view(&mut self, buffer: Buffer, write: bool) -> Result<BufferView<'_>, Refusal> {
        let buffer = self.original(buffer);
        if let Some(cond) = self.conds.iter_mut().find(|cond| cond.buffer == buffer) {
            let [rows, tokens, width] = cond.conditioning.shape;
            if write && cond.backup.is_none() {
                cond.backup = Some(cond.conditioning.clone());
            }
            let data = &mut cond.conditioning.data;
            let elements = if write { Elements::F32Mut(data) } else { Elements::F32(data) };
            return Ok(BufferView { shape: [rows, tokens, width, 1], rank: 3, elements });
        }
        let tensor = self.floats.iter_mut().find(|tensor| tensor.buffer == buffer);
        let tensor = tensor.ok_or_else(|| not_here(buffer))?;
        let elements = match tensor.memory.view(write, || read_only(buffer))? {
            View::Read(data) => Elements::F32(data),
            View::Write(data) => Elements::F32Mut(data),
        };
        Ok(BufferView { shape: tensor.shape, rank: 4, elements })
    }

    pub(super) fn replace_conditioning(
        &mut self,
        buffer: Buffer,
        tokens: u64,
    ) -> Result<(), Refusal> {
        let cond = self.conds.iter_mut().find(|cond| cond.buffer == buffer);
        let cond = cond.ok_or_else(|| not_here(buffer))?;
        if tokens == 0 || tokens > MAX_TOKENS {
            return Err(bad(format!("{buffer} has 1 to {MAX_TOKENS} tokens, not {tokens}")));
        }
        let [rows, _, width] = cond.conditioning.shape;
        let new = Conditioning {
            shape: [rows, tokens as usize, width],
            data: vec![0.0; rows * tokens as usize * width],
            vectors: cond.conditioning.vectors.clone(),
        };
        let old = std::mem::replace(cond.conditioning, new);
        cond.backup.get_or_insert(old);
        Ok(())
    }

    /// What a hook may not leave behind: numbers that are not finite.
    pub(super) fn complaint(&self) -> Option<String> {
        let tensors = self.floats.iter();
        let tensors = tensors.filter_map(|it| Some((it.buffer, it.memory.written()?)));
        let written = self.conds.iter().filter(|cond| cond.backup.is_some());
        let conds = written.map(|cond| (cond.buffer, cond.conditioning.data.as_slice()));
        let mut all = tensors.chain(conds);
        let (buffer, _) = all.find(|(_, data)| data.iter().any(|value| !value.is_finite()))?;
        Some(format!("it left {buffer} with values that are not finite"))
    }

    pub(super) fn commit(&mut self) {
        for tensor in &mut self.floats {
            tensor.memory.commit();
        }
        for cond in &mut self.conds {
            cond.backup = None;
        }
    }

    pub(super) fn roll_back(&mut self) {
        for tensor in &mut self.floats {
            tensor.memory.roll_back();
        }
        for cond in &mut self.conds {
            if let Some(backup) = cond.backup.take() {
                *cond.conditioning = backup;
            }
        }
    }
}
