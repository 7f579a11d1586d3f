//! `atelier worker`: what the host starts for a plugin that does not run in its own process.

use std::process::ExitCode;

use super::error::Failure;

#[cfg(target_os = "linux")]
pub(super) fn run() -> ExitCode {
    crate::plugins::worker::main()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn run() -> ExitCode {
    ExitCode::FAILURE
}

/// It is started before anything else is done.
pub(super) fn refused() -> Failure {
    Failure::refused("workers are started by their host")
}
