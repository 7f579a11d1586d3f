//! Loading plugins: private copies, refusals in one readable line, versions of the boundary.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod abi;
mod copies;
mod damage;
mod refusals;
mod versions;

use std::path::{Path, PathBuf};

use atelier_host::plugins::PluginState;
use atelier_testkit::{TestHost, Wiring};

/// Why a library is not loaded: one readable line, from a host that draws nevertheless.
fn refusal(library: &Path) -> String {
    let host = TestHost::new(&[library.to_owned()], Wiring::Direct);
    let [entry] = host.atelier().plugins() else { panic!("one entry") };
    assert_eq!(entry.state.word(), "failed", "{}", library.display());
    let reason = entry.state.reason().expect("a reason");
    readable(&reason);
    let finished = host.draw(host.request());
    assert_eq!(finished.record.plugins, [], "{reason}");
    reason
}

fn readable(reason: &str) {
    assert!(!reason.contains(['\n', '\r']), "more than one line: {reason}");
    assert!(reason.chars().count() < 400, "{} characters: {reason}", reason.chars().count());
    // What is wrong, then what to do.
    assert!(reason.contains("; ") || reason.contains(": "), "no advice: {reason}");
}

/// The refusal has these words in it.
fn refused(library: &Path, words: &[&str]) {
    let reason = refusal(library);
    for word in words {
        assert!(reason.contains(word), "“{word}” is not in: {reason}");
    }
}

/// A host with this library, which must have been loaded.
fn loaded(library: PathBuf, wiring: Wiring) -> TestHost {
    let host = TestHost::new(&[library], wiring);
    let [entry] = host.atelier().plugins() else { panic!("one entry") };
    assert!(matches!(entry.state, PluginState::Active), "{:?}", entry.state.reason());
    host
}

/// A library with changed bytes, in a folder of its own.
fn changed(library: &Path, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let mut bytes = std::fs::read(library).expect("a library");
    change(&mut bytes);
    written(&bytes)
}

fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(format!("changed{}", std::env::consts::DLL_SUFFIX));
    std::fs::write(&path, bytes).expect("a changed library");
    (folder, path)
}

/// Where these bytes are.
fn find(bytes: &[u8], wanted: &[u8]) -> Vec<usize> {
    let windows = bytes.windows(wanted.len()).enumerate();
    windows.filter(|(_, window)| *window == wanted).map(|(at, _)| at).collect()
}

/// Where a library's manifest begins: at its magic.
fn manifest_of(bytes: &[u8]) -> usize {
    let magic = atelier_plugin_abi::manifest::MAGIC;
    let begins = |at: &usize| bytes[at + 8..].starts_with(&[1, 0, 0, 0]);
    find(bytes, &magic).into_iter().find(begins).expect("a manifest")
}
