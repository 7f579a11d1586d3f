//! Who read which option, how, and where the answers differed.

use std::fmt;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    options::{OptionId, Schema, Value, Writer},
    plugins::PluginId,
};

/// Who reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reader {
    /// The host itself.
    Host,
    /// A plugin.
    Plugin(PluginId),
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Plugin(id) => id.fmt(f),
        }
    }
}

/// A reader at a hook (or, for the host, in a part of the run).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Who.
    pub reader: Reader,
    /// Where.
    pub hook: String,
}

/// The number of a caller in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallerId(u32);

/// A live answer that differs from the snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Divergence {
    /// The live answer.
    pub live: Value,
    /// What the snapshot has.
    pub snapshot: Value,
    /// Who wrote the live value.
    pub writer: Writer,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    early: u64,
    live: u64,
    snapshot: u64,
    writes: u64,
    run_writes: u64,
    diverged: u64,
    last: Option<Divergence>,
}

#[derive(Clone, Debug, Default)]
struct AllCounts {
    early: u64,
    live: u64,
    snapshot: u64,
    diverged: u64,
    keys: Vec<String>,
}

/// What one reader did with one option at one hook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRow {
    /// The plugin's id, or `host`.
    pub reader: String,
    /// The hook, or the part of the run for the host.
    pub hook: String,
    /// The option; `*` for reads of the whole map.
    pub option: String,
    /// Live reads before there was a snapshot.
    pub early: u64,
    /// Live reads.
    pub live: u64,
    /// Reads of the snapshot.
    pub snapshot: u64,
    /// Live writes.
    pub writes: u64,
    /// Writes for this run only.
    pub run_writes: u64,
    /// Live reads whose live answer was not the snapshot's.
    pub diverged: u64,
    /// The last of those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub divergence: Option<Divergence>,
    /// For `*`: the options that differed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diverged_keys: Vec<String>,
}

impl LedgerRow {
    /// Adds what the same reader did with the same option at the same hook of a later run.
    pub fn add(&mut self, later: Self) {
        self.early += later.early;
        self.live += later.live;
        self.snapshot += later.snapshot;
        self.writes += later.writes;
        self.run_writes += later.run_writes;
        self.diverged += later.diverged;
        self.divergence = later.divergence.or(self.divergence.take());
        for key in later.diverged_keys {
            if !self.diverged_keys.contains(&key) {
                self.diverged_keys.push(key);
            }
        }
    }
}

/// The counts of one run. One thread works on a run, so they are plain numbers.
#[derive(Debug, Default)]
pub struct Ledger {
    callers: Vec<Caller>,
    current: u32,
    counts: FxHashMap<(u32, OptionId), Counts>,
    unknown: FxHashMap<(u32, String), Counts>,
    whole: FxHashMap<u32, AllCounts>,
}

/// How something was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Live, before there was a snapshot.
    Early,
    /// Live.
    Live,
    /// From the snapshot.
    Snapshot,
}

impl Ledger {
    /// The number of a caller.
    pub fn caller_id(&mut self, caller: &Caller) -> CallerId {
        let known = self.callers.iter().position(|known| known == caller);
        let at = known.unwrap_or_else(|| {
            self.callers.push(caller.clone());
            self.callers.len() - 1
        });
        CallerId(at as u32)
    }

    /// The counts that follow are this caller's.
    pub fn enter(&mut self, caller: CallerId) {
        self.current = caller.0;
    }

    /// Whose turn it is.
    pub fn caller(&self) -> Caller {
        let known = self.callers.get(self.current as usize).cloned();
        known.unwrap_or(Caller { reader: Reader::Host, hook: "request".to_owned() })
    }

    fn at(&mut self, id: OptionId) -> &mut Counts {
        self.counts.entry((self.current, id)).or_default()
    }

    /// A live read before there is a snapshot.
    pub fn early(&mut self, id: OptionId) {
        self.at(id).early += 1;
    }

    /// A live read, with what differed.
    pub fn live(&mut self, id: OptionId, divergence: Option<Divergence>) {
        let counts = self.at(id);
        counts.live += 1;
        if let Some(divergence) = divergence {
            counts.diverged += 1;
            counts.last = Some(divergence);
        }
    }

    /// A read of the snapshot.
    pub fn snapshot(&mut self, id: OptionId) {
        self.at(id).snapshot += 1;
    }

    /// A read of a key of `config.json` that no option has.
    pub(super) fn unknown(&mut self, key: &str, way: Way) {
        let counts = self.unknown.entry((self.current, key.to_owned())).or_default();
        match way {
            Way::Early => counts.early += 1,
            Way::Live => counts.live += 1,
            Way::Snapshot => counts.snapshot += 1,
        }
    }

    /// A live write.
    pub fn write(&mut self, id: OptionId) {
        self.at(id).writes += 1;
    }

    /// A write for this run only.
    pub fn run_write(&mut self, id: OptionId) {
        self.at(id).run_writes += 1;
    }

    /// A live read of everything.
    pub fn all(&mut self, early: bool, diverged: &[String]) {
        let counts = self.whole.entry(self.current).or_default();
        if early {
            counts.early += 1;
            return;
        }
        counts.live += 1;
        counts.diverged += u64::from(!diverged.is_empty());
        for key in diverged {
            if !counts.keys.contains(key) {
                counts.keys.push(key.clone());
            }
        }
    }

    /// A read of the whole snapshot.
    pub fn all_snapshot(&mut self) {
        self.whole.entry(self.current).or_default().snapshot += 1;
    }

    /// Everything, sorted by reader, hook in order of its first call, option.
    pub fn rows(&self, schema: &Schema) -> Vec<LedgerRow> {
        let row = |caller: u32, option: &str| {
            let caller = &self.callers[caller as usize];
            LedgerRow {
                reader: caller.reader.to_string(),
                hook: caller.hook.clone(),
                option: option.to_owned(),
                early: 0,
                live: 0,
                snapshot: 0,
                writes: 0,
                run_writes: 0,
                diverged: 0,
                divergence: None,
                diverged_keys: Vec::new(),
            }
        };
        let mut rows: Vec<(u32, LedgerRow)> = Vec::new();
        let known = self
            .counts
            .iter()
            .map(|((caller, id), counts)| (*caller, schema.spec(*id).key.as_str(), counts));
        let unknown =
            self.unknown.iter().map(|((caller, key), counts)| (*caller, key.as_str(), counts));
        for (caller, key, counts) in known.chain(unknown) {
            rows.push((
                caller,
                LedgerRow {
                    early: counts.early,
                    live: counts.live,
                    snapshot: counts.snapshot,
                    writes: counts.writes,
                    run_writes: counts.run_writes,
                    diverged: counts.diverged,
                    divergence: counts.last.clone(),
                    ..row(caller, key)
                },
            ));
        }
        for (caller, counts) in &self.whole {
            rows.push((
                *caller,
                LedgerRow {
                    early: counts.early,
                    live: counts.live,
                    snapshot: counts.snapshot,
                    diverged: counts.diverged,
                    diverged_keys: counts.keys.clone(),
                    ..row(*caller, "*")
                },
            ));
        }
        rows.sort_by(|(a_at, a), (b_at, b)| {
            (a.reader == "host", &a.reader, a_at, &a.option).cmp(&(
                b.reader == "host",
                &b.reader,
                b_at,
                &b.option,
            ))
        });
        rows.into_iter().map(|(_, row)| row).collect()
    }
}
