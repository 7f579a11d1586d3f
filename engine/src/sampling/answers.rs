//! What observers may answer: the same shapes, and levels that are levels.

use super::error::SampleError;
use super::observer::{Point, StepInfo, Stop};
use crate::conditioning::Conditioning;
use crate::tensor::Tensor;

/// Rows, tokens, width, and the width of the rows' vectors.
pub(super) fn shape_of(text: &Conditioning) -> [usize; 4] {
    [text.rows(), text.tokens(), text.width(), text.vector_width()]
}

pub(super) fn check_inputs(
    info: &StepInfo,
    x: &Tensor,
    input: &Tensor,
    sigma: f64,
    shown: [[usize; 4]; 2],
    texts: [&Conditioning; 2],
) -> Result<(), SampleError> {
    check_shape(info, Point::Denoiser, x, input)?;
    let misfit =
        |what: String| Err(SampleError::Misfit { step: info.step, point: Point::Denoiser, what });
    if !(sigma.is_finite() && sigma > 0.0) {
        return misfit(format!("sigma is {sigma}, not a number above 0"));
    }
    for ([rows, _, width, vector], text) in shown.into_iter().zip(texts) {
        let [r, t, w, v] = shape_of(text);
        if (r, w, v) != (rows, width, vector) || t == 0 {
            return misfit(format!(
                "a conditioning is {r} rows × {t} tokens × {w}, expected {rows} rows, at least 1 \
                 token, {width}"
            ));
        }
    }
    Ok(())
}

pub(super) fn checked(
    info: &StepInfo,
    point: Point,
    answer: Result<(), Stop>,
) -> Result<(), SampleError> {
    answer.map_err(|stop| match stop {
        Stop::Cancelled => SampleError::Cancelled { step: info.step, total: info.total },
        Stop::Failed(source) => SampleError::Observer { step: info.step, point, source },
    })
}

pub(super) fn check_shape(
    info: &StepInfo,
    point: Point,
    expected: &Tensor,
    found: &Tensor,
) -> Result<(), SampleError> {
    if expected.shape() == found.shape() {
        Ok(())
    } else {
        Err(misfit_shape(info, point, expected.shape(), found.shape()))
    }
}

pub(super) fn misfit_shape(
    info: &StepInfo,
    point: Point,
    expected: [usize; 4],
    found: [usize; 4],
) -> SampleError {
    let what = format!("a tensor has shape {found:?}, expected {expected:?}");
    SampleError::Misfit { step: info.step, point, what }
}
