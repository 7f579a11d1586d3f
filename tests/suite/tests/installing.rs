//! Plugins are installed, replaced, brought back, taken out; and locked.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::Output,
};

use atelier_suite::{
    command::{self, command, errors},
    root,
};
use atelier_testkit::build;
use serde_json::Value;
use tempfile::TempDir;

/// A data folder, and files to install. Nothing in it has been trusted.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.path("data").join(name)
    }

    /// The plugin `eager` in some version.
    fn eager(&self, version: &str) -> PathBuf {
        let source = root().join("tests/plugins/eager/eager.c");
        let source = fs::read_to_string(source).expect("a source");
        assert!(source.contains("\"1.0.0\""));
        let copy = self.path("eager.c");
        fs::write(&copy, source.replace("\"1.0.0\"", &format!("\"{version}\""))).expect("a file");
        let folder = self.path(version);
        fs::create_dir_all(&folder).expect("a folder");
        build::with_cc(&copy, &root().join("plugin-api/include"), &folder)
    }

    fn atelier(&self, words: &[&str]) -> Output {
        command(&self.path("data"))
            .args(words)
            .env("ATELIER_EAGER", self.path("written"))
            .output()
            .expect("the atelier command")
    }

    fn json(&self, words: &[&str]) -> Value {
        let output = self.atelier(&[&["--json"], words].concat());
        assert!(output.status.success(), "{words:?}: {}", errors(&output));
        command::json(&output)
    }

    fn install(&self, file: &Path) -> Value {
        self.json(&["plugins", "install", text(file)])
    }

    /// Installed versions of the plugin with their states.
    fn listed(&self) -> Vec<(String, String)> {
        let listed = self.json(&["plugins", "list"]);
        let plugins = listed["plugins"].as_array().expect("a list").iter();
        let version =
            |it: &Value| it["manifest"]["version"].as_str().unwrap_or_default().to_owned();
        plugins
            .map(|it| (version(it), it["state"].as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    fn refused(&self, words: &[&str]) -> String {
        let output = self.atelier(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", errors(&output));
        errors(&output)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

fn one(version: &str, state: &str) -> Vec<(String, String)> {
    vec![(version.to_owned(), state.to_owned())]
}

type Entry<'a> = (&'a str, &'a [u8]);

fn tar_gz(path: &Path, entries: &[Entry<'_>]) {
    let file = File::create(path).expect("a file");
    let mut archive =
        tar::Builder::new(flate2::write::GzEncoder::new(file, flate2::Compression::default()));
    for (name, bytes) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // As somebody with bad intentions writes it: the builder itself refuses some names.
        let field = &mut header.as_gnu_mut().expect("a header").name;
        field[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).expect("an entry");
    }
    archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("an archive");
}

fn zip_of(path: &Path, entries: &[Entry<'_>]) {
    let mut archive = zip::ZipWriter::new(File::create(path).expect("a file"));
    for (name, bytes) in entries {
        archive.start_file(*name, zip::write::SimpleFileOptions::default()).expect("an entry");
        archive.write_all(bytes).expect("an entry");
    }
    archive.finish().expect("an archive");
}

#[test]
fn a_plugin_is_installed_replaced_brought_back_and_taken_out() {
    let desk = Desk::new();
    let (old, new) = (desk.eager("1.0.0"), desk.eager("1.1.0"));
    let installed = desk.install(&old);
    assert_eq!(installed["now"]["version"], "1.0.0");
    assert_eq!(installed["trusted"], Value::Null);
    assert!(desk.data("extensions/eager/libeager.so").is_file());
    // The same once more is no step that one could go back.
    assert_eq!(desk.install(&old)["before"], serde_json::json!([]));
    assert!(desk.refused(&["plugins", "rollback", "eager"]).contains("no other build of eager"));
    // To install is not to trust.
    assert_eq!(desk.listed(), one("1.0.0", "untrusted"));
    assert!(!desk.path("written").exists());

    let replaced = desk.json(&["plugins", "install", "--trust", text(&new)]);
    assert_eq!(replaced["before"][0]["version"], "1.0.0");
    assert_eq!(desk.listed(), one("1.1.0", "active"));
    assert!(desk.path("written").exists());

    assert_eq!(desk.json(&["plugins", "rollback", "eager"])["now"]["version"], "1.0.0");
    assert_eq!(desk.listed(), one("1.0.0", "untrusted"));
    // Back is a step like any other.
    assert_eq!(desk.json(&["plugins", "rollback", "eager"])["now"]["version"], "1.1.0");
    assert_eq!(desk.listed(), one("1.1.0", "active"));
    let third = desk.eager("1.2.0");
    desk.install(&third);
    let back = desk.json(&["plugins", "rollback", "eager", "--to", "1.0.0"]);
    assert_eq!(back["now"]["version"], "1.0.0");
    let none = desk.refused(&["plugins", "rollback", "eager", "--to", "9.9.9"]);
    assert!(none.contains("9.9.9") && none.contains("1.2.0"), "{none}");

    desk.json(&["plugins", "remove", "eager"]);
    assert!(desk.listed().is_empty());
    assert!(desk.refused(&["plugins", "remove", "eager"]).contains("not installed"));
    assert_eq!(desk.json(&["plugins", "rollback", "eager"])["now"]["version"], "1.0.0");
    assert_eq!(desk.listed(), one("1.0.0", "untrusted"));
}

#[test]
fn a_library_that_was_copied_by_hand_is_replaced_too() {
    let desk = Desk::new();
    let (old, new) = (desk.eager("1.0.0"), desk.eager("1.1.0"));
    fs::create_dir_all(desk.data("extensions")).expect("a folder");
    fs::copy(&old, desk.data("extensions/mine.so")).expect("a copy");
    desk.install(&new);
    assert_eq!(desk.listed(), one("1.1.0", "untrusted"));
    desk.json(&["plugins", "rollback", "eager"]);
    assert_eq!(desk.listed(), one("1.0.0", "untrusted"));
}

#[test]
fn archives_are_unpacked_with_what_lies_beside_the_library() {
    let desk = Desk::new();
    let library = fs::read(desk.eager("1.0.0")).expect("a library");
    let entries: [Entry<'_>; 3] = [
        ("eager-1.0.0/libeager.so", &library),
        ("eager-1.0.0/README.md", b"read me"),
        ("eager-1.0.0/words/animals.txt", b"cat"),
    ];
    let (packed, zipped) = (desk.path("eager.tar.gz"), desk.path("eager.zip"));
    tar_gz(&packed, &entries);
    zip_of(&zipped, &entries);
    for archive in [packed, zipped] {
        desk.install(&archive);
        assert_eq!(desk.listed(), one("1.0.0", "untrusted"), "{}", archive.display());
        let beside = fs::read(desk.data("extensions/eager/words/animals.txt"));
        assert_eq!(beside.expect("a file"), b"cat");
        desk.json(&["plugins", "remove", "eager"]);
    }
}

#[test]
fn archives_with_bad_intentions_change_nothing() {
    let desk = Desk::new();
    let good = desk.eager("1.0.0");
    desk.install(&good);
    let library = fs::read(&good).expect("a library");
    let archive = desk.path("bad");
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    let linked = || {
        let file = File::create(&archive).expect("a file");
        let gzip = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        let mut archive = tar::Builder::new(gzip);
        archive.append_link(&mut link.clone(), "libeager.so", "/etc/passwd").expect("a link");
        archive.into_inner().and_then(flate2::write::GzEncoder::finish).expect("an archive");
    };
    let out: &[Entry<'_>] = &[("../../out.so", &library)];
    let absolute: &[Entry<'_>] = &[("/tmp/atelier-out.so", &library)];
    let cut = || {
        tar_gz(&archive, &[("libeager.so", &library)]);
        let bytes = fs::read(&archive).expect("an archive");
        fs::write(&archive, &bytes[..bytes.len() / 2]).expect("a file");
    };
    let cases: [(&str, &dyn Fn()); 8] = [
        ("leads out of the folder", &|| tar_gz(&archive, out)),
        ("leads out of the folder", &|| zip_of(&archive, out)),
        ("leads out of the folder", &|| tar_gz(&archive, absolute)),
        ("is a link", &linked),
        ("cannot be unpacked", &cut),
        ("no plugin for this machine", &|| zip_of(&archive, &[("readme.txt", b"nothing")])),
        ("several plugins", &|| {
            zip_of(&archive, &[("liba.so", &library), ("libb.so", &library)]);
        }),
        ("no plugin for this machine", &|| fs::write(&archive, b"no library").expect("a file")),
    ];
    for (words, make) in cases {
        make();
        let told = desk.refused(&["plugins", "install", text(&archive)]);
        assert!(told.contains(words), "{words}: {told}");
        assert_eq!(desk.listed(), one("1.0.0", "untrusted"), "{words}");
    }
    assert!(!desk.path("out.so").exists() && !Path::new("/tmp/atelier-out.so").exists());
    let left = fs::read_dir(desk.data("cache")).expect("a folder");
    let staged = left.filter(|it| {
        it.as_ref().is_ok_and(|it| it.file_name().to_string_lossy().starts_with("install-"))
    });
    assert_eq!(staged.count(), 0, "nothing half done is left behind");
}

#[test]
fn a_host_that_is_locked_starts_with_those_plugins_only() {
    let desk = Desk::new();
    let draw = ["--locked", "txt2img", "red heart", "--steps", "1"];
    let missing = desk.refused(&draw);
    assert!(missing.contains("plugins.lock") && missing.contains("plugins lock"), "{missing}");

    let (old, new) = (desk.eager("1.0.0"), desk.eager("1.1.0"));
    desk.json(&["plugins", "install", "--trust", text(&old)]);
    let locked = desk.json(&["plugins", "lock"]);
    assert_eq!(locked["plugins"]["eager"]["version"], "1.0.0");
    assert_eq!(desk.json(&["plugins", "verify"])["drift"], serde_json::json!([]));
    assert!(desk.atelier(&draw).status.success());

    fs::remove_file(desk.path("written")).expect("the trace of the plugin");
    desk.json(&["plugins", "install", "--trust", text(&new)]);
    let verified = desk.atelier(&["--json", "plugins", "verify"]);
    assert_eq!(verified.status.code(), Some(1));
    let drift = command::json(&verified);
    assert_eq!(drift["drift"][0]["locked"]["version"], "1.0.0");
    assert_eq!(drift["drift"][0]["found"]["version"], "1.1.0");
    let refused = desk.refused(&draw);
    assert!(refused.contains("eager is 1.1.0"), "{refused}");
    // It is refused before any code of it runs, and there is no record of a run.
    assert!(!desk.path("written").exists());

    desk.json(&["plugins", "remove", "eager"]);
    assert!(desk.refused(&draw).contains("eager 1.0.0"));
    desk.json(&["plugins", "rollback", "eager", "--to", "1.0.0"]);
    assert!(desk.atelier(&draw).status.success());
    // Another one beside it is drift, too.
    let more = desk.refused(&["--plugins", text(&new), "--locked", "plugins", "list"]);
    assert!(more.contains("the plugins are not the locked ones"), "{more}");
}
