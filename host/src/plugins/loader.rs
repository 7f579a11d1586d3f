//! From a file to a plugin that is called: looked at, allowed to run, opened, made, added to the store.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use atelier_plugin_abi::host::Module;

#[cfg(all(feature = "worker", target_os = "linux"))]
use super::worker::{Enforced, Subject, WorkerPlugin};
use super::{
    Declaration, Entry, Isolating, Isolation, LiveOptions, LoadError, Loading, Manifest, Plugin,
    PluginId, PluginState, cache,
    crumbs::Crumbs,
    decisions::{Decided, Decisions, MOST_STRIKES, Strike},
    entry::resident_kib,
    handle::Decorator,
    library,
    lock::{Lock, Locked},
    manifest::PanicStrategy,
    opened::Opened,
    outside::Outside,
    preflight::preflight,
    trust::{self, Candidate, Trust},
};
use crate::options::{OptionSet, Owner};

/// Loads plugins into a store.
#[derive(Clone, Debug)]
pub struct Loader {
    /// Where the private copies go.
    pub cache: PathBuf,
    /// Where plugins find folders of their own, by id.
    pub plugin_data: PathBuf,
    /// What every plugin's handle is wrapped into, the first one innermost.
    pub decorators: Vec<Arc<dyn Decorator>>,
    /// Where plugins run.
    pub isolating: Isolating,
    /// Which of them may run.
    pub trust: Trust,
    /// What the user decided about them.
    pub decisions: Decisions,
    /// Where they leave a trace while they are in charge.
    pub crumbs: Option<Arc<Crumbs>>,
    /// The only ones that are loaded, where the user wants no others.
    pub lock: Option<Lock>,
}

impl Loader {
    /// Looks at a library without running any of its code.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn inspect(&self, path: &Path) -> Result<(Manifest, cache::CachedLibrary), LoadError> {
        if path.to_str().is_none() {
            return Err(LoadError::Path { path: path.to_owned() });
        }
        let library = cache::copy(path, &self.cache)?;
        preflight(&library.bytes)?;
        let manifest = Manifest::of_library(&library.bytes)?;
        Ok((manifest, library))
    }

    /// Those among the libraries that say what they are, with the hash of each.
    pub fn look_at(&self, paths: &[PathBuf]) -> Lock {
        Lock::of(paths.iter().filter_map(|path| {
            let (Manifest { id, version, .. }, library) = self.inspect(path).ok()?;
            Some((id, Locked { version, hash: library.hash }))
        }))
    }

    /// Loads all given libraries that the options allow. Returns what became of each.
    pub fn load_all(&self, paths: &[PathBuf], store: &Arc<LiveOptions>) -> Vec<Entry> {
        let mut entries: Vec<Entry> = paths.iter().map(|path| self.load_one(path, store)).collect();
        // Cycles show when all are there.
        let cycles = store.load().companion.order().cycles.clone();
        for entry in &mut entries {
            let id = entry.manifest.as_ref().map(|manifest| &manifest.id);
            let path = id.and_then(|id| cycles.get(id)).cloned();
            if let (PluginState::Active, Some(path)) = (&entry.state, path) {
                entry.state = PluginState::InCycle { path };
            }
        }
        entries
    }

    /// Looks at a library that is not to be loaded.
    pub fn leave_out(&self, path: &Path, by: &'static str) -> Entry {
        let mut entry = Entry::new(path, PluginState::Disabled { by });
        match self.inspect(path) {
            Ok((manifest, library)) => entry.is(&manifest, &library),
            Err(error) => entry.state = PluginState::Failed(error),
        }
        entry
    }

    fn load_one(&self, path: &Path, store: &Arc<LiveOptions>) -> Entry {
        let mut entry = Entry::new(path, PluginState::Active);
        let (manifest, library) = match self.inspect(path) {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(path = %path.display(), "plugin not loaded: {error}");
                entry.state = PluginState::Failed(error);
                return entry;
            }
        };
        entry.is(&manifest, &library);
        if let Some(by) = disabled(&store.load().options, &manifest.id) {
            entry.state = PluginState::Disabled { by };
            return entry;
        }
        if self.lock.as_ref().is_some_and(|lock| !lock.has(&manifest.id, &library.hash)) {
            entry.state = PluginState::Failed(LoadError::NotLocked { id: manifest.id });
            return entry;
        }
        let decided = self.decisions.load().unwrap_or_else(|error| {
            // Whoever was trusted is not, then; nobody runs by mistake.
            tracing::warn!("{error}");
            Decided::default()
        });
        let isolation = self.isolating.choose(&manifest, &store.load().options);
        let strikes: Vec<&Strike> = decided.strikes(&manifest.id, &library.hash).collect();
        if let ([.., last], Isolation::InProcess) = (&strikes[..], isolation)
            && strikes.len() >= MOST_STRIKES
        {
            entry.state =
                PluginState::Quarantined { strikes: strikes.len(), hook: last.hook.clone() };
            return entry;
        }
        let loaded = self.check_trust(path, &manifest, &library, &decided).and_then(|()| {
            let (begin, before) = (Instant::now(), resident_kib(None));
            self.load(manifest, &library, path, isolation, store)?;
            let host_kib = before.zip(resident_kib(None)).map(|(before, after)| after - before);
            Ok(Loading { seconds: begin.elapsed().as_secs_f64(), host_kib })
        });
        match loaded {
            Ok(loading) => entry.loading = Some(loading),
            Err(error) => {
                tracing::warn!(path = %path.display(), "plugin not loaded: {error}");
                entry.state = PluginState::Failed(error);
            }
        }
        entry
    }

    /// Sees to it that a library may run.
    fn check_trust(
        &self,
        path: &Path,
        manifest: &Manifest,
        library: &cache::CachedLibrary,
        decided: &Decided,
    ) -> Result<(), LoadError> {
        let candidate = Candidate::new(path, Some(manifest), library);
        let untrusted = || LoadError::Untrusted { path: path.to_owned() };
        match &self.trust {
            Trust::All => Ok(()),
            _ if trust::known(&candidate, decided).is_some() => Ok(()),
            Trust::Ask(consent) if consent.ask(&candidate) => {
                let noted =
                    self.decisions.change(|decided| decided.trust(Some(manifest), &library.hash));
                noted.unwrap_or_else(|error| tracing::warn!("{error}; it will be asked again"));
                Ok(())
            }
            Trust::Ask(_) | Trust::Known => Err(untrusted()),
        }
    }

    /// Loads one library that was looked at, and adds it and its options to the store in one step.
    ///
    /// # Errors
    /// See [`LoadError`].
    fn load(
        &self,
        manifest: Manifest,
        library: &cache::CachedLibrary,
        path: &Path,
        isolation: Isolation,
        store: &Arc<LiveOptions>,
    ) -> Result<(), LoadError> {
        manifest.check()?;
        let taken = store.load().companion.get(&manifest.id).map(|other| other.path.clone());
        if let Some(other) = taken {
            return Err(LoadError::DuplicateId { id: manifest.id, other });
        }
        match isolation {
            Isolation::InProcess => {
                let mark =
                    self.crumbs.as_ref().map(|it| it.mark(manifest.id.as_str(), &library.hash));
                let _crumb = self.crumbs.as_ref().zip(mark).map(|(it, mark)| it.loading(mark));
                let module = library::open(&library.path)?;
                self.add(module, manifest, library.hash.clone(), path.to_owned(), store)
            }
            Isolation::Worker => self.add_worker(manifest, library, path, store),
        }
    }

    #[cfg(all(feature = "worker", target_os = "linux"))]
    fn add_worker(
        &self,
        manifest: Manifest,
        library: &cache::CachedLibrary,
        path: &Path,
        store: &Arc<LiveOptions>,
    ) -> Result<(), LoadError> {
        let workers = self.isolating.workers.as_ref().ok_or_else(|| no_workers(&manifest))?;
        let subject = Subject {
            id: manifest.id.clone(),
            library: library.path.clone(),
            path: path.to_owned(),
            data: self.plugin_data.join(manifest.id.as_str()),
            limits: self.isolating.limits(&manifest.id),
        };
        let opened = WorkerPlugin::open(workers, subject, store)?;
        let Enforced { files, calls } = opened.enforced();
        if !(*files && *calls) {
            tracing::info!(
                plugin = %manifest.id, files, calls,
                "this kernel does not hold workers to everything that they are not to do"
            );
        }
        self.add_opened(opened, manifest, library.hash.clone(), path.to_owned(), store)
    }

    #[cfg(not(all(feature = "worker", target_os = "linux")))]
    #[expect(clippy::unused_self, reason = "the signature of where there are workers")]
    fn add_worker(
        &self,
        manifest: Manifest,
        _: &cache::CachedLibrary,
        _: &Path,
        _: &Arc<LiveOptions>,
    ) -> Result<(), LoadError> {
        Err(no_workers(&manifest))
    }

    /// Adds a plugin whose module somebody vouched for: one from a library, or one that is linked
    /// into this program.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn add(
        &self,
        module: Module,
        manifest: Manifest,
        hash: String,
        path: PathBuf,
        store: &LiveOptions,
    ) -> Result<(), LoadError> {
        self.add_opened(module, manifest, hash, path, store)
    }

    fn add_opened(
        &self,
        mut opened: impl Opened,
        manifest: Manifest,
        hash: String,
        path: PathBuf,
        store: &LiveOptions,
    ) -> Result<(), LoadError> {
        let told = Manifest::parse(&opened.manifest())?;
        if told != manifest {
            let difference = differing_field(&manifest, &told);
            return Err(LoadError::ManifestDiffers { difference });
        }
        let declared = opened
            .declaration()
            .map_err(|failure| LoadError::Declaration { reason: failure.to_string() })?;
        let declaration = Declaration::parse(&declared, &manifest.name, manifest.id.as_str())?;
        let id = manifest.id.clone();
        // The options are declared before the plugin is made: it may read them while it is.
        let owner = Owner::Plugin(id.to_string());
        let registration = store.register(declaration.options.clone(), &owner)?;
        for stale in registration.stale {
            tracing::warn!(plugin = %id, "stored option not used: {stale}");
        }
        let mut host =
            Outside { store, plugin: &id, data: self.plugin_data.join(id.as_str()), path: &path };
        let watch = self.crumbs.as_ref().map(|it| (it.clone(), it.mark(id.as_str(), &hash)));
        let made = opened.create(&mut host, watch).map_err(LoadError::Create)?;
        let (mut handle, isolation) = made;
        for decorator in &self.decorators {
            handle = decorator.wrap(&id, handle);
        }
        let plugin = Arc::new(Plugin { manifest, declaration, path, hash, isolation, handle });
        let options = store.load().options.clone();
        store.update_companion(|set| Arc::new(set.with(plugin, &options)));
        for notice in &store.load().companion.order().notices {
            tracing::info!("{notice}");
        }
        Ok(())
    }
}

fn no_workers(manifest: &Manifest) -> LoadError {
    if manifest.panic == PanicStrategy::Abort {
        LoadError::NoWorkers {
            why: "built with panic = \"abort\": a panic in it would end the host",
            remedy: "build it with panic = \"unwind\", or run it with `atelier`, which has workers",
        }
    } else {
        LoadError::NoWorkers {
            why: "it is to run in a worker",
            remedy: "set plugin_isolation and isolated_plugins to what they were, or run `atelier`",
        }
    }
}

fn differing_field(file: &Manifest, code: &Manifest) -> String {
    let (file, code) = (serde_json::to_value(file), serde_json::to_value(code));
    let (Ok(serde_json::Value::Object(file)), Ok(code)) = (file, code) else {
        return "it cannot be compared".to_owned();
    };
    let differs = file.iter().find(|(name, value)| code.get(name.as_str()) != Some(value));
    differs.map_or_else(
        || "unknown field".to_owned(),
        |(name, value)| {
            let other = code.get(name.as_str()).unwrap_or(&serde_json::Value::Null);
            format!("{name} is {value} in the file and {other} in the code")
        },
    )
}

/// What in the options keeps a plugin from being loaded, if anything does.
pub fn disabled(options: &OptionSet, id: &PluginId) -> Option<&'static str> {
    use crate::options::Value;
    let all = matches!(
        options.by_key("disable_all_extensions"),
        Some(Value::Text(which)) if matches!(&**which, "all" | "extra")
    );
    if all {
        return Some("the option disable_all_extensions");
    }
    let listed = options.texts("disabled_extensions").any(|listed| listed == id.as_str());
    listed.then_some("the option disabled_extensions")
}
