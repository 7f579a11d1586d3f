//! The three packages as authors get them: what `cargo package` makes of them, unpacked.

use std::{path::PathBuf, process::Command};

use crate::{root, variant};

/// Package and version of each, dependencies first.
const PACKAGES: [(&str, &str); 3] = [
    ("atelier-plugin-abi", "plugin-api/abi"),
    ("atelier-plugin-macros", "plugin-api/macros"),
    ("atelier-plugin-api", "plugin-api"),
];

/// The cargo of this test.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    without_ours(&mut command);
    command
}

/// The cargo of another toolchain, where there is one.
pub fn cargo_of(toolchain: &str) -> Option<Command> {
    let run = || {
        let mut command = Command::new("rustup");
        command.args(["run", toolchain, "cargo"]);
        without_ours(&mut command);
        command
    };
    let there = run().arg("--version").output().is_ok_and(|output| output.status.success());
    there.then(run)
}

/// Cargo tells a test about its package and its compiler; another build must not hear of them.
fn without_ours(command: &mut Command) {
    for (name, _) in std::env::vars() {
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "RUSTC", "RUSTUP_TOOLCHAIN"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// Packages them and returns the `[patch]` table with which a package outside of the workspace finds
/// them where it will find them on crates.io one day.
///
/// # Panics
/// If cargo does not package them.
pub fn patch_table() -> String {
    let target = variant::target();
    let mut command = cargo();
    command.current_dir(root()).args(["package", "--offline", "--no-verify", "--allow-dirty"]);
    command.arg("--target-dir").arg(&target);
    for (package, _) in PACKAGES {
        command.args(["--package", package]);
    }
    let output = command.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let entries = PACKAGES.map(|(package, folder)| {
        let unpacked = unpack(package, &version(folder));
        format!("{package} = {{ path = \"{}\" }}\n", unpacked.display())
    });
    format!("[patch.crates-io]\n{}", entries.concat())
}

fn version(folder: &str) -> String {
    let manifest = root().join(folder).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).expect("a manifest");
    let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
    line.expect("a version").trim_end_matches('"').to_owned()
}

fn unpack(package: &str, version: &str) -> PathBuf {
    let archive = variant::target().join(format!("package/{package}-{version}.crate"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let status =
        Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder.path()).status();
    assert!(status.expect("tar").success(), "{} cannot be unpacked", archive.display());
    // Written only where it differs: cargo looks at the times of files.
    let to = variant::workbench("packages").join(package);
    variant::copy(&folder.path().join(format!("{package}-{version}")), &to, &[]);
    to
}
