//! The sampling loop: samplers and schedules in k-diffusion's form, classifier-free guidance, and
//! the observer.

mod answers;
mod check;
mod denoiser;
mod discrete;
mod dpm_solver;
mod error;
mod kdiffusion;
mod observer;
mod padding;
mod restart;
mod run;
mod sampler;
mod scheduler;
mod sde;
mod second_order;
mod settings;
mod timesteps;
mod unipc;

pub(crate) use discrete::DiscreteSchedule;
pub use error::SampleError;
pub use observer::{BlendParts, Observer, Point, StepInfo, Stop, Unobserved};
pub use padding::Padding;
pub(crate) use run::run;
pub use run::{Refiner, SampleJob, Start};
pub use sampler::Sampler;
pub use scheduler::Scheduler;
pub use settings::{Heeds, SamplerSettings, UniPc, UniPcSpacing, UniPcVariant};
