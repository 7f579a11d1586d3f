//! Larger pictures.

use candle_core::{Result, Tensor, bail};

use super::elsewhere;
use super::values::{pieces, with};

/// Repeats pixels up to `height` × `width`, which need not be whole multiples.
pub(crate) fn upsample_nearest(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let x = x.contiguous()?;
    let (n, channels, rows, across) = x.dims4()?;
    if rows == 0 || across == 0 {
        bail!("a picture without pixels has no larger one")
    }
    if !x.device().is_cpu() {
        return elsewhere::upsample_nearest(&x, height, width);
    }
    let out = with(&x, |x| {
        let plane = |at: usize, to: &mut [f32]| {
            let from = &x[at * rows * across..][..rows * across];
            for (y, to) in to.chunks_exact_mut(width.max(1)).enumerate() {
                let from = &from[y * rows / height * across..][..across];
                for (x, to) in to.iter_mut().enumerate() {
                    *to = from[x * across / width];
                }
            }
        };
        Ok(pieces(n * channels * height * width, height * width, plane))
    })?;
    Tensor::from_vec(out, (n, channels, height, width), x.device())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::values::{same, waves};

    #[test]
    fn a_picture_grows_as_candles_does() {
        let x = waves(&[2, 3, 5, 4], 0.37);
        for (height, width) in [(10, 8), (9, 7), (5, 4), (13, 11)] {
            let found = upsample_nearest(&x, height, width).unwrap();
            assert!(same(&found, &x.upsample_nearest2d(height, width).unwrap()).unwrap());
        }
    }
}
