//! Calling the hooks of a run: order, time, outcome, roll-back, policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use atelier_plugin_abi::{Field, Hook, Value, codes::Status, frame::Frame, host::CallFailure};
use serde_json::{Map, Value as Json};

use super::{
    cancel::CancelToken,
    children::Children,
    error::{Ended, RunError},
    pipeline::ModelInfo,
    record::{FailureAction, HookFailure, HookTiming},
    request::OnError,
    scope::{RunScope, Scope},
    seam::{CallerId, Reader, Seam, SeamMode},
    services::RunServices,
    stage::{Slot, Stage},
};
use crate::{
    output::infotext::Params as InfotextParams,
    plugins::{Plugin, PluginId, PluginSet, RunHandle},
};

/// A plugin in a run.
#[derive(Debug)]
struct Attached {
    plugin: Arc<Plugin>,
    args: Arc<Map<String, Json>>,
    mode: SeamMode,
    run: Option<Box<dyn RunHandle>>,
    /// Why it is not called any more.
    out: Option<String>,
    callers: Vec<Option<CallerId>>,
}

/// The hooks of one run, and what came of calling them.
pub(super) struct Hooks<'r> {
    pub(super) run: Arc<str>,
    pub(super) seam: Seam,
    /// What plugins add to the infotext.
    pub(super) infotext: InfotextParams,
    pub(super) model: Option<ModelInfo>,
    pub(super) services: Option<RunServices>,
    /// Makes child runs, for a selected plugin.
    pub(super) children: Option<Children<'r>>,
    pub(super) cancel: CancelToken,
    pub(super) failures: Vec<HookFailure>,
    /// Plugins that failed under [`OnError::Disable`].
    pub(super) disabled: BTreeSet<PluginId>,
    policy: OnError,
    attached: Vec<Attached>,
    /// Attached plugins by hook code, in their order.
    order: Vec<Vec<usize>>,
    timings: BTreeMap<(usize, Hook), HookTiming>,
}

/// What came of one call.
struct Invoked {
    outcome: Result<(), CallFailure>,
    /// The plugin asked for a snapshot that the run does not record.
    missed_snapshot: bool,
    /// The plugins' infotext as it was, where the hook changed it.
    infotext_before: Option<InfotextParams>,
}

/// What a plugin is attached with.
pub(super) struct Attachment {
    pub(super) plugin: Arc<Plugin>,
    pub(super) args: Arc<Map<String, Json>>,
    pub(super) mode: SeamMode,
}

impl Hooks<'_> {
    pub(super) fn new(
        run: Arc<str>,
        seam: Seam,
        set: &PluginSet,
        attachments: Vec<Attachment>,
        policy: OnError,
        cancel: CancelToken,
    ) -> Self {
        let slots = Hook::ALL.iter().map(|hook| hook.code() as usize + 1).max().unwrap_or(0);
        let attached: Vec<Attached> = attachments
            .into_iter()
            .map(|Attachment { plugin, args, mode }| Attached {
                plugin,
                args,
                mode,
                run: None,
                out: None,
                callers: vec![None; slots],
            })
            .collect();
        let mut order = vec![Vec::new(); slots];
        for &hook in Hook::ALL {
            let ids = set.order().of(hook).iter();
            let find = |id: &PluginId| attached.iter().position(|a| a.plugin.manifest.id == *id);
            order[hook.code() as usize] = ids.filter_map(find).collect();
        }
        // `finish` undoes what the others did, last first.
        order[Hook::Finish.code() as usize].reverse();
        Self {
            run,
            seam,
            infotext: InfotextParams::default(),
            model: None,
            services: None,
            children: None,
            cancel,
            failures: Vec::new(),
            disabled: BTreeSet::new(),
            policy,
            attached,
            order,
            timings: BTreeMap::new(),
        }
    }

    /// Whether any plugin that can still be called has the hook.
    pub(super) fn wants(&self, hook: Hook) -> bool {
        let order = self.order[hook.code() as usize].iter();
        order.into_iter().any(|index| self.attached[*index].out.is_none())
    }

    /// Calls a hook of all plugins that have it.
    ///
    /// # Errors
    /// Where a plugin stops the run, or fails and the policy is to fail with it.
    pub(super) fn call(&mut self, frame: Frame, mut stage: Stage<'_>) -> Result<(), Ended> {
        let Some(hook) = Hook::from_code(frame.hook) else { return Ok(()) };
        for at in 0..self.order[hook.code() as usize].len() {
            let index = self.order[hook.code() as usize][at];
            self.call_one(index, hook, &frame, &mut stage)?;
        }
        Ok(())
    }

    /// Makes the instances.
    ///
    /// # Errors
    /// As [`Hooks::call`].
    pub(super) fn start(&mut self, stage: Stage<'_>) -> Result<(), Ended> {
        self.call(Frame::new(Hook::Start), stage)
    }

    /// Calls `finish`, whatever happened, and drops the instances, last first.
    pub(super) fn finish(&mut self, outcome: &str) {
        // A run that is over cannot be failed or stopped by its last hook.
        self.policy = if self.policy == OnError::Disable { self.policy } else { OnError::Skip };
        let stage = Stage::new().field(Field::Outcome, Slot::Fixed(Value::Text(outcome.into())));
        let _ = self.call(Frame::new(Hook::Finish), stage);
        let mut order = self.order[Hook::Start.code() as usize].clone();
        order.reverse();
        for index in order {
            self.drop_instance(index);
        }
    }

    fn caller(&mut self, index: usize, hook: Hook) -> CallerId {
        let attached = &mut self.attached[index];
        let (seam, id) = (&mut self.seam, &attached.plugin.manifest.id);
        *attached.callers[hook.code() as usize]
            .get_or_insert_with(|| seam.caller(Reader::Plugin(id.clone()), hook.name()))
    }

    fn call_one(
        &mut self,
        index: usize,
        hook: Hook,
        frame: &Frame,
        stage: &mut Stage<'_>,
    ) -> Result<(), Ended> {
        let absent = self.attached[index].run.is_none() && !hook.of_plugin();
        if absent || self.attached[index].out.is_some() {
            self.timing(index, hook).not_run += 1;
            return Ok(());
        }
        let caller = self.caller(index, hook);
        let mark = self.seam.enter(caller);
        let begin = Instant::now();
        let Invoked { outcome, missed_snapshot, infotext_before } =
            self.invoke(index, hook, frame, stage);
        let elapsed = begin.elapsed();
        // What the hook left is looked at before it counts.
        let outcome = outcome.and_then(|()| {
            stage.commit().map_err(|complaint| CallFailure {
                status: Status::Failed,
                words: atelier_plugin_abi::host::Words { message: complaint, place: String::new() },
            })
        });
        let timing = self.timing(index, hook);
        timing.calls += 1;
        timing.total_us += elapsed.as_secs_f64() * 1e6;
        timing.max_us = timing.max_us.max(elapsed.as_secs_f64() * 1e6);
        let Err(failure) = outcome else { return Ok(()) };
        timing.failures += 1;
        stage.roll_back();
        self.seam.roll_back(mark);
        if let Some(before) = infotext_before {
            self.infotext = before;
        }
        self.settle(index, hook, frame, failure, missed_snapshot)
    }

    fn invoke(
        &mut self,
        index: usize,
        hook: Hook,
        frame: &Frame,
        stage: &mut Stage<'_>,
    ) -> Invoked {
        let Attached { plugin, args, mode, run, .. } = &mut self.attached[index];
        let shared = RunScope {
            run: &self.run,
            model: self.model.as_ref(),
            services: self.services.as_ref(),
            cancel: &self.cancel,
        };
        let mut scope = Scope {
            shared: &shared,
            children: self.children.as_mut().filter(|_| hook == Hook::Run),
            stage,
            seam: &mut self.seam,
            infotext: &mut self.infotext,
            plugin: &plugin.manifest.id,
            args,
            mode: *mode,
            hook,
            missed_snapshot: false,
            infotext_before: None,
        };
        let outcome = match (hook, run) {
            (Hook::Start, run) => plugin.handle.start(frame, &mut scope).map(|made| {
                *run = Some(made);
            }),
            (hook, _) if hook.of_plugin() => plugin.handle.call(frame, &mut scope),
            (_, Some(run)) => run.call(frame, &mut scope),
            (_, None) => Ok(()),
        };
        Invoked {
            outcome,
            missed_snapshot: scope.missed_snapshot,
            infotext_before: scope.infotext_before,
        }
    }

    /// Notes a failure and does what the policy says.
    fn settle(
        &mut self,
        index: usize,
        hook: Hook,
        frame: &Frame,
        failure: CallFailure,
        missed_snapshot: bool,
    ) -> Result<(), Ended> {
        let plugin = self.attached[index].plugin.manifest.id.clone();
        // A run that is over cannot be stopped.
        let stop = failure.status == Status::StopRun && hook != Hook::Finish;
        let action = match self.policy {
            // Without recording there is no snapshot to have: that is nobody's failure.
            _ if missed_snapshot => FailureAction::Skipped,
            // The run is what the selected plugin makes: without it there is nothing.
            OnError::Skip if hook == Hook::Run => FailureAction::RunFailed,
            _ if stop => FailureAction::RunStopped,
            OnError::Skip => FailureAction::Skipped,
            OnError::FailRun => FailureAction::RunFailed,
            OnError::Disable => FailureAction::Disabled,
        };
        let words = failure.words.message.clone();
        tracing::warn!(%plugin, %hook, ?action, "{failure}");
        self.note(HookFailure {
            plugin: plugin.to_string(),
            hook: hook.name().to_owned(),
            iteration: frame.iteration,
            image: frame.image,
            step: frame.step,
            status: failure.status.name().to_owned(),
            message: words.clone(),
            place: failure.words.place,
            action,
            times: 1,
        });
        match failure.status {
            Status::Panicked => self.attached[index].out = Some("it panicked".to_owned()),
            Status::Died => self.attached[index].out = Some("its worker died".to_owned()),
            _ => {}
        }
        match action {
            FailureAction::Skipped => Ok(()),
            FailureAction::Disabled => {
                self.attached[index].out = Some("it is disabled".to_owned());
                self.disabled.insert(plugin);
                Ok(())
            }
            FailureAction::RunStopped => {
                Err(Ended::Failed(RunError::Stopped { plugin, hook: hook.name(), message: words }))
            }
            FailureAction::RunFailed => {
                Err(Ended::Failed(RunError::Hook { plugin, hook: hook.name(), message: words }))
            }
        }
    }

    /// Keeps a failure; one that repeats itself at every step is kept once, with a count.
    fn note(&mut self, failure: HookFailure) {
        let same = self.failures.iter_mut().find(|kept| {
            (&kept.plugin, &kept.hook, &kept.status, &kept.message, kept.action)
                == (
                    &failure.plugin,
                    &failure.hook,
                    &failure.status,
                    &failure.message,
                    failure.action,
                )
        });
        match same {
            Some(kept) => kept.times += failure.times,
            None => self.failures.push(failure),
        }
    }

    fn drop_instance(&mut self, index: usize) {
        let Some(run) = self.attached[index].run.take() else { return };
        let caller = self.caller(index, Hook::Finish);
        let _ = self.seam.enter(caller);
        let Attached { plugin, args, mode, .. } = &self.attached[index];
        let shared = RunScope {
            run: &self.run,
            model: self.model.as_ref(),
            services: None,
            cancel: &self.cancel,
        };
        let mut scope = Scope {
            shared: &shared,
            children: None,
            stage: &mut Stage::new(),
            seam: &mut self.seam,
            infotext: &mut self.infotext,
            plugin: &plugin.manifest.id,
            args,
            mode: *mode,
            hook: Hook::Finish,
            missed_snapshot: false,
            infotext_before: None,
        };
        let frame = Frame::new(Hook::Finish);
        if let Err(failure) = run.close(&frame, &mut scope) {
            let plugin = plugin.manifest.id.to_string();
            tracing::warn!(%plugin, "while its instance was dropped: {failure}");
            self.failures.push(HookFailure {
                plugin,
                hook: "drop".to_owned(),
                iteration: 0,
                image: 0,
                step: 0,
                status: failure.status.name().to_owned(),
                message: failure.words.message,
                place: failure.words.place,
                action: FailureAction::Skipped,
                times: 1,
            });
        }
    }

    fn timing(&mut self, index: usize, hook: Hook) -> &mut HookTiming {
        let plugin = &self.attached[index].plugin.manifest.id;
        self.timings.entry((index, hook)).or_insert_with(|| HookTiming {
            plugin: plugin.to_string(),
            hook: hook.name().to_owned(),
            calls: 0,
            failures: 0,
            not_run: 0,
            total_us: 0.0,
            max_us: 0.0,
        })
    }

    /// How often and how long each hook was called, by plugin and in the order of a run.
    pub(super) fn timings(&self) -> Vec<HookTiming> {
        let place = |hook: Hook| Hook::IN_ORDER.iter().position(|known| *known == hook);
        let mut timings: Vec<_> = self.timings.iter().collect();
        timings.sort_by_key(|((index, hook), _)| (*index, place(*hook)));
        timings.into_iter().map(|(_, timing)| timing.clone()).collect()
    }

    /// The plugins of this run.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.attached.iter().map(|attached| &attached.plugin)
    }

    /// The order of the hooks that are called, for the record.
    pub(super) fn order(&self) -> BTreeMap<String, Vec<String>> {
        let named = Hook::ALL.iter().map(|hook| {
            let ids = self.order[hook.code() as usize].iter();
            let ids = ids.map(|index| self.attached[*index].plugin.manifest.id.to_string());
            (hook.name().to_owned(), ids.collect::<Vec<_>>())
        });
        named.filter(|(_, ids)| !ids.is_empty()).collect()
    }
}
