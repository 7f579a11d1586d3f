//! Memory that the host and a worker both have.

#![allow(
    unsafe_code,
    reason = "memory that another process may write; every block says why it holds"
)]

use std::{
    ffi::c_void,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use atelier_plugin_abi::{
    codes::Status,
    host::{Elements, Refusal},
};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags};

use crate::plugins::wire::{Data, Memory, Place};

/// As much as the host shares in one conversation. A plugin that asks for more is refused.
const MOST: u64 = 2 << 30;
/// Regions are not smaller: most pictures and latents fit into one that is there already.
const LEAST: u64 = 1 << 16;

/// A piece of memory that lies in a file without a name. Its size is sealed: the other side can change
/// what is in it, and nothing else.
#[derive(Debug)]
pub(super) struct Region {
    file: OwnedFd,
    map: MmapRaw,
}

impl Region {
    fn create(bytes: u64) -> io::Result<Self> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = rustix::fs::memfd_create("atelier", flags)?;
        rustix::fs::ftruncate(&file, bytes)?;
        // Memory that shrinks under a reader ends the reader with SIGBUS.
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        rustix::fs::fcntl_add_seals(&file, seals)?;
        Self::open(file, bytes)
    }

    /// Memory that the other side made.
    pub(super) fn open(file: OwnedFd, bytes: u64) -> io::Result<Self> {
        let len = usize::try_from(bytes).map_err(io::Error::other)?;
        let map = MmapOptions::new().len(len).map_raw(&file)?;
        Ok(Self { file, map })
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    pub(super) fn len(&self) -> u64 {
        self.map.len() as u64
    }

    /// Where a place begins, if it lies in this region and is aligned.
    fn start(&self, place: &Place) -> Option<*mut c_void> {
        let size = if place.floats { size_of::<f32>() as u64 } else { 1 };
        let end = place.len.checked_mul(size)?.checked_add(place.offset)?;
        (end <= self.len() && place.offset.is_multiple_of(size)).then(|| {
            self.map.as_mut_ptr().cast::<c_void>().wrapping_byte_add(place.offset as usize)
        })
    }

    /// The elements at a place, to look at.
    pub(super) fn elements(&self, place: &Place) -> Option<Elements<'_>> {
        let (start, len) = (self.start(place)?, place.len as usize);
        // SAFETY: `start` has seen that the place lies in the map, which lives as long as `self`, and
        // its alignment (a map begins at a page). Every bit pattern is a value of both types. The other
        // process may write at any time: what is read is then an old or a new value, and nothing is
        // decided by reading it twice.
        Some(unsafe {
            if place.floats {
                Elements::F32(std::slice::from_raw_parts(start.cast::<f32>(), len))
            } else {
                Elements::U8(std::slice::from_raw_parts(start.cast::<u8>(), len))
            }
        })
    }

    /// The elements at a place, to change.
    pub(super) fn elements_mut(&mut self, place: &Place) -> Option<Elements<'_>> {
        let (start, len) = (self.start(place)?, place.len as usize);
        // SAFETY: as above; `&mut self` makes this the only view in this process.
        Some(unsafe {
            if place.floats {
                Elements::F32Mut(std::slice::from_raw_parts_mut(start.cast::<f32>(), len))
            } else {
                Elements::U8Mut(std::slice::from_raw_parts_mut(start.cast::<u8>(), len))
            }
        })
    }
}

/// The host's regions of one conversation. They are kept for the next call: to make and map one costs
/// more than a call.
#[derive(Debug, Default)]
pub(super) struct Arena {
    regions: Vec<Slot>,
    /// How many of them the worker knows.
    announced: usize,
}

#[derive(Debug)]
pub(super) struct Slot {
    region: Region,
    taken: bool,
}

impl Arena {
    /// A call is over: nothing is lent any more.
    pub(super) fn release(&mut self) {
        self.regions.iter_mut().for_each(|slot| slot.taken = false);
    }

    /// The regions that the worker has not heard of; it has then.
    pub(super) fn announce(&mut self) -> &[Slot] {
        let from = std::mem::replace(&mut self.announced, self.regions.len());
        &self.regions[from..]
    }

    fn take(&mut self, bytes: u64) -> Result<usize, Refusal> {
        let fits = |slot: &Slot| !slot.taken && slot.region.len() >= bytes;
        let known = self.regions.iter().position(fits);
        let at = if let Some(at) = known {
            at
        } else {
            let size = bytes.max(LEAST).checked_next_power_of_two().unwrap_or(u64::MAX);
            let all: u64 = self.regions.iter().map(|slot| slot.region.len()).sum();
            if all.saturating_add(size) > MOST {
                let message = format!("a hook shares {} MiB with its host at most", MOST >> 20);
                return Err(Refusal::new(Status::HostFailed, message));
            }
            let region = Region::create(size).map_err(|error| {
                Refusal::new(Status::HostFailed, format!("no memory to share: {error}"))
            })?;
            self.regions.push(Slot { region, taken: false });
            self.regions.len() - 1
        };
        self.regions[at].taken = true;
        Ok(at)
    }
}

impl Slot {
    pub(super) fn region(&self) -> &Region {
        &self.region
    }
}

impl Memory for Arena {
    fn put(&mut self, elements: &Elements<'_>) -> Result<Data, Refusal> {
        let (len, floats) = match elements {
            Elements::F32(data) => (data.len(), true),
            Elements::F32Mut(data) => (data.len(), true),
            Elements::U8(data) => (data.len(), false),
            Elements::U8Mut(data) => (data.len(), false),
        };
        let place = self.room(len as u64, floats)?;
        match (self.regions[place.region as usize].region.elements_mut(&place), elements) {
            (Some(Elements::F32Mut(to)), Elements::F32(from)) => to.copy_from_slice(from),
            (Some(Elements::F32Mut(to)), Elements::F32Mut(from)) => to.copy_from_slice(from),
            (Some(Elements::U8Mut(to)), Elements::U8(from)) => to.copy_from_slice(from),
            (Some(Elements::U8Mut(to)), Elements::U8Mut(from)) => to.copy_from_slice(from),
            _ => return Err(Refusal::new(Status::HostFailed, "the memory is of another kind")),
        }
        Ok(Data::Shared(place))
    }

    fn room(&mut self, len: u64, floats: bool) -> Result<Place, Refusal> {
        let size = if floats { size_of::<f32>() as u64 } else { 1 };
        let bytes = len.checked_mul(size).ok_or_else(|| {
            Refusal::new(Status::BadValue, format!("{len} elements do not fit into memory"))
        })?;
        let region = self.take(bytes)? as u32;
        Ok(Place { region, offset: 0, len, floats })
    }

    fn look<'a>(&'a self, data: &'a Data) -> Result<Elements<'a>, Refusal> {
        let Data::Shared(place) = data else {
            return Err(Refusal::new(
                Status::HostFailed,
                "elements do not travel in messages here",
            ));
        };
        let slot = self.regions.get(place.region as usize);
        slot.and_then(|slot| slot.region.elements(place)).ok_or_else(|| {
            Refusal::new(Status::HostFailed, "the worker names memory that it was not given")
        })
    }
}
