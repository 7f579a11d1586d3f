//! Files of safetensors, tensor by tensor.

mod file;
mod patches;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Tensor};

use crate::checkpoint::LoadError;
use crate::compute::Backend;
use file::TensorFile;
use patches::Kept;
pub(crate) use patches::{Delta, Layers, Patches};

/// One safetensors file, seen from a key prefix. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Weights {
    file: Arc<TensorFile>,
    prefix: String,
    /// For files that name their tensors otherwise than diffusers.
    names: Option<Arc<Names>>,
    layers: Layers,
    patches: Option<Arc<Patches>>,
    backend: Backend,
}

/// Values from which on a layer is worth the widening: smaller ones are hardly any of a network's weights.
const LARGE: usize = 1 << 14;

/// Where a file has the tensor that diffusers has under a name.
pub(crate) type Names = dyn Fn(&str) -> Place + Send + Sync;

/// A tensor in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its name there.
    pub(crate) key: String,
    /// Which third of it: files of OpenCLIP have query, key and value below each other.
    pub(crate) third: Option<usize>,
    /// Whether rows and columns are exchanged.
    pub(crate) transposed: bool,
}

impl From<String> for Place {
    fn from(key: String) -> Self {
        Self { key, ..Self::default() }
    }
}

impl Weights {
    /// Opens `file` and reads its header.
    ///
    /// # Errors
    /// [`LoadError::Missing`] if there is no such file, [`LoadError::Weights`] if it is not a
    /// whole safetensors file.
    pub(crate) fn open(file: &Path) -> Result<Self, LoadError> {
        Ok(Self {
            file: Arc::new(TensorFile::open(file)?),
            prefix: String::new(),
            names: None,
            layers: Layers::default(),
            patches: None,
            backend: Backend::default(),
        })
    }

    /// The same for layers that compute on `backend`.
    pub(crate) fn computed(self, backend: Backend) -> Self {
        Self { backend, ..self }
    }

    /// Where and how its layers compute. What is read is in the processor's memory; layers bring it there.
    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Brings what a layer keeps to where it computes.
    pub(crate) fn placed(&self, tensor: &Tensor) -> Result<Tensor, LoadError> {
        tensor.to_device(&self.backend.device).map_err(|source| self.broken(source))
    }

    pub(crate) fn file(&self) -> &Path {
        self.file.path()
    }

    /// What the file's metadata has under `key`.
    pub(crate) fn told(&self, key: &str) -> Option<&str> {
        self.file.told(key)
    }

    /// The same file, asked for tensors under diffusers' names.
    pub(crate) fn named(&self, names: impl Fn(&str) -> Place + Send + Sync + 'static) -> Self {
        // Its layers are a network's own: two in one file may have layers of one name.
        Self { names: Some(Arc::new(names)), layers: Layers::default(), ..self.clone() }
    }

    /// The layers that were loaded from here.
    pub(crate) fn layers(&self) -> Layers {
        self.layers.clone()
    }

    /// The same file with additions to some layers, the others taken from `layers`.
    pub(crate) fn patched(&self, layers: Layers, patches: Patches) -> Self {
        Self { layers, patches: Some(Arc::new(patches)), ..self.clone() }
    }

    /// The weights and the bias that a layer keeps, where it computes: shared where they are known and
    /// nothing is added to them, or made of [`get`](Self::get). `shape` is that of its weights: outputs, and
    /// all the rest.
    pub(crate) fn layer(
        &self,
        shape: (usize, usize),
        make: impl FnOnce() -> Result<Kept, LoadError>,
    ) -> Result<Kept, LoadError> {
        let make = || -> Result<Kept, LoadError> {
            let (weight, bias) = make()?;
            Ok((self.placed(&weight)?, bias.map(|bias| self.placed(&bias)).transpose()?))
        };
        if self.patches.as_ref().is_some_and(|patches| patches.contains_key(&self.prefix)) {
            return make();
        }
        if let Some(known) = self.layers.get(&self.prefix) {
            return Ok(known);
        }
        let made = make()?;
        self.layers.keep(&self.prefix, shape, &made);
        Ok(made)
    }

    /// All tensors of the file, by their names in it, with their shapes.
    pub(crate) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        self.file.shapes()
    }

    /// The same file below `name`.
    pub(crate) fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.key(name), ..self.clone() }
    }

    /// Whether the file has the tensor `name` below this prefix.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file.shape(&self.place(name).key).is_ok()
    }

    /// The tensor `name` below this prefix, as f32.
    ///
    /// # Errors
    /// [`LoadError::MissingKey`], [`LoadError::WrongShape`], or [`LoadError::Weights`] for an
    /// element type that cannot be read.
    pub(crate) fn get<const N: usize>(
        &self,
        shape: [usize; N],
        name: &str,
    ) -> Result<Tensor, LoadError> {
        self.get_kept(shape, name)?.to_dtype(DType::F32).map_err(|source| self.broken(source))
    }

    /// The same in half precision where the file has it so, it is large and nothing is added to it: half
    /// of the memory, and the processor's kernels widen it piece by piece.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) fn get_kept<const N: usize>(
        &self,
        shape: [usize; N],
        name: &str,
    ) -> Result<Tensor, LoadError> {
        let place = self.place(name);
        let found = self.file.shape(&place.key)?;
        let mut stored = shape.to_vec();
        if place.transposed {
            stored.reverse();
        }
        if let Some(rows) = stored.first_mut().filter(|_| place.third.is_some()) {
            *rows *= 3;
        }
        // A linear map and a convolution of one place are the same weights.
        let fits =
            found == stored || self.names.is_some() && without_ones(found) == without_ones(&stored);
        if !fits {
            return Err(LoadError::WrongShape {
                file: self.file().to_owned(),
                key: place.key,
                expected: stored,
                found: found.to_vec(),
            });
        }
        let mut tensor = self.file.read(&place.key)?;
        let read = || {
            if let Some(third) = place.third {
                tensor = tensor.narrow(0, third * shape[0], shape[0])?;
            }
            if place.transposed {
                tensor = tensor.t()?;
            }
            let deltas = self.deltas(name);
            let half = matches!(tensor.dtype(), DType::F16 | DType::BF16);
            let is_worth_it = tensor.elem_count() >= LARGE && self.backend.device.is_cpu();
            if !(half && deltas.is_empty() && is_worth_it) {
                tensor = tensor.to_dtype(DType::F32)?;
            }
            tensor = tensor.contiguous()?.reshape(&shape[..])?;
            for delta in deltas {
                tensor = (tensor + delta.tensor(&shape)?)?;
            }
            Ok(tensor)
        };
        read().map_err(|source| self.broken(source))
    }

    /// A tensor whose shape does not matter, as f32.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub(crate) fn get_any(&self, name: &str) -> Result<Tensor, LoadError> {
        let tensor = self.file.read(&self.key(name))?;
        tensor.to_dtype(DType::F32).map_err(|source| self.broken(source))
    }

    /// What a failure over this file's tensors is.
    pub(crate) fn broken(&self, source: candle_core::Error) -> LoadError {
        LoadError::Weights { file: self.file().to_owned(), source }
    }

    fn deltas(&self, name: &str) -> &[Arc<dyn Delta>] {
        let patches = self.patches.as_ref().filter(|_| name == "weight");
        patches.and_then(|patches| patches.get(&self.prefix)).map_or(&[], Vec::as_slice)
    }

    fn place(&self, name: &str) -> Place {
        let key = self.key(name);
        self.names.as_ref().map_or_else(|| Place::from(key.clone()), |names| names(&key))
    }

    fn key(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}

fn without_ones(shape: &[usize]) -> &[usize] {
    let kept = shape.iter().rposition(|n| *n != 1).map_or(0, |last| last + 1);
    &shape[..kept]
}
