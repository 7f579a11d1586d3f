//! Who is in charge: a mapped page that outlives a crash.
//!
//! Before a hook runs in this process, plugin and hook are written into a file that is mapped into
//! memory: two stores, no system call. When the process dies, however it dies, the kernel keeps the page,
//! and the next start reads there who it was. A process holds a lock on its file as long as it lives.

#![allow(unsafe_code, reason = "a mapped page; every block says why it holds")]

use std::{
    cell::Cell,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use atelier_plugin_abi::{
    Hook,
    frame::Frame,
    host::{CallFailure, HookHost, LoadedPlugin, LoadedRun},
};
use memmap2::{MmapOptions, MmapRaw};

use super::handle::{PluginHandle, RunHandle};

const MAGIC: &[u8; 8] = b"ATCRUMB1";
/// Threads that have a slot of their own; more of them share.
const SLOTS: usize = 64;
/// Where the slots and the names begin, and how long a name is.
const SLOTS_AT: usize = 64;
const NAMES_AT: usize = 1024;
const NAME: usize = 192;
const SIZE: usize = 1 << 16;
const MOST_NAMES: usize = (SIZE - NAMES_AT) / NAME;
/// Beside the plugin's number: it is not in charge any more, but nobody was after it.
const OVER: u64 = 1 << 63;
/// Instead of a hook: the library is opened and the plugin is made.
const LOADING: u32 = u32::MAX;

/// A plugin that was in charge when a process died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Culprit {
    /// Its id.
    pub plugin: String,
    /// BLAKE3 of its library.
    pub hash: String,
    /// The hook, or `loading`.
    pub hook: String,
    /// Whether it was in charge; otherwise it was the last one that had been.
    pub in_charge: bool,
}

/// The page of this process.
#[derive(Debug)]
pub struct Crumbs {
    map: MmapRaw,
    path: PathBuf,
    names: AtomicUsize,
    /// Locked as long as the process lives.
    _file: File,
}

/// A plugin's number in the page.
#[derive(Clone, Copy, Debug)]
pub struct Mark(u32);

impl Crumbs {
    /// Opens this process's page in `folder`, and says who was in charge in processes that died.
    ///
    /// # Errors
    /// Where there can be no such file.
    pub fn open(folder: &Path) -> io::Result<(Arc<Self>, Vec<Culprit>)> {
        fs::create_dir_all(folder)?;
        let dead = dead(folder)?;
        let file = tempfile::Builder::new().prefix("run-").suffix(".crumbs").tempfile_in(folder)?;
        let (file, path) = file.keep().map_err(|error| error.error)?;
        file.lock()?;
        file.set_len(SIZE as u64)?;
        let map = MmapOptions::new().len(SIZE).map_raw(&file)?;
        let crumbs = Self { map, path, names: AtomicUsize::new(0), _file: file };
        crumbs.write(0, MAGIC);
        Ok((Arc::new(crumbs), dead))
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        if at + bytes.len() > SIZE {
            return;
        }
        // SAFETY: the bytes fit, as just checked; the map lives as long as `self`; nobody in this
        // process reads them, and each place is written once, before a mark to it is given out.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.map.as_mut_ptr().add(at),
                bytes.len(),
            );
        }
    }

    /// Gives a plugin its number.
    pub fn mark(&self, plugin: &str, hash: &str) -> Mark {
        let at = self.names.fetch_add(1, Ordering::Relaxed);
        if at < MOST_NAMES {
            let name = format!("{plugin}\n{hash}\n");
            self.write(NAMES_AT + at * NAME, &name.as_bytes()[..name.len().min(NAME)]);
        }
        Mark(at as u32)
    }

    /// From here on the plugin is in charge in this thread, until the guard is dropped.
    pub fn enter(&self, mark: Mark, hook: u32) -> InCharge<'_> {
        let slot = self.slot();
        let before = slot.load(Ordering::Relaxed);
        slot.store((u64::from(mark.0) + 1) << 32 | u64::from(hook), Ordering::Relaxed);
        InCharge { slot, before }
    }

    /// The same while its library is opened.
    pub fn loading(&self, mark: Mark) -> InCharge<'_> {
        self.enter(mark, LOADING)
    }

    fn slot(&self) -> &AtomicU64 {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static OWN: Cell<usize> = Cell::new(NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS);
        }
        let at = SLOTS_AT + OWN.with(Cell::get) * size_of::<u64>();
        // SAFETY: the slot lies in the map, which lives as long as `self`, and is aligned: a map begins
        // at a page. This process reaches it through this function only.
        unsafe { AtomicU64::from_ptr(self.map.as_mut_ptr().add(at).cast()) }
    }
}

/// This process ended in good order.
impl Drop for Crumbs {
    fn drop(&mut self) {
        // A file that stays is read as one in which nobody was in charge.
        let _ = fs::remove_file(&self.path);
    }
}

/// Says that a plugin is in charge.
#[derive(Debug)]
pub struct InCharge<'c> {
    slot: &'c AtomicU64,
    before: u64,
}

impl Drop for InCharge<'_> {
    fn drop(&mut self) {
        // A child run's hook gives back to the hook that made the run. What somebody spoilt may show
        // when nobody is in charge, so the last one stays.
        let nobody = self.before == 0 || self.before & OVER != 0;
        let own = self.slot.load(Ordering::Relaxed);
        self.slot.store(if nobody { own | OVER } else { self.before }, Ordering::Relaxed);
    }
}

/// Reads and removes the pages of processes that are gone.
fn dead(folder: &Path) -> io::Result<Vec<Culprit>> {
    let mut culprits = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "crumbs") {
            continue;
        }
        // Another process may look at the same file, or have removed it.
        let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if let Ok(bytes) = fs::read(&path) {
            culprits.extend(in_charge(&bytes));
        }
        fs::remove_file(&path)?;
    }
    Ok(culprits)
}

fn in_charge(bytes: &[u8]) -> Vec<Culprit> {
    if !bytes.starts_with(MAGIC) || bytes.len() < SIZE {
        return Vec::new();
    }
    let slots = bytes[SLOTS_AT..SLOTS_AT + SLOTS * size_of::<u64>()].chunks_exact(size_of::<u64>());
    let words = slots.filter_map(|slot| Some(u64::from_ne_bytes(slot.try_into().ok()?)));
    let words: Vec<u64> = words.filter(|word| *word != 0).collect();
    let anybody = words.iter().any(|word| word & OVER == 0);
    words
        .into_iter()
        .filter(|word| word & OVER == 0 || !anybody)
        .map(|word| {
            let in_charge = word & OVER == 0;
            let (at, hook) = (((word & !OVER) >> 32) as usize - 1, word as u32);
            let name = bytes.get(NAMES_AT + at * NAME..NAMES_AT + (at + 1) * NAME).unwrap_or(&[]);
            let name = String::from_utf8_lossy(name);
            let mut lines = name.split('\n');
            let hook = match Hook::from_code(hook) {
                Some(hook) => hook.name(),
                None => "loading",
            };
            Culprit {
                plugin: lines.next().unwrap_or_default().to_owned(),
                hash: lines.next().unwrap_or_default().to_owned(),
                hook: hook.to_owned(),
                in_charge,
            }
        })
        .collect()
}

/// A plugin of this process that leaves crumbs.
#[derive(Debug)]
pub struct Watched {
    pub(super) plugin: LoadedPlugin,
    pub(super) crumbs: Arc<Crumbs>,
    pub(super) mark: Mark,
}

impl PluginHandle for Watched {
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let _crumb = self.crumbs.enter(self.mark, frame.hook);
        self.plugin.call(frame, host)
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        let _crumb = self.crumbs.enter(self.mark, frame.hook);
        let run = self.plugin.start(frame, host)?;
        Ok(Box::new(WatchedRun { run, crumbs: self.crumbs.clone(), mark: self.mark }))
    }
}

#[derive(Debug)]
struct WatchedRun {
    run: LoadedRun,
    crumbs: Arc<Crumbs>,
    mark: Mark,
}

impl RunHandle for WatchedRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let _crumb = self.crumbs.enter(self.mark, frame.hook);
        self.run.call(frame, host)
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let Self { run, crumbs, mark } = *self;
        let _crumb = crumbs.enter(mark, frame.hook);
        run.close(frame, host)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_who_was_in_charge() {
        let folder = tempfile::tempdir().unwrap();
        let (crumbs, dead) = Crumbs::open(folder.path()).unwrap();
        assert_eq!(dead, []);
        let (one, two) = (crumbs.mark("one", "aa"), crumbs.mark("two", "bb"));
        let outer = crumbs.enter(one, Hook::Run.code());
        let inner = crumbs.enter(two, Hook::AfterStep.code());
        let culprit = || in_charge(&fs::read(&crumbs.path).unwrap());
        let of = |plugin: &str, hash: &str, hook: &str| {
            let [plugin, hash, hook] = [plugin, hash, hook].map(str::to_owned);
            Culprit { plugin, hash, hook, in_charge: true }
        };
        assert_eq!(culprit(), [of("two", "bb", "after_step")]);
        drop(inner);
        assert_eq!(culprit(), [of("one", "aa", "run")]);
        drop(outer);
        let last = Culprit { in_charge: false, ..of("one", "aa", "run") };
        assert_eq!(culprit(), [last]);
        let _loading = crumbs.loading(two);
        assert_eq!(culprit(), [of("two", "bb", "loading")]);
    }

    #[test]
    fn the_page_of_a_process_that_lives_is_left_alone_and_that_of_a_dead_one_read_once() {
        let folder = tempfile::tempdir().unwrap();
        let (crumbs, _) = Crumbs::open(folder.path()).unwrap();
        let mark = crumbs.mark("one", "aa");
        let charge = crumbs.enter(mark, Hook::Process.code());
        let (_, dead) = Crumbs::open(folder.path()).unwrap();
        assert_eq!(dead, []);
        // As if this process had died there: the lock is gone, the page is not.
        let bytes = fs::read(&crumbs.path).unwrap();
        drop(charge);
        drop(crumbs);
        fs::write(folder.path().join("run-dead.crumbs"), bytes).unwrap();
        let (_, dead) = Crumbs::open(folder.path()).unwrap();
        assert_eq!(dead.len(), 1);
        assert_eq!((dead[0].plugin.as_str(), dead[0].hook.as_str()), ("one", "process"));
        let (_, dead) = Crumbs::open(folder.path()).unwrap();
        assert_eq!(dead, []);
    }
}
