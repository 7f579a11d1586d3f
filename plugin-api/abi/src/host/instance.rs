//! Safe handles on the objects that a plugin's module makes.

use super::{HookHost, Words, with_call};
use crate::{
    codes::{Level, Status},
    frame::{Frame, Opaque, Str},
    tables::{Host, HostTable, PluginTable, Sink, function},
    version::{ABI_VERSION, AbiVersion},
};

/// How a call of a plugin failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFailure {
    /// [`Status::Failed`], [`Status::Panicked`], [`Status::StopRun`], or what else the plugin
    /// answered.
    pub status: Status,
    /// The plugin's words.
    pub words: Words,
}

impl std::fmt::Display for CallFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.status == Status::Panicked {
            f.write_str("panicked: ")?;
        }
        f.write_str(&self.words.message)?;
        if self.words.place.is_empty() {
            return Ok(());
        }
        write!(f, " (at {})", self.words.place)
    }
}

impl std::error::Error for CallFailure {}

fn outcome((status, words): (u32, Option<Words>)) -> Result<(), CallFailure> {
    let status = Status::from_code(status).unwrap_or(Status::Failed);
    if status == Status::Ok {
        return Ok(());
    }
    let words = words.unwrap_or_else(|| Words {
        message: format!("the plugin answered “{status}” without a reason"),
        place: String::new(),
    });
    Err(CallFailure { status, words })
}

/// Receives log lines of plugins, from any thread.
pub trait HostLog: Send + Sync {
    /// Whether a line of that level and target would be kept.
    fn enabled(&self, level: Level, target: &str) -> bool;
    /// Keeps a line.
    fn log(&self, level: Level, target: &str, message: &str);
}

/// Makes a host for plugins to keep. It lives for ever, as the plugins' code does.
pub fn leak_host<L: HostLog + 'static>(log: L) -> Host {
    Host {
        context: std::ptr::from_ref::<L>(Box::leak(Box::new(log))).cast(),
        table: Table::<L>::TABLE,
        reserved: [0; 2],
    }
}

struct Table<L>(std::marker::PhantomData<L>);

impl<L: HostLog + 'static> Table<L> {
    const TABLE: &'static HostTable = &HostTable {
        size: size_of::<HostTable>(),
        abi_major: ABI_VERSION.major,
        abi_minor: ABI_VERSION.minor,
        log_enabled: log_enabled::<L>,
        log: log::<L>,
    };
}

/// A panic of the host must not reach the plugin's frames.
fn contained<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        std::mem::forget(payload);
        otherwise
    })
}

unsafe extern "C" fn log_enabled<L: HostLog>(
    context: *const Opaque,
    level: u32,
    target: Str,
) -> u32 {
    // SAFETY: `leak_host` made this context from an `L` that lives for ever.
    let host = unsafe { &*context.cast::<L>() };
    // SAFETY: the plugin lends the text for the length of the call.
    let target = unsafe { target.get() };
    let level = Level::from_code(level).unwrap_or(Level::Trace);
    u32::from(contained(false, || host.enabled(level, &target)))
}

unsafe extern "C" fn log<L: HostLog>(
    context: *const Opaque,
    level: u32,
    target: Str,
    message: Str,
) {
    // SAFETY: `leak_host` made this context from an `L` that lives for ever.
    let host = unsafe { &*context.cast::<L>() };
    // SAFETY: the plugin lends the texts for the length of the call.
    let (target, message) = unsafe { (target.get(), message.get()) };
    let level = Level::from_code(level).unwrap_or(Level::Trace);
    contained((), || host.log(level, &target, &message));
}

/// A plugin's table that somebody vouched for: its contract (see [`PluginTable`]) is relied on.
#[derive(Clone, Copy, Debug)]
pub struct Module(*const PluginTable);

// SAFETY: `Module::new` was promised a table that lives for ever and whose functions may be called from
// any thread.
unsafe impl Send for Module {}
// SAFETY: as above.
unsafe impl Sync for Module {}

/// A function of a plugin's table; `None` also where the plugin has nothing to do there.
macro_rules! theirs {
    ($module:expr, $name:ident) => {
        // SAFETY: the table lives for ever.
        unsafe { function!($module.0, PluginTable, $name) }.flatten()
    };
}

impl Module {
    /// Vouches for a table.
    ///
    /// # Safety
    /// `table` must be readable for as many bytes as its first field says, for ever: its library must
    /// not be unloaded. Every function in it must keep to the contract of [`PluginTable`].
    #[must_use]
    pub unsafe fn new(table: *const PluginTable) -> Self {
        Self(table)
    }

    /// The version of the ABI that the plugin's code was built for.
    #[must_use]
    pub fn abi(self) -> AbiVersion {
        // SAFETY: the table lives for ever; its head is in every version.
        unsafe { AbiVersion { major: (*self.0).abi_major, minor: (*self.0).abi_minor } }
    }

    /// The manifest as the loaded code tells it; empty where it tells none.
    #[must_use]
    pub fn manifest(self) -> String {
        // SAFETY: the module's contract: the text lives for ever.
        theirs!(self, manifest).map(|tell| unsafe { tell().get() }.into_owned()).unwrap_or_default()
    }

    /// Options and arguments that the plugin declares, as JSON.
    ///
    /// # Errors
    /// Where the plugin fails to say.
    pub fn describe(self) -> Result<String, CallFailure> {
        unsafe extern "C" fn write(context: *mut Opaque, text: Str) {
            // SAFETY: the sink below: `context` is the string, `text` lives for the call.
            unsafe { *context.cast::<String>() = text.get().into_owned() };
        }
        let Some(describe) = theirs!(self, describe) else { return Ok("{}".to_owned()) };
        let mut text = String::new();
        let sink = Sink { context: (&raw mut text).cast(), write, reserved: [0; 2] };
        // SAFETY: the module's contract; the sink lives for the call.
        let status = unsafe { describe(&raw const sink) };
        let words = Words { message: text.clone(), place: String::new() };
        outcome((status, Some(words))).map(|()| text)
    }

    /// Makes the plugin.
    ///
    /// # Errors
    /// Where the plugin refuses or panics.
    pub fn create(
        self,
        keep: Host,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<LoadedPlugin, CallFailure> {
        let mut object = std::ptr::null_mut();
        if let Some(create) = theirs!(self, create) {
            // SAFETY: the module's contract; `keep` lives for the call, `object` is ours.
            outcome(with_call(host, frame, |call| unsafe {
                create(&raw const keep, call, &raw mut object)
            }))?;
        }
        Ok(LoadedPlugin { module: self, object })
    }
}

/// Nothing was done, and that is right.
const NOTHING_TO_DO: u32 = Status::Ok.code();

/// A plugin made by its module.
#[derive(Debug)]
pub struct LoadedPlugin {
    module: Module,
    object: *mut Opaque,
}

// SAFETY: the module's contract: the plugin object may be called from any thread (`&self`).
unsafe impl Send for LoadedPlugin {}
// SAFETY: as above.
unsafe impl Sync for LoadedPlugin {}

impl LoadedPlugin {
    /// Calls a hook of the plugin.
    ///
    /// # Errors
    /// Where the hook fails.
    pub fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        outcome(with_call(host, frame, |call| match theirs!(self.module, call_plugin) {
            // SAFETY: the module's contract; the object is alive as long as `self`.
            Some(function) => unsafe { function(self.object, call) },
            None => NOTHING_TO_DO,
        }))
    }

    /// Makes an instance for a run.
    ///
    /// # Errors
    /// Where the plugin refuses or panics.
    pub fn start(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<LoadedRun, CallFailure> {
        let mut object = std::ptr::null_mut();
        outcome(with_call(host, frame, |call| match theirs!(self.module, start) {
            // SAFETY: the module's contract; the plugin is alive as long as `self`, `object` is ours.
            Some(function) => unsafe { function(self.object, call, &raw mut object) },
            None => NOTHING_TO_DO,
        }))?;
        Ok(LoadedRun { module: self.module, object })
    }

    /// Drops the plugin. Without this call it stays in memory, as its code does.
    ///
    /// # Errors
    /// Where its Drop panics.
    pub fn close(self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        outcome(with_call(host, frame, |call| match theirs!(self.module, drop_plugin) {
            // SAFETY: the module's contract; the object is dropped once, as `self` is consumed.
            Some(function) => unsafe { function(self.object, call) },
            None => NOTHING_TO_DO,
        }))
    }
}

/// A plugin's instance for one run.
#[derive(Debug)]
pub struct LoadedRun {
    module: Module,
    object: *mut Opaque,
}

// SAFETY: the module's contract: an instance may be used by one thread after another.
unsafe impl Send for LoadedRun {}

impl LoadedRun {
    /// Calls a hook of the instance.
    ///
    /// # Errors
    /// Where the hook fails.
    pub fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        outcome(with_call(host, frame, |call| match theirs!(self.module, call_run) {
            // SAFETY: the module's contract; the object is alive as long as `self`.
            Some(function) => unsafe { function(self.object, call) },
            None => NOTHING_TO_DO,
        }))
    }

    /// Drops the instance. Without this call it stays in memory: what a plugin does in its Drop
    /// belongs to the run, with a host to talk to, and not to wherever a handle goes out of scope.
    ///
    /// # Errors
    /// Where its Drop panics.
    pub fn close(self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        outcome(with_call(host, frame, |call| match theirs!(self.module, drop_run) {
            // SAFETY: the module's contract; the object is dropped once, as `self` is consumed.
            Some(function) => unsafe { function(self.object, call) },
            None => NOTHING_TO_DO,
        }))
    }
}
