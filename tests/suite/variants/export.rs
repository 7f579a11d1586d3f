//! A plugin made of the boundary package alone: it is compiled as a module of a copy of
//! `atelier-plugin-abi`, whose types may have been edited. It writes into the infotext that it was
//! called.

use crate::{
    abi_stable::library as header,
    manifest::{Manifest, join, joined_len},
    plugin::{Entry, Exports, Failure, PluginObject, RunObject},
    tables::PluginModuleRef,
    value::ValueRef,
    version::ABI_VERSION_TEXT,
};

const HEAD: &str = "{\"id\":\"variant-id\",\"name\":\"Variant\",\"version\":\"1.0.0\",\"abi\":\"";
const PANIC: &str = if cfg!(panic = "unwind") { "unwind" } else { "abort" };
const PARTS: &[&str] =
    &[HEAD, ABI_VERSION_TEXT, "\",\"panic\":\"", PANIC, "\",\"hooks\":[\"process\"]}"];
const LENGTH: usize = joined_len(PARTS);
static JSON: [u8; LENGTH] = join(PARTS);
const DECLARATION: &str = r##"{"options":[],"args":[]}"##;

/// The plugin.
#[derive(Debug)]
pub struct Variant;

/// Its run.
#[derive(Debug)]
pub struct VariantRun;

impl PluginObject for Variant {
    type Run = VariantRun;
    const MANIFEST: &'static str = match core::str::from_utf8(&JSON) {
        Ok(text) => text,
        Err(_) => "",
    };

    fn describe() -> Result<String, Failure> {
        Ok(DECLARATION.to_owned())
    }
    fn create(_: Entry<'_>) -> Result<Self, Failure> {
        Ok(Self)
    }
    fn call(&self, _: crate::Hook, _: Entry<'_>) -> Result<(), Failure> {
        Ok(())
    }
    fn start(&self, _: Entry<'_>) -> Result<VariantRun, Failure> {
        Ok(VariantRun)
    }
}

impl RunObject for VariantRun {
    fn call(&mut self, hook: crate::Hook, entry: Entry<'_>) -> Result<(), Failure> {
        let told = entry.cx.infotext("Variant", ValueRef::Text(hook.name()));
        told.map_err(|refusal| Failure::new(refusal.message))
    }
}

#[used]
#[unsafe(no_mangle)]
#[cfg_attr(target_os = "linux", unsafe(link_section = ".atelier"))]
#[cfg_attr(target_os = "macos", unsafe(link_section = "__DATA,__atelier"))]
#[cfg_attr(target_os = "windows", unsafe(link_section = ".atelier"))]
pub static ATELIER_PLUGIN_MANIFEST: Manifest<LENGTH> = Manifest::new(join(PARTS));

fn module() -> PluginModuleRef {
    Exports::<Variant>::module()
}
extern "C" fn construct() -> header::RootModuleResult {
    header::__call_root_module_loader(module)
}

#[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
pub static ROOT_MODULE_LOADER: header::LibHeader =
    // SAFETY: `construct` makes the very type named here.
    unsafe {
        header::LibHeader::from_constructor::<PluginModuleRef>(
            construct,
            header::CheckTypeLayout::Yes,
        )
    };
