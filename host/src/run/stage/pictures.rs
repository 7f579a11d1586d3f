//! Pictures of a stage.

use atelier_plugin_abi::{
    codes::ListOp,
    host::{BufferView, Elements, Refusal},
};
use image::RgbImage;

use super::{bad, not_here, read_only};

/// What a hook may do with pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureAccess {
    /// Look.
    Read,
    /// Change pixels; sizes stay.
    Pixels,
    /// Change pixels and sizes; the number of pictures stays.
    Replace,
    /// Everything.
    List,
    /// Everything, from none on: what is pushed is like no other picture.
    Answer,
}

/// Sides that a picture may be given, in pixels.
const MAX_SIDE: u64 = 16_384;

/// The pictures of a stage.
#[derive(Debug)]
pub(super) struct Pictures<'a> {
    list: &'a mut Vec<RgbImage>,
    access: PictureAccess,
    backup: Option<Vec<RgbImage>>,
}

impl<'a> Pictures<'a> {
    pub(super) fn new(pictures: &'a mut Vec<RgbImage>, access: PictureAccess) -> Self {
        Self { list: pictures, access, backup: None }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    fn keep(&mut self) {
        if self.backup.is_none() {
            self.backup = Some(self.list.clone());
        }
    }

    fn index(&self, index: u64) -> Result<usize, Refusal> {
        let at = usize::try_from(index).ok().filter(|at| *at < self.list.len());
        let count = self.list.len();
        at.ok_or_else(|| not_here(format!("picture {index}: there are {count}")))
    }

    pub(super) fn view(&mut self, index: u64, write: bool) -> Result<BufferView<'_>, Refusal> {
        let at = self.index(index)?;
        if write {
            if self.access == PictureAccess::Read {
                return Err(read_only("the picture"));
            }
            self.keep();
        }
        let picture = &mut self.list[at];
        let shape = [picture.height() as usize, picture.width() as usize, 3, 1];
        let data: &mut [u8] = picture;
        let elements = if write { Elements::U8Mut(data) } else { Elements::U8(data) };
        Ok(BufferView { shape, rank: 3, elements })
    }

    pub(super) fn resize(
        &mut self,
        op: ListOp,
        index: u64,
        (width, height): (u64, u64),
    ) -> Result<(), Refusal> {
        let allowed = match op {
            ListOp::Replace => {
                matches!(
                    self.access,
                    PictureAccess::Replace | PictureAccess::List | PictureAccess::Answer
                )
            }
            _ => matches!(self.access, PictureAccess::List | PictureAccess::Answer),
        };
        if !allowed {
            return Err(not_here(format!("{op} of pictures")));
        }
        let like_none = op == ListOp::Push && self.access == PictureAccess::Answer;
        let at = if like_none { 0 } else { self.index(index)? };
        let fits = |side: u64| (1..=MAX_SIDE).contains(&side);
        if op != ListOp::Remove && !(fits(width) && fits(height)) {
            let message = format!("a picture of {width}×{height} is outside of 1 to {MAX_SIDE}");
            return Err(bad(message));
        }
        self.keep();
        match op {
            ListOp::Push => self.list.push(RgbImage::new(width as u32, height as u32)),
            ListOp::Remove => _ = self.list.remove(at),
            _ => self.list[at] = RgbImage::new(width as u32, height as u32),
        }
        Ok(())
    }

    pub(super) fn commit(&mut self) {
        self.backup = None;
    }

    pub(super) fn roll_back(&mut self) {
        if let Some(backup) = self.backup.take() {
            *self.list = backup;
        }
    }
}
