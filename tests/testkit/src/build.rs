//! Builds plugins with cargo.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// The environment variable with the toolchain that builds plugins, where it is another than the tests'.
pub const TOOLCHAIN: &str = "ATELIER_PLUGIN_TOOLCHAIN";

/// Builds packages of the workspace at `root` and returns the dynamic libraries by package name,
/// as cargo itself says where they are.
///
/// # Panics
/// If cargo cannot be run or a package does not build: its messages are in the panic.
pub fn cdylibs(root: &Path, packages: &[&str], more: &[&str]) -> BTreeMap<String, PathBuf> {
    cdylibs_by("build", root, packages, more)
}

/// The same by another of cargo's commands: `rustc`, which hands flags behind `--` to the compiler.
///
/// # Panics
/// As [`cdylibs`].
pub fn cdylibs_by(
    name: &str,
    root: &Path,
    packages: &[&str],
    more: &[&str],
) -> BTreeMap<String, PathBuf> {
    let mut command = match std::env::var(TOOLCHAIN) {
        Ok(toolchain) => {
            let mut command = Command::new("rustup");
            command.args(["run", &toolchain, "cargo"]);
            command
        }
        Err(_) => Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())),
    };
    command.current_dir(root).args([name, "--message-format=json-render-diagnostics"]);
    for package in packages {
        command.args(["--package", package]);
    }
    command.args(more);
    if let Ok(toolchain) = std::env::var(TOOLCHAIN) {
        // The same folder for two compilers would be built anew again and again.
        command.arg("--target-dir").arg(root.join("target").join(format!("plugins-{toolchain}")));
        for name in ["RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
    }
    // Cargo sets these for the test that is running; the build must not take them for its own.
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    let output = command.output().unwrap_or_else(|error| panic!("cargo cannot be run: {error}"));
    assert!(
        output.status.success(),
        "cargo cannot build {packages:?}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else { continue };
        let is_cdylib = message["target"]["crate_types"]
            .as_array()
            .is_some_and(|types| types.iter().any(|kind| kind == "cdylib"));
        if message["reason"] != "compiler-artifact" || !is_cdylib {
            continue;
        }
        let files = message["filenames"].as_array().into_iter().flatten();
        let library = files
            .filter_map(|file| file.as_str())
            .find(|file| file.ends_with(std::env::consts::DLL_SUFFIX));
        let target = message["target"]["name"].as_str().unwrap_or_default().replace('_', "-");
        if let Some(library) = library {
            found.insert(target, PathBuf::from(library));
        }
    }
    found
}

/// Compiles a plugin in C or C++ with `cc` or `c++` (or what `CC` and `CXX` name), every warning an
/// error, into `folder`. `include` is where `atelier_plugin.h` is.
///
/// # Panics
/// If there is no compiler, or it does not compile: its messages are in the panic.
pub fn with_cc(source: &Path, include: &Path, folder: &Path) -> PathBuf {
    let name = source.file_stem().unwrap_or_default().to_string_lossy();
    let library = folder.join(format!("lib{name}{}", std::env::consts::DLL_SUFFIX));
    with_cc_as(source, include, &library, &[]);
    library
}

/// The same with more flags, into a library of any name.
///
/// # Panics
/// As [`with_cc`].
pub fn with_cc_as(source: &Path, include: &Path, library: &Path, flags: &[&str]) {
    let cpp = source.extension().is_some_and(|ending| ending != "c");
    let (variable, default) = if cpp { ("CXX", "c++") } else { ("CC", "cc") };
    let compiler = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    let standard = if cpp { "-std=c++17" } else { "-std=c99" };
    let output = Command::new(&compiler)
        .args([standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-fPIC", "-shared"])
        .arg("-I")
        .arg(include)
        .arg(source)
        .arg("-o")
        .arg(library)
        .args(flags)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} cannot be run: {error}"));
    assert!(
        output.status.success(),
        "{compiler} cannot compile {}:\n{}",
        source.display(),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Builds a program of the workspace at `root` and returns it.
///
/// # Panics
/// If it does not build: cargo's messages are in the panic.
pub fn program(root: &Path, package: &str, name: &str) -> PathBuf {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .current_dir(root)
        .args(["build", "--message-format=json-render-diagnostics", "--package", package])
        .args(["--bin", name])
        .output()
        .unwrap_or_else(|error| panic!("cargo cannot be run: {error}"));
    assert!(
        output.status.success(),
        "cargo cannot build {name}:\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let found = messages.into_iter().find_map(|message: serde_json::Value| {
        let ours = message["target"]["name"] == name && message["executable"].is_string();
        ours.then(|| PathBuf::from(message["executable"].as_str().unwrap_or_default()))
    });
    found.unwrap_or_else(|| panic!("cargo built no {name}"))
}
