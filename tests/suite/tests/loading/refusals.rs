//! Every other reason not to load a plugin, in the words a user gets.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use atelier_plugin_abi::version::ABI_VERSION;
use atelier_suite::{plugin, variant};
use atelier_testkit::{TestHost, Wiring, both_ways};

use crate::{changed, find, readable, refusal, refused, written};

#[test]
fn what_is_no_library_is_refused() {
    refused(Path::new("/no/such/plugin.so"), &["/no/such/plugin.so cannot be read", "check"]);
    let (_folder, empty) = written(b"");
    refused(&empty, &["the file is empty", "give the file that cargo built"]);
    let (_folder, text) = written(b"#!/bin/sh\necho hello\n");
    refused(&text, &["this is no dynamic library", "give the file that cargo built"]);
    refused(&plugin("plain"), &["no Atelier plugin", "no manifest", "#[plugin]"]);
    refused(&std::env::current_exe().expect("this program"), &["no manifest"]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    // A folder is looked through: nothing there is no reason to complain.
    let host = TestHost::new(&[folder.path().to_owned()], Wiring::Direct);
    assert!(host.atelier().plugins().is_empty());
}

#[test]
fn a_plugin_that_cannot_be_made_says_why() {
    let words = "no colour table: put colours.txt beside the library";
    refused(&plugin("constructor-error"), &["failed while it was made", words, "disable"]);
    refused(&plugin("constructor-panic"), &["failed while it was made", "panicked", ".rs:"]);
}

/// A plugin's own words may have any form; a user still gets one line.
#[test]
fn words_of_many_lines_become_one() {
    let long = "fn create(_: Entry<'_>) -> Result<Self, Failure> {
        return Err(Failure::new(format!(\"first line\\nsecond\\r\\n{}\", \"long \".repeat(500))));
        #[allow(unreachable_code)]";
    let edits = [variant::edit(
        "src/export.rs",
        "fn create(_: Entry<'_>) -> Result<Self, Failure> {",
        long,
    )];
    refused(&variant::plugin("many-lines", &edits), &["first line second long long"]);
}

#[test]
fn a_second_plugin_with_the_same_id_is_refused() {
    both_ways(|wiring| {
        let host = TestHost::new(&[plugin("probe-a"), plugin("same-id")], wiring);
        let [first, second] = host.atelier().plugins() else { panic!("two entries") };
        assert_eq!(first.state.word(), "active");
        assert_eq!(second.state.word(), "failed");
        let reason = second.state.reason().expect("a reason");
        readable(&reason);
        let other = first.path.display().to_string();
        for word in ["“probe-a”", &other, "remove one"] {
            assert!(reason.contains(word), "{reason}");
        }
        let finished = host.draw(host.request());
        assert_eq!(finished.record.plugins.len(), 1);
        assert_eq!(Some(&finished.record.plugins[0].hash), first.hash.as_ref());
    });
}

#[test]
fn an_option_of_the_host_cannot_be_declared_anew() {
    both_ways(|wiring| {
        let host = TestHost::new(&[plugin("redeclares"), plugin("probe-a")], wiring);
        let [refused, other] = host.atelier().plugins() else { panic!("two entries") };
        let reason = refused.state.reason().expect("a reason");
        readable(&reason);
        assert!(reason.contains("samples_format"), "{reason}");
        assert_eq!(other.state.word(), "active");
        assert_eq!(host.option("samples_format"), "png");
    });
}

/// A shared library made of C: a manifest section and whatever else.
#[cfg(target_os = "linux")]
fn made_of_c(code: &str) -> Option<(tempfile::TempDir, PathBuf)> {
    let abi = ABI_VERSION.to_string();
    let json = serde_json::json!({
        "id": "made-of-c", "name": "C", "version": "1.0.0",
        "abi": abi, "panic": "unwind", "hooks": ["process"],
    })
    .to_string();
    let mut bytes = atelier_plugin_abi::manifest::MAGIC.to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend((json.len() as u32).to_le_bytes());
    bytes.extend(json.bytes());
    let bytes: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    let manifest = format!(
        "__attribute__((section(\".atelier\"), used)) unsigned char manifest[] = {{{}}};",
        bytes.join(",")
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (source, library) = (folder.path().join("plugin.c"), folder.path().join("plugin.so"));
    std::fs::write(&source, format!("{manifest}\n{code}\n")).expect("a source");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let built =
        Command::new(compiler).args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    match built {
        Ok(status) => {
            assert!(status.success(), "the C compiler fails");
            Some((folder, library))
        }
        Err(error) => {
            println!("skipped: there is no C compiler ({error})");
            None
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_missing_symbol_is_found_when_the_library_is_opened() {
    let code = "void nobody_has_this(void); void call(void) { nobody_has_this(); }";
    if let Some((_folder, library)) = made_of_c(code) {
        refused(&library, &["the system cannot load it", "nobody_has_this", "build it"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_with_a_manifest_and_no_module_is_refused() {
    if let Some((_folder, library)) = made_of_c("int nothing;") {
        refused(&library, &["does not export a plugin", "#[plugin]"]);
    }
}

/// The header begins with a magic text, then major and minor of `abi_stable`.
#[test]
fn another_version_of_abi_stable_is_named() {
    let library = plugin("order-first");
    let (_folder, path) = changed(&library, |bytes| {
        let headers = find(bytes, b"abi stable library for Rust     ");
        assert!(!headers.is_empty(), "no header of abi_stable");
        for at in headers {
            if bytes[at + 36..at + 40] == 11_u32.to_le_bytes() {
                bytes[at + 36..at + 40].copy_from_slice(&10_u32.to_le_bytes());
            }
        }
    });
    refused(&path, &["built with abi_stable 0.10", "needs 0.11", "build it with"]);
    let (_folder, path) = changed(&library, |bytes| {
        for at in find(bytes, b"abi stable library for Rust     ") {
            bytes[at] = b'X';
        }
    });
    let reason = refusal(&path);
    assert!(reason.contains("build it"), "{reason}");
}
