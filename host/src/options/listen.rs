//! Who wants to know of changes.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::change::Change;
use super::error::SetError;

/// Which changes a listener hears of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watch {
    /// All.
    All,
    /// Those of the option with this key, which may be declared later.
    Key(String),
}

impl Watch {
    /// Changes of one option.
    pub fn key(key: impl Into<String>) -> Self {
        Self::Key(key.into())
    }

    fn sees(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Key(watched) => watched == key,
        }
    }
}

/// Names a listener, to remove it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(u64);

struct Listener {
    id: ListenerId,
    name: String,
    watch: Watch,
    hear: Box<Hear>,
}

/// Follows a change or says why it cannot.
type Hear = dyn Fn(&Change) -> Result<(), String> + Send + Sync;

/// All listeners, in the order in which they came.
#[derive(Default)]
pub(super) struct Listeners {
    all: RwLock<Vec<Arc<Listener>>>,
    next: AtomicU64,
}

/// A listener said no. Whoever had said yes before has to hear of the way back.
pub(super) struct Objection {
    pub(super) error: SetError,
    agreed: Vec<(Arc<Listener>, Change)>,
}

impl Listeners {
    pub(super) fn add(
        &self,
        name: String,
        watch: Watch,
        hear: impl Fn(&Change) -> Result<(), String> + Send + Sync + 'static,
    ) -> ListenerId {
        let id = ListenerId(self.next.fetch_add(1, Ordering::Relaxed));
        let listener = Listener { id, name, watch, hear: Box::new(hear) };
        self.all.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(listener));
        id
    }

    pub(super) fn remove(&self, id: ListenerId) -> bool {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let before = all.len();
        all.retain(|listener| listener.id != id);
        all.len() < before
    }

    /// Tells the changes one by one. Listeners are called without any lock held, so they may read
    /// and write options and come and go themselves.
    pub(super) fn announce(&self, changes: &[Change]) -> Result<(), Objection> {
        let mut agreed = Vec::new();
        for change in changes.iter().filter(|change| change.is_change()) {
            for listener in self.watching(change.key()) {
                match (listener.hear)(change) {
                    Ok(()) => agreed.push((listener, change.clone())),
                    Err(reason) => {
                        let (key, listener) = (change.key().to_owned(), listener.name.clone());
                        let error = SetError::Refused { key, listener, reason };
                        return Err(Objection { error, agreed });
                    }
                }
            }
        }
        Ok(())
    }

    fn watching(&self, key: &str) -> Vec<Arc<Listener>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|listener| listener.watch.sees(key)).cloned().collect()
    }
}

impl Objection {
    /// Tells those who had agreed that the old values are back, last first.
    pub(super) fn tell_back(&self, is_back: impl Fn(&Change) -> bool) {
        for (listener, change) in self.agreed.iter().rev().filter(|(_, change)| is_back(change)) {
            if let Err(reason) = (listener.hear)(&change.reversed()) {
                let (listener, key) = (&listener.name, change.key());
                tracing::warn!(listener, key, reason, "a listener did not follow the way back");
            }
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_map().entries(all.iter().map(|listener| (&listener.name, &listener.watch))).finish()
    }
}
