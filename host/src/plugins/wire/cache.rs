//! Options that the far end has seen, so that it need not ask for each of them again and again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use atelier_plugin_abi::{Value, codes::OptionSource};

use super::message::Read;

/// How long a live value may be told again without asking, within one hook. It bounds how late a hook
/// that waits for somebody's write sees it.
const FRESH: Duration = Duration::from_millis(1);

/// What one instance of a plugin knows of the options, and the reads that nobody has counted yet.
///
/// A value of the snapshot holds for the whole run. A live one holds as long as neither the store nor
/// the run's layer changes: the near end says with every call in which version they are.
#[derive(Debug, Default)]
pub(in crate::plugins) struct Cache {
    /// The version of the live values; none where nobody says when they change.
    version: Option<[u64; 2]>,
    /// Whether this hook changed something: what it saw then may be rolled back behind it.
    own_changes: bool,
    /// Until when they hold in this hook.
    until: Option<Instant>,
    live: HashMap<String, Known>,
    snapshot: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    value: Value,
    /// Reads since they were counted last.
    times: u64,
}

impl Cache {
    /// A hook begins, with the options in this version.
    pub(in crate::plugins) fn begin(&mut self, version: Option<[u64; 2]>) {
        if self.own_changes || version.is_none() || self.version != version {
            self.live.clear();
        }
        (self.version, self.own_changes) = (version, false);
        self.until = None;
    }

    /// Something happened that may have changed live options.
    pub(super) fn stale(&mut self) {
        self.live.clear();
        self.own_changes = true;
    }

    /// The value, if it is known; the read is noted.
    pub(super) fn get(&mut self, source: OptionSource, key: &str) -> Option<Value> {
        let known = match source {
            OptionSource::Snapshot => self.snapshot.get_mut(key)?,
            OptionSource::Live => {
                // The first look at the clock is made at the first read, not at every call.
                let now = Instant::now();
                if now >= *self.until.get_or_insert(now + FRESH) {
                    return None;
                }
                self.live.get_mut(key)?
            }
            _ => return None,
        };
        known.times += 1;
        Some(known.value.clone())
    }

    /// Keeps an answer.
    pub(super) fn keep(&mut self, source: OptionSource, key: &str, value: &Value) {
        let values = match source {
            OptionSource::Snapshot => &mut self.snapshot,
            OptionSource::Live if self.version.is_some() => {
                let now = Instant::now();
                if self.until.is_some_and(|until| now >= until) {
                    // What is older than that is asked for again, too.
                    self.live.clear();
                    self.until = Some(now + FRESH);
                }
                &mut self.live
            }
            _ => return,
        };
        values.insert(key.to_owned(), Known { value: value.clone(), times: 0 });
    }

    /// The reads that nobody has counted yet; they count as counted then.
    pub(in crate::plugins) fn reads(&mut self) -> Vec<Read> {
        let of = |source: OptionSource, values: &mut HashMap<String, Known>| {
            let read = values.iter_mut().filter(|(_, known)| known.times > 0);
            read.map(|(key, known)| Read {
                source: source.code(),
                key: key.clone(),
                times: std::mem::take(&mut known.times),
            })
            .collect::<Vec<_>>()
        };
        let mut reads = of(OptionSource::Live, &mut self.live);
        reads.append(&mut of(OptionSource::Snapshot, &mut self.snapshot));
        reads
    }
}
