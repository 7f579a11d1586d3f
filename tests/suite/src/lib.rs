//! What the tests of this package share: the plugins, built once, and the probes' logs.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on panics"
)]

pub mod child;
pub mod command;
pub mod gate;
pub mod options;
pub mod outcome;
pub mod packages;
pub mod variant;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use atelier_host::run::{Hires, InitImages, Inpaint, RunRequest};
use atelier_testkit::{FakeProvider, TestHost, Wiring, build};
use image::{GrayImage, RgbImage};
use serde_json::{Value, json};

/// Every plugin that tests use.
const PACKAGES: [&str; 17] = [
    "prompt-styles",
    "watermark",
    "latent-noise",
    "option-drift",
    "misbehaving",
    "probe-a",
    "probe-b",
    "constructor-error",
    "constructor-panic",
    "same-id",
    "redeclares",
    "plain",
    "cycle-a",
    "cycle-b",
    "wants-ghost",
    "order-first",
    "selectable",
];

/// The root of the workspace.
pub fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.map(Path::to_owned).unwrap_or_default()
}

/// A host that draws on the default checkpoint, with these plugins.
///
/// # Panics
/// If a plugin does not build or load.
#[cfg(feature = "engine")]
pub fn engine_host(plugins: &[&str], wiring: Wiring) -> TestHost {
    let plugins: Vec<PathBuf> = plugins.iter().map(|name| plugin(name)).collect();
    let models = tempfile::tempdir().expect("a temporary folder");
    let provider = atelier_host::engine::EngineProvider::new(models.path());
    TestHost::with(&plugins, wiring, &json!({}), true, Arc::new(provider))
}

/// The `atelier` program, built at the first call.
///
/// # Panics
/// If it does not build.
pub fn atelier() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| build::program(&root(), "atelier-host", "atelier"))
}

/// The library of a plugin. All are built at the first call, by the compiler of the tests.
///
/// # Panics
/// If they do not build, or there is no such plugin.
pub fn plugin(name: &str) -> PathBuf {
    let built = plugins();
    built.get(name).cloned().unwrap_or_else(|| panic!("no plugin {name} among {built:?}"))
}

/// All of them by name. A child of a test knows them from its parent.
fn plugins() -> &'static BTreeMap<String, PathBuf> {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    let known = || std::env::var(child::PLUGINS).ok();
    BUILT.get_or_init(|| match known().and_then(|text| serde_json::from_str(&text).ok()) {
        Some(built) => built,
        None => build::cdylibs(&root(), &PACKAGES, &[]),
    })
}

/// Runs a test with plugins called directly, with every frame put through bytes, and with every plugin
/// in a worker.
pub fn every_way(test: impl Fn(Wiring)) {
    atelier_testkit::both_ways(&test);
    #[cfg(target_os = "linux")]
    test(Wiring::Worker(atelier()));
}

/// A host on the fake engine with these plugins.
pub fn host(plugins: &[&str], wiring: Wiring) -> TestHost {
    host_with(plugins, wiring, &json!({}), true)
}

/// The same with this `config.json`, with or without recording.
pub fn host_with(plugins: &[&str], wiring: Wiring, config: &Value, recording: bool) -> TestHost {
    let plugins: Vec<PathBuf> = plugins.iter().map(|name| plugin(name)).collect();
    let provider = Arc::new(FakeProvider::default());
    let host = TestHost::with(&plugins, wiring, config, recording, provider);
    for entry in host.atelier().plugins() {
        assert_eq!(entry.state.reason(), None, "{}", entry.path.display());
    }
    host
}

/// A run of 64 × 64 pixels from a picture, of which the left half is drawn anew, with extra noise.
#[must_use]
pub fn masked(request: RunRequest) -> RunRequest {
    let picture = RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8 * 3, y as u8 * 3, 90]));
    let mask = GrayImage::from_fn(64, 64, |x, _| image::Luma([u8::from(x < 32) * 255]));
    let mut request = RunRequest {
        init_images: Some(InitImages(vec![picture])),
        inpaint: Some(Inpaint { inpaint_full_res: false, ..Inpaint::new(mask) }),
        ..request
    };
    request.override_settings.insert("img2img_extra_noise".to_owned(), json!(0.25));
    request
}

/// A kind of run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// As it is asked for.
    Plain,
    /// With a second pass of the same size.
    Hires,
    /// [`masked`].
    Masked,
}

impl Kind {
    /// The run in which a hook is called and has something to work on.
    #[must_use]
    pub fn with(hook: &str) -> Self {
        match hook {
            "before_hr" => Self::Hires,
            "extra_noise" | "on_mask_blend" | "postprocess_maskoverlay" => Self::Masked,
            _ => Self::Plain,
        }
    }

    /// The request made so.
    #[must_use]
    pub fn of(self, request: RunRequest) -> RunRequest {
        let hires = Hires { hr_scale: 1.0, ..Hires::default() };
        match self {
            Self::Plain => request,
            Self::Hires => RunRequest { hires: Some(hires), ..request },
            Self::Masked => masked(request),
        }
    }
}

/// A probe's log in the host's folder.
#[derive(Clone, Debug)]
pub struct Log(PathBuf);

impl Log {
    /// A log in the host's folder.
    pub fn new(host: &TestHost, name: &str) -> Self {
        Self(host.folder().join(name))
    }

    /// Gives a probe its script, and this log.
    pub fn script(&self, request: &mut RunRequest, probe: &str, script: &Value) {
        atelier_testkit::script(request, probe, &self.0, script);
    }

    /// All lines.
    ///
    /// # Panics
    /// If the log is there but is no log.
    pub fn lines(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The hooks of a probe in the order of their calls, `drop` included.
    pub fn hooks(&self, probe: &str) -> Vec<String> {
        let lines = self.lines().into_iter();
        let calls = lines.filter(|line| line["plugin"] == probe && line.get("action").is_none());
        calls.filter_map(|line| line["hook"].as_str().map(str::to_owned)).collect()
    }

    /// The results of a probe's actions at a hook: the value under `ok`, or the whole line where the
    /// action did not end well.
    pub fn results(&self, probe: &str, hook: &str) -> Vec<Value> {
        let lines = self.lines().into_iter();
        let actions = lines.filter(|line| {
            line["plugin"] == probe && line["hook"] == hook && line.get("action").is_some()
        });
        actions.map(|line| line.get("ok").cloned().unwrap_or(line)).collect()
    }
}
