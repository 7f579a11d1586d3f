//! What the host calls a plugin through.

use std::{fmt::Debug, sync::Arc};

use atelier_plugin_abi::{
    frame::Frame,
    host::{CallFailure, HookHost, LoadedPlugin, LoadedRun},
};

use super::id::PluginId;

/// A loaded plugin, wherever its code runs. A call is a frame of plain data and a host to talk to;
/// nothing else crosses, so that a plugin in this process, one behind a wire and one written in C are
/// called in the same way.
pub trait PluginHandle: Debug + Send + Sync {
    /// Calls a hook of the plugin.
    ///
    /// # Errors
    /// Where the hook fails.
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure>;

    /// The process that runs its code, where that is another one than the host's.
    fn process(&self) -> Option<u32> {
        None
    }

    /// Makes an instance for a run.
    ///
    /// # Errors
    /// Where the plugin refuses or panics.
    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure>;
}

/// Puts something between the host and its plugins: bytes, a recorder, a process.
pub trait Decorator: Debug + Send + Sync {
    /// Wraps the handle of a plugin that was just loaded.
    fn wrap(&self, plugin: &PluginId, handle: Arc<dyn PluginHandle>) -> Arc<dyn PluginHandle>;
}

/// A plugin's instance for one run.
pub trait RunHandle: Debug + Send {
    /// Calls a hook of the instance.
    ///
    /// # Errors
    /// Where the hook fails.
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure>;

    /// Drops the instance.
    ///
    /// # Errors
    /// Where its Drop panics.
    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure>;
}

/// In this process.
impl PluginHandle for LoadedPlugin {
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        LoadedPlugin::call(self, frame, host)
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        LoadedPlugin::start(self, frame, host).map(|run| Box::new(run) as Box<dyn RunHandle>)
    }
}

impl RunHandle for LoadedRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        LoadedRun::call(self, frame, host)
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        LoadedRun::close(*self, frame, host)
    }
}
