//! Panics become data here, inside the image that panicked.

use std::{
    cell::{Cell, RefCell},
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

use crate::codes::Status;

/// Why a hook did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// [`Status::Failed`], [`Status::Panicked`] or [`Status::StopRun`].
    pub status: Status,
    /// Words for people.
    pub message: String,
    /// File and line of a panic, or empty.
    pub place: String,
}

impl Failure {
    /// A plain failure.
    pub fn new(message: impl Into<String>) -> Self {
        Self { status: Status::Failed, message: message.into(), place: String::new() }
    }
}

thread_local! {
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Notes the place of panics in hooks and keeps them off the terminal: the host reports them. Panics
/// elsewhere, in threads of the plugin's own, are told as ever. The hook of an image is its own; the
/// host's is untouched.
pub(super) fn install_panic_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = take_hook();
        set_hook(Box::new(move |info| {
            if !GUARDED.try_with(Cell::get).unwrap_or(false) {
                return told(info);
            }
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let _ = PLACE.try_with(|cell| {
                if let Ok(mut cell) = cell.try_borrow_mut() {
                    *cell = place;
                }
            });
        }));
    });
}

/// Runs `work`; a panic in it becomes a [`Failure`].
pub(super) fn guard<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let outer = GUARDED.replace(true);
    let outcome = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(outer);
    outcome.unwrap_or_else(|payload| {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "a panic without a text".to_owned()
        };
        // The payload may itself panic when dropped, and that one nobody would catch.
        std::mem::forget(payload);
        let place = PLACE.try_with(RefCell::take).unwrap_or_default();
        Err(Failure { status: Status::Panicked, message, place })
    })
}
