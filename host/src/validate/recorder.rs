//! Between host and plugin: notes what a plugin asks for, guards the memory it is lent, refuses what a
//! check wants refused.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::File,
    io::{Seek as _, Write as _},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use atelier_plugin_abi::{
    Hook,
    codes::Status,
    frame::Frame,
    host::{CallFailure, HookHost},
};

use super::guard::Guarded;
use crate::plugins::{Decorator, PluginHandle, PluginId, RunHandle};

/// One call of a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The hook's name.
    pub hook: &'static str,
    /// How it ended.
    pub status: Status,
    /// The plugin's words, where it failed.
    pub words: String,
    /// When it returned.
    pub ended: Instant,
}

/// What a plugin did beside its hooks' outcomes.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Calls in their order.
    pub calls: Vec<Call>,
    /// Options that were asked for and do not exist.
    pub unknown_options: BTreeSet<String>,
    /// Memory that the plugin wrote and should not have, in words.
    pub trespasses: BTreeSet<String>,
    /// Log lines by level name.
    pub logs: BTreeMap<&'static str, Vec<String>>,
    /// Texts that it added to the infotext.
    pub infotext: BTreeMap<String, String>,
    /// Requests that were refused because a check wants it.
    pub refused: u64,
}

/// What a host can do for a hook, as far as a check may take it away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ability {
    /// Reading fields of the run.
    Fields,
    /// Writing fields of the run.
    SetFields,
    /// Reading options.
    ReadOptions,
    /// Writing options.
    WriteOptions,
    /// Memory to look at.
    Buffers,
    /// Memory to write.
    WriteBuffers,
    /// Lists of pictures and conditioning of another size.
    Resize,
    /// Infotext.
    Infotext,
    /// Work of the host.
    Services,
}

impl Ability {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Fields,
        Self::SetFields,
        Self::ReadOptions,
        Self::WriteOptions,
        Self::Buffers,
        Self::WriteBuffers,
        Self::Resize,
        Self::Infotext,
        Self::Services,
    ];

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Fields => "reading fields",
            Self::SetFields => "setting fields",
            Self::ReadOptions => "reading options",
            Self::WriteOptions => "writing options",
            Self::Buffers => "lending memory",
            Self::WriteBuffers => "lending memory for writing",
            Self::Resize => "changing lists",
            Self::Infotext => "infotext",
            Self::Services => "services",
        }
    }
}

/// What a check takes away.
#[derive(Clone, Debug, Default)]
pub enum Withhold {
    /// Nothing.
    #[default]
    Nothing,
    /// One ability, always.
    One(Ability),
    /// Any ability, one time in ten, by these random bits.
    Some(u64),
}

impl Withhold {
    /// Whether this request is refused.
    pub(super) fn refuses(&mut self, ability: Ability) -> bool {
        match self {
            Self::Nothing => false,
            Self::One(one) => *one == ability,
            Self::Some(bits) => super::random(bits).is_multiple_of(10),
        }
    }
}

type BeforeCall = Box<dyn FnMut(&Frame) + Send>;

#[derive(Default)]
struct Inner {
    facts: Facts,
    withhold: Withhold,
    before: Option<BeforeCall>,
    /// Where the hook of the moment is written, for whoever finds this process dead.
    crumbs: Option<File>,
    /// Bits for the words that frames have in reserve.
    reserved: [u64; 4],
}

/// Records one plugin. Shared by all of its handles.
#[derive(Clone, Default)]
pub struct Recorder {
    plugin: Option<PluginId>,
    inner: Arc<Mutex<Inner>>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

impl Recorder {
    /// Records this plugin and no other.
    pub fn of(plugin: PluginId) -> Self {
        Self { plugin: Some(plugin), ..Self::default() }
    }

    /// Also writes the hook of the moment into a file.
    #[must_use]
    pub fn with_crumbs(self, file: &Path) -> Self {
        self.lock().crumbs = File::create(file).ok();
        self
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was seen since the last time, which is forgotten.
    pub fn take(&self) -> Facts {
        std::mem::take(&mut self.lock().facts)
    }

    /// From now on this is refused.
    pub fn withhold(&self, what: Withhold) {
        self.lock().withhold = what;
    }

    /// From now on this is called before every hook.
    pub fn before_call(&self, call: impl FnMut(&Frame) + Send + 'static) {
        self.lock().before = Some(Box::new(call));
    }

    /// From now on nothing is called before hooks.
    pub fn clear_before_call(&self) {
        self.lock().before = None;
    }

    /// From now on the reserved words of frames hold this.
    pub fn reserved(&self, words: [u64; 4]) {
        self.lock().reserved = words;
    }

    fn note<T>(&self, frame: &Frame, outcome: &Result<T, CallFailure>) {
        let hook = Hook::from_code(frame.hook).map_or("unknown", Hook::name);
        let (status, words) = match outcome {
            Ok(_) => (Status::Ok, String::new()),
            Err(failure) => (failure.status, failure.to_string()),
        };
        self.lock().facts.calls.push(Call { hook, status, words, ended: Instant::now() });
    }

    /// Calls a hook with a recorded, guarded host.
    fn through<T>(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
        call: impl FnOnce(&Frame, &mut dyn HookHost) -> Result<T, CallFailure>,
    ) -> Result<T, CallFailure> {
        let mut frame = *frame;
        // Not held while it runs: it may do anything, start another run for instance.
        let before = {
            let mut inner = self.lock();
            frame.reserved = inner.reserved;
            if let Some(crumbs) = &mut inner.crumbs {
                let hook = Hook::from_code(frame.hook).map_or("unknown", Hook::name);
                let crumb =
                    format!("{hook} (step {}, iteration {})\n", frame.step, frame.iteration);
                // A crumb that cannot be written is no reason to fail a check.
                let _ = crumbs.rewind().and_then(|()| {
                    crumbs.write_all(crumb.as_bytes())?;
                    crumbs.set_len(crumb.len() as u64)
                });
            }
            inner.before.take()
        };
        if let Some(mut before) = before {
            before(&frame);
            let mut inner = self.lock();
            if inner.before.is_none() {
                inner.before = Some(before);
            }
        }
        let mut guarded = Guarded::new(host, self.clone());
        let outcome = call(&frame, &mut guarded);
        guarded.close(outcome.is_ok());
        self.note(&frame, &outcome);
        outcome
    }
}

/// The parts of the recorder that a guarded host needs.
pub(super) trait Notes {
    fn refuses(&self, ability: Ability) -> bool;
    fn trespass(&self, words: String);
    fn unknown_option(&self, key: &str);
    fn logged(&self, level: &'static str, message: &str);
    fn told(&self, key: &str, text: &str);
}

impl Notes for Recorder {
    fn refuses(&self, ability: Ability) -> bool {
        let mut inner = self.lock();
        let refuses = inner.withhold.refuses(ability);
        inner.facts.refused += u64::from(refuses);
        refuses
    }
    fn trespass(&self, words: String) {
        self.lock().facts.trespasses.insert(words);
    }
    fn unknown_option(&self, key: &str) {
        self.lock().facts.unknown_options.insert(key.to_owned());
    }
    fn told(&self, key: &str, text: &str) {
        self.lock().facts.infotext.insert(key.to_owned(), text.to_owned());
    }
    fn logged(&self, level: &'static str, message: &str) {
        self.lock().facts.logs.entry(level).or_default().push(message.to_owned());
    }
}

impl Decorator for Recorder {
    fn wrap(&self, plugin: &PluginId, handle: Arc<dyn PluginHandle>) -> Arc<dyn PluginHandle> {
        if self.plugin.as_ref().is_some_and(|own| own != plugin) {
            return handle;
        }
        Arc::new(Recorded { handle, recorder: self.clone() })
    }
}

#[derive(Debug)]
struct Recorded {
    handle: Arc<dyn PluginHandle>,
    recorder: Recorder,
}

impl PluginHandle for Recorded {
    fn call(&self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        self.recorder.through(frame, host, |frame, host| self.handle.call(frame, host))
    }

    fn start(
        &self,
        frame: &Frame,
        host: &mut dyn HookHost,
    ) -> Result<Box<dyn RunHandle>, CallFailure> {
        let run =
            self.recorder.through(frame, host, |frame, host| self.handle.start(frame, host))?;
        Ok(Box::new(RecordedRun { run, recorder: self.recorder.clone() }))
    }
}

#[derive(Debug)]
struct RecordedRun {
    run: Box<dyn RunHandle>,
    recorder: Recorder,
}

impl RunHandle for RecordedRun {
    fn call(&mut self, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        self.recorder.through(frame, host, |frame, host| self.run.call(frame, host))
    }

    fn close(self: Box<Self>, frame: &Frame, host: &mut dyn HookHost) -> Result<(), CallFailure> {
        // Dropping is no hook, but it can fail like one.
        self.run.close(frame, host)
    }
}
