//! The function tables of both sides. They grow at the end only.

#![allow(clippy::expl_impl_clone_on_copy, reason = "abi_stable's derive writes Clone out")]

use abi_stable::StableAbi;

use crate::frame::{Call, Opaque, RawBuffer, RawValue, Str};

/// A function of a table, or `None` where the table ends before it: the other side is of an earlier
/// minor version.
macro_rules! function {
    ($table:expr, $type:ident, $name:ident) => {{
        let table: *const $crate::tables::$type = $table;
        let end = core::mem::offset_of!($type, $name) + size_of::<usize>();
        if (*table).size >= end { Some((*table).$name) } else { None }
    }};
}
pub(crate) use function;

/// What a hook may ask of the host. Every function takes the `context` of its [`Call`] first, is
/// called on the thread the hook runs on, and returns a [`crate::codes::Status`].
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = ContextTableRef)))]
#[sabi(missing_field(option))]
pub struct ContextTable {
    /// Size of this table in bytes. What lies beyond is not there: ask before a function is called
    /// that came with a minor version.
    pub size: usize,
    /// The host's version of the ABI.
    pub abi_major: u32,
    /// The host's version of the ABI.
    pub abi_minor: u32,
    /// Reads a [`crate::Field`].
    pub get: unsafe extern "C" fn(*mut Opaque, u32, u64, *mut RawValue) -> u32,
    /// Writes a [`crate::Field`].
    pub set: unsafe extern "C" fn(*mut Opaque, u32, u64, *const RawValue) -> u32,
    /// Reads an option from an [`crate::codes::OptionSource`].
    pub read_option: unsafe extern "C" fn(*mut Opaque, u32, Str, *mut RawValue) -> u32,
    /// Reads all options of a source as one JSON object.
    pub read_all_options: unsafe extern "C" fn(*mut Opaque, u32, *mut RawValue) -> u32,
    /// Writes an option to an [`crate::codes::OptionTarget`].
    pub write_option: unsafe extern "C" fn(*mut Opaque, u32, Str, *const RawValue) -> u32,
    /// Lends a [`crate::Buffer`]; the fourth argument is 1 for write access.
    pub buffer: unsafe extern "C" fn(*mut Opaque, u32, u64, u32, *mut RawBuffer) -> u32,
    /// Applies a [`crate::codes::ListOp`] to a list of buffers: buffer, op, index, width, height.
    /// Views of that buffer taken before are void afterwards.
    pub resize: unsafe extern "C" fn(*mut Opaque, u32, u32, u64, u64, u64) -> u32,
    /// Adds a key and value to the infotext of the run's pictures.
    pub infotext: unsafe extern "C" fn(*mut Opaque, Str, *const RawValue) -> u32,
    /// Does a [`crate::codes::Service`]: text, buffer in, buffer out, value out.
    pub service: unsafe extern "C" fn(
        *mut Opaque,
        u32,
        Str,
        *const RawBuffer,
        *mut RawBuffer,
        *mut RawValue,
    ) -> u32,
    /// 1 where the run was cancelled.
    pub cancelled: unsafe extern "C" fn(*mut Opaque) -> u32,
    /// Writes a log line: level, target, message.
    pub log: unsafe extern "C" fn(*mut Opaque, u32, Str, Str) -> u32,
    /// The words of the last refusal of this context.
    pub message: unsafe extern "C" fn(*mut Opaque, *mut RawValue) -> u32,
    /// Says why the hook is about to return a failure: message, place (file and line, or empty).
    #[sabi(last_prefix_field)]
    pub fail: unsafe extern "C" fn(*mut Opaque, Str, Str) -> u32,
}

/// What a plugin may ask of the host outside hooks, from any thread, for ever.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = HostTableRef)))]
#[sabi(missing_field(option))]
pub struct HostTable {
    /// Size of this table in bytes, as in [`ContextTable`].
    pub size: usize,
    /// The host's version of the ABI.
    pub abi_major: u32,
    /// The host's version of the ABI.
    pub abi_minor: u32,
    /// 1 where a log line of that level and target would be kept.
    pub log_enabled: unsafe extern "C" fn(*const Opaque, u32, Str) -> u32,
    /// Writes a log line: level, target, message.
    #[sabi(last_prefix_field)]
    pub log: unsafe extern "C" fn(*const Opaque, u32, Str, Str),
}

/// The host as a plugin keeps it.
#[repr(C)]
#[derive(Clone, Copy, StableAbi)]
#[sabi(phantom_type_param = HostTableRef)]
pub struct Host {
    /// Passed back with every function of `table`.
    pub context: *const Opaque,
    /// The functions.
    #[sabi(unsafe_opaque_field)]
    pub table: *const HostTable,
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 2],
}

// SAFETY: the host promises that `context` and `table` live for ever and that the functions may be
// called from any thread (see `HostTable`).
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Takes a piece of text.
#[repr(C)]
#[derive(Clone, Copy, Debug, StableAbi)]
pub struct Sink {
    /// Passed back with `write`.
    pub context: *mut Opaque,
    /// Called once with the text, which lives for the call.
    pub write: unsafe extern "C" fn(*mut Opaque, Str),
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 2],
}

/// A plugin, as its library exports it. Every function but `manifest` returns a
/// [`crate::codes::Status`] and lets no panic out.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(option))]
pub struct PluginModule {
    /// The manifest's JSON, equal to the one embedded in the file.
    pub manifest: extern "C" fn() -> Str,
    /// Writes the plugin's declaration (options and arguments) as one JSON text; on failure the
    /// words of it instead.
    pub describe: unsafe extern "C" fn(*const Sink) -> u32,
    /// Makes the plugin. On success the last argument receives it.
    pub create: unsafe extern "C" fn(*const Host, *const Call, *mut *mut Opaque) -> u32,
    /// Calls a hook of the plugin (`&self`, from any thread).
    pub call_plugin: unsafe extern "C" fn(*const Opaque, *const Call) -> u32,
    /// Makes an instance for a run. On success the last argument receives it.
    pub start: unsafe extern "C" fn(*const Opaque, *const Call, *mut *mut Opaque) -> u32,
    /// Calls a hook of a run's instance (`&mut self`, one thread at a time).
    pub call_run: unsafe extern "C" fn(*mut Opaque, *const Call) -> u32,
    /// Drops a run's instance.
    pub drop_run: unsafe extern "C" fn(*mut Opaque, *const Call) -> u32,
    /// Drops the plugin.
    #[sabi(last_prefix_field)]
    pub drop_plugin: unsafe extern "C" fn(*mut Opaque, *const Call) -> u32,
}

impl abi_stable::library::RootModule for PluginModuleRef {
    abi_stable::declare_root_module_statics! {PluginModuleRef}
    const BASE_NAME: &'static str = "atelier_plugin";
    const NAME: &'static str = "atelier_plugin";
    const VERSION_STRINGS: abi_stable::sabi_types::VersionStrings =
        abi_stable::package_version_strings!();
}

macro_rules! debug_by_name {
    ($($name:ident)*) => { $(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )* };
}
debug_by_name!(ContextTable ContextTableRef HostTable HostTableRef PluginModule PluginModuleRef);
