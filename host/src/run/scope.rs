//! The host as one hook call meets it: the stage's data, the run's options, the host's services.

use std::sync::Arc;

use atelier_plugin_abi::{
    Buffer, Field, Hook, Level, Value, ValueRef,
    codes::{ListOp, OptionSource, OptionTarget, Status},
    host::{BufferView, HookHost, Refusal, ServiceReply, ServiceRequest},
};
use serde_json::{Map, Value as Json};

use super::{
    cancel::CancelToken,
    children::Children,
    pipeline::ModelInfo,
    seam::{Seam, SeamError, SeamMode},
    services::RunServices,
    stage::Stage,
};
use crate::{
    options::SetError,
    output::infotext::{ParamValue, Params as InfotextParams},
    plugins::{PluginId, log, values},
};

/// What is the same for every hook call of a run.
pub(super) struct RunScope<'a> {
    pub(super) run: &'a Arc<str>,
    pub(super) model: Option<&'a ModelInfo>,
    pub(super) services: Option<&'a RunServices>,
    pub(super) cancel: &'a CancelToken,
}

/// The host of one hook call.
pub(super) struct Scope<'a, 's, 'r> {
    pub(super) shared: &'a RunScope<'a>,
    /// Makes child runs, where this hook may have some.
    pub(super) children: Option<&'a mut Children<'r>>,
    pub(super) stage: &'a mut Stage<'s>,
    pub(super) seam: &'a mut Seam,
    pub(super) infotext: &'a mut InfotextParams,
    pub(super) plugin: &'a PluginId,
    pub(super) args: &'a Map<String, Json>,
    pub(super) mode: SeamMode,
    pub(super) hook: Hook,
    /// Set where the plugin asked for a snapshot that the run does not record.
    pub(super) missed_snapshot: bool,
    /// The infotext before the hook's first change of it.
    pub(super) infotext_before: Option<InfotextParams>,
}

fn refusal(error: &SeamError) -> Refusal {
    let status = match error {
        SeamError::Option(SetError::UnknownKey { .. }) => Status::UnknownKey,
        SeamError::Option(SetError::WrongType { .. }) => Status::WrongType,
        SeamError::Option(SetError::Restricted { .. }) => Status::ReadOnly,
        SeamError::Option(_) => Status::BadValue,
        SeamError::NoSnapshot(_) => Status::NoSnapshot,
        SeamError::NotNow(_) => Status::NotHere,
    };
    Refusal::new(status, error.to_string())
}

fn json(map: Map<String, Json>) -> Value {
    Value::Json(Json::Object(map).to_string().into())
}

impl Scope<'_, '_, '_> {
    fn snapshot_refusal(&mut self, error: &SeamError) -> Refusal {
        self.missed_snapshot |= matches!(error, SeamError::NoSnapshot(_));
        refusal(error)
    }

    fn overrides(&self) -> Value {
        let entries = self.seam.overrides().into_iter();
        json(entries.map(|(key, value, _)| (key, value.to_json())).collect())
    }
}

impl HookHost for Scope<'_, '_, '_> {
    fn get(&mut self, field: Field, index: u64) -> Result<Value, Refusal> {
        match (field, self.shared.model) {
            (Field::RunId, _) => Ok(Value::Text(self.shared.run.clone())),
            (Field::Args, _) => Ok(json(self.args.clone())),
            (Field::ModelName, Some(model)) => Ok(Value::Text(model.name.as_str().into())),
            (Field::ModelHash, Some(model)) => Ok(Value::Text(model.short_hash().into())),
            (Field::Overrides, _) if self.hook == Hook::BeforeProcess => Ok(self.overrides()),
            _ => self.stage.get(field, index),
        }
    }

    fn set(&mut self, field: Field, index: u64, value: ValueRef<'_>) -> Result<(), Refusal> {
        self.stage.set(field, index, value)
    }

    fn read_option(&mut self, source: OptionSource, key: &str) -> Result<Value, Refusal> {
        let value = match source {
            OptionSource::Live => {
                self.seam.read_live(key, self.mode).map_err(|error| refusal(&error))
            }
            _ => self.seam.read_snapshot(key).map_err(|error| self.snapshot_refusal(&error)),
        };
        value.map(|value| values::to_plugin(&value))
    }

    fn read_all_options(&mut self, source: OptionSource) -> Result<Value, Refusal> {
        if source == OptionSource::Live {
            return Ok(json(self.seam.read_all_live(self.mode)));
        }
        let all = self.seam.read_all_snapshot();
        all.map(json).map_err(|error| self.snapshot_refusal(&error))
    }

    fn write_option(
        &mut self,
        target: OptionTarget,
        key: &str,
        value: ValueRef<'_>,
    ) -> Result<(), Refusal> {
        let (value, plugin) = (values::from_plugin(value)?, self.plugin.as_str());
        match target {
            OptionTarget::Live => self.seam.write_live(key, &value, plugin),
            OptionTarget::Run => self.seam.write_run(key, &value, plugin),
            _ => self.seam.write_override(key, &value, plugin),
        }
        .map_err(|error| refusal(&error))
    }

    fn original(&self, buffer: Buffer) -> Buffer {
        self.stage.original(buffer)
    }

    fn buffer(
        &mut self,
        buffer: Buffer,
        index: u64,
        write: bool,
    ) -> Result<BufferView<'_>, Refusal> {
        match (buffer, &self.children) {
            (Buffer::ChildImage, Some(children)) => children.picture(index, write),
            _ => self.stage.buffer(buffer, index, write),
        }
    }

    fn resize(
        &mut self,
        buffer: Buffer,
        op: ListOp,
        index: u64,
        size: (u64, u64),
    ) -> Result<(), Refusal> {
        self.stage.resize(buffer, op, index, size)
    }

    fn infotext(&mut self, key: &str, value: ValueRef<'_>) -> Result<(), Refusal> {
        if key.is_empty() || key.contains([':', ',', '\n']) {
            let message = format!("“{key}” is no infotext key: no colon, comma or line break");
            return Err(Refusal::new(Status::BadValue, message));
        }
        let value = infotext_value(value)?;
        self.infotext_before.get_or_insert_with(|| self.infotext.clone());
        self.infotext.set(key, value);
        Ok(())
    }

    fn service(&mut self, request: ServiceRequest<'_>) -> Result<ServiceReply, Refusal> {
        if let ServiceRequest::Child(patch) = request {
            let children = self.children.as_mut().ok_or_else(|| {
                Refusal::new(Status::NotHere, "child runs are made in the hook “run” only")
            })?;
            return children.run(patch).map(ServiceReply::Json);
        }
        let services = self.shared.services.ok_or_else(|| {
            Refusal::new(Status::NotHere, "the host does no work for this hook: no run has begun")
        })?;
        services
            .serve(&request)
            .map_err(|error| Refusal::new(Status::HostFailed, error.to_string()))
    }

    fn options_version(&mut self) -> Option<[u64; 2]> {
        Some(self.seam.version())
    }

    fn cancelled(&mut self) -> bool {
        self.shared.cancel.is_cancelled()
    }

    fn log(&mut self, level: Level, target: &str, message: &str) {
        log::log(level, self.plugin, Some(self.hook), target, message);
    }
}

fn infotext_value(value: ValueRef<'_>) -> Result<ParamValue, Refusal> {
    Ok(match value {
        ValueRef::Null => ParamValue::Null,
        ValueRef::Bool(v) => ParamValue::Bool(v),
        ValueRef::Int(v) => ParamValue::Int(v),
        ValueRef::Float(v) => ParamValue::Float(v),
        ValueRef::Text(v) => ParamValue::Text(v.to_owned()),
        ValueRef::Json(text) => {
            let json: Json = serde_json::from_str(text)
                .map_err(|error| Refusal::new(Status::BadValue, format!("no JSON: {error}")))?;
            match json {
                // One value per picture, as A1111 has it.
                Json::Array(items) => ParamValue::List(items.into_iter().map(plain).collect()),
                other => plain(other),
            }
        }
    })
}

fn plain(json: Json) -> ParamValue {
    match json {
        Json::Null => ParamValue::Null,
        Json::Bool(v) => ParamValue::Bool(v),
        Json::Number(v) => {
            v.as_i64().map_or_else(|| ParamValue::Float(v.as_f64().unwrap_or(0.0)), ParamValue::Int)
        }
        Json::String(v) => ParamValue::Text(v),
        deep => ParamValue::Text(deep.to_string()),
    }
}
