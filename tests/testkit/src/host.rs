//! A host in a folder of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use atelier_host::{
    Atelier, Config,
    plugins::{PluginId, ThroughBytes},
    run::{CancelToken, Finished, Refused, RunRequest, Runner, pipeline::ModelProvider},
};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::FakeProvider;

/// How plugins are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// In this process.
    Direct,
    /// In this process, but with every frame put through bytes.
    Loopback,
}

/// Runs a test with plugins called directly, and again with every frame put through bytes.
pub fn both_ways(test: impl Fn(Wiring)) {
    test(Wiring::Direct);
    test(Wiring::Loopback);
}

/// A host with plugins and a folder that is removed with it.
#[derive(Debug)]
pub struct TestHost {
    folder: TempDir,
    atelier: Atelier,
    runner: Runner,
}

impl TestHost {
    /// A host on the fake engine with the plugins from these files.
    ///
    /// # Panics
    /// If the host cannot be opened.
    pub fn new(plugins: &[PathBuf], wiring: Wiring) -> Self {
        Self::with(plugins, wiring, &json!({}), true, Arc::new(FakeProvider::default()))
    }

    /// A host with a `config.json`, with or without recording, on any engine.
    ///
    /// # Panics
    /// If the host cannot be opened.
    pub fn with(
        plugins: &[PathBuf],
        wiring: Wiring,
        config: &Value,
        recording: bool,
        provider: Arc<dyn ModelProvider>,
    ) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        std::fs::write(folder.path().join("config.json"), config.to_string()).expect("config.json");
        let config = Config {
            data: folder.path().to_owned(),
            plugins: plugins.to_vec(),
            no_extensions: false,
            decorators: match wiring {
                Wiring::Direct => Vec::new(),
                Wiring::Loopback => vec![Arc::new(ThroughBytes)],
            },
        };
        let atelier = Atelier::open(&config).expect("an open host");
        let runner = atelier.runner(provider).recording(recording).build();
        Self { folder, atelier, runner }
    }

    /// The host's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The host.
    pub fn atelier(&self) -> &Atelier {
        &self.atelier
    }

    /// What runs requests.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// A small, quick request: 64×64, 4 steps, Euler, seed 7.
    pub fn request(&self) -> RunRequest {
        RunRequest {
            prompt: "a cat".to_owned(),
            seed: 7,
            subseed: 11,
            steps: 4,
            sampler_name: "Euler".to_owned(),
            ..RunRequest::default()
        }
    }

    /// Runs a request.
    ///
    /// # Errors
    /// Where it is refused.
    pub fn run(&self, request: RunRequest) -> Result<Finished, Refused> {
        self.runner.run(request, &CancelToken::new())
    }

    /// Runs a request that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn draw(&self, request: RunRequest) -> Finished {
        let finished = self.run(request).unwrap_or_else(|refused| panic!("refused: {refused}"));
        assert!(finished.error.is_none(), "failed: {:?}", finished.error);
        finished
    }

    /// A live option.
    ///
    /// # Panics
    /// If there is no such option.
    pub fn option(&self, key: &str) -> Value {
        let state = self.atelier.store().load();
        state.options.by_key(key).unwrap_or_else(|| panic!("no option {key}")).to_json()
    }
}

/// Gives a probe its script, and a log in the host's folder.
pub fn script(request: &mut RunRequest, plugin: &str, log: &Path, script: &Value) {
    let args: Map<String, Value> = Map::from_iter([
        ("log".to_owned(), log.display().to_string().into()),
        ("script".to_owned(), script.to_string().into()),
    ]);
    let id = PluginId::new(plugin).expect("an id");
    request.plugin_args.insert(id, atelier_host::plugins::GivenArgs::Named(args));
}
