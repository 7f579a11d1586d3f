//! The `atelier` command, as a user without a terminal has it.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::atelier;

/// A command on a data folder.
pub fn command(data: &Path) -> Command {
    let mut command = Command::new(atelier());
    command.env("ATELIER_DATA", data).stdin(Stdio::null());
    command
}

/// What it said on standard error.
pub fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The JSON document that it printed.
///
/// # Panics
/// If it printed none: what it said instead is in the panic.
pub fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", errors(output)))
}
