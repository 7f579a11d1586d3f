//! Opens a library and takes its module, the one place where foreign code begins to run.

#![allow(unsafe_code, reason = "loading code is unsafe by nature; every block says why it holds")]

use std::path::Path;

use abi_stable::{
    StableAbi as _,
    abi_stability::abi_checking::check_layout_compatibility,
    library::{AbiHeaderRef, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL},
    sabi_types::VersionNumber,
};
use atelier_plugin_abi::{
    host::Module,
    tables::{C_SYMBOL, PluginModuleRef, PluginTable},
    version::{ABI_VERSION, AbiVersion},
};

use super::error::{LoadError, one_line};

/// Opens a library that preflight and manifest were checked of, and takes its module.
///
/// The library is never unloaded: threads, thread-locals and static data of its may be in use until
/// the process ends. A new build is a new copy under a new name.
///
/// # Errors
/// [`LoadError::Open`] and everything that follows it.
pub fn open(path: &Path) -> Result<Module, LoadError> {
    let library = load(path)?;
    // SAFETY: the symbol, where there is one, is abi_stable's header: a pointer to a static whose
    // first bytes are its magic and version, which `upgrade` checks before it reads on.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL) };
    let header = header.map(|symbol| *symbol).ok();
    // SAFETY: the symbol's name belongs to this ABI: whoever exports it means this function.
    let of_c = unsafe { library.get::<CModule>(C_SYMBOL) }.map(|symbol| *symbol).ok();
    // Never unloaded, see above.
    std::mem::forget(library);
    match (header, of_c) {
        (Some(header), _) => of_rust(header),
        (None, Some(module)) => of_c_table(module),
        (None, None) => Err(LoadError::NoModule),
    }
}

/// What a library in C exports.
type CModule = unsafe extern "C" fn() -> *const PluginTable;

/// A Rust plugin: `abi_stable` compares the types that it was built with.
fn of_rust(header: AbiHeaderRef) -> Result<Module, LoadError> {
    let header = match header.upgrade() {
        Ok(header) => header,
        Err(LibraryError::InvalidAbiHeader(found)) => {
            return Err(LoadError::AbiStable {
                plugin: format!("{}.{}", found.abi_major, found.abi_minor),
                host: "0.11".to_owned(),
            });
        }
        Err(error) => return Err(LoadError::Open { reason: error.to_string() }),
    };
    let version = VersionNumber::new(header.version_strings())
        .map_err(|error| LoadError::BadManifest { reason: error.to_string() })?;
    let version = AbiVersion { major: version.major, minor: version.minor };
    if !ABI_VERSION.runs(version) {
        return Err(LoadError::Version { plugin: version, host: ABI_VERSION });
    }
    check_layout(header.layout(), version)?;
    // SAFETY: the layouts were compared just above, by the same check that `init_root_module` does,
    // except that it would refuse a plugin built for an older minor version.
    let module = unsafe { header.unchecked_layout::<PluginModuleRef>() }
        .map_err(|error| LoadError::Open { reason: error.to_string() })?;
    // SAFETY: a library with this layout was built with `atelier-plugin-abi`, whose exports keep to
    // the table's contract, and it stays loaded for ever (see `open`).
    Ok(unsafe { Module::new(module.plugin()()) })
}

/// A plugin in C: its table says for which version it was made and how long it is.
fn of_c_table(module: CModule) -> Result<Module, LoadError> {
    // SAFETY: the contract of `C_SYMBOL`; the library stays loaded for ever.
    let table = unsafe { module() };
    if table.is_null() {
        return Err(LoadError::NoModule);
    }
    // SAFETY: the same contract: the table is there, and its functions keep to what the header file
    // says. Nothing can check that, as nothing can check what else a library in C does.
    let module = unsafe { Module::new(table) };
    if !ABI_VERSION.runs(module.abi()) {
        return Err(LoadError::Version { plugin: module.abi(), host: ABI_VERSION });
    }
    Ok(module)
}

#[cfg(unix)]
fn load(path: &Path) -> Result<libloading::os::unix::Library, LoadError> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    let reason = |error: &libloading::Error| {
        let cause = std::error::Error::source(error).map(ToString::to_string);
        LoadError::Open { reason: cause.unwrap_or_else(|| error.to_string()) }
    };
    // RTLD_NOW: with lazy binding a missing symbol would end the process at its first call.
    // SAFETY: opening a library runs its constructors. Whoever asked for this plugin trusts it; the
    // file is a private copy that preflight has found whole.
    unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|error| reason(&error))
}

#[cfg(not(unix))]
fn load(path: &Path) -> Result<libloading::Library, LoadError> {
    // SAFETY: as on Unix.
    unsafe { libloading::Library::new(path) }
        .map_err(|error| LoadError::Open { reason: error.to_string() })
}

/// Compares the plugin's types with the host's. The older side's layout has to be a prefix of the
/// newer one's; `abi_stable`'s own check always takes the host for the older side, and so refuses every
/// plugin that was built for an earlier minor version.
fn check_layout(
    layout: Option<&'static abi_stable::type_layout::TypeLayout>,
    plugin: AbiVersion,
) -> Result<(), LoadError> {
    let Some(theirs) = layout else { return Err(LoadError::NoModule) };
    let ours = PluginModuleRef::LAYOUT;
    let checked = if plugin < ABI_VERSION {
        check_layout_compatibility(theirs, ours)
    } else {
        check_layout_compatibility(ours, theirs)
    };
    checked.map_err(|error| {
        let report = error.to_string();
        LoadError::Layout { difference: first_difference(&report), report }
    })
}

/// The first difference of a report that runs over hundreds of lines: the trail of field names and
/// what is wrong at its end.
fn first_difference(report: &str) -> String {
    const NOISE: [&str; 6] = ["0", "__returns", "field_0", "obj", "vtable", "_sabi_vtable"];
    let mut trail: Vec<&str> = Vec::new();
    let mut reading_trail = false;
    let mut lines = report.lines();
    while let Some(line) = lines.next() {
        if line.trim_end().ends_with("error(s)inside:") {
            trail.clear();
            reading_trail = true;
        } else if line.starts_with("Layout of expected type") {
            reading_trail = false;
        } else if let (true, Some(name)) = (reading_trail, line.trim().strip_prefix("field_name:"))
        {
            if !NOISE.contains(&name) {
                // The one phantom parameter that a struct of the boundary has is its table's type.
                trail.push(if name == "_phantom_ty_param_0" { "table" } else { name });
            }
        } else if let Some(error) = line.strip_prefix("Error:") {
            let rest: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.is_empty() && !line.contains("error(s)inside"))
                .take(8)
                .map(str::trim)
                .collect();
            let place = if trail.is_empty() { "the module".to_owned() } else { trail.join(".") };
            return one_line(&format!("{place}: {} {}", error.trim(), rest.join(" ")));
        }
    }
    "the types differ".to_owned()
}
