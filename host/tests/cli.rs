//! The `atelier` binary as people and scripts meet it, with the default checkpoint.

#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

fn atelier(data: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier"))
        .arg("--data")
        .arg(data)
        .args(args)
        .env_remove("ATELIER_DATA")
        .env_remove("RUST_LOG")
        .output()
        .unwrap()
}

/// Standard output of a command that succeeds.
fn says(data: &Path, args: &[&str]) -> String {
    let output = atelier(data, args);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{args:?} failed: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn tells(data: &Path, args: &[&str]) -> Value {
    let text = says(data, args);
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}\n{text}"))
}

/// Exit code and standard error of a command that does not succeed.
fn complains(data: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = atelier(data, args);
    assert!(output.stdout.is_empty(), "{args:?} printed {:?}", output.stdout);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_set_option_is_there_at_the_next_start() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    assert_eq!(says(data, &["options", "get", "jpeg_quality"]), "80\n");
    let said = says(data, &["options", "set", "jpeg_quality", "91"]);
    assert_eq!(said, "jpeg_quality: 80 → 91\n");
    let option = tells(data, &["options", "get", "jpeg_quality", "--json"]);
    assert_eq!((&option["value"], &option["default"]), (&json!(91), &json!(80)));
    assert_eq!(option["set_by"]["by"], "file");
    let changed = tells(data, &["options", "list", "--changed", "--json"]);
    assert_eq!(changed.as_array().unwrap().len(), 1);
    let file: Value = serde_json::from_slice(&fs::read(data.join("config.json")).unwrap()).unwrap();
    assert_eq!(file, json!({"jpeg_quality": 91}));
}

#[test]
fn a_value_that_does_not_fit_is_refused_with_what_would() {
    let data = tempfile::tempdir().unwrap();
    let (code, error) = complains(data.path(), &["options", "set", "jpeg_quality", "101"]);
    assert_eq!(code, Some(2));
    assert_eq!(error, "error: option \"jpeg_quality\" takes 1 to 100, not 101\n");
    assert!(!data.path().join("config.json").exists());
}

#[test]
fn an_unknown_override_is_refused_with_the_nearest_key_before_anything_is_drawn() {
    let data = tempfile::tempdir().unwrap();
    let args = ["txt2img", "cat", "--override", "jpg_quality=90"];
    let (code, error) = complains(data.path(), &args);
    assert_eq!(code, Some(2));
    assert!(error.starts_with("error: there is no option \"jpg_quality\"\n"), "{error}");
    assert!(error.contains("hint: did you mean \"jpeg_quality\"?"), "{error}");
    assert_eq!(tells(data.path(), &["runs", "list", "--json"]), json!([]));
}

/// What cannot be drawn is refused before anything begins: no record tells of it.
#[test]
fn samplers_sizes_and_checkpoints_that_there_are_not_are_refused() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("no-checkpoint");
    fs::create_dir(&folder).unwrap();
    let cases = [
        (["--sampler", "Oiler"], "there is no sampler “Oiler”; there are:"),
        (["--scheduler", "Quick"], "there is no scheduler “Quick”; there are:"),
        (
            ["--width", "65"],
            "width: 65 is no multiple of 4, which the checkpoint needs; try 64 or 68",
        ),
        (["--steps", "0"], "steps: 0 is not from 1 to 10000"),
        (["--model", "ghost"], "there is no checkpoint “ghost”; there are: atelier-emoji-64"),
        (["--model", folder.to_str().unwrap()], "is no checkpoint"),
        (["--plugins", "/no/such/plugin.so"], "there is no /no/such/plugin.so; --plugins takes"),
    ];
    for ([flag, value], words) in cases {
        let (code, error) = complains(data.path(), &["txt2img", "cat", flag, value]);
        assert_eq!(code, Some(2), "{flag}: {error}");
        let said = error.replace("\nhint: ", "; ");
        assert!(said.contains(words), "{flag}: {said}");
    }
    assert_eq!(tells(data.path(), &["runs", "list", "--json"]), json!([]));
}

/// Programs read one JSON document, whatever happens.
#[test]
fn a_refusal_is_a_json_document_where_json_is_wanted() {
    let data = tempfile::tempdir().unwrap();
    let document = |args: &[&str]| {
        let output = atelier(data.path(), args);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), document["error"].clone())
    };
    let (code, error) = document(&["txt2img", "cat", "--sampler", "Oiler", "--json"]);
    assert_eq!((code, &error["kind"]), (Some(2), &json!("refused")));
    assert_eq!(error["message"], "there is no sampler “Oiler”");
    assert!(error["hint"].as_str().unwrap().starts_with("there are: "), "{error}");
    let (code, error) = document(&["--json", "txt2img"]);
    assert_eq!((code, &error["kind"]), (Some(2), &json!("refused")));
    let (code, error) = document(&["--json", "seam", "-n", "0"]);
    assert_eq!(code, Some(2), "{error}");
    let set = tells(data.path(), &["--json", "options", "set", "jpeg_quality", "91"]);
    assert_eq!(set, json!({"key": "jpeg_quality", "old": 80, "value": 91}));
}

#[test]
fn a_broken_configuration_is_told_of_once() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("config.json"), "{").unwrap();
    let output = atelier(data.path(), &["options", "get", "jpeg_quality"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains("could not be read"), "{errors}");
}

#[test]
fn arguments_and_seam_modes_of_a_plugin_that_is_not_loaded_are_refused() {
    let data = tempfile::tempdir().unwrap();
    for flag in [["--plugin-arg", "ghost.strength=1"], ["--seam-of", "ghost=pin"]] {
        let (code, error) = complains(data.path(), &["txt2img", "cat", flag[0], flag[1]]);
        assert_eq!(code, Some(2));
        assert!(error.starts_with("error: no plugin “ghost” is loaded\n"), "{error}");
    }
}

#[test]
fn a_drawing_leaves_a_record_and_a_picture_that_says_how_it_was_made() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let copy = data.join("copy.png");
    let args = [
        "txt2img",
        "red heart",
        "--seed",
        "5",
        "--steps",
        "4",
        "--json",
        "--override",
        "CLIP_stop_at_last_layers=2",
        "--out",
        copy.to_str().unwrap(),
    ];
    let record = tells(data, &args);
    assert_eq!(record["state"], "done");
    assert_eq!(record["prepared"]["pictures"]["all_seeds"], json!([5]));
    assert_eq!(record["overrides"]["CLIP_stop_at_last_layers"]["value"], 2);
    let path = Path::new(record["outputs"][0]["path"].as_str().unwrap());
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes, fs::read(&copy).unwrap());
    let texts = atelier_host::output::png::read(&bytes).unwrap().texts;
    let infotext = &texts.iter().find(|(key, _)| key == "parameters").unwrap().1;
    assert!(infotext.starts_with("red heart\n"), "{infotext}");
    assert!(infotext.contains("Steps: 4") && infotext.contains("Clip skip: 2"), "{infotext}");

    let id = record["id"].as_str().unwrap();
    assert_eq!(tells(data, &["runs", "show", id, "--json"]), record);
    assert_eq!(tells(data, &["runs", "list", "--json"]), json!([record]));
    assert!(says(data, &["runs", "list"]).contains("red heart"));
    assert!(says(data, &["runs", "show", "last"]).contains(id));

    let own = tells(data, &["seam", "--json"]);
    assert_eq!((&own["runs"], &own["plugins"]), (&json!([id]), &json!([])));
    let all = tells(data, &["seam", "--all", "--run", id, "--json"]);
    assert_eq!(all["plugins"][0]["id"], "host");
    assert_eq!(all["plugins"][0]["diverged"], 0);
    assert!(says(data, &["seam", "--all"]).contains("sd_model_checkpoint"));
    // The override was this run's alone.
    assert_eq!(says(data, &["options", "get", "CLIP_stop_at_last_layers"]), "1\n");
}

#[test]
fn a_picture_can_be_the_start_and_kept_overrides_stay() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let start = data.join("start.png");
    image::RgbImage::from_pixel(40, 30, image::Rgb([200, 40, 40])).save(&start).unwrap();
    let args = [
        "img2img",
        start.to_str().unwrap(),
        "red heart",
        "--steps",
        "4",
        "--json",
        "--denoising-strength",
        "0.5",
        "--override",
        "jpeg_quality=70",
        "--keep-overrides",
        "--no-save",
    ];
    let record = tells(data, &args);
    assert_eq!(record["state"], "done");
    assert_eq!(record["prepared"]["params"]["is_img2img"], true);
    assert_eq!(record["prepared"]["init_images"].as_array().unwrap().len(), 1);
    assert_eq!(record["outputs"][0]["path"], Value::Null);
    assert_eq!(says(data, &["options", "get", "jpeg_quality"]), "70\n");
}

#[test]
fn a_run_that_fails_ends_with_1_and_is_on_record() {
    let data = tempfile::tempdir().unwrap();
    // A file is where the pictures' folder should be.
    fs::write(data.path().join("taken"), "").unwrap();
    let args = ["txt2img", "cat", "--steps", "1", "--override", "outdir_samples=taken"];
    let (code, error) = complains(data.path(), &args);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("taken"), "{error}");
    let runs = tells(data.path(), &["runs", "list", "--json"]);
    assert_eq!(runs[0]["state"], "failed");
}

#[test]
fn a_broken_config_file_is_reported_and_kept() {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("config.json"), "{ \"jpeg_quality\": 70,").unwrap();
    let output = atelier(data.path(), &["options", "get", "jpeg_quality"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stdout, b"80\n");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("config.json could not be read"), "{error}");
    let names = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    let kept = names.iter().find(|name| name.starts_with("config.json.broken-")).unwrap();
    assert_eq!(fs::read_to_string(data.path().join(kept)).unwrap(), "{ \"jpeg_quality\": 70,");
}

#[test]
fn a_run_that_is_not_there_and_a_flag_that_is_none_are_usage_errors() {
    let data = tempfile::tempdir().unwrap();
    let (code, error) = complains(data.path(), &["runs", "show", "cafe"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("there is no run “cafe”"), "{error}");
    assert_eq!(complains(data.path(), &["runs", "list", "--colour"]).0, Some(2));
}

#[test]
fn a_plugin_that_cannot_be_loaded_is_told_of_once_and_the_rest_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("ghost.so");
    fs::write(&file, "no library").unwrap();
    let output = atelier(data.path(), &["--plugins", file.to_str().unwrap(), "plugins", "list"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("failed") && text.contains("ghost.so"), "{text}");
    assert!(output.stderr.is_empty(), "{:?}", output.stderr);
    let flags = ["--plugins", file.to_str().unwrap(), "options", "get", "jpeg_quality"];
    let output = atelier(data.path(), &flags);
    assert_eq!(output.stdout, b"80\n");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("plugin not loaded") && error.contains("ghost.so"), "{error}");
}

#[test]
fn a_library_is_inspected_without_being_one() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("plugin.so");
    fs::write(&file, "no library").unwrap();
    let output = atelier(data.path(), &["plugins", "inspect", file.to_str().unwrap(), "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["size"], &report["manifest"]), (&json!(10), &Value::Null));
    assert!(report["problem"].as_str().unwrap().contains("ELF"), "{report}");
    let (code, error) = complains(data.path(), &["plugins", "disable", "ghost"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("no plugin “ghost”"), "{error}");
}

#[cfg(unix)]
#[test]
fn an_interrupt_cancels_the_run_between_two_steps() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path();
    let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .arg("--data")
        .arg(data)
        .args(["txt2img", "bus", "--steps", "10000"])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The record says when the run is past its preparation.
    let executing = || {
        let runs = fs::read_dir(data.join("runs")).ok()?;
        let mut files = runs.flatten().filter_map(|entry| fs::read_to_string(entry.path()).ok());
        files.any(|text| text.contains("\"state\": \"executing\"")).then_some(())
    };
    while executing().is_none() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(tells(data, &["runs", "show", "--json"])["state"], "cancelled");
}
