//! Linear layers over the last dimension.

use candle_core::{Result, Tensor};

use crate::checkpoint::LoadError;
use crate::weights::Weights;

/// `x · Wᵀ (+ b)` for inputs of any rank above one.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// Transposed view: `[inputs, outputs]`.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads `weight` (`[outputs, inputs]`) and `bias`.
    pub(crate) fn load(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        Self::keep(w, (outputs, inputs), || {
            Ok(vec![w.get([outputs, inputs], "weight")?, w.get([outputs], "bias")?])
        })
    }

    /// Reads `weight` (`[outputs, inputs]`).
    pub(crate) fn load_without_bias(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        Self::keep(w, (outputs, inputs), || Ok(vec![w.get([outputs, inputs], "weight")?]))
    }

    /// Reads a 1×1 convolution (`[outputs, inputs, 1, 1]`) and its bias: over tokens it is a
    /// linear layer.
    pub(crate) fn load_convolution(
        w: &Weights,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, LoadError> {
        Self::keep(w, (outputs, inputs), || {
            let weight = w.get([outputs, inputs, 1, 1], "weight")?;
            let weight = weight
                .reshape((outputs, inputs))
                .map_err(|source| LoadError::Weights { file: w.file().to_owned(), source })?;
            Ok(vec![weight, w.get([outputs], "bias")?])
        })
    }

    fn keep(
        w: &Weights,
        shape: (usize, usize),
        read: impl FnOnce() -> std::result::Result<Vec<Tensor>, LoadError>,
    ) -> std::result::Result<Self, LoadError> {
        let mut tensors = w.layer(shape, read)?.into_iter();
        let weight = tensors.next().map(|weight| weight.t());
        let missing = || LoadError::MissingKey { file: w.file().to_owned(), key: "weight".into() };
        let weight = weight
            .ok_or_else(missing)?
            .map_err(|source| LoadError::Weights { file: w.file().to_owned(), source })?;
        Ok(Self { weight, bias: tensors.next() })
    }

    /// Values that it gives for a row.
    pub(crate) fn outputs(&self) -> usize {
        self.weight.dims().last().copied().unwrap_or(0)
    }

    /// `[…, inputs]` to `[…, outputs]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let inputs = shape.pop().unwrap_or(1);
        let rows: usize = shape.iter().product();
        let y = x.reshape((rows, inputs))?.matmul(&self.weight)?;
        shape.push(y.dim(1)?);
        let y = match &self.bias {
            Some(bias) => y.broadcast_add(bias)?,
            None => y,
        };
        y.reshape(shape)
    }
}
