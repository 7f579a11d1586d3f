//! The documentation for authors, done word by word: every command that it tells to run is run, every
//! file that it tells to write is written, every plugin that it shows is compiled.
//!
//! Blocks say what they are for: `sh,run` is run line by line, `rust,file=PATH` is written, `rust,check` is
//! a plugin of its own.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{os::unix::fs::symlink, process::Command};

use atelier_suite::{atelier, packages, plugin, root, variant};
use tempfile::TempDir;

/// What a page tells to do.
#[derive(Debug)]
enum Step {
    Run(String),
    Write(String, String),
    Check(String),
}

fn steps(page: &str) -> Vec<Step> {
    let text = std::fs::read_to_string(root().join("docs").join(page)).expect("a page");
    let mut steps = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        match info.split_once(',') {
            Some(("sh", "run")) => {
                steps.extend(block.iter().map(|line| Step::Run((*line).to_owned())));
            }
            Some((_, "check")) => steps.push(Step::Check(block.join("\n") + "\n")),
            Some((_, what)) => {
                if let Some(file) = what.strip_prefix("file=") {
                    steps.push(Step::Write(file.to_owned(), block.join("\n") + "\n"));
                }
            }
            None => {}
        }
    }
    steps
}

/// The command with this checkout in place of the one that the pages have beside the plugin: what is
/// built of it already need not be built again.
fn here(line: &str) -> String {
    let target = variant::target().display().to_string();
    let line = line.replace("../atelier/target", &target);
    line.replace("../atelier", &root().display().to_string())
}

/// Does what a page says, in its order. Returns what its commands printed.
fn follow(page: &str) -> String {
    let desk = TempDir::new().expect("a folder");
    let mut folder = desk.path().to_owned();
    let programs = atelier().parent().expect("a folder").display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let mut said = String::new();
    for step in steps(page) {
        match step {
            Step::Check(_) => {}
            Step::Write(file, text) => {
                std::fs::write(folder.join(&file), text)
                    .unwrap_or_else(|error| panic!("{file}: {error}"));
            }
            Step::Run(line) => {
                if let Some(next) = line.strip_prefix("cd ") {
                    folder = folder.join(next);
                    continue;
                }
                let line = here(&line);
                let mut shell = Command::new("sh");
                shell.args(["-ec", &line]).current_dir(&folder).env("PATH", &path);
                shell
                    .env("ATELIER_DATA", desk.path().join("data"))
                    .env("CARGO_NET_OFFLINE", "true");
                for (name, _) in std::env::vars() {
                    let of_this_test =
                        name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
                    if of_this_test
                        || ["CARGO_TARGET_DIR", "RUST_LOG", "RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS"]
                            .contains(&&*name)
                    {
                        shell.env_remove(name);
                    }
                }
                let output = shell.output().expect("a shell");
                let (out, err) = (
                    String::from_utf8_lossy(&output.stdout),
                    String::from_utf8_lossy(&output.stderr),
                );
                assert!(output.status.success(), "{page}: {line}\n{out}\n{err}");
                said.push_str(&out);
                // What cargo has built for the workspace it need not build again.
                let made = line
                    .strip_prefix("atelier plugins new ")
                    .and_then(|rest| rest.split(' ').next());
                if let Some(made) = made.filter(|_| !line.contains("--lang c")) {
                    symlink(variant::target(), folder.join(made).join("target")).expect("a link");
                    std::fs::copy(root().join("Cargo.lock"), folder.join(made).join("Cargo.lock"))
                        .expect("a lock");
                }
            }
        }
    }
    said
}

#[test]
fn following_the_page_on_plugins_leads_to_a_validated_plugin() {
    let said = follow("writing-plugins.md");
    assert!(said.contains("all is well: nothing speaks against publishing it"), "{said}");
    assert!(said.contains("✓ ready posterise"), "{said}");
    assert!(said.contains("posterise 0.1.0: ready"), "{said}");
}

#[test]
fn following_the_page_on_c_leads_to_a_validated_plugin() {
    let said = follow("c-plugins.md");
    assert!(said.contains("all is well: nothing speaks against publishing it"), "{said}");
    assert!(said.contains("1 plugin ·"), "{said}");
}

#[test]
fn following_the_page_on_migration_gives_its_verdict() {
    plugin("prompt-styles");
    let said = follow("migrating.md");
    assert!(said.contains("migrate: prompt_styles_suffix, read at before_process_batch"), "{said}");
}

/// All of them at once, each a package of its own: a library holds one plugin.
#[test]
fn every_plugin_that_is_shown_compiles() {
    let folder = variant::workbench("shown");
    let mut members = Vec::new();
    for page in ["writing-plugins.md", "migrating.md"] {
        for step in steps(page) {
            let Step::Check(text) = step else { continue };
            let name = format!("shown-{}", members.len());
            let manifest = format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\n\
                 atelier-plugin-api = {{ path = {:?} }}\n",
                root().join("plugin-api")
            );
            variant::write(&folder.join(&name).join("Cargo.toml"), &manifest);
            variant::write(&folder.join(&name).join("src/lib.rs"), &text);
            members.push(name);
        }
    }
    assert!(members.len() >= 5, "{members:?}");
    let manifest = format!("[workspace]\nresolver = \"3\"\nmembers = {members:?}\n");
    variant::write(&folder.join("Cargo.toml"), &manifest);
    variant::lock(&folder);
    let output = packages::cargo()
        .current_dir(&folder)
        .args(["check", "--workspace", "--offline", "--target-dir"])
        .arg(variant::target())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
