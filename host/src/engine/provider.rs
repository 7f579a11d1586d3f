//! Where checkpoints are, and the one that is in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use atelier_engine::{Compute, Engine, Lora};

use super::{
    CATALOGUE, EnginePipeline, convert,
    folders::{below, entries, is_safetensors, networks},
    hashes::HashCache,
};
use crate::run::pipeline::{
    Catalogue, Checkpoint, ModelProvider, NetworkFile, Pipeline, PipelineError,
};

/// A1111's place, which is looked through with the folders in it.
const TREE: &str = "models/Stable-diffusion";
/// Digits of a hash that A1111 shows.
const SHORT_HASH: usize = 10;

/// A checkpoint with its path.
type Loaded = (PathBuf, Arc<EnginePipeline>);

/// Checkpoints in folders, one of them loaded at a time, and one beside it.
///
/// A checkpoint is a folder in diffusers' layout, and its name the folder's; or a `.safetensors` file
/// in A1111's layout, and its name the file's without the extension. The default one is the first
/// found.
#[derive(Debug)]
pub struct EngineProvider {
    /// Single checkpoints that were named, which come first.
    named: Vec<PathBuf>,
    /// Single checkpoints that draw beside it, which are no default.
    beside: Vec<PathBuf>,
    places: Vec<PathBuf>,
    loras: PathBuf,
    vaes: PathBuf,
    embeddings: PathBuf,
    hashes: HashCache,
    compute: Compute,
    loaded: Mutex<[Option<Loaded>; 2]>,
}

impl EngineProvider {
    /// Looks in `<data>/models`, in `<data>/models/Stable-diffusion` (A1111's place) with its subfolders and,
    /// where the program was built from a checkout, in the checkout's `models`. Not in the current folder: the same command draws the same wherever it is called.
    pub fn new(data: &Path) -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        Self {
            named: Vec::new(),
            beside: Vec::new(),
            places: vec![data.join("models"), data.join(TREE), checkout],
            loras: data.join("models/Lora"),
            vaes: data.join("models/VAE"),
            embeddings: data.join("embeddings"),
            hashes: HashCache::new(data.join("cache").join("hashes.json")),
            compute: Compute::default(),
            loaded: Mutex::default(),
        }
    }

    /// Loads checkpoints so that their networks compute as told.
    #[must_use]
    pub fn with_compute(mut self, compute: Compute) -> Self {
        self.compute = compute;
        self
    }

    /// Puts a checkpoint's folder before all others, which makes it the default.
    #[must_use]
    pub fn with_checkpoint(mut self, folder: impl Into<PathBuf>) -> Self {
        let path = folder.into();
        self.named.insert(0, fs::canonicalize(&path).unwrap_or(path));
        self
    }

    /// Puts a checkpoint before all others in the folders, for runs that name it.
    #[must_use]
    pub fn with_checkpoint_beside(mut self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.beside.push(fs::canonicalize(&path).unwrap_or(path));
        self
    }

    /// The folder of LoRAs, `<data>/models/Lora`: A1111's place.
    pub fn lora_folder(&self) -> &Path {
        &self.loras
    }

    /// The folder of autoencoders, `<data>/models/VAE`: A1111's place.
    pub fn vae_folder(&self) -> &Path {
        &self.vaes
    }

    /// The folder of embeddings, `<data>/embeddings`: A1111's place.
    pub fn embedding_folder(&self) -> &Path {
        &self.embeddings
    }

    /// The folders that are looked through.
    pub fn places(&self) -> &[PathBuf] {
        &self.places
    }

    fn find(&self, name: Option<&str>) -> Result<Checkpoint, PipelineError> {
        // Those beside are for runs that name them.
        let all = if name.is_some() { self.list() } else { self.among(&[]) };
        let found = match name {
            None => all.first(),
            Some(name) => self.named_among(&all, name),
        };
        found.cloned().ok_or_else(|| self.missing(name, &all))
    }

    /// By its name or title, with folders or without; or by its hash or the beginning of it, where that is
    /// known.
    fn named_among<'a>(&self, all: &'a [Checkpoint], name: &str) -> Option<&'a Checkpoint> {
        let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let called = |name: &str| all.iter().find(|checkpoint| is_called(checkpoint, name));
        let found = called(name).or_else(|| called(last));
        if found.is_some()
            || name.len() < SHORT_HASH
            || !name.bytes().all(|c| c.is_ascii_hexdigit())
        {
            return found;
        }
        let files = self.hashes.files(&name.to_ascii_lowercase());
        all.iter().find(|checkpoint| files.iter().any(|file| file.starts_with(&checkpoint.path)))
    }

    /// The named ones, some others, and those in the folders. Of two with one name the second is called by its
    /// folder as well, where it is in one.
    fn among(&self, beside: &[PathBuf]) -> Vec<Checkpoint> {
        let mut found: Vec<Checkpoint> = Vec::new();
        let named = self.named.iter().chain(beside).filter(|path| is_checkpoint(path));
        let named = named.map(|path| (path.clone(), None));
        let inside = self.places.iter().flat_map(|place| {
            let files = files(place, is_checkpoint).into_iter();
            files.map(|path| {
                let folder = folder_within(place, &path);
                (path, folder)
            })
        });
        for (path, folder) in named.chain(inside) {
            let path = fs::canonicalize(&path).unwrap_or(path);
            let Some(name) = checkpoint_name(&path) else { continue };
            let longer = folder.map(|folder| format!("{folder}/{name}"));
            let free = |name: &String| !found.iter().any(|other| other.name == *name);
            if let Some(name) = std::iter::once(name).chain(longer).find(free)
                && !found.iter().any(|other| other.path == path)
            {
                found.push(Checkpoint { name, path });
            }
        }
        found
    }

    fn missing(&self, name: Option<&str>, all: &[Checkpoint]) -> PipelineError {
        let known = all.iter().map(|checkpoint| checkpoint.name.as_str()).collect::<Vec<_>>();
        match name {
            Some(name) if !known.is_empty() => PipelineError::UnknownName {
                kind: "checkpoint",
                name: name.to_owned(),
                known: known.join(", "),
            },
            _ => {
                let places = self.places.iter().map(|place| place.display().to_string());
                let places = places.collect::<Vec<_>>().join(", ");
                PipelineError::Engine(format!(
                    "there is no checkpoint in {places}; put a .safetensors file or a diffusers folder there, or \
                     name one with --model"
                ))
            }
        }
    }

    /// A checkpoint, which is kept in that place unless it is in one already. Says whether it was loaded
    /// just now.
    fn loaded_in(
        &self,
        place: usize,
        name: Option<&str>,
    ) -> Result<(Arc<EnginePipeline>, bool), PipelineError> {
        let checkpoint = self.find(name)?;
        // Held while loading: two runs that want the same checkpoint load it once.
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, pipeline)) = loaded.iter().flatten().find(|it| it.0 == checkpoint.path) {
            return Ok((pipeline.clone(), false));
        }
        // What was there and beside it makes room first, unless a run still draws with it.
        loaded[place..].fill(None);
        let pipeline = Arc::new(self.load(&checkpoint)?);
        loaded[place] = Some((checkpoint.path, pipeline.clone()));
        Ok((pipeline, true))
    }

    fn load(&self, checkpoint: &Checkpoint) -> Result<EnginePipeline, PipelineError> {
        let engine = Engine::load_for(&checkpoint.path, self.compute).map_err(convert::failed)?;
        let info = engine.info();
        let weights = &info.files[0].path;
        let sha256 = self
            .hashes
            .sha256(weights, || info.weights_hash().map(str::to_owned))
            .map_err(convert::failed)?;
        Ok(EnginePipeline::new(engine, checkpoint.name.clone(), sha256))
    }
}

impl ModelProvider for EngineProvider {
    fn get(&self, name: Option<&str>) -> Result<(Arc<dyn Pipeline>, bool), PipelineError> {
        let (pipeline, fresh) = self.loaded_in(0, name)?;
        Ok((pipeline, fresh))
    }

    fn beside(&self, name: &str) -> Result<Arc<dyn Pipeline>, PipelineError> {
        Ok(self.loaded_in(1, Some(name))?.0)
    }

    fn catalogue(&self) -> Catalogue {
        CATALOGUE
    }

    fn vaes(&self) -> Vec<NetworkFile> {
        let inside = below(&self.vaes, is_safetensors);
        let is_vae = |path: &Path| is_safetensors(path) && is_vae_beside(path);
        let beside = self.places.iter().flat_map(|place| files(place, is_vae));
        let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
        inside
            .into_iter()
            .chain(beside)
            .filter_map(|path| Some(NetworkFile { name: name(&path)?, path }))
            .collect()
    }

    fn vae(&self, checkpoint: &str, wanted: &str) -> Option<NetworkFile> {
        let all = || self.vaes().into_iter();
        match wanted {
            "" | "None" => None,
            // A1111 takes the one whose name begins as the checkpoint's.
            "Automatic" => all().find(|vae| vae.name.starts_with(checkpoint)),
            wanted => {
                let stem =
                    |vae: &NetworkFile| vae.name.strip_suffix(".safetensors") == Some(wanted);
                let found = all().find(|vae| vae.name == wanted || stem(vae));
                if found.is_none() {
                    tracing::warn!(
                        sd_vae = wanted,
                        "there is no such VAE; the checkpoint's is used"
                    );
                }
                found
            }
        }
    }

    fn embeddings(&self) -> Vec<NetworkFile> {
        networks(&self.embeddings)
    }

    fn loras(&self) -> Vec<NetworkFile> {
        networks(&self.loras)
    }

    fn lora(&self, name: &str) -> Option<NetworkFile> {
        let all = self.loras();
        let alias = |file: &NetworkFile| Lora::alias(&file.path).is_some_and(|alias| alias == name);
        let known = all.iter().find(|file| file.name == name);
        known.or_else(|| all.iter().find(|file| alias(file))).cloned()
    }

    fn size_multiple(&self, name: Option<&str>) -> Result<u32, PipelineError> {
        let multiple = atelier_engine::size_multiple(&self.find(name)?.path);
        multiple.map(|size| u32::try_from(size).unwrap_or(u32::MAX)).map_err(convert::failed)
    }

    fn list(&self) -> Vec<Checkpoint> {
        self.among(&self.beside)
    }
}

/// A1111's clients send titles: a file's name, and the short hash in brackets.
fn is_called(checkpoint: &Checkpoint, title: &str) -> bool {
    let rest = title.strip_prefix(checkpoint.name.as_str());
    let rest = rest.map(|rest| rest.strip_prefix(".safetensors").unwrap_or(rest));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" ["))
}

/// The folders between a place and what is in it.
fn folder_within(place: &Path, path: &Path) -> Option<String> {
    let folder = path.strip_prefix(place).ok()?.parent()?.to_str()?;
    (!folder.is_empty()).then(|| folder.replace('\\', "/"))
}

/// What is wanted in a place, in A1111's with its subfolders.
fn files(place: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    if place.ends_with(TREE) {
        return below(place, wanted);
    }
    entries(place).into_iter().filter(|path| wanted(path)).collect()
}

/// Whether this looks like a checkpoint: a folder in diffusers' layout, or a file of safetensors.
pub fn is_checkpoint(path: &Path) -> bool {
    if path.is_dir() {
        return path.join("model_index.json").is_file() || path.join("unet/config.json").is_file();
    }
    is_safetensors(path) && !is_vae_beside(path)
}

/// Whether a file among checkpoints is an autoencoder, by its name: `x.vae.safetensors`.
fn is_vae_beside(path: &Path) -> bool {
    path.file_stem().is_some_and(|stem| Path::new(stem).extension().is_some_and(|it| it == "vae"))
}

/// The name of a checkpoint: a folder's, or a file's without the extension.
pub fn checkpoint_name(path: &Path) -> Option<String> {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.and_then(|name| name.to_str()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(data: &Path, names: &[&str]) -> EngineProvider {
        for name in names {
            let folder = data.join("models").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("model_index.json"), "{}").unwrap();
        }
        let places = vec![data.join("models")];
        EngineProvider { places, ..EngineProvider::new(data) }
    }

    #[test]
    fn checkpoints_are_found_by_name_and_by_title() {
        let data = tempfile::tempdir().unwrap();
        let provider = provider(data.path(), &["b", "a", "a2"]);
        fs::create_dir_all(data.path().join("models/no-checkpoint")).unwrap();
        let names: Vec<_> = provider.list().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["a", "a2", "b"]);
        assert_eq!(provider.find(None).unwrap().name, "a");
        assert_eq!(provider.find(Some("a2 [0123456789]")).unwrap().name, "a2");
        assert!(provider.find(Some("")).is_err());
        let places = data.path().join("models/Stable-diffusion");
        fs::create_dir_all(&places).unwrap();
        fs::write(places.join("c.v1.safetensors"), "").unwrap();
        fs::write(places.join("d.ckpt"), "").unwrap();
        let provider = EngineProvider::new(data.path());
        for name in ["c.v1", "c.v1.safetensors", "c.v1.safetensors [0123456789]"] {
            assert_eq!(provider.find(Some(name)).unwrap().name, "c.v1");
        }
        assert!(provider.find(Some("d")).is_err());
    }

    #[test]
    fn subfolders_and_hashes_name_checkpoints() {
        let data = tempfile::tempdir().unwrap();
        let write = |file: &str| {
            let path = data.path().join(TREE).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, file).unwrap();
            fs::canonicalize(path).unwrap()
        };
        let [upper, lower] = ["a.safetensors", "xl/b.safetensors"].map(write);
        let again = write("xl/old/a.safetensors");
        write("xl/b.vae.safetensors");
        let provider = EngineProvider::new(data.path());
        let found = |name: &str| provider.find(Some(name)).unwrap().path;
        assert_eq!(found("a"), upper);
        for name in ["b", "xl/b.safetensors [0123456789]", "xl\\b.safetensors"] {
            assert_eq!(found(name), lower, "{name}");
        }
        assert_eq!(found("xl/old/a"), again);
        assert_eq!(provider.vaes().len(), 1);
        // A hash is known once a checkpoint was loaded.
        let hash = "0123456789abcdef".repeat(4);
        assert!(provider.find(Some(&hash)).is_err());
        provider.hashes.sha256(&lower, || Ok::<_, ()>(hash.clone())).unwrap();
        for name in [&hash, &hash[..10], "0123456789ABCDEF"] {
            assert_eq!(found(name), lower, "{name}");
        }
        assert!(provider.find(Some("0123456780")).is_err());
    }

    #[test]
    fn a_name_that_is_not_there_is_answered_with_those_that_are() {
        let data = tempfile::tempdir().unwrap();
        let error = provider(data.path(), &["a", "b"]).find(Some("c")).unwrap_err();
        assert_eq!(error.to_string(), "there is no checkpoint “c”; there are: a, b");
        let empty = tempfile::tempdir().unwrap();
        let error = provider(empty.path(), &[]).find(Some("c")).unwrap_err();
        assert!(error.to_string().contains("--model"), "{error}");
    }

    #[test]
    fn a_named_checkpoint_is_the_default() {
        let data = tempfile::tempdir().unwrap();
        let other = data.path().join("elsewhere/z");
        fs::create_dir_all(other.join("unet")).unwrap();
        fs::write(other.join("unet/config.json"), "{}").unwrap();
        let provider = provider(data.path(), &["a"]).with_checkpoint(&other);
        assert_eq!(provider.find(None).unwrap().name, "z");
    }

    #[test]
    fn a_checkpoint_beside_is_found_by_name_and_no_default() {
        let data = tempfile::tempdir().unwrap();
        let other = data.path().join("elsewhere/a");
        fs::create_dir_all(other.join("unet")).unwrap();
        fs::write(other.join("unet/config.json"), "{}").unwrap();
        let plain = provider(data.path(), &["a", "b"]);
        let inside = plain.find(Some("a")).unwrap().path;
        let provider = plain.with_checkpoint_beside(&other);
        assert_ne!(provider.find(Some("a")).unwrap().path, inside);
        assert_eq!(provider.find(None).unwrap().path, inside);
    }
}
