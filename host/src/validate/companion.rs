//! A plugin that is part of the host, to have company in checks. It reads an option and changes
//! nothing.

use atelier_plugin_abi::{
    Hook, ValueRef,
    codes::OptionSource,
    plugin::{Entry, Exports, Failure, PluginObject, RunObject},
};

use crate::{
    Atelier,
    plugins::{LoadError, Manifest},
};

struct Companion;
struct CompanionRun;

const MANIFEST: &str = concat!(
    r#"{"id":"validate-companion","name":"Companion","version":"1.0.0","abi":""#,
    "1.0",
    r#"","panic":"unwind","hooks":["process","after_step","postprocess_image","finish"]}"#
);

impl PluginObject for Companion {
    type Run = CompanionRun;
    const MANIFEST: &'static str = MANIFEST;

    fn describe() -> Result<String, Failure> {
        Ok(r#"{"options":[{"key":"validate_companion","kind":"int","default":1}],"args":[]}"#
            .to_owned())
    }
    fn create(_: Entry<'_>) -> Result<Self, Failure> {
        Ok(Self)
    }
    fn call(&self, _: Hook, _: Entry<'_>) -> Result<(), Failure> {
        Ok(())
    }
    fn start(&self, _: Entry<'_>) -> Result<CompanionRun, Failure> {
        Ok(CompanionRun)
    }
}

impl RunObject for CompanionRun {
    fn call(&mut self, _: Hook, entry: Entry<'_>) -> Result<(), Failure> {
        let read = entry.cx.read_option(OptionSource::Live, "validate_companion");
        match read.map_err(|refusal| Failure::new(refusal.message))? {
            ValueRef::Int(_) => Ok(()),
            other => Err(Failure::new(format!("{other:?} is no number"))),
        }
    }
}

/// Adds the companion to a host.
pub(super) fn join(atelier: &Atelier) -> Result<(), LoadError> {
    let module = Exports::<Companion>::linked();
    let manifest = Manifest::parse(MANIFEST)?;
    let (hash, path) = ("0".repeat(64), "companion".into());
    atelier.loader().add(module, manifest, hash, path, atelier.store())
}
