//! LoKr: a large matrix as the Kronecker product of two small ones.

use candle_core::{Result, Tensor};

use super::{flat, with_middle};

/// A LoKr: the Kronecker product of two matrices, each whole or a product of two, the second with a
/// middle for convolutions (`lokr_w1`, `_w1_a`, `_w1_b`, `_w2`, `_w2_a`, `_w2_b`, `_t2`).
#[derive(Clone, Debug, Default)]
pub(super) struct Kronecker(pub(super) [Option<Tensor>; 7]);

impl Kronecker {
    pub(super) fn is_whole(&self) -> bool {
        let [w1, a1, b1, w2, a2, b2, _] = &self.0;
        let either = |whole: &Option<Tensor>, a: &Option<Tensor>, b: &Option<Tensor>| {
            whole.is_some() || a.is_some() && b.is_some()
        };
        either(w1, a1, b1) && either(w2, a2, b2)
    }

    /// The two matrices, flattened behind the outputs.
    pub(super) fn factors(&self) -> Result<(Tensor, Tensor)> {
        let [w1, a1, b1, w2, a2, b2, t2] = &self.0;
        let product = |a: &Option<Tensor>, b: &Option<Tensor>| match (a, b) {
            (Some(a), Some(b)) => flat(a)?.matmul(&flat(b)?),
            _ => candle_core::bail!("a LoKr's module lacks a part"),
        };
        let first = match w1 {
            Some(whole) => flat(whole)?,
            None => product(a1, b1)?,
        };
        let second = match (w2, t2, a2, b2) {
            (Some(whole), ..) => flat(whole)?,
            (None, Some(middle), Some(a), Some(b)) => {
                with_middle(&flat(a)?.t()?.contiguous()?, middle, &flat(b)?)?
            }
            _ => product(a2, b2)?,
        };
        Ok((first, second))
    }

    pub(super) fn product(&self) -> Result<Tensor> {
        let (first, second) = self.factors()?;
        let ((a, b), (c, d)) = (first.dims2()?, second.dims2()?);
        let (first, second) = (first.reshape((a, 1, b, 1))?, second.reshape((1, c, 1, d))?);
        first.broadcast_mul(&second)?.reshape((a * c, b * d))
    }

    /// Ranks, where a matrix is a product: the second's, else the first's.
    pub(super) fn rank(&self) -> Option<usize> {
        let [_, _, b1, _, _, b2, _] = &self.0;
        b2.as_ref().or(b1.as_ref())?.dim(0).ok()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::lora::{Added, Module};
    use crate::weights::Delta as _;

    #[test]
    fn a_lokr_is_a_matrix_of_matrices() {
        let tensor = |rows: &[[f32; 2]]| {
            Tensor::from_slice(rows.as_flattened(), (rows.len(), 2), &Device::Cpu).ok()
        };
        let parts = |first: [Option<Tensor>; 3], second: [Option<Tensor>; 4]| {
            let ([a, b, c], [d, e, f, g]) = (first, second);
            let kronecker = Kronecker([a, b, c, d, e, f, g]);
            Module { kronecker, alpha: Some(1.0), ..Module::default() }
        };
        let values = |module: Module, shape: &[usize]| {
            let all: usize = shape.iter().product();
            assert_eq!(module.shape(), Some((shape[0], all / shape[0])));
            let added = Added { module, weight: 1.0, ranks: None };
            added.tensor(shape).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let two = || tensor(&[[1.0, 2.0], [0.0, 3.0]]);
        let whole = parts([two(), None, None], [tensor(&[[1.0, 10.0]]), None, None, None]);
        assert_eq!(values(whole, &[2, 4]), [1.0, 10.0, 2.0, 20.0, 0.0, 0.0, 3.0, 30.0]);
        // The second a product of rank two: alpha by rank is a half.
        let product = parts([two(), None, None], [None, tensor(&[[1.0, 1.0]]), two(), None]);
        assert_eq!(values(product, &[2, 4]), [0.5, 2.5, 1.0, 5.0, 0.0, 0.0, 1.5, 7.5]);
        // With a middle of two places: rank by outputs, rank by inputs.
        let middle = Tensor::new(&[[[[1.0_f32, 2.0]]]], &Device::Cpu).ok();
        let one = |values: &[f32]| {
            Tensor::new(values, &Device::Cpu).unwrap().reshape((1, values.len())).ok()
        };
        let second = [None, one(&[1.0, 3.0]), one(&[5.0]), middle];
        let with_middle = parts([one(&[1.0, 2.0]), None, None], second);
        let expected = [5.0, 10.0, 10.0, 20.0, 15.0, 30.0, 30.0, 60.0];
        assert_eq!(values(with_middle, &[2, 2, 1, 2]), expected);
    }
}
