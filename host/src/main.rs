//! The `atelier` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    atelier_host::cli::main()
}
