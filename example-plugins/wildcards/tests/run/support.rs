//! Hosts with the plugin, requests to them, and what came of it.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, RunRequest},
};
use atelier_testkit::{TestHost, Wiring, build};
use serde_json::{Value, json};

/// A host with the plugin, built once.
pub(crate) fn host(wiring: Wiring) -> TestHost {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        build::cdylibs(root, &["wildcards"], &[]).remove("wildcards").expect("a library")
    });
    TestHost::new(std::slice::from_ref(library), wiring)
}

/// Overrides that lead to the files that come with the plugin.
pub(crate) fn shipped() -> Value {
    json!({ "wildcards_folder": concat!(env!("CARGO_MANIFEST_DIR"), "/wildcards") })
}

/// Writes wildcard files into the host's folder; overrides that lead to them.
pub(crate) fn files(host: &TestHost, files: &[(&str, &str)]) -> Value {
    let folder = host.folder().join("files");
    for (name, text) in files {
        let path = folder.join(name).with_extension("txt");
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    json!({ "wildcards_folder": folder })
}

/// A small request, whose pictures are not saved: what they are is in the answer.
pub(crate) fn request(host: &TestHost, prompt: &str, overrides: Value) -> RunRequest {
    let Value::Object(override_settings) = overrides else { panic!("no object of overrides") };
    RunRequest {
        prompt: prompt.to_owned(),
        override_settings,
        steps: 1,
        do_not_save_samples: true,
        do_not_save_grid: true,
        ..host.request()
    }
}

/// The request with these arguments for the plugin.
pub(crate) fn with_args(mut request: RunRequest, args: &Value) -> RunRequest {
    let id = PluginId::new("wildcards").expect("an id");
    let args = GivenArgs::Named(args.as_object().expect("an object").clone());
    request.plugin_args.insert(id, args);
    request
}

/// The prompts that were drawn, one per picture.
pub(crate) fn prompts(finished: &Finished) -> Vec<String> {
    let prompt =
        |infotext: &str| infotext.split_once("\nSteps: ").map(|(before, _)| before.to_owned());
    finished
        .pictures
        .iter()
        .map(|picture| prompt(&picture.infotext).expect("an infotext"))
        .collect()
}

/// The negative prompt that was drawn.
pub(crate) fn negative(finished: &Finished) -> &str {
    let (_, from) = finished.pictures[0].infotext.split_once("Negative prompt: ").expect("one");
    from.lines().next().unwrap_or_default()
}

/// The pixels of every picture.
pub(crate) fn pixels(finished: &Finished) -> Vec<&[u8]> {
    finished.pictures.iter().map(|picture| picture.image.as_raw().as_slice()).collect()
}

/// What is logged, as text.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The warnings while `act` runs.
pub(crate) fn warnings(act: impl FnOnce()) -> Vec<String> {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    tracing::subscriber::with_default(subscriber, act);
    let text = captured.0.lock().expect("no panic").clone();
    String::from_utf8(text).expect("text").lines().map(str::to_owned).collect()
}
