//! Options as one run sees them, and who read what.
//!
//! A run has three views of the options. *Live*: its layer of overrides over the store as it is at
//! this moment, what A1111's extensions read. *Snapshot*: the layer over the base as they were when
//! the run was prepared, for good. *The host's own*: layer, then what this run's own plugins wrote
//! live since, then the base; so an old plugin still steers its run, and nobody else does.
//!
//! Every read is counted in the [`Ledger`], and every live answer that differs from the snapshot is
//! a *divergence*: the place where a migration would change something.

mod host;
mod ledger;
mod mode;
mod read;
mod write;

use std::{collections::BTreeMap, sync::Arc};

use ledger::Way;
pub use ledger::{Caller, CallerId, Divergence, Ledger, LedgerRow, Reader};
pub use mode::SeamMode;

use crate::{
    options::{Layer, OptionId, OptionSet, Rules, SetError, Snapshot, StateReader, Value, Writer},
    plugins::{LiveOptions, PluginSet},
};

/// How far the run is, as far as options go.
#[derive(Clone, Debug)]
enum Phase {
    /// `before_process` runs: overrides may still be added, there is no base yet.
    Request,
    /// The base is frozen.
    Prepared { base: OptionSet, snapshot: Option<Taken> },
}

impl Phase {
    fn taken(&self) -> Option<&Taken> {
        match self {
            Self::Prepared { snapshot, .. } => snapshot.as_ref(),
            Self::Request => None,
        }
    }
}

/// The snapshot with what tells whether anything changed since.
#[derive(Clone, Debug)]
struct Taken {
    snapshot: Snapshot,
    version: u64,
    generation: u64,
}

/// A write from outside of the run that one of its live readers saw.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct OutsideWrite {
    /// The option.
    pub key: String,
    /// What it was set to.
    pub value: Value,
    /// By whom.
    pub writer: Writer,
    /// The plugin that saw it first.
    pub seen_by: String,
    /// The hook in which it was seen.
    pub hook: String,
    /// How many hook calls of the run came before, counted from its snapshot: the first `start` is
    /// the first of them.
    pub after_calls: u64,
}

/// Why an option is not read or written.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SeamError {
    /// The value or key is no good.
    #[error(transparent)]
    Option(#[from] SetError),
    /// There is no snapshot to read.
    #[error("this run has no snapshot: {0}")]
    NoSnapshot(&'static str),
    /// The write does not belong here.
    #[error("{0}")]
    NotNow(&'static str),
}

/// The options of one run.
#[derive(Debug)]
pub struct Seam {
    run: Arc<str>,
    store: Arc<LiveOptions>,
    /// The store, for the reads of plugins, of which there are many.
    live: StateReader<Arc<PluginSet>>,
    layer: Layer,
    /// The part of the layer that a run may leave behind: overrides and live writes to them, not
    /// what was written for this run only.
    lasting: Layer,
    own: BTreeMap<OptionId, (Value, Writer)>,
    /// What the store held when this run last wrote or saw it: where it holds something else,
    /// somebody outside has written.
    known: BTreeMap<OptionId, Value>,
    phase: Phase,
    ledger: Ledger,
    /// The part of the run that the host's own reads count for.
    part: Option<CallerId>,
    outside: Vec<OutsideWrite>,
    calls: u64,
}

/// What a failed hook's option writes are undone with.
#[derive(Clone, Debug)]
pub struct Mark {
    layer: Layer,
    lasting: Layer,
}

impl Seam {
    /// The options of a run that leaves the queue, with the overrides that its request asks for.
    ///
    /// # Errors
    /// One error for each override that is unknown or does not cast; nothing has begun then.
    pub fn open<'k>(
        run: Arc<str>,
        store: Arc<LiveOptions>,
        overrides: impl IntoIterator<Item = (&'k str, &'k serde_json::Value)>,
    ) -> Result<Self, Vec<SetError>> {
        let mut layer = Layer::default();
        let mut errors = Vec::new();
        {
            let state = store.load();
            let writer = Writer::Override { run: run.clone() };
            for (key, value) in overrides {
                match admit(&state.options, store.rules(), key, value, &writer) {
                    Ok((id, value)) => layer.insert(id, value, writer.clone()),
                    Err(error) => errors.push(error),
                }
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            run,
            live: store.reader(),
            store,
            lasting: layer.clone(),
            layer,
            own: BTreeMap::new(),
            known: BTreeMap::new(),
            phase: Phase::Request,
            ledger: Ledger::default(),
            part: None,
            outside: Vec::new(),
            calls: 0,
        })
    }

    /// Freezes the base: from here on overrides, filled fields and snapshot speak of one state.
    pub fn freeze(&mut self) {
        let base = self.store.load().options.clone();
        // What plugins have written so far is in the base, or was overwritten before it.
        self.own.clear();
        self.known.clear();
        self.phase = Phase::Prepared { base, snapshot: None };
    }

    /// Takes the snapshot: the layer over the base, as they are now.
    pub fn take_snapshot(&mut self) {
        let generation = self.layer.generation();
        self.calls = 0;
        if let Phase::Prepared { base, snapshot } = &mut self.phase {
            *snapshot = Some(Taken {
                snapshot: Snapshot::take(base, &self.layer),
                version: base.version(),
                generation,
            });
        }
    }

    /// The snapshot, once it is taken.
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.taken().map(|taken| &taken.snapshot)
    }

    fn taken(&self) -> Option<&Taken> {
        self.phase.taken()
    }

    /// Changes whenever a live read may be answered in another way than before: with the store, and
    /// with the run's layer.
    pub fn version(&mut self) -> [u64; 2] {
        [self.live.load().options.version(), self.layer.generation()]
    }

    /// The layer as it stands.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }

    /// The names of the options in the layer, with their values and writers.
    pub fn overrides(&self) -> Vec<(String, Value, Writer)> {
        self.named(&self.layer)
    }

    fn named(&self, layer: &Layer) -> Vec<(String, Value, Writer)> {
        let state = self.store.load();
        let schema = state.options.schema();
        let entry = |entry: &crate::options::Override| {
            (schema.spec(entry.id).key.clone(), entry.value.clone(), entry.writer.clone())
        };
        layer.iter().map(entry).collect()
    }

    /// The number of a reader at a hook.
    pub fn caller(&mut self, reader: Reader, hook: &str) -> CallerId {
        self.ledger.caller_id(&Caller { reader, hook: hook.to_owned() })
    }

    /// A hook call begins.
    pub fn enter(&mut self, caller: CallerId) -> Mark {
        self.calls += 1;
        self.ledger.enter(caller);
        Mark { layer: self.layer.clone(), lasting: self.lasting.clone() }
    }

    /// A hook failed: its writes to the run's layer are undone. What it wrote into the store has been
    /// everybody's since, and stays.
    pub fn roll_back(&mut self, mark: Mark) {
        self.layer = mark.layer;
        self.lasting = mark.lasting;
    }

    /// Leaves the layer behind in the store (`override_settings_restore_afterwards: false`).
    ///
    /// # Errors
    /// Where a listener refuses a value; the store is as before then.
    pub fn commit_layer(&self) -> Result<(), Vec<SetError>> {
        let writer = Writer::Run { run: self.run.clone() };
        let values = self.named(&self.lasting).into_iter().map(|(key, value, _)| (key, value));
        self.store.set_many(values, &writer).map(|_| ())
    }

    /// The ledger as rows, option names filled in.
    pub fn ledger_rows(&self) -> Vec<LedgerRow> {
        let state = self.store.load();
        self.ledger.rows(state.options.schema())
    }

    /// Writes from outside that the run's live readers saw, in order.
    pub fn outside_writes(&self) -> &[OutsideWrite] {
        &self.outside
    }
}

fn admit(
    options: &OptionSet,
    rules: Rules,
    key: &str,
    value: &serde_json::Value,
    writer: &Writer,
) -> Result<(OptionId, Value), SetError> {
    if counts_at_start(key) {
        return Err(SetError::AtStart { key: key.to_owned() });
    }
    let value = Value::from_json(value.clone())
        .map_err(|source| SetError::NotExact { key: key.to_owned(), source })?;
    rules.admit(options.schema(), key, &value, writer)
}

/// Which plugins there are and in which order is settled when the host starts. A run that overrode
/// these would have a snapshot that does not describe it.
fn counts_at_start(key: &str) -> bool {
    matches!(
        key,
        "disabled_extensions" | "disable_all_extensions" | "plugin_isolation" | "isolated_plugins"
    ) || key.starts_with("prioritized_callbacks_")
}
