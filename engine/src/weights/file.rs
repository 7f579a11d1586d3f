//! One file of safetensors: its header in memory, its tensors read when they are asked for. Not mapped:
//! pages of a map count as memory beside the copies that are made of them, and a file that is cut off
//! while it is mapped ends the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use candle_core::safetensors::Load as _;
use candle_core::{Device, Tensor};
use safetensors::SafeTensorError;
use safetensors::tensor::{Metadata, TensorInfo, TensorView};

use crate::checkpoint::LoadError;

/// The longest header that the format allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

pub(super) struct TensorFile {
    path: PathBuf,
    file: Mutex<File>,
    header: Metadata,
    /// Where the tensors begin.
    begin: u64,
}

impl TensorFile {
    /// # Errors
    /// [`LoadError::Missing`], or [`LoadError::Weights`] if it is not a whole safetensors file.
    pub(super) fn open(path: &Path) -> Result<Self, LoadError> {
        if !path.is_file() {
            return Err(LoadError::Missing { file: path.to_owned() });
        }
        let broken = |source| LoadError::Weights { file: path.to_owned(), source };
        let mut file = File::open(path).map_err(|source| broken(source.into()))?;
        let (header, begin) = header(&mut file).map_err(broken)?;
        Ok(Self { path: path.to_owned(), file: Mutex::new(file), header, begin })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the metadata has under `key`.
    pub(super) fn told(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    pub(super) fn shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let tensors = self.header.tensors().into_iter();
        tensors.map(|(key, info)| (key, info.shape.clone())).collect()
    }

    /// # Errors
    /// [`LoadError::MissingKey`].
    pub(super) fn shape(&self, key: &str) -> Result<&[usize], LoadError> {
        Ok(&self.info(key)?.shape)
    }

    fn info(&self, key: &str) -> Result<&TensorInfo, LoadError> {
        self.header
            .info(key)
            .ok_or_else(|| LoadError::MissingKey { file: self.path.clone(), key: key.to_owned() })
    }

    /// A tensor as the file has it.
    ///
    /// # Errors
    /// [`LoadError::MissingKey`], or [`LoadError::Weights`] for an element type that candle does not
    /// have or a file that can no longer be read.
    pub(super) fn read(&self, key: &str) -> Result<Tensor, LoadError> {
        let info = self.info(key)?;
        self.bytes(info)
            .and_then(|bytes| {
                let view = TensorView::new(info.dtype, info.shape.clone(), &bytes);
                view.map_err(candle_core::Error::from)?.load(&Device::Cpu)
            })
            .map_err(|source| LoadError::Weights { file: self.path.clone(), source })
    }

    fn bytes(&self, info: &TensorInfo) -> candle_core::Result<Vec<u8>> {
        let (from, until) = info.data_offsets;
        let mut bytes = vec![0; until - from];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.begin + from as u64))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// The header, and where the tensors begin.
fn header(file: &mut File) -> candle_core::Result<(Metadata, u64)> {
    let whole = file.metadata()?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| SafeTensorError::HeaderTooSmall)?;
    let length = u64::from_le_bytes(length);
    if length > LONGEST_HEADER {
        return Err(SafeTensorError::HeaderTooLarge.into());
    }
    let mut text = Vec::new();
    file.take(length).read_to_end(&mut text)?;
    if text.len() as u64 != length {
        return Err(SafeTensorError::InvalidHeaderLength.into());
    }
    let header: Metadata =
        serde_json::from_slice(&text).map_err(SafeTensorError::InvalidHeaderDeserialization)?;
    let begin = 8 + length;
    if begin + header.data_len() as u64 != whole {
        return Err(SafeTensorError::MetadataIncompleteBuffer.into());
    }
    Ok((header, begin))
}
