//! Log lines on standard error.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use indicatif::ProgressBar;
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

use super::{Global, LogFormat, ui::Ui};

/// The progress bar that log lines must not be drawn over.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sends log lines to standard error. `RUST_LOG` wins over the flags. A command that `tells_plugins`
/// says itself which ones are not loaded.
pub(super) fn begin(global: &Global, ui: &Ui, tells_plugins: bool) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        // Failed hooks are told of when the run is over.
        (false, 0) if tells_plugins => {
            "warn,atelier_host::plugins=error,atelier_host::options::config_file=error"
        }
        (false, 0) => {
            "warn,atelier_host::run::hooks=error,atelier_host::options::config_file=error"
        }
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(Above)
        .with_ansi(ui.colour_err());
    match global.log_format {
        LogFormat::Json => builder.json().init(),
        LogFormat::Text if global.verbose > 1 => builder.init(),
        LogFormat::Text => builder.without_time().with_target(false).init(),
    }
}

/// Sends log lines into a file.
pub(super) fn into_file(path: &Path) {
    // Without a log the check goes on: it is for the words around a failure.
    if let Ok(file) = File::create(path) {
        let filter = EnvFilter::new("info");
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(Mutex::new(file))
            .with_ansi(false)
            .without_time()
            .init();
    }
}

/// From now on log lines go above this bar; none takes it away.
pub(super) fn above(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Writes above the progress bar, where there is one.
#[derive(Clone, Copy, Debug)]
struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bar = BAR.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match bar {
            Some(bar) => bar.suspend(|| io::stderr().write_all(bytes)),
            None => io::stderr().write_all(bytes),
        }?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for Above {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        *self
    }
}
