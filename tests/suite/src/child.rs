//! Tests that need a process of their own: an environment variable that a plugin reads when it is
//! loaded, or a plugin that might take the process with it.

use std::{env, process::Command};

const CHILD: &str = "ATELIER_SUITE_CHILD";
/// The libraries of the plugins by name, as JSON, so that a child need not ask cargo again.
pub(crate) const PLUGINS: &str = "ATELIER_SUITE_PLUGINS";

/// Whether this is the process that [`run`] started.
pub fn is_this() -> bool {
    env::var_os(CHILD).is_some()
}

/// Runs one test of this binary, named as `cargo test -- --list` names it, in a process of its own
/// with these environment variables. Returns what it printed.
///
/// # Panics
/// If the test fails there, or ends its process in any way.
pub fn run(test: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(env::current_exe().expect("this test binary"));
    command.args([test, "--exact", "--nocapture"]).env(CHILD, "1");
    command.env(PLUGINS, serde_json::to_string(crate::plugins()).expect("JSON"));
    command.envs(variables.iter().copied());
    let output = command.output().expect("a process");
    let (told, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let passed = output.status.success() && told.contains("1 passed");
    assert!(passed, "{test} with {variables:?}: {}\n{told}\n{errors}", output.status);
    told.into_owned()
}
