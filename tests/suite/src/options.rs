//! Options of hosts and runs, as tests set them and as records tell them.

use std::{fs, path::PathBuf};

use atelier_host::{
    options::{Value as OptionValue, Writer},
    run::{Finished, RunRecord, RunRequest, seam::LedgerRow},
};
use atelier_testkit::TestHost;
use image::RgbImage;
use serde_json::{Map, Value};

/// Writes a live option as somebody outside of all runs.
pub fn set(host: &TestHost, key: &str, value: Value, writer: Writer) {
    let value = OptionValue::from_json(value).expect("a value that options can hold");
    host.atelier().store().set(key, value, writer).unwrap_or_else(|error| panic!("{error}"));
}

/// The request with these overrides.
pub fn overriding(request: RunRequest, overrides: &Value) -> RunRequest {
    let override_settings = overrides.as_object().cloned().expect("an object of overrides");
    RunRequest { override_settings, ..request }
}

/// All live options as JSON, unknown keys of `config.json` included.
pub fn live(host: &TestHost) -> Map<String, Value> {
    let state = host.atelier().store().load();
    state.options.iter().map(|(key, value)| (key.to_owned(), value.to_json())).collect()
}

/// The file of a run's snapshot.
pub fn snapshot_file(host: &TestHost, record: &RunRecord) -> PathBuf {
    let digest = record.snapshot.expect("a digest");
    host.folder().join("snapshots").join(format!("{digest}.json"))
}

/// A run's snapshot, read back from its file.
pub fn snapshot(host: &TestHost, record: &RunRecord) -> Map<String, Value> {
    let text = fs::read(snapshot_file(host, record)).expect("a kept snapshot");
    serde_json::from_slice(&text).expect("an object of options")
}

/// A value as canonical JSON writes it: a whole number has no point, whatever its type.
pub fn canonical(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 => (float as i64).into(),
            _ => value.clone(),
        },
        Value::Array(list) => list.iter().map(canonical).collect(),
        Value::Object(map) => {
            map.iter().map(|(key, value)| (key.clone(), canonical(value))).collect()
        }
        other => other.clone(),
    }
}

/// The ledger's row, if there is one.
pub fn row<'a>(
    record: &'a RunRecord,
    reader: &str,
    hook: &str,
    option: &str,
) -> Option<&'a LedgerRow> {
    let mut rows = record.ledger.iter();
    rows.find(|row| row.reader == reader && row.hook == hook && row.option == option)
}

/// The pixels of a run's pictures.
pub fn pixels(finished: &Finished) -> Vec<&RgbImage> {
    finished.pictures.iter().map(|picture| &picture.image).collect()
}

/// The endings of a run's files; none where a picture was not saved.
pub fn endings(finished: &Finished) -> Vec<Option<&str>> {
    let paths = finished.pictures.iter().map(|picture| picture.path.as_ref());
    paths.map(|path| path.and_then(|path| path.extension()?.to_str())).collect()
}
