//! One write of one option.

use std::sync::Arc;

use super::schema::OptionId;
use super::set::OptionSet;
use super::slots::{Slot, Written};
use super::spec::OptionSpec;
use super::value::Value;
use super::writer::Writer;

/// What a write did to an option.
#[derive(Clone, Debug)]
pub struct Change {
    spec: Arc<OptionSpec>,
    id: OptionId,
    old: Value,
    new: Value,
    writer: Writer,
    version: u64,
    before: Slot,
    after: Slot,
}

impl Change {
    /// Writes a cast value into a state.
    ///
    /// A value that is already there changes nothing, except that a writer whose values are saved
    /// takes over what a plugin had put there for the time being.
    pub(super) fn make(
        options: &OptionSet,
        id: OptionId,
        new: Value,
        writer: Writer,
    ) -> (OptionSet, Self) {
        let before = options.slot(id).cloned();
        let old = options.get(id).clone();
        let passing = before.as_ref().is_some_and(|written| !written.writer.is_durable());
        let (next, after) = if old != new || (passing && writer.is_durable()) {
            let written = Written { value: new.clone(), writer: writer.clone() };
            let after = Some(Arc::new(written));
            (options.with_slot(id, after.clone()), after)
        } else {
            (options.clone(), before.clone())
        };
        let (spec, version) = (options.schema().spec(id).clone(), next.version());
        (next, Self { spec, id, old, new, writer, version, before, after })
    }

    /// The state with this change taken back, or none if somebody wrote the option since.
    pub(super) fn undo(&self, options: &OptionSet) -> Option<OptionSet> {
        let ours = same(&options.slot(self.id).cloned(), &self.after);
        ours.then(|| options.with_slot(self.id, self.before.clone()))
    }

    /// The same change, backwards.
    pub(super) fn reversed(&self) -> Self {
        let mut back = self.clone();
        std::mem::swap(&mut back.old, &mut back.new);
        std::mem::swap(&mut back.before, &mut back.after);
        back
    }

    /// Whether the file is to hold it: it was written, and by somebody who means it to last.
    pub(super) fn is_kept(&self) -> bool {
        self.writer.is_durable() && !same(&self.before, &self.after)
    }

    /// The option's key.
    pub fn key(&self) -> &str {
        &self.spec.key
    }

    /// The option.
    pub fn id(&self) -> OptionId {
        self.id
    }

    /// Its declaration.
    pub fn spec(&self) -> &OptionSpec {
        &self.spec
    }

    /// The value before.
    pub fn old(&self) -> &Value {
        &self.old
    }

    /// The value now.
    pub fn value(&self) -> &Value {
        &self.new
    }

    /// Who wrote it.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// The version of the options that this write made or, where nothing changed, found.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the value is another than before.
    pub fn is_change(&self) -> bool {
        self.old != self.new
    }
}

/// Whether both are one and the same write.
fn same(a: &Slot, b: &Slot) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}
