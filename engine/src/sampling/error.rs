//! Why a picture could not be sampled.

use super::observer::Point;
use crate::error::EngineError;

/// What ended a run before its last step.
#[derive(Debug, thiserror::Error)]
pub enum SampleError {
    /// The observer asked to stop.
    #[error("cancelled in step {} of {total}", step + 1)]
    Cancelled {
        /// The step it was asked in, from 0.
        step: u32,
        /// The number of steps.
        total: u32,
    },
    /// The observer failed.
    #[error("the observer failed at {point:?} of step {}: {source}", step + 1)]
    Observer {
        /// The step, from 0.
        step: u32,
        /// Where in the step.
        point: Point,
        /// Its report.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The observer gave something back that does not fit.
    #[error("after {point:?} of step {} {what}; leave shapes as they are", step + 1)]
    Misfit {
        /// The step, from 0.
        step: u32,
        /// Where in the step.
        point: Point,
        /// What does not fit.
        what: String,
    },
    /// The model answered with NaN or infinity.
    #[error("the model's output is not finite in step {} of {total} (sigma {sigma:.4}); the latents or the conditioning it was given are out of range, or the weights are broken", step + 1)]
    NotFinite {
        /// The step, from 0.
        step: u32,
        /// The number of steps.
        total: u32,
        /// The noise level.
        sigma: f64,
    },
    /// A value of the job is impossible.
    #[error("{field} is {value}, but must be {expected}")]
    Job {
        /// The job's field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What would do.
        expected: String,
    },
    /// A network failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
