//! The record of a run: what it holds, where it lives, how it moves from state to state.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fs;

use atelier_host::run::{
    CancelToken, FileRecords, InitImages, OnError, RecordStore, RunRecord, RunRequest, RunState,
    record::{RECORD_VERSION, json_schema},
};
use atelier_suite::{
    Log, every_way,
    gate::{Gate, draw_through, run_through},
    host,
    options::{overriding, set, snapshot_file},
};
use atelier_testkit::{TestHost, Wiring};
use image::{Rgb, RgbImage};
use serde_json::{Value, json};

fn record_file(host: &TestHost, id: &str) -> Value {
    let path = host.folder().join("runs").join(format!("{id}.json"));
    serde_json::from_slice(&fs::read(path).expect("a record")).expect("JSON")
}

fn names(host: &TestHost, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(host.folder().join(folder)).into_iter().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into())
        .collect();
    names.sort();
    names
}

/// A run in which everything happens that a record has a place for.
fn eventful(host: &TestHost) -> RunRecord {
    let gate = Gate::new(host, "gate");
    let log = Log::new(host, "log");
    let picture = RgbImage::from_fn(32, 32, |x, y| Rgb([x as u8, y as u8, 9]));
    let mut request = RunRequest {
        init_images: Some(InitImages(vec![picture])),
        batch_size: 2,
        steps: 2,
        ..overriding(host.request(), &json!({ "jpeg_quality": 61, "samples_format": "jpg" }))
    };
    let script = json!({
        "before_process": [{ "live": "n_rows" }, { "override": ["grid_format", "webp"] }],
        "process": [gate.action(), { "live": "n_rows" }, { "live_all": true }],
        "process_batch": [{ "error": "no" }],
        "post_sample": [{ "save_picture": "extra" }, { "snapshot": "n_rows" }],
        "postprocess": [{ "panic": "no" }],
    });
    log.script(&mut request, "probe-a", &script);
    let write = || set(host, "n_rows", json!(1), atelier_host::options::Writer::Api);
    draw_through(host, request, &gate, write).record
}

#[test]
fn it_is_the_same_after_its_way_through_json() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let record = eventful(&host);
        assert_eq!(record.record_version, RECORD_VERSION);
        assert_eq!(record.failures.len(), 2);
        assert!(!record.outside_writes.is_empty() && !record.saved_by_plugins.is_empty());
        assert_eq!(record.outputs.len(), 3);
        assert_eq!(record.overrides.len(), 3);
        let json = serde_json::to_value(&record).expect("JSON");
        assert_eq!(serde_json::from_value::<RunRecord>(json.clone()).expect("a record"), record);
        assert_eq!(record_file(&host, &record.id), json);
        assert_eq!(host.runner().records().get(&record.id).expect("kept"), record);
    });
}

/// What a JSON value has against a schema, as far as the schema of records goes.
fn complaints(schema: &Value, root: &Value, value: &Value, at: &str) -> Vec<String> {
    let Some(rules) = schema.as_object() else {
        return if schema == &json!(true) { vec![] } else { vec![format!("{at}: not allowed")] };
    };
    let mut found = Vec::new();
    let mut object = |rule: &str| -> bool {
        if !value.is_object() {
            found.push(format!("{at}: {rule} wants an object"));
        }
        value.is_object()
    };
    let is = |name: &Value| match name.as_str() {
        Some("null") => value.is_null(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("string") => value.is_string(),
        Some("array") => value.is_array(),
        Some("object") => value.is_object(),
        other => panic!("{at}: no type {other:?}"),
    };
    let mut more = Vec::new();
    let fits = |one: &Value| complaints(one, root, value, at).is_empty();
    for (rule, what) in rules {
        let fine = match rule.as_str() {
            "$schema" | "title" | "description" | "$defs" | "format" | "default"
            | "prefixItems" | "minItems" | "maxItems" => true,
            "type" => match what {
                Value::Array(names) => names.iter().any(is),
                name => is(name),
            },
            "$ref" => {
                let pointer = what.as_str().expect("a reference").trim_start_matches('#');
                fits(root.pointer(pointer).expect("a definition"))
            }
            "const" => value == what,
            "enum" => what.as_array().expect("a list").contains(value),
            "anyOf" => what.as_array().expect("a list").iter().any(fits),
            "oneOf" => what.as_array().expect("a list").iter().filter(|one| fits(one)).count() == 1,
            "minimum" => value.as_f64() >= what.as_f64(),
            "maximum" => value.as_f64() <= what.as_f64(),
            "pattern" => {
                what == "^[0-9a-f]{64}$" && {
                    let text = value.as_str().unwrap_or_default();
                    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
                }
            }
            "required" => {
                object("required") && {
                    let names = what.as_array().expect("a list");
                    names.iter().all(|name| value.get(name.as_str().expect("a name")).is_some())
                }
            }
            "properties" => {
                for (name, schema) in what.as_object().expect("an object") {
                    if let Some(value) = value.get(name) {
                        more.extend(complaints(schema, root, value, &format!("{at}.{name}")));
                    }
                }
                true
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    more.extend(complaints(what, root, value, &format!("{at}[{index}]")));
                }
                true
            }
            "additionalProperties" => {
                let known = &schema["properties"];
                for (name, value) in value.as_object().into_iter().flatten() {
                    if known.get(name).is_none() {
                        more.extend(complaints(what, root, value, &format!("{at}.{name}")));
                    }
                }
                true
            }
            other => panic!("{at}: this test does not know the rule {other}"),
        };
        if !fine {
            more.push(format!("{at}: {value} against {rule} {what}"));
        }
    }
    found.extend(more);
    found
}

#[test]
fn it_keeps_to_its_published_schema() {
    every_way(|wiring| {
        let host = host(&["probe-a", "probe-b"], wiring);
        let record = record_file(&host, &eventful(&host).id);
        let schema = json_schema();
        assert_eq!(complaints(&schema, &schema, &record, "record"), Vec::<String>::new());
        // Every field is described, and the check can fail.
        for field in record.as_object().unwrap().keys() {
            let described = &schema["properties"][field];
            assert!(described.is_object() || described == &json!(true), "{field}");
        }
        for (field, bad) in
            [("state", json!("asleep")), ("id", json!(7)), ("snapshot", json!("short"))]
        {
            let mut wrong = record.clone();
            wrong[field] = bad;
            assert_ne!(complaints(&schema, &schema, &wrong, "record"), Vec::<String>::new());
        }
        let mut wrong = record;
        wrong["ledger"][0].as_object_mut().unwrap().remove("diverged");
        assert_ne!(complaints(&schema, &schema, &wrong, "record"), Vec::<String>::new());
    });
}

#[test]
fn a_snapshot_is_stored_once_under_its_digest() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let first = host.draw(host.request()).record;
        let path = snapshot_file(&host, &first);
        let bytes = fs::read(&path).expect("a snapshot");
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"atelier-snapshot-1\0").update(&bytes);
        assert_eq!(hasher.finalize().to_hex().as_str(), first.snapshot.unwrap().to_string());
        // Canonical: keys sorted by UTF-16 units, no space, nothing that a second writing changes.
        let again: Value = serde_json::from_slice(&bytes).expect("JSON");
        let keys: Vec<_> = again.as_object().unwrap().keys().collect();
        assert!(keys.is_sorted_by_key(|key| key.encode_utf16().collect::<Vec<_>>()));
        assert_eq!(serde_json::to_vec(&again).unwrap(), bytes);

        let written = fs::metadata(&path).unwrap().modified().unwrap();
        let second = host.draw(RunRequest { seed: 8, ..host.request() }).record;
        assert_eq!(second.snapshot, first.snapshot);
        assert_eq!(names(&host, "snapshots").len(), 1);
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), written);
        host.draw(overriding(host.request(), &json!({ "n_rows": 3 })));
        assert_eq!(names(&host, "snapshots").len(), 2);
    });
}

#[test]
fn starting_pictures_are_kept_under_their_hashes_as_they_came() {
    let host = host(&[], Wiring::Direct);
    let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, 3 * y as u8, 200]));
    let request = |picture: &RgbImage| RunRequest {
        init_images: Some(InitImages(vec![picture.clone()])),
        ..host.request()
    };
    let record = host.draw(request(&picture)).record;
    let [hash] = &record.prepared.expect("prepared").init_images[..] else { panic!("one picture") };
    let bytes = fs::read(host.folder().join("blobs").join(hash)).expect("a blob");
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), hash);
    assert_eq!(image::load_from_memory(&bytes).expect("a picture").into_rgb8(), picture);
    host.draw(request(&picture));
    assert_eq!(names(&host, "blobs").len(), 1);
    // One of another size as it came.
    let small = RgbImage::from_pixel(16, 16, Rgb([7, 8, 9]));
    let kept = host.draw(request(&small)).record.prepared.expect("prepared").init_images;
    let bytes = fs::read(host.folder().join("blobs").join(&kept[0])).expect("a blob");
    assert_eq!(image::load_from_memory(&bytes).expect("a picture").into_rgb8(), small);
    assert!(record.request.get("init_images").is_none());
}

#[test]
fn it_moves_from_state_to_state_while_the_run_goes() {
    every_way(|wiring| {
        let ends = [RunState::Done, RunState::Failed, RunState::Cancelled];
        for end in ends {
            let host = host(&["probe-a"], wiring);
            let gates = ["before_process", "start", "process_batch", "finish"];
            let gates = gates.map(|hook| (hook, Gate::new(&host, hook)));
            let mut script: serde_json::Map<_, _> = gates
                .iter()
                .map(|(hook, gate)| ((*hook).to_owned(), json!([gate.action()])))
                .collect();
            if end == RunState::Failed {
                script.insert("post_sample".to_owned(), json!([{ "error": "no" }]));
            }
            let log = Log::new(&host, "log");
            let mut request = RunRequest { on_error: OnError::FailRun, ..host.request() };
            log.script(&mut request, "probe-a", &script.into());
            let cancel = CancelToken::new();
            let look = |state: &str| {
                let [file] = &names(&host, "runs/active")[..] else { panic!("one active run") };
                let record = record_file(&host, file);
                assert_eq!(record["state"], state);
                assert_eq!(record["process"], std::process::id());
                assert_eq!(record["prepared"].is_object(), state != "preparing");
                assert_eq!(record["finished"], Value::Null);
                serde_json::from_value::<RunRecord>(record).expect("a record at every moment");
            };
            let finished = run_through(
                &host,
                request,
                &cancel,
                &[
                    (&gates[0].1, &|| look("preparing")),
                    (&gates[1].1, &|| look("executing")),
                    (&gates[2].1, &|| {
                        look("executing");
                        if end == RunState::Cancelled {
                            cancel.cancel();
                        }
                    }),
                    (&gates[3].1, &|| look("finalizing")),
                ],
            );
            let record = record_file(&host, &finished.record.id);
            assert_eq!(record["state"], end.word());
            assert_eq!(record["error"].is_string(), end == RunState::Failed);
            assert!(record["finished"].is_string() && record["snapshot"].is_string());
            assert_eq!(names(&host, "runs/active"), Vec::<String>::new());
            assert_eq!(names(&host, "snapshots").len(), 1);
        }
    });
}

#[test]
fn a_run_whose_process_is_gone_becomes_interrupted() {
    let host = host(&["probe-a"], Wiring::Direct);
    let done = host.draw(host.request()).record;
    let unfinished = |records: &FileRecords, state: RunState, number: u32| {
        // No hexadecimal digit: never the id of a real run.
        let id = format!("{}x{number}", &done.id[..done.id.len() - 2]);
        let record = RunRecord { id, state, finished: None, ..done.clone() };
        records.put(&record).expect("kept");
        record
    };
    let gone = [RunState::Preparing, RunState::Executing, RunState::Finalizing];
    // Its records hold the runs that go on; with them a process lets go of its runs.
    let ended = FileRecords::open(host.folder());
    let gone = [0, 1, 2].map(|at| unfinished(&ended, gone[at], at as u32));
    let alive = FileRecords::open(host.folder());
    let going = unfinished(&alive, RunState::Executing, 3);
    drop(ended);
    assert_eq!(names(&host, "runs/active").len(), 4);

    // What a host does when it starts.
    let records = FileRecords::open(host.folder());
    for record in &gone {
        let now = records.get(&record.id).expect("kept");
        assert_eq!(now.state, RunState::Interrupted);
        assert!(now.error.as_ref().is_some_and(|error| error.contains("process ended")));
        assert_eq!(RunRecord { state: record.state, error: None, ..now }, *record);
    }
    assert_eq!(records.get(&going.id).expect("kept"), going);
    assert_eq!(records.get(&done.id).expect("kept"), done);
    assert_eq!(names(&host, "runs/active"), [going.id]);
}

#[test]
fn it_names_plugins_model_order_and_pictures() {
    every_way(|wiring| {
        let host = host(&["probe-b", "probe-a"], wiring);
        let finished = host.draw(RunRequest { batch_size: 2, ..host.request() });
        let record = finished.record;
        let ids: Vec<_> = record.plugins.iter().map(|plugin| plugin.id.as_str()).collect();
        assert_eq!(ids, ["probe-a", "probe-b"]);
        for plugin in &record.plugins {
            let bytes = fs::read(&plugin.path).expect("the library");
            assert_eq!(plugin.hash, blake3::hash(&bytes).to_hex().to_string());
        }
        assert_eq!(record.order["process"], ["probe-a", "probe-b"]);
        assert_eq!(record.order["finish"], ["probe-b", "probe-a"]);
        assert_eq!(record.model.expect("a model").name, "fake");
        assert_eq!(record.outputs.len(), 3);
        for output in &record.outputs {
            let file = image::open(output.path.as_ref().expect("a file")).expect("a picture");
            let pixels = blake3::hash(&file.into_rgb8()).to_hex().to_string();
            assert_eq!(output.pixels, pixels, "PNG keeps every pixel");
            let drawn = finished.pictures.iter().find(|p| p.path == output.path).expect("drawn");
            assert_eq!((drawn.seed, drawn.grid), (output.seed, output.grid));
        }
    });
}
