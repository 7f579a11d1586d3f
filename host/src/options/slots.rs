//! What every option has of its own, as a persistent array.

use std::sync::Arc;

use super::value::Value;
use super::writer::Writer;

/// A value somebody set.
#[derive(Debug, PartialEq)]
pub(super) struct Written {
    pub(super) value: Value,
    pub(super) writer: Writer,
}

/// Nothing for an option that nobody set. Two states share it unless the option was set between
/// them.
pub(super) type Slot = Option<Arc<Written>>;

/// One slot for every option. A clone costs one count; a change copies one page and the list of
/// pages and shares the rest.
///
/// Two fixed levels and not a balanced tree, because reads count most: two array accesses at any
/// size, while a write copies a few hundred pointers at 35 000 options.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    pages: Arc<Vec<Page>>,
    len: usize,
}

type Page = Arc<[Slot; PAGE]>;

/// About the square root of tens of thousands, so that both copies of a change are small.
const PAGE: usize = 128;

impl Slots {
    /// How many options there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// What the option has; nothing too where there is no such option.
    pub(super) fn get(&self, index: usize) -> Option<&Arc<Written>> {
        self.pages.get(index / PAGE)?[index % PAGE].as_ref()
    }

    /// Changes one slot.
    ///
    /// # Panics
    /// If there is no such slot.
    pub(super) fn set(&mut self, index: usize, slot: Slot) {
        assert!(
            index < self.len,
            "option {index} is of a newer schema; this state has {}",
            self.len
        );
        let page = &mut Arc::make_mut(&mut self.pages)[index / PAGE];
        Arc::make_mut(page)[index % PAGE] = slot;
    }

    /// Adds slots for further options.
    pub(super) fn extend(&mut self, slots: impl IntoIterator<Item = Slot>) {
        let pages = Arc::make_mut(&mut self.pages);
        for slot in slots {
            if self.len == pages.len() * PAGE {
                pages.push(Arc::new([const { None }; PAGE]));
            }
            // The page was just made if there was none.
            Arc::make_mut(&mut pages[self.len / PAGE])[self.len % PAGE] = slot;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(n: i64) -> Arc<Written> {
        Arc::new(Written { value: n.into(), writer: Writer::Cli })
    }

    fn read(slots: &Slots) -> Vec<Option<i64>> {
        (0..slots.len()).map(|n| slots.get(n).and_then(|written| written.value.as_int())).collect()
    }

    #[test]
    fn a_change_at_a_page_border_touches_neither_neighbour_nor_clone() {
        let mut slots = Slots::default();
        slots.extend((0..300).map(written).map(Some));
        let before = slots.clone();
        for index in [0, PAGE - 1, PAGE, 299] {
            slots.set(index, None);
        }
        let all: Vec<_> = (0..300).map(Some).collect();
        let mut expected = all.clone();
        for index in [0, PAGE - 1, PAGE, 299] {
            expected[index] = None;
        }
        assert_eq!((read(&before), read(&slots)), (all, expected));
        assert!(slots.get(300).is_none() && slots.get(100_000).is_none());
    }

    #[test]
    fn growing_keeps_what_is_there_and_leaves_clones_alone() {
        let mut slots = Slots::default();
        slots.extend([Some(written(1))]);
        let before = slots.clone();
        slots.extend([None, Some(written(2))]);
        assert_eq!(read(&before), [Some(1)]);
        assert_eq!(read(&slots), [Some(1), None, Some(2)]);
        assert!(before.get(1).is_none());
    }
}
