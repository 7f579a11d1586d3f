//! `plugins bisect` finds the plugin that does it.

#![cfg(unix)]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{path::Path, process::Output};

use atelier_suite::{
    command::{command, errors, json},
    plugin,
};
use serde_json::Value;

/// Harmless ones around the one that is looked for.
const PLUGINS: [&str; 6] =
    ["order-first", "selectable", "wants-ghost", "watermark", "misbehaving", "prompt-styles"];

fn bisect(data: &Path, fault: &str, words: &[&str]) -> Output {
    bisect_among(&PLUGINS, data, fault, words)
}

fn bisect_among(plugins: &[&str], data: &Path, fault: &str, words: &[&str]) -> Output {
    let mut command = command(data);
    for name in plugins {
        command.arg("--plugins").arg(plugin(name));
    }
    command
        .args(["--json", "plugins", "bisect"])
        .args(words)
        .env("ATELIER_MISBEHAVE", fault)
        .output()
        .expect("the atelier command")
}

/// What is said of the try with this plugin alone.
fn alone(report: &Value, id: &str) -> Value {
    let tries = report["tries"].as_array().expect("tries");
    let of_it = tries.iter().find(|it| it["plugins"] == serde_json::json!([id]));
    of_it.map(|it| it["outcome"].clone()).unwrap_or_default()
}

#[test]
fn the_plugin_that_kills_the_host_is_found_and_nothing_is_left_of_the_search() {
    let folder = tempfile::tempdir().expect("a folder");
    for fault in ["abort:process", "error:process_batch"] {
        let report = json(&bisect(folder.path(), fault, &[]));
        assert_eq!(report["what"], "breaks", "{fault}: {report}");
        assert_eq!(report["culprits"], serde_json::json!(["misbehaving"]), "{fault}: {report}");
        assert!(report["tries"].as_array().expect("tries").len() <= 6, "{report}");
        let how = alone(&report, "misbehaving")["broken"]["how"].clone();
        let words = if fault.starts_with("abort") { "signal 6 (abort)" } else { "process_batch" };
        assert!(how.as_str().expect("words").contains(words), "{fault}: {how}");
    }
    // No strikes, no records, no pictures.
    for name in ["plugins.json", "runs", "outputs"] {
        assert!(!folder.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_run_that_does_not_end_is_broken() {
    let folder = tempfile::tempdir().expect("a folder");
    // Few plugins, for few tries that wait; time enough for a slow machine to draw one step.
    let plugins = ["misbehaving", "order-first"];
    let words = ["--timeout", "12", "--", "txt2img", "red heart", "--steps", "1"];
    let report = json(&bisect_among(&plugins, folder.path(), "endless-loop:process", &words));
    assert_eq!(report["culprits"], serde_json::json!(["misbehaving"]), "{report}");
    let how = alone(&report, "misbehaving")["broken"]["how"].clone();
    assert_eq!(how, "it was not done after 12 s");
}

#[test]
fn the_plugin_that_changes_the_picture_is_found_with_its_own_options_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = ["--", "txt2img", "red heart", "--steps", "2", "-o", "watermark_text=mine"];
    let report = json(&bisect(folder.path(), "", &command));
    assert_eq!(report["what"], "changes", "{report}");
    assert_eq!(report["culprits"], serde_json::json!(["watermark"]), "{report}");
    let nothing = json(&bisect(folder.path(), "", &["--for", "breaks"]));
    assert_eq!(nothing["culprits"], serde_json::json!([]), "{nothing}");
}

#[test]
fn what_cannot_be_searched_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    for (command, words) in [
        (&["--", "seam"][..], "draws nothing"),
        (&["--", "txt2img", "heart", "--sampler", "none such"], "without any plugin either"),
    ] {
        let output = bisect(folder.path(), "", command);
        assert_eq!(output.status.code(), Some(2), "{}", errors(&output));
        assert!(errors(&output).contains(words), "{}", errors(&output));
    }
}
