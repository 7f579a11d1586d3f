//! Plugins that take the host with them: blamed at the next start, left out after three times, let in
//! again by the user.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{os::unix::process::ExitStatusExt as _, path::Path, process::Output};

use atelier_suite::{
    command::{command, errors, json},
    plugin,
};

fn run(data: &Path, fault: &str, words: &[&str]) -> Output {
    command(data)
        .arg("--plugins")
        .arg(plugin("misbehaving"))
        .args(words)
        .env("ATELIER_MISBEHAVE", fault)
        .output()
        .expect("the atelier command")
}

const DRAW: [&str; 4] = ["txt2img", "red heart", "--steps", "1"];

#[test]
fn a_plugin_that_ends_the_host_three_times_is_left_out_until_it_is_released() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    for strike in 1..=3 {
        let output = run(data, "abort:process", &DRAW);
        assert_eq!(output.status.signal(), Some(6), "{}", errors(&output));
        let next = run(data, "", &["plugins", "list"]);
        let blamed = format!("misbehaving was in charge (hook process, strike {strike} of 3)");
        assert!(errors(&next).contains(&blamed), "{}", errors(&next));
        // It is told once.
        let later = run(data, "", &["plugins", "list"]);
        assert!(!errors(&later).contains("in charge"), "{}", errors(&later));
    }
    let listed = json(&run(data, "", &["--json", "plugins", "list"]));
    assert_eq!(listed["plugins"][0]["state"], "quarantined");
    let output = run(data, "abort:process", &DRAW);
    assert!(output.status.success(), "{}", errors(&output));

    let doctor = json(&run(data, "", &["--json", "doctor"]));
    let finding = &doctor["findings"][0];
    assert!(finding["what"].as_str().expect("a text").contains("died in its hooks 3 times"));
    assert!(finding["command"].as_str().expect("a text").contains("isolated_plugins"));

    // In a worker it takes nobody with it, so it may.
    let output =
        run(data, "abort:process", &["--isolation", "worker", "txt2img", "x", "--steps", "1"]);
    assert!(output.status.success(), "{}", errors(&output));
    assert!(errors(&output).contains("its worker ended with signal 6"), "{}", errors(&output));

    assert!(run(data, "", &["plugins", "release", "misbehaving"]).status.success());
    let listed = json(&run(data, "", &["--json", "plugins", "list"]));
    assert_eq!(listed["plugins"][0]["state"], "active");
}

#[test]
fn a_crash_while_a_plugin_is_made_is_its_own_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), "exit:start", &DRAW);
    assert_eq!(output.status.code(), Some(7));
    let next = run(folder.path(), "", &["plugins", "list"]);
    assert!(errors(&next).contains("in charge (hook start, strike 1"), "{}", errors(&next));
}

#[test]
fn a_safe_start_has_no_plugins_and_keeps_the_selection() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path();
    let listed = json(&run(data, "", &["--safe", "--json", "plugins", "list"]));
    assert_eq!(listed["plugins"][0]["state"], "disabled");
    assert_eq!(listed["plugins"][0]["reason"], "by --safe");
    let output = run(data, "abort:process", &["--safe", "txt2img", "red heart", "--steps", "1"]);
    assert!(output.status.success(), "{}", errors(&output));
    let listed = json(&run(data, "", &["--json", "plugins", "list"]));
    assert_eq!(listed["plugins"][0]["state"], "active");
}

#[test]
fn the_doctor_finds_nothing_where_nothing_is_wrong_and_tells_what_plugins_cost() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(run(folder.path(), "", &DRAW).status.success());
    let doctor = json(&run(folder.path(), "", &["--json", "doctor"]));
    assert_eq!(doctor["findings"], serde_json::json!([]));
    let patient = &doctor["plugins"][0];
    assert_eq!(patient["id"], "misbehaving");
    assert!(patient["loading"]["seconds"].as_f64().expect("seconds") > 0.0);
    assert!(patient["run_ms"].as_f64().expect("milliseconds") > 0.0);
    let words = run(folder.path(), "", &["--isolation", "worker", "doctor"]);
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.contains("worker") && words.contains("nothing is wrong"), "{words}");
}
