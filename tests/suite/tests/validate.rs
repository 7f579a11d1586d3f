//! `atelier plugins validate`: every check is failed by a plugin that misbehaves in this very way, and
//! passed by one that does not.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Mutex,
};

use atelier_suite::{atelier, plugin, root, variant};
use atelier_testkit::build;
use serde_json::Value;

/// Validates a library with these flags, misbehaving in that way.
fn validate(library: &Path, rude: Option<&str>, flags: &[&str]) -> Output {
    let mut command = Command::new(atelier());
    command.args(["--json", "plugins", "validate"]).arg(library).args(flags);
    command.env_remove("RUST_LOG").env_remove("ATELIER_DATA").env_remove("ATELIER_RUDE");
    if let Some(mode) = rude {
        command.env("ATELIER_RUDE", mode);
    }
    command.output().expect("the atelier command")
}

/// The results of a validation by check.
fn results(output: &Output) -> BTreeMap<String, Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let documents: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let results = documents[0]["report"]["results"].as_array().expect("results");
    results
        .iter()
        .map(|it| (it["check"].as_str().expect("a name").to_owned(), it.clone()))
        .collect()
}

fn rude_source() -> PathBuf {
    root().join("tests/plugins/rude/rude.c")
}

/// The rude plugin, compiled with these flags.
fn rude(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    let own = folder.join(name.replace(".so", ""));
    std::fs::create_dir_all(&own).expect("a folder");
    let library = own.join(name);
    let flags = [&["-pthread"], flags].concat();
    build::with_cc_as(&rude_source(), &root().join("plugin-api/include"), &library, &flags);
    library
}

fn json(manifest: &str) -> String {
    format!("-DRUDE_JSON=\"{}\"", manifest.replace('"', "\\\""))
}

fn manifest_with(field: &str, value: &str) -> String {
    let mut manifest = serde_json::json!({
        "id": "rude", "name": "Rude", "version": "1.1.0", "abi": "1.0", "panic": "none",
        "hooks": ["process"],
    });
    manifest[field] = serde_json::from_str(value).expect("a value");
    json(&manifest.to_string())
}

/// Checks of the file, each with a file that fails it, and flags where it needs some.
fn misbuilt(folder: &Path) -> Vec<(&'static str, PathBuf, Vec<String>)> {
    let plain = std::fs::read(rude(folder, "plain.so", &[])).expect("a library");
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = plain.clone();
        change(&mut bytes);
        let file = folder.join(name);
        std::fs::write(&file, bytes).expect("a changed library");
        file
    };
    let built = |name: &str, flag: &str| rude(folder, name, &[flag]);
    let alone = |check: &'static str, file: PathBuf| (check, file, Vec::new());
    let twin = built("twin.so", "-DRUDE_VERSION=\"2.0.0\"");
    std::fs::write(twin.with_file_name("other.so"), &plain).expect("a second build");
    let helper = folder.join("libhelper.so");
    let source = folder.join("helper.c");
    std::fs::write(&source, "int helper(void);\nint helper(void) { return 1; }\n")
        .expect("a source");
    build::with_cc_as(&source, folder, &helper, &[]);
    let needs = folder.to_str().expect("a path").to_owned();
    let older = |name: &str, flags: &[&str]| {
        vec!["--against".to_owned(), rude(folder, name, flags).display().to_string()]
    };
    let gone = older("older.so", &["-DRUDE_OLDER", "-DRUDE_VERSION=\"1.0.0\""]);
    vec![
        alone("file-is-library", changed("text.so", &|bytes| *bytes = b"no library".to_vec())),
        alone("file-is-whole", changed("cut.so", &|bytes| bytes.truncate(bytes.len() / 2))),
        alone("machine-matches", changed("machine.so", &|bytes| bytes[18] = 0x28)),
        alone("manifest-present", plugin("plain")),
        alone("manifest-readable", built("unreadable.so", &json("{"))),
        alone("id-unique", twin),
        alone("version-semantic", built("version.so", &manifest_with("version", "\"one\""))),
        alone("abi-runs", built("abi.so", &manifest_with("abi", "\"2.0\""))),
        alone("hooks-known", built("hooks.so", &manifest_with("hooks", "[\"prcess\"]"))),
        alone("panics-unwind", built("panic.so", &manifest_with("panic", "\"abort\""))),
        alone("order-sensible", built("order.so", &manifest_with("before", "[\"rude\"]"))),
        alone("no-run-path", built("path.so", "-Wl,-rpath,/home/author/lib")),
        alone(
            "needs-system-only",
            rude(folder, "needs.so", &["-DRUDE_NEEDS", &format!("-L{needs}"), "-lhelper"]),
        ),
        alone("stack-not-executable", built("stack.so", "-Wl,-z,execstack")),
        alone("size-moderate", changed("large.so", &|bytes| bytes.resize(65 << 20, 0))),
        ("keeps-its-id", built("id.so", "-DRUDE_ID=\"rude-two\""), older("one.so", &[])),
        ("keeps-its-options", rude(folder, "options.so", &[]), gone.clone()),
        ("keeps-its-arguments", rude(folder, "arguments.so", &[]), gone),
        ("newer-version", rude(folder, "newer.so", &[]), older("same.so", &[])),
    ]
}

/// Does something with every item, a few at a time.
fn side_by_side<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let items = Mutex::new(items.into_iter());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    loop {
                        let next = items.lock().expect("no panic in between").next();
                        let Some(item) = next else { return };
                        work(item);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.join().expect("no panic");
        }
    });
}

/// Each has a way to misbehave that it, this very check, does not let pass.
#[test]
fn every_check_is_failed_by_a_plugin_that_misbehaves_in_its_way() {
    let folder = variant::folder();
    let listed = Command::new(atelier()).args(["--json", "plugins", "validate", "--list"]).output();
    let listed: Value = serde_json::from_slice(&listed.expect("a list").stdout).expect("JSON");
    let ids: Vec<&str> =
        listed.as_array().expect("checks").iter().filter_map(|it| it["check"].as_str()).collect();
    assert!(ids.len() >= 50, "{}", ids.len());
    let files = misbuilt(folder.path());
    let library = rude(folder.path(), "rude.so", &[]);
    let mut cases = Vec::new();
    for id in ids {
        match files.iter().find(|(check, _, _)| *check == id) {
            Some((_, file, flags)) => cases.push((id, file.clone(), None, flags.clone())),
            None => cases.push((id, library.clone(), Some(id), Vec::new())),
        }
    }
    side_by_side(cases, |(id, file, mode, more)| {
        let only = format!("^{id}$");
        let mut flags = vec!["--include", &only, "--jobs", "1"];
        flags.extend(more.iter().map(String::as_str));
        let output = validate(&file, mode, &flags);
        let results = results(&output);
        let result = &results[id];
        let outcome = result["outcome"].as_str().expect("an outcome");
        assert!(["fail", "warn", "crashed"].contains(&outcome), "{id} is not seen: {result:#}");
        assert!(!result["words"].as_str().unwrap_or_default().is_empty(), "{id}");
        let code = output.status.code();
        let expected = match outcome {
            "warn" => 0,
            "fail" => 1,
            _ => 2,
        };
        assert_eq!(code, Some(expected), "{id}");
    });
}

/// The same plugin, behaving.
#[test]
fn a_plugin_that_behaves_passes_every_check() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    let output = validate(&library, None, &["--level", "10", "--exclude", "^fuzz$"]);
    for (id, result) in results(&output) {
        let outcome = result["outcome"].as_str().expect("an outcome");
        let compared =
            ["keeps-its-id", "keeps-its-options", "keeps-its-arguments", "newer-version"];
        let compared = compared.contains(&id.as_str());
        assert_eq!(outcome, if compared { "skip" } else { "pass" }, "{id}: {result:#}");
    }
    assert_eq!(output.status.code(), Some(0));
}

/// A process that dies or says nothing is an outcome with its circumstances, and nothing of it is left.
/// All but `option-drift`, whose runs cannot be repeated, and `misbehaving`; both are what they say.
#[test]
fn the_example_plugins_are_valid_at_the_highest_level() {
    const RUST: [&str; 9] = [
        "watermark",
        "prompt-styles",
        "latent-noise",
        "wildcards",
        "dynamic-thresholding",
        "cfg-rescale",
        "color-grade",
        "x-y-plot",
        "soft-inpainting",
    ];
    let folder = variant::folder();
    let mut libraries: Vec<_> = build::cdylibs(&root(), &RUST, &[]).into_values().collect();
    let include = root().join("plugin-api/include");
    for source in ["sepia/sepia.c", "pixelate/pixelate.cpp"] {
        let source = root().join("example-plugins").join(source);
        libraries.push(build::with_cc(&source, &include, folder.path()));
    }
    side_by_side(libraries, |library| {
        // Whose two hundred runs take as long as the rest together.
        let output = validate(&library, None, &["--level", "8", "--exclude", "^memory-flat$"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{}: {errors}", library.display());
        for (check, result) in results(&output) {
            let outcome = &result["outcome"];
            assert!(
                outcome == "pass" || outcome == "warn" || outcome == "skip",
                "{}: {check}: {result}",
                library.display()
            );
        }
    });
    let output = validate(&plugin("option-drift"), None, &["--level", "5", "--include", "^same-"]);
    assert_eq!(output.status.code(), Some(1), "runs of option-drift differ, and that is its point");
}

#[test]
fn a_process_that_dies_or_hangs_is_told_of_and_ended() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    for (mode, outcome, words) in [
        ("crashes", "crashed", "signal 11 (segmentation fault) in process (step 0, iteration 0)"),
        ("exits", "crashed", "exit code 7 in process"),
        ("hangs", "timeout", "nothing was heard for 1 s in process"),
    ] {
        let flags = ["--include", "^hooks-succeed$", "--timeout", "1"];
        let output = validate(&library, Some(mode), &flags);
        assert_eq!(output.status.code(), Some(2), "{mode}");
        let result = &results(&output)["hooks-succeed"];
        assert_eq!(result["outcome"], outcome, "{mode}: {result:#}");
        assert!(result["words"].as_str().expect("words").contains(words), "{mode}: {result:#}");
        assert!(result["last_crumb"].as_str().expect("a crumb").starts_with("process"));
        if mode == "crashes" {
            assert_eq!(result["signal"], 11);
        }
    }
    // Nobody is left who runs it.
    let marker = library.display().to_string();
    let left = std::fs::read_dir("/proc").expect("/proc").flatten().filter(|entry| {
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).contains(&marker)
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_check_is_switched_off_by_a_file_with_reasons() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    let switches = library.with_file_name("validate.toml");
    std::fs::write(&switches, "[off]\nquiet-on-load = \"it greets its users\"\n").expect("a file");
    let flags = ["--include", "^(quiet-on-load|loads)$"];
    let output = validate(&library, Some("quiet-on-load"), &flags);
    assert_eq!(output.status.code(), Some(0));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document[0]["report"]["off"]["quiet-on-load"], "it greets its users");
    assert!(!results(&output).contains_key("quiet-on-load"));
    std::fs::write(&switches, "[off]\nquiet-on-load = \"\"\n").expect("a file");
    let output = validate(&library, None, &flags);
    assert_eq!(output.status.code(), Some(3));
    let error: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(
        error["error"]["message"].as_str().expect("words").contains("without a reason"),
        "{error}"
    );
}

#[test]
fn what_cannot_be_tried_is_told_from_what_failed() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    let missing = folder.path().join("missing.so");
    let cases: [(&Path, &[&str]); 4] = [
        (&missing, &[]),
        (&library, &["--include", "("]),
        (&library, &["--include", "no-such-check"]),
        (folder.path(), &["--timeout", "0"]),
    ];
    for (library, flags) in cases {
        let output = validate(library, None, flags);
        assert_eq!(output.status.code(), Some(3), "{flags:?}");
    }
}

#[test]
fn the_report_is_there_as_junit_too() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    let output = Command::new(atelier())
        .args(["plugins", "validate", "--format", "junit", "--include", "^(loads|hooks-succeed)$"])
        .arg(&library)
        .env("ATELIER_RUDE", "hooks-succeed")
        .output()
        .expect("the atelier command");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.starts_with("<?xml"), "{text}");
    assert!(text.contains("tests=\"2\"") && text.contains("failures=\"1\""), "{text}");
    assert!(text.contains("name=\"hooks-succeed\"") && text.contains("no step"), "{text}");
}

/// In one process, as a debugger wants it.
#[test]
fn checks_run_in_this_process_too() {
    let folder = variant::folder();
    let library = rude(folder.path(), "rude.so", &[]);
    let output =
        validate(&library, Some("finite"), &["--in-process", "--include", "^(finite|loads)$"]);
    let results = results(&output);
    assert_eq!(
        (&results["finite"]["outcome"], &results["loads"]["outcome"]),
        (&"fail".into(), &"pass".into())
    );
}
