//! The functions that a plugin's library exports, made from two safe traits.

use std::{marker::PhantomData, mem::ManuallyDrop};

use abi_stable::prefix_type::PrefixTypeTrait as _;

use super::{
    cx::{Buffers, HookCx, keep_host},
    guard::{Failure, guard, install_panic_hook},
};
use crate::{
    codes::{Hook, Status},
    frame::{Call, Opaque, Str},
    tables::{Host, PluginModule, PluginModuleRef, PluginTable, Sink},
    version::ABI_VERSION,
};

/// Everything a hook gets: what may be copied, and what may not.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Fields, options, log.
    pub cx: HookCx<'a>,
    /// Memory of the host.
    pub buffers: Buffers<'a>,
}

/// A loaded plugin.
pub trait PluginObject: Sized + Send + Sync + 'static {
    /// What lives for one run.
    type Run: RunObject;
    /// The manifest's JSON.
    const MANIFEST: &'static str;

    /// Options and arguments as JSON.
    ///
    /// # Errors
    /// Whatever the author says.
    fn describe() -> Result<String, Failure>;

    /// Makes the plugin.
    ///
    /// # Errors
    /// Whatever the author says.
    fn create(entry: Entry<'_>) -> Result<Self, Failure>;

    /// Calls a hook of the plugin.
    ///
    /// # Errors
    /// Whatever the author says.
    fn call(&self, hook: Hook, entry: Entry<'_>) -> Result<(), Failure>;

    /// Makes an instance for a run.
    ///
    /// # Errors
    /// Whatever the author says.
    fn start(&self, entry: Entry<'_>) -> Result<Self::Run, Failure>;
}

/// What lives for one run.
pub trait RunObject: Send + 'static {
    /// Calls a hook of the instance.
    ///
    /// # Errors
    /// Whatever the author says.
    fn call(&mut self, hook: Hook, entry: Entry<'_>) -> Result<(), Failure>;
}

/// The exported functions of a plugin `P`.
#[derive(Debug)]
pub struct Exports<P>(PhantomData<P>);

impl<P: PluginObject> Exports<P> {
    const TABLE: &'static PluginTable = &PluginTable {
        size: size_of::<PluginTable>(),
        abi_major: ABI_VERSION.major,
        abi_minor: ABI_VERSION.minor,
        manifest: Some(manifest::<P>),
        describe: Some(describe::<P>),
        create: Some(create::<P>),
        call_plugin: Some(call_plugin::<P>),
        start: Some(start::<P>),
        call_run: Some(call_run::<P>),
        drop_run: Some(drop_boxed::<P::Run>),
        drop_plugin: Some(drop_boxed::<P>),
    };

    /// The module that the library hands to its host. Lives for ever.
    #[must_use]
    pub fn module() -> PluginModuleRef {
        PluginModule { plugin: table::<P> }.leak_into_prefix()
    }

    /// The same module for a host in the same program: a plugin linked statically.
    #[must_use]
    pub fn linked() -> crate::host::Module {
        // SAFETY: the functions are those of this file, which keep to the contract.
        unsafe { crate::host::Module::new(Self::TABLE) }
    }
}

/// Runs a hook and turns its outcome into a status; the words go through the context.
fn settle(cx: HookCx<'_>, work: impl FnOnce() -> Result<(), Failure>) -> u32 {
    match guard(work) {
        Ok(()) => Status::Ok.code(),
        Err(failure) => {
            cx.fail(&failure.message, &failure.place);
            failure.status.code()
        }
    }
}

/// # Safety
/// `call` must point to a call that has not returned.
unsafe fn entry<'a>(call: *const Call) -> (Option<Hook>, Entry<'a>) {
    // SAFETY: the caller's promise.
    let call = unsafe { &*call };
    let cx = HookCx::new(call);
    // SAFETY: an entry is made once per exported call.
    let buffers = unsafe { Buffers::new(call) };
    (Hook::from_code(cx.frame().hook), Entry { cx, buffers })
}

extern "C" fn table<P: PluginObject>() -> *const PluginTable {
    Exports::<P>::TABLE
}

extern "C" fn manifest<P: PluginObject>() -> Str {
    Str::new(P::MANIFEST)
}

unsafe extern "C" fn describe<P: PluginObject>(sink: *const Sink) -> u32 {
    install_panic_hook();
    let (status, text) = match guard(P::describe) {
        Ok(json) => (Status::Ok, json),
        Err(failure) => (failure.status, failure.message),
    };
    // SAFETY: the module's contract: `sink` is valid for reads, and its `write` takes its context and
    // a text that lives for the call.
    unsafe { ((*sink).write)((*sink).context, Str::new(&text)) };
    status.code()
}

unsafe extern "C" fn create<P: PluginObject>(
    host: *const Host,
    call: *const Call,
    out: *mut *mut Opaque,
) -> u32 {
    install_panic_hook();
    // SAFETY: the module's contract: `host` is valid for reads.
    keep_host(unsafe { *host });
    // SAFETY: the module's contract: `call` lives until this function returns.
    let (_, entry) = unsafe { entry(call) };
    settle(entry.cx, || {
        let plugin = P::create(entry)?;
        // SAFETY: the module's contract: `out` is valid for writes.
        unsafe { *out = Box::into_raw(Box::new(plugin)).cast() };
        Ok(())
    })
}

unsafe extern "C" fn call_plugin<P: PluginObject>(plugin: *const Opaque, call: *const Call) -> u32 {
    // SAFETY: the module's contract: `plugin` came from `create` and is not dropped yet, `call`
    // lives until this function returns.
    let (plugin, (hook, entry)) = unsafe { (&*plugin.cast::<P>(), entry(call)) };
    let Some(hook) = hook else { return Status::NotHere.code() };
    settle(entry.cx, || plugin.call(hook, entry))
}

unsafe extern "C" fn start<P: PluginObject>(
    plugin: *const Opaque,
    call: *const Call,
    out: *mut *mut Opaque,
) -> u32 {
    // SAFETY: as in `call_plugin`.
    let (plugin, (_, entry)) = unsafe { (&*plugin.cast::<P>(), entry(call)) };
    settle(entry.cx, || {
        let run = plugin.start(entry)?;
        // SAFETY: the module's contract: `out` is valid for writes.
        unsafe { *out = Box::into_raw(Box::new(run)).cast() };
        Ok(())
    })
}

unsafe extern "C" fn call_run<P: PluginObject>(run: *mut Opaque, call: *const Call) -> u32 {
    // SAFETY: the module's contract: `run` came from `start`, is not dropped yet, and is used by one
    // thread at a time; `call` lives until this function returns.
    let (run, (hook, entry)) = unsafe { (&mut *run.cast::<P::Run>(), entry(call)) };
    let Some(hook) = hook else { return Status::NotHere.code() };
    settle(entry.cx, || run.call(hook, entry))
}

unsafe extern "C" fn drop_boxed<T>(object: *mut Opaque, call: *const Call) -> u32 {
    // SAFETY: the module's contract: `object` came from `create` or `start` and is dropped once;
    // `call` lives until this function returns.
    let (object, (_, entry)) = unsafe { (Box::from_raw(object.cast::<T>()), entry(call)) };
    let object = ManuallyDrop::new(object);
    settle(entry.cx, || {
        drop(ManuallyDrop::into_inner(object));
        Ok(())
    })
}
