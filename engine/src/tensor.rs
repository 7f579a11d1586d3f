//! The one tensor type of the public interface.

use candle_core::{Device, Tensor as Array};

/// Contiguous `f32` values in NCHW order: latents, noise or pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: [usize; 4],
    data: Vec<f32>,
}

/// A [`Tensor`] whose values do not fill its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tensor of shape {shape:?} holds {expected} values, {found} were given; pass exactly one value per element, in NCHW order"
)]
pub struct TensorError {
    /// The shape asked for: batch, channels, height, width.
    pub shape: [usize; 4],
    /// The number of values that shape has.
    pub expected: usize,
    /// The number of values that came.
    pub found: usize,
}

impl Tensor {
    /// A tensor of `shape` (batch, channels, height, width) over `data` in NCHW order.
    ///
    /// # Errors
    /// [`TensorError`] if `data` does not have one value per element.
    pub fn new(shape: [usize; 4], data: Vec<f32>) -> Result<Self, TensorError> {
        let expected = shape.iter().product();
        if data.len() == expected {
            Ok(Self { shape, data })
        } else {
            Err(TensorError { shape, expected, found: data.len() })
        }
    }

    /// As [`new`](Self::new), of as much data as the shape has.
    pub(crate) fn from_parts(shape: [usize; 4], data: Vec<f32>) -> Self {
        debug_assert_eq!(data.len(), shape.iter().product::<usize>());
        Self { shape, data }
    }

    /// A tensor of zeros.
    pub fn zeros(shape: [usize; 4]) -> Self {
        Self { shape, data: vec![0.0; shape.iter().product()] }
    }

    /// Batch, channels, height, width.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// The number of items in the batch.
    pub fn batch(&self) -> usize {
        self.shape[0]
    }

    /// All values in NCHW order.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All values in NCHW order, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The values alone.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The values of one item of the batch, or `None` past its end.
    pub fn item(&self, index: usize) -> Option<&[f32]> {
        let size = self.row_size();
        (index < self.shape[0]).then(|| &self.data[index * size..][..size])
    }

    /// The number of values of one item of the batch.
    pub(crate) fn row_size(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// Items of the batch, in this order.
    pub(crate) fn rows(&self, rows: &[usize]) -> Self {
        let [_, c, h, w] = self.shape;
        let data: Vec<&[f32]> = rows.iter().filter_map(|row| self.item(*row)).collect();
        Self { shape: [data.len(), c, h, w], data: data.concat() }
    }

    /// Whether no value is NaN or infinite.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|v| v.is_finite())
    }

    /// `f` over the pairs of two tensors of equal shape.
    pub(crate) fn zip(mut self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        debug_assert_eq!(self.shape, other.shape);
        for (a, b) in self.data.iter_mut().zip(&other.data) {
            *a = f(*a, *b);
        }
        self
    }

    pub(crate) fn map(mut self, f: impl Fn(f32) -> f32) -> Self {
        for v in &mut self.data {
            *v = f(*v);
        }
        self
    }

    pub(crate) fn to_array(&self) -> candle_core::Result<Array> {
        Array::from_slice(&self.data, &self.shape, &Device::Cpu)
    }

    pub(crate) fn from_array(array: &Array) -> candle_core::Result<Self> {
        let (n, c, h, w) = array.dims4()?;
        Ok(Self { shape: [n, c, h, w], data: array.flatten_all()?.to_vec1()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_must_fill_the_shape() {
        let error = Tensor::new([1, 2, 2, 2], vec![0.0; 7]).unwrap_err();
        assert_eq!((error.expected, error.found), (8, 7));
    }

    #[test]
    fn items_are_the_rows_of_the_batch() {
        let t = Tensor::new([2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(t.item(1), Some(&[3.0, 4.0][..]));
        assert_eq!(t.item(2), None);
    }
}
