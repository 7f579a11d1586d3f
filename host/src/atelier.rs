//! The host as a whole: data folder, options, plugins, records.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use atelier_plugin_abi::Hook;

use crate::{
    options::{
        ConfigError, ConfigFile, ConfigReport, OptionSet, OptionSpec, Owner, Schema, SchemaError,
        SetError, Store, Writer, a1111,
    },
    plugins::{
        Decorator, Entry, Isolating, Isolation, LiveOptions, Loader, PluginSet, cache,
        crumbs::{Crumbs, Culprit},
        decisions::Decisions,
        discover,
        lock::{Lock, LockError},
        trust::Trust,
    },
    run::{FileRecords, Runner, RunnerBuilder, pipeline::ModelProvider},
};

/// How a host is opened.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The folder of everything the host keeps: `config.json`, `extensions`, `models`, `outputs`,
    /// `runs`.
    pub data: PathBuf,
    /// Plugins beside those in `extensions`: libraries, or folders of libraries.
    pub plugins: Vec<PathBuf>,
    /// Leaves the plugins in `extensions` out.
    pub no_extensions: bool,
    /// What every plugin's handle is wrapped into, the first one innermost.
    pub decorators: Vec<Arc<dyn Decorator>>,
    /// Where plugins run.
    pub isolating: Isolating,
    /// Which of them may run.
    pub trust: Trust,
    /// Loads no plugin at all, whatever is selected.
    pub safe: bool,
    /// Refuses to open with other plugins than those in the lock file.
    pub locked: bool,
}

/// Why a host cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder cannot be made.
    #[error("{} cannot be made ({source}); give another folder with --data", path.display())]
    Data {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The data folder's path cannot be told to plugins.
    #[error("{} is no path in UTF-8, and plugins get paths as text; give another folder with --data", path.display())]
    DataPath {
        /// The folder.
        path: PathBuf,
    },
    /// `config.json` cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The program's own options contradict each other.
    #[error("the host's own options: {0}")]
    Schema(#[from] SchemaError),
    /// The lock file cannot be used, or the plugins are not those in it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A folder of plugins cannot be read.
    #[error("{} cannot be read ({source})", path.display())]
    Plugins {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An open host.
#[derive(Debug)]
pub struct Atelier {
    data: PathBuf,
    store: Arc<LiveOptions>,
    config: ConfigFile,
    report: ConfigReport,
    stale: Vec<SetError>,
    plugins: Vec<Entry>,
    culprits: Vec<Culprit>,
    isolating: Isolating,
}

impl Atelier {
    /// Opens a host: reads `config.json`, loads the plugins.
    ///
    /// A plugin that cannot be loaded is no reason not to open: [`Atelier::plugins`] says why.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let data = std::path::absolute(&config.data).unwrap_or_else(|_| config.data.clone());
        if data.to_str().is_none() {
            return Err(OpenError::DataPath { path: data });
        }
        std::fs::create_dir_all(&data)
            .map_err(|source| OpenError::Data { path: data.clone(), source })?;
        let loaded = ConfigFile::load(data.join("config.json"))?;
        let (options, stale) =
            OptionSet::stored(Arc::new(host_schema()?), &loaded.values, &Writer::File);
        let store: Arc<LiveOptions> = Arc::new(Store::new(options, Arc::new(PluginSet::default())));
        let mut found = Vec::new();
        let extensions = (!config.no_extensions).then(|| data.join("extensions"));
        for place in extensions.iter().chain(&config.plugins) {
            if place.is_dir() {
                let error = |source| OpenError::Plugins { path: place.clone(), source };
                found.extend(discover::discover(place).map_err(error)?);
            } else if extensions.as_ref() != Some(place) {
                // A file that is not there becomes an entry that says so.
                found.push(place.clone());
            }
        }
        let decisions = Decisions::of(&data);
        let (crumbs, culprits) = crumbs(&data, &decisions);
        let mut isolating = config.isolating.clone();
        if let Ok(decided) = decisions.load() {
            isolating.granted.extend(decided.granted);
        }
        let loader = Loader {
            decorators: config.decorators.clone(),
            isolating,
            trust: config.trust.clone(),
            crumbs,
            lock: config.locked.then(|| Lock::load(&data)).transpose()?,
            ..loader(&data)
        };
        if let Some(lock) = &loader.lock {
            let drift = lock.drift(&loader.look_at(&found));
            if !drift.is_empty() {
                return Err(LockError::Drifted(drift).into());
            }
        }
        let plugins = if config.safe {
            found.iter().map(|path| loader.leave_out(path, "--safe")).collect()
        } else {
            loader.load_all(&found, &store)
        };
        Ok(Self {
            data,
            store,
            config: loaded.file,
            report: loaded.report,
            stale,
            plugins,
            culprits,
            isolating: loader.isolating,
        })
    }

    /// The data folder, absolute.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The live options.
    pub fn store(&self) -> &Arc<LiveOptions> {
        &self.store
    }

    /// The file that keeps what was set on purpose.
    pub fn config(&self) -> &ConfigFile {
        &self.config
    }

    /// What was wrong with that file, or was changed in it.
    pub fn config_report(&self) -> &ConfigReport {
        &self.report
    }

    /// Stored values that their options do not take.
    pub fn stale_options(&self) -> &[SetError] {
        &self.stale
    }

    /// The plugins that were found, and what became of them.
    pub fn plugins(&self) -> &[Entry] {
        &self.plugins
    }

    /// Who was in charge in earlier processes on this data folder that died, noticed at this start.
    pub fn culprits(&self) -> &[Culprit] {
        &self.culprits
    }

    /// What the user decided about plugins.
    pub fn decisions(&self) -> Decisions {
        Decisions::of(&self.data)
    }

    /// Where plugins run, with what is granted to them.
    pub fn isolating(&self) -> &Isolating {
        &self.isolating
    }

    /// Looks at libraries without running them.
    pub fn loader(&self) -> Loader {
        loader(&self.data)
    }

    /// The records of earlier runs.
    pub fn records(&self) -> Arc<FileRecords> {
        Arc::new(FileRecords::open(&self.data))
    }

    /// Something that runs requests.
    pub fn runner(&self, provider: Arc<dyn ModelProvider>) -> RunnerBuilder {
        Runner::builder(self.store.clone(), provider, self.records(), &self.data)
    }
}

/// The trace that this process leaves, and whom those of dead ones accuse. A host that can leave none
/// works all the same.
fn crumbs(data: &Path, decisions: &Decisions) -> (Option<Arc<Crumbs>>, Vec<Culprit>) {
    let (crumbs, culprits) = match Crumbs::open(&cache::crumbs(data)) {
        Ok((crumbs, culprits)) => (Some(crumbs), culprits),
        Err(error) => {
            tracing::warn!("a crash of this process would not be traced to its plugin: {error}");
            (None, Vec::new())
        }
    };
    if !culprits.is_empty()
        && let Err(error) = decisions.change(|decided| decided.blame(&culprits))
    {
        tracing::warn!("{error}");
    }
    (crumbs, culprits)
}

fn loader(data: &Path) -> Loader {
    Loader {
        cache: cache::folder(data),
        plugin_data: data.join("plugins"),
        decorators: Vec::new(),
        isolating: Isolating::default(),
        trust: Trust::default(),
        decisions: Decisions::of(data),
        crumbs: None,
        lock: None,
    }
}

/// A1111's options, and an order of plugins for every hook.
fn host_schema() -> Result<Schema, SchemaError> {
    let orders = Hook::ALL.iter().map(|hook| {
        OptionSpec::texts(format!("prioritized_callbacks_{hook}"), Vec::<String>::new())
            .label(format!("Plugins that come first at {hook}"))
            .section("extensions", "Extensions")
    });
    let isolation = [
        OptionSpec::text("plugin_isolation", Isolation::InProcess.word())
            .choices(Isolation::WORDS)
            .label("Where plugins run, unless they ask for a worker")
            .section("extensions", "Extensions")
            .restrict_api(),
        OptionSpec::texts("isolated_plugins", Vec::<String>::new())
            .label("Plugins that run in a worker")
            .section("extensions", "Extensions")
            .restrict_api(),
    ];
    a1111::schema().with(orders.chain(isolation), &Owner::Host)
}
