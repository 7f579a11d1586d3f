//! Plugins built against a boundary that is not this host's: a copy of `atelier-plugin-abi`, edited,
//! with a small plugin in it.
//!
//! Copies lie below cargo's target folder and are written only where they differ, so that cargo
//! builds each once. They share that folder, and so the libraries that everything depends on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use atelier_testkit::build;

use crate::root;

const EXPORT: &str = include_str!("../variants/export.rs");

/// A text to be replaced in a file of the copy.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'a> {
    /// The file, below the package: `src/frame.rs`, `Cargo.toml`.
    pub file: &'a str,
    /// What stands there, and has to.
    pub from: &'a str,
    /// What shall.
    pub to: &'a str,
}

/// An edit of a file below the boundary's package.
pub fn edit<'a>(file: &'a str, from: &'a str, to: &'a str) -> Edit<'a> {
    Edit { file, from, to }
}

/// Cargo's target folder: that of this test binary, which lies in `<target>/<profile>/deps`.
///
/// # Panics
/// If this is no test binary of cargo's.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("this test binary");
    exe.ancestors().nth(3).expect("a target folder").to_owned()
}

/// A folder for generated packages that stays from one test run to the next.
pub fn workbench(name: &str) -> PathBuf {
    target().join("tmp").join("variants").join(name)
}

/// A folder for libraries that a test builds. The `atelier` program trusts what lies in its own target
/// folder.
///
/// # Panics
/// If it cannot be made.
pub fn folder() -> tempfile::TempDir {
    let tmp = target().join("tmp");
    fs::create_dir_all(&tmp).expect("a folder");
    tempfile::tempdir_in(tmp).expect("a folder")
}

/// Writes a file unless it says that already: cargo looks at its time.
///
/// # Panics
/// If it cannot be written.
pub fn write(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return;
    }
    let folder = path.parent().expect("a folder");
    fs::create_dir_all(folder).expect("a folder for a generated package");
    fs::write(path, text).expect("a generated file");
}

/// Copies a folder's Rust sources, headers, manifests and JSON, edited.
///
/// # Panics
/// If an edit finds nothing to replace, or a file cannot be copied.
pub fn copy(from: &Path, to: &Path, edits: &[Edit<'_>]) {
    let mut done = vec![false; edits.len()];
    copy_below(from, Path::new(""), to, edits, &mut done);
    for (edit, done) in edits.iter().zip(done) {
        assert!(done, "{}: nothing to edit: “{}” is not there", edit.file, edit.from);
    }
}

fn copy_below(from: &Path, below: &Path, to: &Path, edits: &[Edit<'_>], done: &mut [bool]) {
    for entry in fs::read_dir(from.join(below)).expect("a package's folder") {
        let name = entry.expect("an entry").file_name();
        let path = below.join(&name);
        if from.join(&path).is_dir() {
            copy_below(from, &path, to, edits, done);
            continue;
        }
        let wanted =
            path.extension().is_some_and(|e| e == "rs" || e == "toml" || e == "json" || e == "h");
        if !wanted {
            continue;
        }
        let mut text = fs::read_to_string(from.join(&path)).expect("a source");
        for (edit, done) in edits.iter().zip(done.iter_mut()) {
            if Path::new(edit.file) == path && text.contains(edit.from) {
                text = text.replace(edit.from, edit.to);
                *done = true;
            }
        }
        write(&to.join(&path), &text);
    }
}

/// The tables of the root manifest that generated workspaces repeat: edition, versions, lints and
/// profiles, so that cargo takes what it has built for the workspace.
///
/// # Panics
/// If the root manifest is not as expected.
pub fn shared_tables() -> String {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the root manifest");
    let from = manifest.find("[workspace.package]").expect("the shared part");
    manifest[from..].replace("path = \"", &format!("path = \"{}/", root().display()))
}

/// Gives a generated workspace the versions of this one, once: cargo takes out what it has no use
/// for.
///
/// # Panics
/// If the lock file cannot be copied.
pub fn lock(workspace: &Path) {
    let to = workspace.join("Cargo.lock");
    if !to.exists() {
        fs::create_dir_all(workspace).expect("a folder for a generated workspace");
        fs::copy(root().join("Cargo.lock"), to).expect("a lock file");
    }
}

/// The library of a plugin with the id `name` whose boundary was edited.
///
/// # Panics
/// If an edit finds nothing to replace, or the plugin does not build.
pub fn plugin(name: &str, edits: &[Edit<'_>]) -> PathBuf {
    with_flags(name, edits, &[])
}

/// The same with flags for the compiler, which count for the plugin alone.
///
/// # Panics
/// As [`plugin`].
pub fn with_flags(name: &str, edits: &[Edit<'_>], flags: &[&str]) -> PathBuf {
    let workspace = workbench(name);
    let package = workspace.join("abi");
    let library = name.replace('-', "_");
    let (of_export, of_abi): (Vec<Edit<'_>>, Vec<_>) =
        edits.iter().copied().partition(|edit| edit.file == "src/export.rs");
    let lib = format!("[lib]\nname = \"{library}\"\ncrate-type = [\"cdylib\"]\n\n[dependencies]");
    let fixed = [
        edit("Cargo.toml", "[dependencies]", &lib),
        edit("src/lib.rs", "pub mod codes;", "pub mod codes;\npub mod export;"),
    ];
    copy(&root().join("plugin-api/abi"), &package, &[&fixed[..], &of_abi].concat());
    let mut export = EXPORT.replace("variant-id", name);
    for edit in of_export {
        assert!(export.contains(edit.from), "“{}” is not in export.rs", edit.from);
        export = export.replace(edit.from, edit.to);
    }
    write(&package.join("src/export.rs"), &export);
    let manifest =
        format!("[workspace]\nresolver = \"3\"\nmembers = [\"abi\"]\n\n{}", shared_tables());
    write(&workspace.join("Cargo.toml"), &manifest);
    lock(&workspace);
    let target = target();
    let more = ["--offline", "--target-dir", target.to_str().expect("a path in UTF-8")];
    let built = if flags.is_empty() {
        build::cdylibs(&workspace, &["atelier-plugin-abi"], &more)
    } else {
        let flags = [&more[..], &["--"], flags].concat();
        build::cdylibs_by("rustc", &workspace, &["atelier-plugin-abi"], &flags)
    };
    built.get(name).cloned().unwrap_or_else(|| panic!("no {name} among {built:?}"))
}
