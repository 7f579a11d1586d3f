//! What plugins log, as data.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{Event, Level, Subscriber, field::Visit};
use tracing_subscriber::{Layer, layer::Context, prelude::*};

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How important it is.
    pub level: Level,
    /// The plugin's id.
    pub plugin: String,
    /// The hook, where it was logged in one through the context.
    pub hook: Option<String>,
    /// What it says.
    pub message: String,
}

#[derive(Default)]
struct Fields {
    plugin: String,
    hook: Option<String>,
    message: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &tracing::field::Field, value: &str) {
        if field.name() == "hook" {
            self.hook = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            "plugin" => self.plugin = format!("{value:?}"),
            _ => {}
        }
    }
}

struct Collect(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber> Layer<S> for Collect {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "atelier::plugin" {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Fields { plugin, hook, message } = fields;
        let line = Line { level: *event.metadata().level(), plugin, hook, message };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

/// Runs something and returns what plugins logged in this thread meanwhile, in its order. The host is to
/// be opened inside: a plugin asks once whether its lines are wanted at all.
///
/// A linked plugin shares the `tracing` of the test, so its own `tracing` events go straight to the
/// test's subscriber and are not among these lines; what it says through its context is.
pub fn of<T>(work: impl FnOnce() -> T) -> (T, Vec<Line>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(Collect(lines.clone()));
    let answer = tracing::subscriber::with_default(subscriber, work);
    let lines = std::mem::take(&mut *lines.lock().unwrap_or_else(PoisonError::into_inner));
    (answer, lines)
}
