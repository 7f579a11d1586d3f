//! A run between its opening and its end: the checks before anything begins, and the record that is
//! closed whatever happens.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use atelier_plugin_abi::Hook;
use jiff::Zoned;

use super::{
    cancel::CancelToken,
    error::{Ended, Refused, RunError},
    events::RunEvent,
    hires::HiresPlan,
    hooks::{Attachment, Hooks},
    params::{Names, Params, Pictures},
    pipeline::{Pipeline, SamplerSettings},
    record::{RECORD_VERSION, RecordedPlugin, RunRecord, RunState},
    refiner::{RefinerPlan, asked_for, known},
    request::RunRequest,
    runner::{Finished, Picture, Runner},
    seam::{Seam, SeamMode},
    services::RunServices,
};
use crate::plugins::{PluginId, PluginSet, declaration::fill_args};

/// A run between its opening and its end.
pub(super) struct ActiveRun<'r> {
    pub(super) runner: &'r Runner,
    pub(super) request: RunRequest,
    pub(super) params: Params,
    pub(super) pictures: Pictures,
    /// The prompt texts of the request's styles, for file names.
    pub(super) style_prompts: Vec<String>,
    /// The second pass.
    pub(super) hires: Option<HiresPlan>,
    /// What draws the rest of a picture.
    pub(super) refiner: Option<RefinerPlan>,
    /// Further checkpoints that it has used, by their names.
    pub(super) beside: BTreeMap<String, Arc<dyn Pipeline>>,
    pub(super) settings: SamplerSettings,
    pub(super) names: Names,
    pub(super) pipeline: Option<Arc<dyn Pipeline>>,
    pub(super) hooks: Hooks<'r>,
    pub(super) record: RunRecord,
    pub(super) finished: Vec<Picture>,
    /// Seed and variation seed as they were asked for, −1 for random ones.
    pub(super) asked_seeds: (i64, i64),
    pub(super) sampling: Duration,
    pub(super) started: Zoned,
    begin: Instant,
}

impl<'r> ActiveRun<'r> {
    /// Checks a request that leaves the queue, and opens its record.
    pub(super) fn open(
        runner: &'r Runner,
        parent: Option<&str>,
        request: RunRequest,
        cancel: &CancelToken,
    ) -> Result<Self, Refused> {
        let pins = request.seam == SeamMode::Pin
            || request.seam_of.values().any(|mode| *mode == SeamMode::Pin);
        if pins && !runner.recording() {
            return Err(Refused::PinWithoutSnapshot);
        }
        let id: Arc<str> = uuid::Uuid::now_v7().to_string().into();
        // One look at options, schema and plugins.
        let state = runner.store().load_full();
        let overrides = request.override_settings.iter().map(|(key, value)| (key.as_str(), value));
        let mut seam = Seam::open(id.clone(), runner.store().clone(), overrides)
            .map_err(Refused::Overrides)?;
        let params = Params::of(&request);
        foresee(runner, &request, &params, &mut seam)?;
        let set = &state.companion;
        for plugin in request.plugin_args.keys() {
            if set.get(plugin).is_none() {
                let known: Vec<_> = set.iter().map(|p| p.manifest.id.as_str()).collect();
                let reason = format!("it is not loaded; loaded are: {}", known.join(", "));
                return Err(Refused::Arguments { plugin: plugin.clone(), reason });
            }
        }
        if let Some(selected) = &request.script_name {
            check_selected(set, selected)?;
        }
        let out = runner.disabled.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut attachments = Vec::new();
        let active = set.order().of(Hook::Start).iter();
        for plugin in active.filter(|id| !out.contains(*id)).filter_map(|id| set.get(id)) {
            let id = &plugin.manifest.id;
            // A selectable plugin takes part where it is selected, and then nobody else does: the
            // others belong to its child runs.
            let takes_part = match &request.script_name {
                Some(selected) => id == selected,
                None => !plugin.is_selectable(),
            };
            if !takes_part {
                continue;
            }
            let args = fill_args(&plugin.declaration.args, request.plugin_args.get(id))
                .map_err(|reason| Refused::Arguments { plugin: id.clone(), reason })?;
            let mode = request.seam_of.get(id).copied().unwrap_or(request.seam);
            attachments.push(Attachment { plugin: plugin.clone(), args, mode });
        }
        let hooks =
            Hooks::new(id.clone(), seam, set, attachments, request.on_error, cancel.clone());
        let started = Zoned::now();
        let record = open_record(&id, parent, &request, &hooks, &started);
        runner.records().put(&record)?;
        Ok(Self {
            runner,
            params,
            pictures: Pictures::default(),
            style_prompts: Vec::new(),
            hires: None,
            refiner: None,
            beside: BTreeMap::new(),
            settings: SamplerSettings::default(),
            names: Names::default(),
            pipeline: None,
            hooks,
            record,
            finished: Vec::new(),
            asked_seeds: (request.seed, request.subseed),
            sampling: Duration::ZERO,
            started,
            begin: Instant::now(),
            request,
        })
    }

    /// Closes the run, whatever its outcome.
    pub(super) fn finalize(mut self, outcome: Result<(), Ended>) -> Finished {
        let (state, mut error) = match outcome {
            Ok(()) => (RunState::Done, None),
            Err(Ended::Cancelled) => (RunState::Cancelled, None),
            Err(Ended::Failed(error)) => (RunState::Failed, Some(error)),
        };
        self.record.state = RunState::Finalizing;
        if let Err(failed) = self.runner.records().put(&self.record) {
            // Where it stays that way, the record's last word fails the run.
            tracing::warn!("{failed}");
        }
        self.hooks.seam.host_enters("finalize");
        self.hooks.finish(state.word());
        if !self.request.override_settings_restore_afterwards
            && let Err(errors) = self.hooks.seam.commit_layer()
        {
            for error in errors {
                tracing::warn!(run = %self.record.id, "override not kept: {error}");
            }
        }
        let mut disabled = self.runner.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        disabled.append(&mut self.hooks.disabled);
        drop(disabled);
        self.close_record(state, error.as_ref());
        let kept = self.keep_record();
        if let (Err(failed), None) = (kept, &error) {
            tracing::error!("{failed}");
            error = Some(failed.into());
        }
        self.runner.event(&self.record.id, &RunEvent::Finished { state });
        Finished { record: self.record, pictures: self.finished, error }
    }

    fn close_record(&mut self, state: RunState, error: Option<&RunError>) {
        let (record, hooks) = (&mut self.record, &mut self.hooks);
        record.state = state;
        record.error = error.map(ToString::to_string);
        record.snapshot = hooks.seam.snapshot().map(crate::options::Snapshot::digest);
        record.hooks = hooks.timings();
        record.ledger = hooks.seam.ledger_rows();
        record.outside_writes = hooks.seam.outside_writes().to_vec();
        record.failures = std::mem::take(&mut hooks.failures);
        record.saved_by_plugins =
            hooks.services.as_ref().map(RunServices::saved).unwrap_or_default();
        record.finished = Some(timestamp(&Zoned::now()));
        record.seconds = self.begin.elapsed().as_secs_f64();
        record.sampling_seconds = self.sampling.as_secs_f64();
    }

    fn keep_record(&self) -> Result<(), super::record::RecordError> {
        if let Some(snapshot) = self.hooks.seam.snapshot() {
            self.runner.records().put_snapshot(snapshot)?;
        }
        self.runner.records().put(&self.record)
    }
}

fn check_selected(set: &PluginSet, selected: &PluginId) -> Result<(), Refused> {
    let reason = match set.get(selected) {
        Some(plugin) if plugin.is_selectable() => return Ok(()),
        Some(_) => "cannot be selected: it has no hook “run”",
        None => "is not loaded",
    };
    let known = set.iter().filter(|plugin| plugin.is_selectable());
    let known: Vec<_> = known.map(|plugin| plugin.manifest.id.as_str()).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(Refused::Script { plugin: selected.clone(), reason, known })
}

/// Refuses what cannot be drawn, as far as that can be told before plugins see the request: they may
/// ask for another checkpoint, and what they make of it is checked once more.
fn foresee(
    runner: &Runner,
    request: &RunRequest,
    params: &Params,
    seam: &mut Seam,
) -> Result<(), Refused> {
    let provider = runner.provider();
    let refused = |error: RunError| match error {
        RunError::Parameter { field, reason } => Refused::Parameter { field, reason },
        other => Refused::Request(other.to_string()),
    };
    params.check().map_err(refused)?;
    if let Some(inpaint) = &request.inpaint {
        inpaint.check().map_err(refused)?;
    }
    seam.host_enters("open");
    let name = seam.host_text("sd_model_checkpoint");
    let name = (!name.is_empty()).then_some(&*name);
    let multiple = provider.size_multiple(name).map_err(|error| refused(error.into()))?;
    params.foresee(provider.catalogue(), multiple).map_err(refused)?;
    RefinerPlan::of(request, provider).map_err(refused)?;
    let own = request.hires.as_ref().and_then(|hires| asked_for(hires.hr_checkpoint_name.as_ref()));
    if let Some(name) = own {
        known(provider, "hr_checkpoint_name", name).map_err(refused)?;
    }
    // Sizes that are the checkpoint's are not known yet.
    if params.width != 0 && params.height != 0 {
        HiresPlan::of(request, params, provider.catalogue(), multiple).map_err(refused)?;
    }
    Ok(())
}

fn timestamp(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
}

fn open_record(
    id: &str,
    parent: Option<&str>,
    request: &RunRequest,
    hooks: &Hooks<'_>,
    started: &Zoned,
) -> RunRecord {
    let plugins = hooks.plugins().map(|plugin| {
        let id = &plugin.manifest.id;
        RecordedPlugin {
            id: id.to_string(),
            version: plugin.manifest.version.clone(),
            hash: plugin.hash.clone(),
            path: plugin.path.clone(),
            seam: request.seam_of.get(id).copied().unwrap_or(request.seam),
            isolation: plugin.isolation,
        }
    });
    RunRecord {
        record_version: RECORD_VERSION,
        id: id.to_owned(),
        parent: parent.map(str::to_owned),
        children: Vec::new(),
        state: RunState::Preparing,
        error: None,
        started: timestamp(started),
        finished: None,
        process: std::process::id(),
        host: env!("CARGO_PKG_VERSION").to_owned(),
        request: serde_json::to_value(request).unwrap_or_default(),
        on_error: request.on_error,
        prepared: None,
        overrides: BTreeMap::new(),
        snapshot: None,
        model: None,
        engine: None,
        plugins: plugins.collect(),
        order: BTreeMap::new(),
        hooks: Vec::new(),
        failures: Vec::new(),
        ledger: Vec::new(),
        outside_writes: Vec::new(),
        outputs: Vec::new(),
        saved_by_plugins: Vec::new(),
        seconds: 0.0,
        sampling_seconds: 0.0,
    }
}
