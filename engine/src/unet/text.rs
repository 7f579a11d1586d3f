//! The texts of a call, and what the network's blocks have for them.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use candle_core::{Device, Result, Tensor};

use crate::kernels::same;

/// Texts with the keys and values that every block has for them: the same in each step of a run, so that
/// they are made in the first.
pub(super) struct Text {
    /// `[n, tokens, text_width]`: as they were given, and where the network computes.
    given: Tensor,
    states: Tensor,
    blocks: Vec<OnceLock<[Tensor; 2]>>,
}

impl Text {
    /// How many texts.
    pub(super) fn rows(&self) -> Result<usize> {
        self.states.dim(0)
    }

    /// Keys and values of the block with this number; `make` is given the states.
    pub(super) fn of_block(
        &self,
        block: usize,
        make: impl FnOnce(&Tensor) -> Result<[Tensor; 2]>,
    ) -> Result<[Tensor; 2]> {
        let Some(place) = self.blocks.get(block) else { return make(&self.states) };
        if let Some(known) = place.get() {
            return Ok(known.clone());
        }
        let made = make(&self.states)?;
        Ok(place.get_or_init(|| made).clone())
    }
}

/// The texts that a network was last asked about. Clones share it.
#[derive(Clone, Default)]
pub(super) struct LastText(Arc<Mutex<Option<Arc<Text>>>>);

impl LastText {
    /// What there is for texts, for a network of so many blocks.
    pub(super) fn get(&self, given: &Tensor, device: &Device, blocks: usize) -> Result<Arc<Text>> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = last.as_ref()
            && same(&known.given, given)?
        {
            return Ok(known.clone());
        }
        let blocks = (0..blocks).map(|_| OnceLock::new()).collect();
        let given = given.contiguous()?;
        let text = Arc::new(Text { states: given.to_device(device)?, given, blocks });
        Ok(last.insert(text).clone())
    }
}
