//! Memory of the run that a hook is lent.

use atelier_plugin_abi::host::Refusal;

/// Elements that a hook may look at, or change too.
#[derive(Debug)]
pub(super) enum Memory<'a, T> {
    Shown(&'a [T]),
    /// With a copy of what was there before a hook was lent it for writing.
    Lent(&'a mut [T], Option<Vec<T>>),
}

/// Memory on its way to a hook.
pub(super) enum View<'v, T> {
    Read(&'v [T]),
    Write(&'v mut [T]),
}

impl<'a, T: Copy> Memory<'a, T> {
    pub(super) fn lent(data: &'a mut [T]) -> Self {
        Self::Lent(data, None)
    }

    /// Lends it; it is copied when that is for writing first. `refusal` is for what can only be read.
    pub(super) fn view(
        &mut self,
        write: bool,
        refusal: impl FnOnce() -> Refusal,
    ) -> Result<View<'_, T>, Refusal> {
        match (self, write) {
            (Self::Shown(_), true) => Err(refusal()),
            (Self::Shown(data), false) => Ok(View::Read(data)),
            (Self::Lent(data, _), false) => Ok(View::Read(data)),
            (Self::Lent(data, backup), true) => {
                backup.get_or_insert_with(|| data.to_vec());
                Ok(View::Write(data))
            }
        }
    }

    /// The elements, if the hook was lent them for writing.
    pub(super) fn written(&self) -> Option<&[T]> {
        match self {
            Self::Lent(data, Some(_)) => Some(data),
            _ => None,
        }
    }

    pub(super) fn commit(&mut self) {
        if let Self::Lent(_, backup) = self {
            *backup = None;
        }
    }

    pub(super) fn roll_back(&mut self) {
        if let Self::Lent(data, backup) = self
            && let Some(backup) = backup.take()
        {
            data.copy_from_slice(&backup);
        }
    }
}
