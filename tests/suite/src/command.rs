//! The `atelier` command, as users with and without a terminal have it.

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

/// A command on a terminal of 100 columns at which somebody types: all that is seen there.
///
/// # Panics
/// If the system gives no terminal.
#[cfg(target_os = "linux")]
pub fn at_a_terminal(mut command: Command, typed: &str) -> String {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{Winsize, tcsetwinsize};
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let name = name.to_str().expect("a name");
    let slave = File::options().read(true).write(true).open(name).expect("its other end");
    let size = Winsize { ws_row: 40, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&slave, size).expect("a size");
    let twin = || slave.try_clone().expect("a descriptor");
    command.stdin(twin()).stdout(twin()).stderr(twin());
    let mut child = command.spawn().expect("the atelier command");
    // The command has descriptors of the other end, too.
    drop((command, slave));
    let mut master = File::from(master);
    master.write_all(typed.as_bytes()).expect("somebody who types");
    let mut seen = Vec::new();
    // Without anybody at the other end a terminal ends with an error.
    let _ = master.read_to_end(&mut seen);
    child.wait().expect("its end");
    String::from_utf8_lossy(&seen).into_owned()
}
