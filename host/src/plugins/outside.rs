//! The host as a plugin meets it outside of runs.

use std::path::{Path, PathBuf};

use atelier_plugin_abi::{
    Buffer, Field, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    host::{BufferView, HookHost, Refusal, ServiceReply, ServiceRequest},
};

use super::{LiveOptions, PluginId, log, values::to_plugin};

/// The host as a plugin meets it while it is made: options and log, nothing else.
pub(super) struct Outside<'a> {
    pub(super) store: &'a LiveOptions,
    pub(super) plugin: &'a PluginId,
    pub(super) data: PathBuf,
    pub(super) path: &'a Path,
}

fn no_run<T>() -> Result<T, Refusal> {
    Err(Refusal::new(Status::NotHere, "there is no run here"))
}

impl HookHost for Outside<'_> {
    fn get(&mut self, field: Field, _: u64) -> Result<Value, Refusal> {
        let text = |path: &Path| Ok(Value::Text(path.display().to_string().into()));
        match field {
            Field::DataFolder => text(&self.data),
            Field::LibraryPath => text(self.path),
            _ => no_run(),
        }
    }

    fn set(&mut self, _: Field, _: u64, _: ValueRef<'_>) -> Result<(), Refusal> {
        no_run()
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        if source != OptionSource::Live {
            return Err(Refusal::new(Status::NoSnapshot, "snapshots belong to runs"));
        }
        let state = self.store.load();
        let value = state.options.by_key(key).ok_or_else(|| {
            let error = crate::options::SetError::UnknownKey {
                key: key.to_owned(),
                nearest: state.options.schema().nearest(key).map(str::to_owned),
            };
            Refusal::new(Status::UnknownKey, error.to_string())
        })?;
        Ok(to_plugin(value))
    }

    fn read_all_options(&mut self, _: OptionSource) -> Result<Value, Refusal> {
        let state = self.store.load();
        let all: serde_json::Map<_, _> =
            state.options.iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect();
        Ok(Value::Json(serde_json::Value::Object(all).to_string().into()))
    }

    fn write_option(&mut self, _: OptionTarget, _: &str, _: ValueRef<'_>) -> Result<(), Refusal> {
        Err(Refusal::new(Status::ReadOnly, "options can be written in the hooks of a run only"))
    }

    fn buffer(&mut self, _: Buffer, _: u64, _: bool) -> Result<BufferView<'_>, Refusal> {
        no_run()
    }

    fn resize(&mut self, _: Buffer, _: ListOp, _: u64, _: (u64, u64)) -> Result<(), Refusal> {
        no_run()
    }

    fn infotext(&mut self, _: &str, _: ValueRef<'_>) -> Result<(), Refusal> {
        no_run()
    }

    fn service(&mut self, _: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        no_run()
    }

    fn cancelled(&mut self) -> bool {
        false
    }

    fn log(&mut self, level: Level, target: &str, message: &str) {
        log::log(level, self.plugin, None, target, message);
    }
}
