//! Sends the plugin's `tracing` events to the host.
//!
//! Every dylib has a dispatcher of its own, so without this an author's `tracing::info!` would
//! vanish.

use std::{
    fmt::Write as _,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use atelier_plugin_abi::{
    Level,
    plugin::{host_log, host_log_enabled},
};
use tracing_core::{
    Dispatch, Event, Metadata, Subscriber, dispatcher,
    field::{Field, Visit},
    span,
};

struct Forward {
    spans: AtomicU64,
}

fn level(level: tracing_core::Level) -> Level {
    match level {
        tracing_core::Level::ERROR => Level::Error,
        tracing_core::Level::WARN => Level::Warn,
        tracing_core::Level::INFO => Level::Info,
        tracing_core::Level::DEBUG => Level::Debug,
        tracing_core::Level::TRACE => Level::Trace,
    }
}

#[derive(Default)]
struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = if field.name() == "message" {
            write!(self.message, "{value:?}")
        } else {
            write!(self.fields, " {}={value:?}", field.name())
        };
    }
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        host_log_enabled(level(*metadata.level()), metadata.target())
    }

    fn register_callsite(
        &self,
        _: &'static Metadata<'static>,
    ) -> tracing_core::subscriber::Interest {
        // The host's filter may change while the plugin is loaded: ask every time.
        tracing_core::subscriber::Interest::sometimes()
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        line.message.push_str(&line.fields);
        host_log(level(*event.metadata().level()), event.metadata().target(), &line.message);
    }

    // Spans stay in the plugin: the host has its own around every hook.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed).max(1))
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Whether this image is the host's own program.
static LINKED: AtomicBool = AtomicBool::new(false);

/// Says that the plugin is linked with its host: they share one dispatcher, and what was sent to the
/// host from it would come back to it, for ever.
pub(crate) fn is_linked() {
    LINKED.store(true, Ordering::Relaxed);
}

/// Installs the forwarder for this image. A dispatcher that is already there stays.
pub(crate) fn install() {
    if !LINKED.load(Ordering::Relaxed) {
        let forward = Forward { spans: AtomicU64::new(1) };
        let _ = dispatcher::set_global_default(Dispatch::new(forward));
    }
}
