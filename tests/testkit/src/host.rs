//! A host in a folder of its own.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use atelier_host::{
    Atelier, Config,
    plugins::{
        Decorator, Isolating, Isolation, Loader, Manifest, Needs, PluginId, ThroughBytes, Workers,
        trust::Trust,
    },
    run::{CancelToken, Finished, Refused, RunRequest, Runner, pipeline::ModelProvider},
};
use atelier_plugin_abi::host::Module;
use atelier_plugin_api::LinkedPlugin;
use image::RgbImage;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{Drawing, FakeProvider};

/// How plugins are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wiring {
    /// In this process.
    Direct,
    /// In this process, but with every frame put through bytes.
    Loopback,
    /// Each in a worker process of this `atelier` program, which may write to the host's folder.
    Worker(&'static Path),
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

/// Makes a [`TestHost`].
#[derive(Debug)]
pub struct TestHostBuilder {
    libraries: Vec<PathBuf>,
    linked: Vec<Module>,
    wiring: Wiring,
    config: Map<String, Value>,
    recording: bool,
    provider: Option<Arc<dyn ModelProvider>>,
    #[cfg(feature = "checkpoint")]
    checkpoint: bool,
}

impl TestHostBuilder {
    /// A plugin that is linked into the test: its type, marked with `#[plugin]`.
    #[must_use]
    pub fn linked<P: LinkedPlugin>(mut self) -> Self {
        self.linked.push(P::linked());
        self
    }

    /// A plugin from its library.
    #[must_use]
    pub fn library(mut self, library: impl Into<PathBuf>) -> Self {
        self.libraries.push(library.into());
        self
    }

    /// How plugins are called.
    #[must_use]
    pub fn wiring(mut self, wiring: Wiring) -> Self {
        self.wiring = wiring;
        self
    }

    /// An option that was set before the host began, as in `config.json`.
    #[must_use]
    pub fn option(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config.insert(key.to_owned(), value.into());
        self
    }

    /// Records no snapshots.
    #[must_use]
    pub fn without_recording(mut self) -> Self {
        self.recording = false;
        self
    }

    /// Draws on an engine of the test's own.
    #[must_use]
    pub fn engine(mut self, provider: Arc<dyn ModelProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Draws on the default checkpoint instead of the fake engine.
    #[cfg(feature = "checkpoint")]
    #[must_use]
    pub fn checkpoint(mut self) -> Self {
        self.checkpoint = true;
        self
    }

    /// The host, with every plugin loaded.
    ///
    /// # Panics
    /// If it cannot be opened, or a plugin cannot be loaded: with the reason.
    pub fn build(self) -> TestHost {
        let host = self.build_whatever_comes();
        for entry in host.atelier.plugins() {
            let reason = entry.state.reason();
            assert_eq!(reason, None, "{} is not loaded", entry.path.display());
        }
        host
    }

    /// The host; what became of its plugins is for the test to ask ([`Atelier::plugins`]).
    ///
    /// # Panics
    /// If it cannot be opened, or a linked plugin cannot be added.
    pub fn build_whatever_comes(self) -> TestHost {
        let folder = TempDir::new().expect("a temporary folder");
        let config = Value::Object(self.config).to_string();
        std::fs::write(folder.path().join("config.json"), config).expect("config.json");
        let decorators: Vec<Arc<dyn Decorator>> = match self.wiring {
            Wiring::Direct | Wiring::Worker(_) => Vec::new(),
            Wiring::Loopback => vec![Arc::new(ThroughBytes)],
        };
        let config = Config {
            data: folder.path().to_owned(),
            plugins: self.libraries,
            no_extensions: false,
            decorators: decorators.clone(),
            isolating: isolating(self.wiring, folder.path()),
            trust: Trust::All,
            safe: false,
            locked: false,
        };
        let atelier = Atelier::open(&config).expect("an open host");
        for module in self.linked {
            let manifest = Manifest::parse(&module.manifest()).expect("a manifest");
            let loader = Loader { decorators: decorators.clone(), ..atelier.loader() };
            let (hash, path) = ("0".repeat(64), PathBuf::from(manifest.id.as_str()));
            let added = loader.add(module, manifest, hash, path, atelier.store());
            added.unwrap_or_else(|error| panic!("the linked plugin is not loaded: {error}"));
        }
        let provider = match self.provider {
            Some(provider) => provider,
            #[cfg(feature = "checkpoint")]
            None if self.checkpoint => {
                Arc::new(atelier_host::engine::EngineProvider::new(folder.path()))
            }
            None => Arc::new(FakeProvider::default()),
        };
        let runner = atelier.runner(provider).recording(self.recording).build();
        TestHost { folder, atelier, runner }
    }
}

fn isolating(wiring: Wiring, folder: &Path) -> Isolating {
    let Wiring::Worker(program) = wiring else { return Isolating::default() };
    Isolating {
        all: Some(Isolation::Worker),
        workers: Some(Workers {
            program: program.to_owned(),
            deadline: Some(Duration::from_mins(1)),
            environment: Vec::new(),
        }),
        granted_to_all: Needs { write: vec![folder.to_owned()], ..Needs::default() },
        ..Isolating::default()
    }
}

impl TestHost {
    /// A host to be made, on the fake engine, with no plugins yet.
    pub fn builder() -> TestHostBuilder {
        TestHostBuilder {
            libraries: Vec::new(),
            linked: Vec::new(),
            wiring: Wiring::Direct,
            config: Map::new(),
            recording: true,
            provider: None,
            #[cfg(feature = "checkpoint")]
            checkpoint: false,
        }
    }

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
    /// If the host cannot be opened, or the configuration is no object.
    pub fn with(
        plugins: &[PathBuf],
        wiring: Wiring,
        config: &Value,
        recording: bool,
        provider: Arc<dyn ModelProvider>,
    ) -> Self {
        let builder = TestHostBuilder {
            libraries: plugins.to_vec(),
            config: config.as_object().expect("an object of options").clone(),
            recording,
            ..Self::builder().wiring(wiring).engine(provider)
        };
        builder.build_whatever_comes()
    }

    /// A picture from a prompt: 64×64, 4 steps, Euler, seed 7, nothing saved, unless the test says
    /// otherwise.
    pub fn txt2img(&self, prompt: &str) -> Drawing<'_> {
        let request = RunRequest {
            prompt: prompt.to_owned(),
            do_not_save_samples: true,
            do_not_save_grid: true,
            ..self.request()
        };
        Drawing::new(self, request)
    }

    /// A picture from a picture and a prompt, with denoising strength 0.75.
    pub fn img2img(&self, picture: RgbImage, prompt: &str) -> Drawing<'_> {
        self.txt2img(prompt).from_picture(picture, 0.75)
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
