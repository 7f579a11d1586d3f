//! The handle of a plugin in a worker.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use atelier_plugin_abi::{
    Hook,
    codes::Status,
    frame::Frame,
    host::{CallFailure, HookHost, Words},
};

use super::{
    Enforced,
    process::{Conversation, End, Process},
    protocol::{Load, Target, Told},
};
use crate::plugins::{
    LiveOptions, LoadError, PluginId,
    handle::{PluginHandle, RunHandle},
    isolating::Workers,
    isolation::Limits,
    log,
    outside::Outside,
};

/// Deaths in a row after which the next try waits, and how long at most.
const FREE_TRIES: u32 = 1;
const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// A plugin whose code runs in a worker. A worker that died is replaced at the next run.
#[derive(Clone, Debug)]
pub struct WorkerPlugin(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    workers: Workers,
    id: PluginId,
    /// The private copy.
    library: PathBuf,
    /// The file that it is a copy of.
    path: PathBuf,
    /// The plugin's own folder.
    data: PathBuf,
    limits: Limits,
    /// What the plugin reads while it is made. The store has this plugin in it, hence weak.
    store: Weak<LiveOptions>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Arc<Process>>,
    /// Deaths since a run ended well.
    deaths: u32,
    /// No new try before.
    wait_until: Option<Instant>,
}

fn failure(message: String) -> CallFailure {
    CallFailure { status: Status::Died, words: Words { message, place: String::new() } }
}

/// A worker that has opened the library and is not called yet.
#[derive(Debug)]
pub(in crate::plugins) struct Opened {
    plugin: WorkerPlugin,
    process: Process,
    told: Told,
}

/// What a worker needs to know of its plugin.
#[derive(Debug)]
pub(in crate::plugins) struct Subject {
    pub(in crate::plugins) id: PluginId,
    pub(in crate::plugins) library: PathBuf,
    pub(in crate::plugins) path: PathBuf,
    pub(in crate::plugins) data: PathBuf,
    pub(in crate::plugins) limits: Limits,
}

impl WorkerPlugin {
    /// Opens a library in a new worker.
    pub(in crate::plugins) fn open(
        workers: &Workers,
        subject: Subject,
        store: &Arc<LiveOptions>,
    ) -> Result<Opened, LoadError> {
        let Subject { id, library, path, data, limits } = subject;
        let plugin = Self(Arc::new(Inner {
            workers: workers.clone(),
            id,
            library,
            path,
            data,
            limits,
            store: Arc::downgrade(store),
            state: Mutex::default(),
        }));
        let (process, told) = plugin.0.start()?;
        Ok(Opened { plugin, process, told })
    }
}

impl Opened {
    pub(in crate::plugins) fn manifest(&self) -> String {
        self.told.manifest.clone()
    }

    pub(in crate::plugins) fn enforced(&self) -> &Enforced {
        &self.told.enforced
    }

    pub(in crate::plugins) fn declaration(&mut self) -> Result<String, CallFailure> {
        std::mem::replace(&mut self.told.declaration, Ok(String::new())).map_err(Into::into)
    }

    /// Makes the plugin.
    pub(in crate::plugins) fn create(
        self,
        host: &mut dyn HookHost,
    ) -> Result<WorkerPlugin, CallFailure> {
        let Self { plugin, process, .. } = self;
        let process = Arc::new(process);
        plugin.0.create(&process, host)?;
        plugin.0.state.lock().unwrap_or_else(PoisonError::into_inner).process = Some(process);
        Ok(plugin)
    }
}

impl Inner {
    fn start(&self) -> Result<(Process, Told), LoadError> {
        let load = Load {
            host: std::process::id(),
            library: self.library.clone(),
            data: self.data.clone(),
            limits: self.limits.clone(),
            log_level: log::most().code(),
        };
        let unusable = |reason: String| LoadError::Worker { reason };
        let (process, loaded) = Process::start(&self.workers, &self.id, &load)
            .map_err(|error| unusable(format!("{}: {error}", self.workers.program.display())))?;
        Ok((process, loaded.map_err(unusable)?))
    }

    fn create(&self, process: &Process, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let frame = Frame::new(Hook::Start);
        let mut conversation =
            process.converse().map_err(|error| lost(process, &error, "its making"))?;
        let called = conversation.call(Target::Create, &frame, self.workers.deadline, host);
        called.map_err(|error| lost(process, &error, "its making"))??;
        process.rest(conversation);
        Ok(())
    }

    /// The worker, a new one where the last one died.
    fn process(&self) -> Result<Arc<Process>, CallFailure> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.process {
            Some(process) if process.is_alive() => return Ok(process.clone()),
            Some(process) => {
                // Between two calls, by its own doing.
                let End { how, last_words } = process.bury(false);
                tracing::warn!(plugin = %self.id, "its worker {how}{last_words}");
                state.process = None;
                Self::count_death(&mut state);
            }
            None => {}
        }
        let now = Instant::now();
        if let Some(until) = state.wait_until.filter(|until| *until > now) {
            let (deaths, wait) = (state.deaths, (until - now).as_secs_f64().ceil());
            return Err(failure(format!(
                "its worker died {deaths} times in a row; it is started again in {wait} s at the soonest"
            )));
        }
        let started = self.revive();
        match &started {
            Ok(process) => state.process = Some(process.clone()),
            Err(_) => Self::count_death(&mut state),
        }
        started
    }

    fn revive(&self) -> Result<Arc<Process>, CallFailure> {
        tracing::info!(plugin = %self.id, "its worker is started again");
        let store = self.store.upgrade();
        let store = store.ok_or_else(|| failure("its host is gone".to_owned()))?;
        let (process, _) = self.start().map_err(|error| failure(error.to_string()))?;
        let process = Arc::new(process);
        let mut host =
            Outside { store: &store, plugin: &self.id, data: self.data.clone(), path: &self.path };
        self.create(&process, &mut host)?;
        Ok(process)
    }

    fn count_death(state: &mut State) {
        state.deaths += 1;
        if state.deaths > FREE_TRIES {
            let wait = 1_u64 << (state.deaths - FREE_TRIES - 1).min(6);
            state.wait_until = Some(Instant::now() + Duration::from_secs(wait).min(LONGEST_WAIT));
        }
    }

    /// A call found the worker dead.
    fn mourn(&self, process: &Arc<Process>, error: &io::Error, hook: &str) -> CallFailure {
        let failure = lost(process, error, hook);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // Of several runs that it took with it, the first one counts.
        if state.process.as_ref().is_some_and(|known| Arc::ptr_eq(known, process)) {
            state.process = None;
            Self::count_death(&mut state);
        }
        failure
    }
}

/// What is to be said of a conversation that broke off.
fn lost(process: &Process, error: &io::Error, hook: &str) -> CallFailure {
    if let Some(End { how, .. }) = process.ended() {
        return failure(format!("its worker is gone: it {how}"));
    }
    let silent = error.kind() == io::ErrorKind::WouldBlock;
    let End { how, last_words } = process.bury(silent);
    failure(format!("its worker {how} in {hook}{last_words}"))
}

fn hook_name(frame: &Frame) -> &'static str {
    Hook::from_code(frame.hook).map_or("an unknown hook", Hook::name)
}

impl PluginHandle for WorkerPlugin {
    fn process(&self) -> Option<u32> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.process.as_ref().and_then(|process| process.process_id())
    }

    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let process = self.0.process()?;
        let deadline = self.0.workers.deadline;
        let mourn = |error: io::Error| self.0.mourn(&process, &error, hook_name(frame));
        let mut conversation = process.converse().map_err(mourn)?;
        let outcome = conversation.call(Target::Plugin, frame, deadline, host).map_err(mourn)?;
        process.rest(conversation);
        outcome
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        let process = self.0.process()?;
        let deadline = self.0.workers.deadline;
        let mourn = |error: io::Error| self.0.mourn(&process, &error, hook_name(frame));
        let mut conversation = process.converse().map_err(mourn)?;
        let outcome = conversation.call(Target::Start, frame, deadline, host).map_err(mourn)?;
        if let Err(refused) = outcome {
            process.rest(conversation);
            return Err(refused);
        }
        Ok(Box::new(WorkerRun { plugin: self.0.clone(), process, conversation }))
    }
}

#[derive(Debug)]
struct WorkerRun {
    plugin: Arc<Inner>,
    process: Arc<Process>,
    conversation: Conversation,
}

impl RunHandle for WorkerRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let deadline = self.plugin.workers.deadline;
        let called = self.conversation.call(Target::Run, frame, deadline, host);
        called.map_err(|error| self.plugin.mourn(&self.process, &error, hook_name(frame)))?
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        let Self { plugin, process, mut conversation } = *self;
        if process.ended().is_some() {
            // The instance went with it, and that was told.
            return Ok(());
        }
        let called = conversation.call(Target::Close, frame, plugin.workers.deadline, host);
        let outcome = called.map_err(|error| plugin.mourn(&process, &error, "drop"))?;
        process.rest(conversation);
        if outcome.is_ok() {
            let mut state = plugin.state.lock().unwrap_or_else(PoisonError::into_inner);
            (state.deaths, state.wait_until) = (0, None);
        }
        outcome
    }
}
