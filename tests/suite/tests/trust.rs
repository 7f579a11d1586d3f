//! No code of a library runs that nobody trusted, by any command.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[cfg(target_os = "linux")]
use atelier_suite::command::at_a_terminal;
use atelier_suite::{
    command::{command, errors, json},
    root,
};
use atelier_testkit::build;
use minisign::KeyPair;
use tempfile::TempDir;

/// A data folder with the plugin whose constructor writes a file.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let extensions = folder.path().join("data/extensions");
        fs::create_dir_all(&extensions).expect("a folder");
        let source = root().join("tests/plugins/eager/eager.c");
        build::with_cc(&source, &root().join("plugin-api/include"), &extensions);
        Self { folder }
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("data/extensions/libeager.so")
    }

    fn written(&self) -> PathBuf {
        self.folder.path().join("written")
    }

    /// A command on the data folder, without a terminal.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = command(&self.folder.path().join("data"));
        command.args(words).env("ATELIER_EAGER", self.written());
        command
    }

    fn atelier(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("the atelier command")
    }

    fn has_run(&self) -> bool {
        self.written().exists()
    }

    fn state(&self) -> String {
        let listed = json(&self.atelier(&["--json", "plugins", "list"]));
        listed["plugins"][0]["state"].as_str().expect("a state").to_owned()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn no_command_runs_an_unknown_library() {
    let desk = Desk::new();
    let library = desk.folder.path().join("libeager.so");
    fs::copy(desk.library(), &library).expect("a copy");
    for words in [
        &["plugins", "list"][..],
        &["plugins", "inspect", text(&library)],
        &["plugins", "inspect", "eager"],
        &["plugins", "validate", text(&library)],
        &["plugins", "validate", text(&library), "--in-process"],
        &["plugins", "bisect"],
        &["plugins", "lock"],
        &["plugins", "verify"],
        &["plugins", "install", text(&library)],
        &["plugins", "remove", "eager"],
        &["plugins", "rollback", "eager"],
        &["doctor"],
        &["--locked", "plugins", "list"],
        &["--safe", "plugins", "list"],
        &["plugins", "compat", text(&library), "--fake"],
        &["plugins", "disable", "eager"],
        &["txt2img", "red heart", "--steps", "1"],
        &["plugins", "enable", "eager"],
        &["plugins", "release", "eager"],
        &["plugins", "grant", "eager", "--network"],
        &["options", "list"],
        &["options", "set", "samples_format", "png"],
        &["models", "list"],
        &["runs", "list"],
        &["seam"],
        &["txt2img", "red heart", "--steps", "1"],
        &["--isolation", "worker", "txt2img", "red heart", "--steps", "1"],
        &["--plugins", text(&library), "plugins", "list"],
    ] {
        let output = desk.atelier(words);
        assert!(!desk.has_run(), "{words:?}: {}", errors(&output));
    }
    assert_eq!(desk.state(), "untrusted");
    let refused = desk.atelier(&["plugins", "validate", text(&library)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(errors(&refused).contains("atelier plugins trust"), "{}", errors(&refused));
}

#[test]
fn a_library_runs_once_it_is_trusted_and_another_build_of_it_does_not() {
    let desk = Desk::new();
    assert!(desk.atelier(&["plugins", "trust", "eager"]).status.success());
    assert!(!desk.has_run(), "to trust it is not to run it");
    assert_eq!(desk.state(), "active");
    assert!(desk.has_run());

    fs::remove_file(desk.written()).expect("a file");
    let mut bytes = fs::read(desk.library()).expect("a library");
    bytes.push(0);
    fs::write(desk.library(), bytes).expect("a library");
    assert_eq!(desk.state(), "untrusted");
    assert!(!desk.has_run());
}

#[test]
fn trust_is_taken_back() {
    let desk = Desk::new();
    assert!(desk.atelier(&["plugins", "trust", text(&desk.library())]).status.success());
    assert!(desk.atelier(&["plugins", "distrust", "eager"]).status.success());
    assert_eq!(desk.state(), "untrusted");
    assert!(!desk.has_run());
    assert_eq!(desk.atelier(&["plugins", "distrust", "eager"]).status.code(), Some(2));
}

#[test]
fn everything_in_a_trusted_folder_runs() {
    let desk = Desk::new();
    let folder = desk.library().parent().expect("a folder").to_owned();
    assert!(desk.atelier(&["plugins", "trust", text(&folder)]).status.success());
    assert_eq!(desk.state(), "active");
    assert!(desk.atelier(&["plugins", "distrust", text(&folder)]).status.success());
    assert_eq!(desk.state(), "untrusted");
}

#[test]
fn a_signed_library_runs_where_its_publisher_is_trusted() {
    let desk = Desk::new();
    let KeyPair { pk, sk } = KeyPair::generate_unencrypted_keypair().expect("keys");
    let sign = |bytes: &[u8]| {
        let signature = minisign::sign(Some(&pk), &sk, bytes, None, None).expect("a signature");
        let beside = format!("{}.minisig", desk.library().display());
        fs::write(beside, signature.to_string()).expect("a signature");
    };
    let bytes = fs::read(desk.library()).expect("a library");
    sign(&bytes);
    assert_eq!(desk.state(), "untrusted", "nobody knows the publisher");
    let key = pk.to_base64();
    let trusted = desk.atelier(&["plugins", "trust", "--publisher", &key, "--name", "Somebody"]);
    assert!(trusted.status.success(), "{}", errors(&trusted));
    assert_eq!(desk.state(), "active");

    // A signature of other bytes is none.
    fs::remove_file(desk.written()).expect("a file");
    sign(&bytes[1..]);
    assert_eq!(desk.state(), "untrusted");
    let beside = format!("{}.minisig", desk.library().display());
    fs::write(beside, "no signature at all").expect("a file");
    assert_eq!(desk.state(), "untrusted");
    assert!(!desk.has_run());
}

#[test]
fn a_broken_file_of_decisions_lets_nothing_run_and_is_not_overwritten() {
    let desk = Desk::new();
    let file = desk.folder.path().join("data/plugins.json");
    fs::write(&file, "{ \"trusted\": ").expect("a file");
    assert_eq!(desk.state(), "untrusted");
    let refused = desk.atelier(&["plugins", "trust", "eager"]);
    assert!(!refused.status.success());
    assert!(errors(&refused).contains("plugins.json is broken"), "{}", errors(&refused));
    assert_eq!(fs::read_to_string(&file).expect("the file"), "{ \"trusted\": ");
    assert!(!desk.has_run());
}

#[cfg(target_os = "linux")]
#[test]
fn somebody_at_the_terminal_is_asked_once() {
    let desk = Desk::new();
    // No, an end of the input, and what is neither.
    for typed in ["n\n", "\u{4}", "perhaps\n", "\n"] {
        let seen = at_a_terminal(desk.command(&["plugins", "list"]), typed);
        assert!(seen.contains("has not run here before"), "{typed:?}: {seen}");
        assert!(seen.contains("[y/N]"), "{typed:?}: {seen}");
        assert!(!desk.has_run(), "{typed:?}");
    }
    at_a_terminal(desk.command(&["plugins", "list"]), "y\n");
    assert!(desk.has_run());
    let again = at_a_terminal(desk.command(&["plugins", "list"]), "");
    assert!(!again.contains("has not run here before"), "{again}");
    assert_eq!(desk.state(), "active");
}
