//! Plugins' log lines on their way into the host's log.

use atelier_plugin_abi::{Hook, Level, host::HostLog};

use super::PluginId;

const TARGET: &str = "atelier::plugin";

/// Forwards what plugins log outside of hooks. Which plugin it was stands in the target.
pub(super) struct PluginLog(pub(super) PluginId);

impl HostLog for PluginLog {
    fn enabled(&self, level: Level, _: &str) -> bool {
        enabled(level)
    }

    fn log(&self, level: Level, target: &str, message: &str) {
        log(level, &self.0, None, target, message);
    }
}

/// The level of the least important lines that are wanted.
#[cfg(all(feature = "worker", target_os = "linux"))]
pub(super) fn most() -> Level {
    let wanted = Level::ALL.iter().copied().filter(|level| enabled(*level));
    wanted.max().unwrap_or(Level::Error)
}

fn enabled(level: Level) -> bool {
    match level {
        Level::Error => tracing::enabled!(target: TARGET, tracing::Level::ERROR),
        Level::Warn => tracing::enabled!(target: TARGET, tracing::Level::WARN),
        Level::Info => tracing::enabled!(target: TARGET, tracing::Level::INFO),
        Level::Debug => tracing::enabled!(target: TARGET, tracing::Level::DEBUG),
        _ => tracing::enabled!(target: TARGET, tracing::Level::TRACE),
    }
}

/// Writes a plugin's log line into the host's log.
pub fn log(level: Level, plugin: &PluginId, hook: Option<Hook>, target: &str, message: &str) {
    let hook = hook.map(Hook::name);
    match level {
        Level::Error => tracing::error!(target: TARGET, %plugin, hook, from = target, "{message}"),
        Level::Warn => tracing::warn!(target: TARGET, %plugin, hook, from = target, "{message}"),
        Level::Info => tracing::info!(target: TARGET, %plugin, hook, from = target, "{message}"),
        Level::Debug => tracing::debug!(target: TARGET, %plugin, hook, from = target, "{message}"),
        _ => tracing::trace!(target: TARGET, %plugin, hook, from = target, "{message}"),
    }
}
