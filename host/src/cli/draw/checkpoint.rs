//! Checkpoints as flags name them: a path, or a name that is looked up.

use std::path::{Path, PathBuf};

use crate::{cli::error::Failure, engine::EngineProvider, run::RunRequest};

/// A checkpoint that a flag names.
#[derive(Debug)]
pub(super) struct Named {
    /// Where the flag says that it is; else it is looked up.
    pub(super) path: Option<PathBuf>,
    /// What options and infotexts call it.
    pub(super) name: String,
}

impl Named {
    /// Reads a flag. What is no checkpoint is told before anything else is done.
    ///
    /// # Errors
    /// There is nothing at the path, or no checkpoint.
    pub(super) fn read(given: &str) -> Result<Self, Failure> {
        let path = Path::new(given);
        if path.is_dir() && !crate::engine::is_checkpoint(path) {
            return Err(Failure::refused(format!(
                "{given} is no checkpoint: it has neither model_index.json nor unet/config.json; name \
                 a folder in diffusers' layout or a .safetensors file"
            )));
        }
        if path.is_file() {
            atelier_engine::size_multiple(path).map_err(Failure::refused)?;
        }
        if path.exists() {
            let real = path.canonicalize().map_err(Failure::failed)?;
            let name = crate::engine::checkpoint_name(&real).unwrap_or_else(|| given.to_owned());
            return Ok(Self { path: Some(real), name });
        }
        if path.components().count() > 1 {
            return Err(Failure::refused(format!(
                "there is no {given}; a checkpoint is a .safetensors file or a folder in diffusers' \
                 layout"
            )));
        }
        Ok(Self { path: None, name: given.to_owned() })
    }
}

/// Puts the checkpoints that a request names by paths into `provider`, and their names into the request;
/// `model` is the one of `--model`.
///
/// # Errors
/// As [`Named::read`], or two of them have one name.
pub(super) fn provided(
    request: &mut RunRequest,
    model: Option<Named>,
    mut provider: EngineProvider,
) -> Result<EngineProvider, Failure> {
    let mut known: Vec<(String, PathBuf)> = Vec::new();
    let mut know = |named: Named| {
        let Some(path) = named.path else { return Ok(None) };
        if let Some((name, other)) = known.iter().find(|(name, _)| *name == named.name)
            && *other != path
        {
            let (one, two) = (other.display(), path.display());
            let what = format!("{one} and {two} are both called {name}; rename one of them");
            return Err(Failure::refused(what));
        }
        known.push((named.name, path.clone()));
        Ok(Some(path))
    };
    if let Some(path) = model.map(&mut know).transpose()?.flatten() {
        provider = provider.with_checkpoint(path);
    }
    let hires = request.hires.as_mut().and_then(|hires| hires.hr_checkpoint_name.as_mut());
    for given in request.refiner_checkpoint.iter_mut().chain(hires) {
        let named = Named::read(given)?;
        given.clone_from(&named.name);
        if let Some(path) = know(named)? {
            provider = provider.with_checkpoint_beside(path);
        }
    }
    Ok(provider)
}
