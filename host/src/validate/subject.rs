//! The plugin under check, and hosts to try it in.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Map, Value as Json};

use super::{
    check::{Verdict, ensure},
    companion,
    recorder::{Facts, Recorder},
};
use crate::{
    Atelier, Config,
    fake::FakeProvider,
    options::OptionSpec,
    plugins::{
        ArgSpec, Decorator, GivenArgs, Isolating, Isolation, LoadError, Manifest, PluginId, cache,
        trust::Trust,
    },
    run::{
        CancelToken, Finished, RunRequest, RunState, Runner, pipeline::ModelProvider,
        record::HookFailure,
    },
};

/// The plugin under check.
#[derive(Debug)]
pub struct Subject {
    /// Its library.
    pub library: PathBuf,
    /// An older build of it, where there is one to compare with.
    pub against: Option<PathBuf>,
    /// What chance is drawn from.
    pub seed: u64,
    /// A folder for whatever a check needs; gone when it is over.
    pub scratch: PathBuf,
    /// Where the hook of the moment is written.
    pub crumbs: Option<PathBuf>,
    /// Real checkpoints, where there are any.
    pub checkpoints: Option<Arc<dyn ModelProvider>>,
    rigs: Cell<u32>,
}

/// How a host for a check differs from a plain one.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// A copy of the plugin instead of the library itself.
    pub library: Option<PathBuf>,
    /// `config.json`.
    pub config: Map<String, Json>,
    /// Another plugin beside this one.
    pub companion: bool,
    /// No snapshot is recorded.
    pub without_recording: bool,
    /// Wrapped around the plugin's handle, inside of the recorder.
    pub decorators: Vec<Arc<dyn Decorator>>,
    /// The default checkpoint instead of the fake engine.
    pub real: bool,
}

/// A host with the plugin in it.
#[derive(Debug)]
pub struct Rig {
    /// The host.
    pub atelier: Atelier,
    /// What it draws with.
    pub runner: Runner,
    /// What it has seen of the plugin.
    pub recorder: Recorder,
    /// The plugin's id.
    pub id: PluginId,
    /// Whether runs have to select it.
    selectable: bool,
}

impl Subject {
    /// A plugin to check.
    pub fn new(library: PathBuf, seed: u64, scratch: PathBuf) -> Self {
        Self {
            library,
            against: None,
            seed,
            scratch,
            crumbs: None,
            checkpoints: None,
            rigs: Cell::new(0),
        }
    }

    /// The library's bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, Verdict> {
        fs::read(&self.library)
            .map_err(|error| Verdict::skip(format!("it cannot be read: {error}")))
    }

    /// What the file says of itself.
    pub fn manifest(&self) -> Result<Manifest, Verdict> {
        Manifest::of_library(&self.bytes()?).map_err(|error| Verdict::skip(error.to_string()))
    }

    /// A folder of its own for something.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf, Verdict> {
        let number = self.rigs.replace(self.rigs.get() + 1);
        let folder = self.scratch.join(format!("{name}-{number}"));
        fs::create_dir_all(&folder).map_err(|error| {
            Verdict::skip(format!("{} cannot be made: {error}", folder.display()))
        })?;
        Ok(folder)
    }

    /// A host with the plugin in it.
    pub fn rig(&self, setup: Setup) -> Result<Rig, Verdict> {
        let library = setup.library.as_ref().unwrap_or(&self.library);
        let id = self.manifest()?.id;
        let mut recorder = Recorder::of(id.clone());
        if let Some(crumbs) = &self.crumbs {
            let _ = fs::write(crumbs, "loading\n");
            recorder = recorder.with_crumbs(crumbs);
        }
        let data = self.folder("host")?;
        let config = Json::Object(setup.config.clone()).to_string();
        fs::write(data.join("config.json"), config)
            .map_err(|error| Verdict::skip(format!("config.json cannot be written: {error}")))?;
        let mut decorators = setup.decorators;
        decorators.push(Arc::new(recorder.clone()));
        let atelier = Atelier::open(&Config {
            data,
            plugins: vec![library.clone()],
            no_extensions: true,
            // Whoever validates a plugin has decided to run it.
            trust: Trust::All,
            safe: false,
            locked: false,
            // The process of the check is isolation enough.
            isolating: Isolating { all: Some(Isolation::InProcess), ..Isolating::default() },
            decorators,
        })
        .map_err(|error| Verdict::skip(error.to_string()))?;
        if setup.companion {
            companion::join(&atelier).map_err(|error| Verdict::skip(error.to_string()))?;
        }
        if let Some(reason) = atelier.plugins()[0].state.reason() {
            return Err(Verdict::fail(format!("it is not loaded: {reason}")));
        }
        let provider: Arc<dyn ModelProvider> = match (setup.real, &self.checkpoints) {
            (false, _) => Arc::new(FakeProvider::default()),
            (true, Some(checkpoints)) => checkpoints.clone(),
            (true, None) => return Err(Verdict::skip("there is no checkpoint to draw with")),
        };
        let runner = atelier.runner(provider).recording(!setup.without_recording).build();
        let state = atelier.store().load_full();
        let selectable = state.companion.get(&id).is_some_and(|plugin| plugin.is_selectable());
        Ok(Rig { atelier, runner, recorder, id, selectable })
    }

    /// A plain host.
    pub fn plain(&self) -> Result<Rig, Verdict> {
        self.rig(Setup::default())
    }

    /// A copy of the library under another name: another module to the system's loader.
    pub(super) fn copy(&self, name: &str) -> Result<PathBuf, Verdict> {
        let copy = self.folder("copy")?.join(format!("{name}{}", std::env::consts::DLL_SUFFIX));
        fs::copy(&self.library, &copy).map_err(|error| Verdict::skip(error.to_string()))?;
        Ok(copy)
    }

    /// Opens the library as a host does, and nothing more.
    pub(super) fn open(&self) -> Result<atelier_plugin_abi::host::Module, LoadError> {
        let copy = cache::copy(&self.library, &self.scratch.join("cache"))?;
        crate::plugins::library::open(&copy.path)
    }
}

impl Rig {
    /// A small, quick request that selects the plugin where that is needed.
    pub fn request(&self) -> RunRequest {
        RunRequest {
            prompt: "a red cat, [best|quality]".to_owned(),
            negative_prompt: "blurry".to_owned(),
            seed: 7,
            subseed: 11,
            steps: 4,
            sampler_name: "Euler".to_owned(),
            script_name: self.selectable.then(|| self.id.clone()),
            ..RunRequest::default()
        }
    }

    /// Runs a request, whatever comes of it.
    pub fn run(&self, request: RunRequest) -> Result<Finished, Verdict> {
        self.runner
            .run(request, &CancelToken::new())
            .map_err(|refused| Verdict::skip(format!("the run is refused: {refused}")))
    }

    /// Runs a request in which nothing may go wrong.
    pub fn draw(&self, request: RunRequest) -> Result<Finished, Verdict> {
        let finished = self.run(request)?;
        if let Some(failure) = self.failures(&finished).first() {
            return Err(Verdict::fail(told(failure)));
        }
        ensure(finished.record.state == RunState::Done, || {
            format!("the run is {}: {}", finished.record.state.word(), error(&finished))
        })?;
        Ok(finished)
    }

    /// Runs a request in which the plugin may fail, but not panic.
    pub fn endure(&self, request: RunRequest) -> Result<Finished, Verdict> {
        let finished = self.run(request)?;
        match self.failures(&finished).iter().find(|failure| failure.status == "panicked") {
            None => Ok(finished),
            Some(failure) => Err(Verdict::fail(told(failure))),
        }
    }

    /// The plugin's own failures in a run.
    pub fn failures(&self, finished: &Finished) -> Vec<HookFailure> {
        let failures = finished.record.failures.iter();
        failures.filter(|failure| failure.plugin == self.id.as_str()).cloned().collect()
    }

    /// What the recorder has seen, which it forgets.
    pub fn facts(&self) -> Facts {
        self.recorder.take()
    }

    /// The plugin's options.
    pub fn options(&self) -> Vec<OptionSpec> {
        let state = self.atelier.store().load_full();
        state
            .companion
            .get(&self.id)
            .map(|plugin| plugin.declaration.options.clone())
            .unwrap_or_default()
    }

    /// The plugin's arguments.
    pub fn args(&self) -> Vec<ArgSpec> {
        let state = self.atelier.store().load_full();
        state
            .companion
            .get(&self.id)
            .map(|plugin| plugin.declaration.args.clone())
            .unwrap_or_default()
    }

    /// The same request with arguments for the plugin.
    pub fn with_args(&self, request: RunRequest, args: Map<String, Json>) -> RunRequest {
        let mut request = request;
        request.plugin_args.insert(self.id.clone(), GivenArgs::Named(args));
        request
    }
}

/// A failure in one sentence.
pub(super) fn told(failure: &HookFailure) -> String {
    let times =
        if failure.times > 1 { format!(", {} times", failure.times) } else { String::new() };
    let place = match failure.place.as_str() {
        "" => String::new(),
        place => format!(" ({place})"),
    };
    format!("{} {}{times}: {}{place}", failure.hook, failure.status, failure.message)
}

pub(super) fn error(finished: &Finished) -> String {
    finished.error.as_ref().map_or_else(|| "no reason is given".to_owned(), ToString::to_string)
}

/// The pixels of a run's pictures, as one hash.
pub fn pixels(finished: &Finished) -> String {
    let mut hasher = blake3::Hasher::new();
    for picture in &finished.pictures {
        let (width, height) = picture.image.dimensions();
        hasher.update(&width.to_le_bytes()).update(&height.to_le_bytes());
        hasher.update(&picture.image);
    }
    hasher.finalize().to_hex().to_string()
}

/// A data file next to the library, such as `validate.toml`.
pub(super) fn beside(library: &Path, name: &str) -> PathBuf {
    library.parent().unwrap_or(Path::new(".")).join(name)
}
