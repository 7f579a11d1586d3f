//! The live options of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Cache, Guard};

use super::change::Change;
use super::config_file::ConfigFile;
use super::error::{ConfigError, SchemaError, SetError};
use super::listen::{ListenerId, Listeners, Watch};
use super::rules::Rules;
use super::schema::OptionId;
use super::set::OptionSet;
use super::spec::{OptionSpec, Owner};
use super::value::Value;
use super::writer::Writer;

/// One consistent state of the process: its options and what has to fit to them, such as the
/// plugins that declared some of them.
#[derive(Clone, Debug)]
pub struct State<P> {
    /// The options.
    pub options: OptionSet,
    /// What is swapped together with them. Every write clones it, so it should be an [`Arc`] or as
    /// cheap as one.
    pub companion: P,
}

/// Looks at the live options again and again. A look costs a plain load as long as nobody writes,
/// where [`Store::load`] announces itself to the writers each time; for that, the reader keeps the
/// state that it saw last alive.
#[derive(Clone, Debug)]
pub struct StateReader<P>(Cache<Arc<ArcSwap<State<P>>>, Arc<State<P>>>);

impl<P> StateReader<P> {
    /// The state now.
    pub fn load(&mut self) -> &State<P> {
        self.0.load()
    }
}

/// What declaring options did.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "stored values that no longer fit should be reported"]
pub struct Registration {
    /// How many options are new.
    pub added: usize,
    /// Stored values that do not fit their new options, which therefore have their defaults.
    pub stale: Vec<SetError>,
}

/// The live options: one [`State`] at a time behind an atomic swap.
///
/// Reading never waits. Writers come one after another; a state is published before the listeners
/// of its changes are called, and those are called without a lock held, in the thread of the
/// write. A listener may therefore read and write options. Where two threads write the same
/// option at once its listeners may hear of the two changes in either order, so a listener that
/// acts on a value takes it from [`load`](Self::load) and not from the [`Change`].
#[derive(Debug)]
pub struct Store<P> {
    /// Shared with the readers.
    state: Arc<ArcSwap<State<P>>>,
    rules: Rules,
    listeners: Listeners,
    /// Held while a state is replaced; holds what the file should hold.
    writing: Mutex<BTreeMap<OptionId, Kept>>,
    /// Held while the file is written, so that a later save holds the later values.
    saving: Mutex<()>,
}

/// A value that is to outlive the process.
#[derive(Debug)]
struct Kept {
    value: Value,
    version: u64,
    saved: bool,
}

impl<P: Clone + Send + Sync + 'static> Store<P> {
    /// A store that starts with this state.
    pub fn new(options: OptionSet, companion: P) -> Self {
        Self {
            state: Arc::new(ArcSwap::from_pointee(State { options, companion })),
            rules: Rules::default(),
            listeners: Listeners::default(),
            writing: Mutex::default(),
            saving: Mutex::default(),
        }
    }

    /// With what the operator forbids.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { rules, ..self }
    }

    /// What the operator forbids; overrides of a run go through it too.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// The state now. Never waits; for a look, not for keeping.
    pub fn load(&self) -> Guard<Arc<State<P>>> {
        self.state.load()
    }

    /// A reader of one thread that looks often.
    pub fn reader(&self) -> StateReader<P> {
        StateReader(Cache::new(self.state.clone()))
    }

    /// The state now, for keeping.
    pub fn load_full(&self) -> Arc<State<P>> {
        self.state.load_full()
    }

    /// Sets one option.
    ///
    /// # Errors
    /// [`SetError`]; the option then has the value it had.
    pub fn set(
        &self,
        key: &str,
        value: impl Into<Value>,
        writer: Writer,
    ) -> Result<Change, SetError> {
        let change = {
            let _writing = self.lock();
            let state = self.state.load();
            let schema = state.options.schema();
            let (id, value) = self.rules.admit(schema, key, &value.into(), &writer)?;
            let (options, change) = Change::make(&state.options, id, value, writer);
            self.publish(options, state.companion.clone());
            change
        };
        self.settle(std::slice::from_ref(&change))?;
        Ok(change)
    }

    /// Sets several options at once: all of them or, if one cannot be set, none.
    ///
    /// # Errors
    /// One [`SetError`] for each key that cannot be set.
    pub fn set_many<K: AsRef<str>, V: Into<Value>>(
        &self,
        values: impl IntoIterator<Item = (K, V)>,
        writer: &Writer,
    ) -> Result<Vec<Change>, Vec<SetError>> {
        let (mut changes, mut errors) = (Vec::new(), Vec::new());
        {
            let _writing = self.lock();
            let state = self.state.load();
            let mut options = state.options.clone();
            for (key, value) in values {
                match self.rules.admit(options.schema(), key.as_ref(), &value.into(), writer) {
                    Ok((id, value)) => {
                        let (next, change) = Change::make(&options, id, value, writer.clone());
                        options = next;
                        changes.push(change);
                    }
                    Err(error) => errors.push(error),
                }
            }
            if !errors.is_empty() {
                return Err(errors);
            }
            self.publish(options, state.companion.clone());
        }
        self.settle(&changes).map_err(|error| vec![error])?;
        Ok(changes)
    }

    /// Declares options of an owner.
    ///
    /// # Errors
    /// [`SchemaError`]; then none of them is declared.
    pub fn register(
        &self,
        specs: impl IntoIterator<Item = OptionSpec>,
        owner: &Owner,
    ) -> Result<Registration, SchemaError> {
        self.register_with(specs, owner, P::clone)
    }

    /// Declares options of an owner and changes the companion in the same swap, so that nobody
    /// sees one without the other. The function must not write to this store.
    ///
    /// # Errors
    /// [`SchemaError`]; then nothing is changed.
    pub fn register_with(
        &self,
        specs: impl IntoIterator<Item = OptionSpec>,
        owner: &Owner,
        companion: impl FnOnce(&P) -> P,
    ) -> Result<Registration, SchemaError> {
        let _writing = self.lock();
        let state = self.state.load();
        let known = state.options.schema();
        let schema = known.with(specs, owner)?;
        let added = schema.len() - known.len();
        let (options, stale) = match added {
            0 => (state.options.clone(), Vec::new()),
            _ => state.options.with_schema(Arc::new(schema)),
        };
        self.publish(options, companion(&state.companion));
        Ok(Registration { added, stale })
    }

    /// Replaces the companion. The function must not write to this store.
    pub fn update_companion(&self, companion: impl FnOnce(&P) -> P) {
        let _writing = self.lock();
        let state = self.state.load();
        self.publish(state.options.clone(), companion(&state.companion));
    }

    /// Calls a listener after every change of value that it watches. One that cannot follow says
    /// why: then the old value is put back, listeners that had followed are told of the way back,
    /// and the write fails naming this listener. (A1111's `onchange`.)
    pub fn on_change(
        &self,
        name: impl Into<String>,
        watch: Watch,
        listener: impl Fn(&Change) -> Result<(), String> + Send + Sync + 'static,
    ) -> ListenerId {
        self.listeners.add(name.into(), watch, listener)
    }

    /// Removes a listener and says whether it was there.
    pub fn remove_listener(&self, id: ListenerId) -> bool {
        self.listeners.remove(id)
    }

    /// Writes what was set on purpose since the last save into the file, and says how many
    /// options that were. What plugins and runs wrote is not among it.
    ///
    /// # Errors
    /// [`ConfigError`]; the values are tried again with the next save.
    pub fn save(&self, file: &ConfigFile) -> Result<usize, ConfigError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let due: Vec<_> = {
            let kept = self.lock();
            let due = kept.iter().filter(|(_, kept)| !kept.saved);
            due.map(|(id, kept)| (*id, kept.version, kept.value.to_json())).collect()
        };
        if due.is_empty() {
            return Ok(0);
        }
        let schema = self.load().options.schema().clone();
        let key = |id| schema.spec(id).key.clone();
        file.save(due.iter().map(|(id, _, json)| (key(*id), json.clone())).collect())?;
        let mut kept = self.lock();
        for (id, version, _) in &due {
            if let Some(kept) = kept.get_mut(id).filter(|kept| kept.version == *version) {
                kept.saved = true;
            }
        }
        Ok(due.len())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<OptionId, Kept>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, options: OptionSet, companion: P) {
        self.state.store(Arc::new(State { options, companion }));
    }

    /// Asks the listeners; then either keeps the changes for the file or takes them back.
    fn settle(&self, changes: &[Change]) -> Result<(), SetError> {
        let Err(objection) = self.listeners.announce(changes) else {
            self.keep(changes);
            return Ok(());
        };
        let back = self.take_back(changes);
        objection.tell_back(|change| back.contains(&change.id()));
        Err(objection.error)
    }

    fn keep(&self, changes: &[Change]) {
        let mut kept = self.lock();
        for change in changes.iter().filter(|change| change.is_kept()) {
            let (value, version) = (change.value().clone(), change.version());
            // Of two writes at once, the one whose value is live is the one to keep, even if its
            // listeners were the faster ones.
            if kept.get(&change.id()).is_none_or(|kept| kept.version < version) {
                kept.insert(change.id(), Kept { value, version, saved: false });
            }
        }
    }

    /// Puts old values back, except where somebody wrote since, and says which.
    fn take_back(&self, changes: &[Change]) -> Vec<OptionId> {
        let _writing = self.lock();
        let state = self.state.load();
        let (mut options, mut back) = (state.options.clone(), Vec::new());
        for change in changes.iter().rev() {
            if let Some(undone) = change.undo(&options) {
                options = undone;
                back.push(change.id());
            }
        }
        self.publish(options, state.companion.clone());
        back
    }
}
