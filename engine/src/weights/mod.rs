//! Memory-mapped safetensors: the only module that maps files.

use std::path::Path;
use std::sync::Arc;

use candle_core::safetensors::{Load, MmapedSafetensors};
use candle_core::{DType, Device, Tensor};

use crate::checkpoint::LoadError;

/// One safetensors file, seen from a key prefix. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Weights {
    file: Arc<Path>,
    map: Arc<MmapedSafetensors>,
    prefix: String,
}

impl Weights {
    /// Maps `file` and reads its header.
    ///
    /// # Errors
    /// [`LoadError::Missing`] if there is no such file, [`LoadError::Weights`] if it is not a
    /// whole safetensors file.
    #[allow(unsafe_code)]
    pub(crate) fn open(file: &Path) -> Result<Self, LoadError> {
        if !file.is_file() {
            return Err(LoadError::Missing { file: file.to_owned() });
        }
        // SAFETY: a memory map is sound as long as nobody changes the file under it. The map lives
        // only while a checkpoint is loading (every tensor is copied out as f32), and a checkpoint
        // that is rewritten in that moment is a broken checkpoint for every program.
        let map = unsafe { MmapedSafetensors::new(file) }
            .map_err(|source| LoadError::Weights { file: file.to_owned(), source })?;
        Ok(Self { file: file.into(), map: Arc::new(map), prefix: String::new() })
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// The same file below `name`.
    pub(crate) fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: self.key(name), ..self.clone() }
    }

    /// Whether the file has the tensor `name` below this prefix.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.map.get(&self.key(name)).is_ok()
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
        let key = self.key(name);
        let Ok(view) = self.map.get(&key) else {
            return Err(LoadError::MissingKey { file: self.file.to_path_buf(), key });
        };
        if view.shape() != shape {
            return Err(LoadError::WrongShape {
                file: self.file.to_path_buf(),
                key,
                expected: shape.to_vec(),
                found: view.shape().to_vec(),
            });
        }
        view.load(&Device::Cpu)
            .and_then(|t| t.to_dtype(DType::F32))
            .map_err(|source| LoadError::Weights { file: self.file.to_path_buf(), source })
    }

    fn key(&self, name: impl std::fmt::Display) -> String {
        if self.prefix.is_empty() { name.to_string() } else { format!("{}.{name}", self.prefix) }
    }
}
