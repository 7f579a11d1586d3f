//! The function tables of both sides. They grow at the end only.
//!
//! A table is plain memory whose first field says how long it is: a plugin in C and a plugin in Rust
//! get the same one. `abi_stable` describes them as prefix types, so that the layouts that a Rust
//! plugin was built with are compared with the host's when it is loaded.

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
    pub get: unsafe extern "C" fn(
        context: *mut Opaque,
        field: u32,
        index: u64,
        out: *mut RawValue,
    ) -> u32,
    /// Writes a [`crate::Field`].
    pub set: unsafe extern "C" fn(
        context: *mut Opaque,
        field: u32,
        index: u64,
        value: *const RawValue,
    ) -> u32,
    /// Reads an option from an [`crate::codes::OptionSource`].
    pub read_option: unsafe extern "C" fn(
        context: *mut Opaque,
        source: u32,
        key: Str,
        out: *mut RawValue,
    ) -> u32,
    /// Reads all options of a source as one JSON object.
    pub read_all_options:
        unsafe extern "C" fn(context: *mut Opaque, source: u32, out: *mut RawValue) -> u32,
    /// Writes an option to an [`crate::codes::OptionTarget`].
    pub write_option: unsafe extern "C" fn(
        context: *mut Opaque,
        target: u32,
        key: Str,
        value: *const RawValue,
    ) -> u32,
    /// Lends a [`crate::Buffer`]; `write` is 1 for write access.
    pub buffer: unsafe extern "C" fn(
        context: *mut Opaque,
        buffer: u32,
        index: u64,
        write: u32,
        out: *mut RawBuffer,
    ) -> u32,
    /// Applies a [`crate::codes::ListOp`] to a list of buffers. Views of that buffer taken before are
    /// void afterwards.
    pub resize: unsafe extern "C" fn(
        context: *mut Opaque,
        buffer: u32,
        op: u32,
        index: u64,
        width: u64,
        height: u64,
    ) -> u32,
    /// Adds a key and value to the infotext of the run's pictures.
    pub infotext:
        unsafe extern "C" fn(context: *mut Opaque, key: Str, value: *const RawValue) -> u32,
    /// Does a [`crate::codes::Service`]; `buffer` may be null. Each service answers in one of the
    /// outs.
    pub service: unsafe extern "C" fn(
        context: *mut Opaque,
        service: u32,
        text: Str,
        buffer: *const RawBuffer,
        out_buffer: *mut RawBuffer,
        out_value: *mut RawValue,
    ) -> u32,
    /// 1 where the run was cancelled.
    pub cancelled: unsafe extern "C" fn(context: *mut Opaque) -> u32,
    /// Writes a log line of a [`crate::Level`].
    pub log:
        unsafe extern "C" fn(context: *mut Opaque, level: u32, target: Str, message: Str) -> u32,
    /// The words of the last refusal of this context.
    pub message: unsafe extern "C" fn(context: *mut Opaque, out: *mut RawValue) -> u32,
    /// Says why the hook is about to return a failure; `place` is file and line, or empty.
    #[sabi(last_prefix_field)]
    pub fail: unsafe extern "C" fn(context: *mut Opaque, message: Str, place: Str) -> u32,
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
    /// 1 where a log line of that [`crate::Level`] and target would be kept.
    pub log_enabled: unsafe extern "C" fn(context: *const Opaque, level: u32, target: Str) -> u32,
    /// Writes a log line of a [`crate::Level`].
    #[sabi(last_prefix_field)]
    pub log: unsafe extern "C" fn(context: *const Opaque, level: u32, target: Str, message: Str),
}

/// The host as a plugin keeps it: a copy of this is good for ever.
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
    pub write: unsafe extern "C" fn(context: *mut Opaque, text: Str),
    /// Zero; room for what a later version has to say.
    pub reserved: [u64; 2],
}

/// What a plugin does, as its library hands it over. It lives for ever.
///
/// Every function but `manifest` returns a [`crate::codes::Status`] and lets no panic or exception
/// out. One that is null has nothing to do: without `create` and `start` the objects are null, without
/// `describe` nothing is declared. `manifest` has to be there.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginTableRef)))]
#[sabi(missing_field(option))]
pub struct PluginTable {
    /// Size of this table in bytes, as in [`ContextTable`].
    pub size: usize,
    /// The version of the ABI that the plugin was built for.
    pub abi_major: u32,
    /// The version of the ABI that the plugin was built for.
    pub abi_minor: u32,
    /// The manifest's JSON, equal to the one embedded in the file. It lives for ever.
    pub manifest: Option<extern "C" fn() -> Str>,
    /// Writes the plugin's declaration (options and arguments) as one JSON text; on failure the
    /// words of it instead.
    pub describe: Option<unsafe extern "C" fn(sink: *const Sink) -> u32>,
    /// Makes the plugin. On success `out` receives it.
    pub create: Option<
        unsafe extern "C" fn(host: *const Host, call: *const Call, out: *mut *mut Opaque) -> u32,
    >,
    /// Calls a hook of the plugin, from any thread, several at a time.
    pub call_plugin: Option<unsafe extern "C" fn(plugin: *const Opaque, call: *const Call) -> u32>,
    /// Makes an instance for a run. On success `out` receives it.
    pub start: Option<
        unsafe extern "C" fn(
            plugin: *const Opaque,
            call: *const Call,
            out: *mut *mut Opaque,
        ) -> u32,
    >,
    /// Calls a hook of a run's instance, one thread at a time.
    pub call_run: Option<unsafe extern "C" fn(run: *mut Opaque, call: *const Call) -> u32>,
    /// Drops a run's instance.
    pub drop_run: Option<unsafe extern "C" fn(run: *mut Opaque, call: *const Call) -> u32>,
    /// Drops the plugin.
    #[sabi(last_prefix_field)]
    pub drop_plugin: Option<unsafe extern "C" fn(plugin: *mut Opaque, call: *const Call) -> u32>,
}

/// What a Rust plugin's library exports for `abi_stable`: the way to its table. A library in C exports
/// the same function as [`C_SYMBOL`] instead.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(option))]
#[sabi(phantom_type_param = PluginTableRef)]
pub struct PluginModule {
    /// Returns the plugin, which lives for ever.
    #[sabi(last_prefix_field, unsafe_opaque_field)]
    pub plugin: extern "C" fn() -> *const PluginTable,
}

/// The function that a library in C exports: it takes nothing and returns a pointer to its
/// [`PluginTable`], or null.
pub const C_SYMBOL: &str = "atelier_plugin";

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
debug_by_name!(ContextTable ContextTableRef HostTable HostTableRef PluginTable PluginTableRef
    PluginModule PluginModuleRef);
