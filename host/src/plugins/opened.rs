//! A library that is open, in this process or in a worker, on its way to a plugin.

use std::sync::Arc;

use atelier_plugin_abi::{
    Hook,
    frame::Frame,
    host::{CallFailure, Module, leak_host},
};

use super::{
    Isolation, PluginHandle,
    crumbs::{Crumbs, Mark, Watched},
    log::PluginLog,
    outside::Outside,
};

/// A library that is open, wherever that is, and whose plugin is not made yet.
pub(super) trait Opened {
    /// The manifest that its code tells.
    fn manifest(&self) -> String;
    /// What it declares, as JSON.
    fn declaration(&mut self) -> Result<String, CallFailure>;
    /// Makes the plugin.
    fn create(
        self,
        host: &mut Outside<'_>,
        watch: Option<(Arc<Crumbs>, Mark)>,
    ) -> Result<(Arc<dyn PluginHandle>, Isolation), CallFailure>;
}

impl Opened for Module {
    fn manifest(&self) -> String {
        Module::manifest(*self)
    }

    fn declaration(&mut self) -> Result<String, CallFailure> {
        self.describe()
    }

    fn create(
        self,
        host: &mut Outside<'_>,
        watch: Option<(Arc<Crumbs>, Mark)>,
    ) -> Result<(Arc<dyn PluginHandle>, Isolation), CallFailure> {
        let keep = leak_host(PluginLog(host.plugin.clone()));
        let plugin = Module::create(self, keep, &Frame::new(Hook::Start), host)?;
        let handle: Arc<dyn PluginHandle> = match watch {
            Some((crumbs, mark)) => Arc::new(Watched { plugin, crumbs, mark }),
            None => Arc::new(plugin),
        };
        Ok((handle, Isolation::InProcess))
    }
}

#[cfg(all(feature = "worker", target_os = "linux"))]
impl Opened for super::worker::Opened {
    fn manifest(&self) -> String {
        self.manifest()
    }

    fn declaration(&mut self) -> Result<String, CallFailure> {
        self.declaration()
    }

    fn create(
        self,
        host: &mut Outside<'_>,
        _: Option<(Arc<Crumbs>, Mark)>,
    ) -> Result<(Arc<dyn PluginHandle>, Isolation), CallFailure> {
        Ok((Arc::new(self.create(host)?), Isolation::Worker))
    }
}
