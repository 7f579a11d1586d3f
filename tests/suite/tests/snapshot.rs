//! The moment of the snapshot, what is in it, and what never comes into it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use atelier_host::{
    options::{Snapshot, Writer},
    plugins::LiveOptions,
    run::{
        CancelToken, FileRecords, Finished, RecordStore, RunRecord, RunRequest, Runner,
        pipeline::{Catalogue, Checkpoint, ModelProvider, Pipeline, PipelineError},
        record::RecordError,
    },
};
use atelier_suite::{
    Log, every_way,
    gate::{Gate, draw_through, run_through},
    host, host_with,
    options::{canonical, live, overriding, row, set, snapshot},
};
use atelier_testkit::{FakeProvider, TestHost, Wiring};
use serde_json::{Value, json};

fn digest(finished: &Finished) -> String {
    finished.record.snapshot.expect("a digest").to_string()
}

#[test]
fn overrides_added_in_before_process_are_in_it() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = overriding(host.request(), &json!({ "jpeg_quality": 55 }));
        let script = json!({
            "before_process": [
                { "override": ["samples_format", "jpg"] },
                { "override": ["probe_a_list", ["three"]] },
                { "overrides": true },
            ],
            "start": [{ "snapshot": "samples_format" }, { "snapshot": "probe_a_list" }],
        });
        log.script(&mut request, "probe-a", &script);
        let record = host.draw(request).record;
        let added =
            json!({ "jpeg_quality": 55, "samples_format": "jpg", "probe_a_list": ["three"] });
        assert_eq!(log.results("probe-a", "before_process")[2], added);
        assert_eq!(log.results("probe-a", "start"), [json!("jpg"), json!(["three"])]);
        let taken = snapshot(&host, &record);
        assert_eq!(taken["samples_format"], "jpg");
        assert_eq!(taken["probe_a_list"], json!(["three"]));
        assert_eq!(taken["jpeg_quality"], 55);
        let writer = |key: &str| record.overrides[key].writer.clone();
        assert_eq!(writer("samples_format"), Writer::plugin("probe-a", Some(&record.id)));
        assert_eq!(writer("jpeg_quality"), Writer::Override { run: record.id.as_str().into() });
        assert_eq!(record.overrides.len(), 3);
    });
}

#[test]
fn it_is_the_state_right_after_before_process() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let (before, after) = (Gate::new(&host, "before"), Gate::new(&host, "after"));
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let script = json!({
            "before_process": [before.action(), { "set_live": ["probe_a_text", "by plugin"] }],
            "start": [after.action(), { "snapshot": "jpeg_quality" }],
        });
        log.script(&mut request, "probe-a", &script);
        let write = |quality: i64| set(&host, "jpeg_quality", json!(quality), Writer::Api);
        let finished = run_through(
            &host,
            request,
            &CancelToken::new(),
            &[(&before, &|| write(11)), (&after, &|| write(22))],
        );
        let taken = snapshot(&host, &finished.record);
        assert_eq!(taken["jpeg_quality"], 11);
        assert_eq!(taken["probe_a_text"], "by plugin");
        assert_eq!(log.results("probe-a", "start")[1], 11);
        assert_eq!(host.option("jpeg_quality"), 22);
    });
}

/// Checkpoints during whose loading somebody writes an option.
#[derive(Debug)]
struct Interrupted {
    fake: FakeProvider,
    store: Arc<LiveOptions>,
}

impl ModelProvider for Interrupted {
    fn get(&self, name: Option<&str>) -> Result<(Arc<dyn Pipeline>, bool), PipelineError> {
        self.store.set("jpeg_quality", 11, Writer::Api).expect("a value in range");
        self.fake.get(name)
    }
    fn list(&self) -> Vec<Checkpoint> {
        self.fake.list()
    }
    fn catalogue(&self) -> Catalogue {
        self.fake.catalogue()
    }
    fn size_multiple(&self, name: Option<&str>) -> Result<u32, PipelineError> {
        self.fake.size_multiple(name)
    }
}

#[test]
fn a_write_while_the_checkpoint_is_loaded_does_not_reach_it() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let store = host.atelier().store().clone();
        let provider = Interrupted { fake: FakeProvider::default(), store: store.clone() };
        let records = Arc::new(FileRecords::open(host.folder()));
        let runner = Runner::builder(store, Arc::new(provider), records, host.folder()).build();
        let log = Log::new(&host, "log");
        let mut request = host.request();
        let look = json!([{ "snapshot": "jpeg_quality" }, { "live": "jpeg_quality" }]);
        log.script(&mut request, "probe-a", &json!({ "start": look }));
        let finished = runner.run(request, &CancelToken::new()).expect("accepted");
        assert_eq!(log.results("probe-a", "start"), [json!(80), json!(11)]);
        assert_eq!(snapshot(&host, &finished.record)["jpeg_quality"], 80);
        let row = row(&finished.record, "probe-a", "start", "jpeg_quality").expect("a row");
        assert_eq!((row.snapshot, row.live, row.diverged), (1, 1, 1));
    });
}

#[test]
fn prompts_and_seeds_are_final_when_it_is_taken() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest {
            seed: -1,
            subseed: -1,
            batch_size: 2,
            n_iter: 2,
            steps: 1,
            ..host.request()
        };
        let script = json!({
            "before_process": [{ "set_prompt": ["a dog"] }],
            "start": [{ "params": true }],
        });
        log.script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        let prepared = finished.record.prepared.expect("a prepared run");
        let seen = &log.results("probe-a", "start")[0];
        assert_eq!(seen["prompts"], json!(["a dog", "a dog", "a dog", "a dog"]));
        assert_eq!(seen["prompts"], json!(prepared.pictures.all_prompts));
        assert_eq!(seen["negative_prompts"], json!(prepared.pictures.all_negative_prompts));
        assert_eq!(seen["seeds"], json!(prepared.pictures.all_seeds));
        assert_eq!(seen["subseeds"], json!(prepared.pictures.all_subseeds));
        assert!(prepared.pictures.all_seeds.iter().all(|seed| *seed >= 0));
        let drawn: Vec<i64> = finished.pictures.iter().skip(1).map(|p| p.seed).collect();
        assert_eq!(drawn, prepared.pictures.all_seeds);
    });
}

#[test]
fn later_writes_do_not_reach_it() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let gate = Gate::new(&host, "gate");
        let log = Log::new(&host, "log");
        let mut request = overriding(host.request(), &json!({ "jpeg_quality": 55 }));
        let look = json!([
            { "snapshot": "probe_a_text" },
            { "snapshot": "probe_a_number" },
            { "snapshot": "probe_a_list" },
            { "snapshot": "jpeg_quality" },
            { "snapshot": "samples_format" },
        ]);
        let mut process = json!([
            { "set_live": ["probe_a_text", "later"] },
            { "set_run": ["probe_a_number", 5.0] },
            { "set_live": ["probe_a_list", ["x", "y"]] },
            { "set_live": ["jpeg_quality", 99] },
            gate.action(),
        ]);
        process.as_array_mut().unwrap().extend(look.as_array().unwrap().clone());
        log.script(&mut request, "probe-a", &json!({ "process": process, "finish": look }));
        let finished = draw_through(&host, request, &gate, || {
            set(&host, "samples_format", json!("webp"), Writer::Api);
            set(&host, "probe_a_list", json!(["z"]), Writer::Api);
        });
        let first = [json!("default"), json!(1.0), json!(["one", "two"]), json!(55), json!("png")];
        assert_eq!(log.results("probe-a", "process")[5..], first);
        assert_eq!(log.results("probe-a", "finish"), first);
        let taken = snapshot(&host, &finished.record);
        let keys = ["probe_a_text", "probe_a_number", "probe_a_list", "jpeg_quality"];
        assert_eq!(keys.map(|key| taken[key].clone()), [0, 1, 2, 3].map(|i| canonical(&first[i])));
        assert_eq!(host.option("probe_a_list"), json!(["z"]));
    });
}

#[test]
fn it_has_every_key_of_the_store_with_defaults_and_unknown_ones() {
    every_way(|wiring| {
        let stored = json!({
            "samples_format": "webp",
            "an_option_of_a_lost_plugin": { "deep": [1, { "er": null }] },
        });
        let host = host_with(&["probe-a", "watermark"], wiring, &stored, true);
        let mut expected = live(&host);
        let overrides = json!({ "CLIP_stop_at_last_layers": 2 });
        let finished = host.draw(overriding(host.request(), &overrides));
        expected.insert("CLIP_stop_at_last_layers".to_owned(), json!(2));
        let taken = snapshot(&host, &finished.record);
        assert_eq!(taken.len(), expected.len());
        for (key, value) in &expected {
            assert_eq!(taken.get(key), Some(&canonical(value)), "{key}");
        }
        assert_eq!(taken["an_option_of_a_lost_plugin"], stored["an_option_of_a_lost_plugin"]);
        assert_eq!(taken["samples_format"], "webp");
        assert_eq!(taken["watermark_text"], "Atelier");
        assert_eq!(taken["eta_ancestral"], 1);
        assert!(!taken.keys().any(|key| ["seam", "on_error", "isolation"].contains(&key.as_str())));
    });
}

/// Records in files that notes every snapshot it is given.
#[derive(Debug)]
struct Noting {
    files: FileRecords,
    snapshots: Mutex<Vec<Snapshot>>,
}

impl RecordStore for Noting {
    fn put(&self, record: &RunRecord) -> Result<(), RecordError> {
        self.files.put(record)
    }
    fn get(&self, id: &str) -> Result<RunRecord, RecordError> {
        self.files.get(id)
    }
    fn last(&self, count: usize) -> Result<Vec<RunRecord>, RecordError> {
        self.files.last(count)
    }
    fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), RecordError> {
        self.snapshots.lock().unwrap().push(snapshot.clone());
        self.files.put_snapshot(snapshot)
    }
    fn put_blob(&self, bytes: &[u8]) -> Result<String, RecordError> {
        self.files.put_blob(bytes)
    }
}

fn noting(host: &TestHost) -> (Arc<Noting>, Runner) {
    let files = FileRecords::open(host.folder());
    let records = Arc::new(Noting { files, snapshots: Mutex::default() });
    let store = host.atelier().store().clone();
    let provider = Arc::new(FakeProvider::default());
    (records.clone(), Runner::builder(store, provider, records, host.folder()).build())
}

#[test]
fn it_is_taken_once_per_run() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let (records, runner) = noting(&host);
        let log = Log::new(&host, "log");
        let mut request = RunRequest {
            n_iter: 2,
            steps: 2,
            ..overriding(host.request(), &json!({ "n_rows": 1 }))
        };
        let hooks = ["process", "process_batch", "after_step", "postprocess_image", "finish"];
        let actions = json!([
            { "set_live": ["probe_a_number", 3.0] },
            { "set_run": ["probe_a_text", "mine"] },
            { "set_live": ["n_rows", 2] },
            { "snapshot_all": true },
        ]);
        let script = hooks.iter().map(|hook| ((*hook).to_owned(), actions.clone())).collect();
        log.script(&mut request, "probe-a", &script);
        let finished = runner.run(request, &CancelToken::new()).expect("accepted");
        assert!(finished.error.is_none());
        let mut seen = hooks.iter().flat_map(|hook| log.results("probe-a", hook));
        let first = seen.nth(3).expect("a look at the snapshot");
        assert_eq!(first["own"]["probe_a_text"], "default");
        assert_eq!(first["own"]["probe_a_number"], 1.0, "a live write before the first look");
        assert!(seen.filter(Value::is_object).all(|later| later == first));
        let kept = records.snapshots.lock().unwrap();
        assert_eq!(kept.len(), 1);
        assert_eq!(Some(kept[0].digest()), finished.record.snapshot);
    });
}

#[test]
fn equal_options_have_equal_digests_and_others_do_not() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let with = |overrides| digest(&host.draw(overriding(host.request(), &overrides)));
        let plain = with(json!({}));
        assert_eq!(with(json!({})), plain);
        // Seed, prompt and seam mode belong to the run and not to its options.
        let other = RunRequest { seed: 99, prompt: "a dog".to_owned(), ..host.request() };
        assert_eq!(digest(&host.draw(other)), plain);
        assert_ne!(with(json!({ "jpeg_quality": 79 })), plain);
        assert_ne!(with(json!({ "probe_a_list": ["two", "one"] })), plain);
        assert_eq!(with(json!({ "jpeg_quality": 80, "probe_a_list": ["one", "two"] })), plain);
        set(&host, "jpeg_quality", json!(79), Writer::Api);
        assert_eq!(with(json!({})), with(json!({ "jpeg_quality": 79 })));
        assert_eq!(with(json!({ "jpeg_quality": 80 })), plain);
    });
}

#[test]
fn hosts_in_different_folders_have_the_same_digest() {
    let draw = |wiring| {
        let host = host(&["probe-a", "watermark"], wiring);
        let finished = host.draw(host.request());
        let taken = snapshot(&host, &finished.record);
        let folder = host.folder().to_string_lossy().into_owned();
        let absolute = taken.iter().filter(|(_, value)| value.to_string().contains(&folder));
        assert_eq!(absolute.collect::<Vec<_>>(), []);
        let path = finished.pictures[0].path.clone().expect("a saved picture");
        assert!(path.starts_with(&folder), "{}", path.display());
        digest(&finished)
    };
    let digests = [Wiring::Direct, Wiring::Direct, Wiring::Loopback].map(draw);
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}
