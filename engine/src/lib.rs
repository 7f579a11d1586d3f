//! Stable Diffusion on candle, with a sampling loop that can be watched and changed at every step.
//!
//! [`Engine::load`] reads Stable Diffusion 1, 2 or XL: a folder in diffusers' layout, where every size
//! and group count comes from the `config.json` files, or a single file in A1111's layout, where they
//! are read off the tensors. Weights are safetensors, f16, bf16 or f32 on disk and in
//! memory, and f32 when computing.
//!
//! A picture is made in three calls: [`Engine::encode_prompts`] (or [`Engine::encode_schedules`], for
//! prompts that change and those of several parts), [`Engine::sample`] and [`Engine::decode`].
//! [`Engine::with_loras`] makes an engine with LoRAs out of one without. An [`Observer`] sees and may change what goes through the sampling loop.
//! Numbers and names follow A1111 (AUTOMATIC1111's web UI) v1.10.1 wherever both have them, so
//! that a seed means the same noise and a sampler's name the same steps.
//!
//! The crate knows no plugin, no option store and no HTTP.

#![deny(unsafe_code)]

mod checkpoint;
mod clip;
mod compute;
mod conditioning;
mod embedding;
mod engine;
mod error;
mod kernels;
mod lora;
mod noise;
mod prompt;
mod resample;
mod sampling;
mod scheduled;
mod tensor;
mod text;
mod unet;
mod vae;
mod weights;

pub use checkpoint::{LoadError, ModelFile, ModelInfo, Part};
pub use compute::{Compute, ComputeError, Device, Precision};
pub use conditioning::{Conditioning, ConditioningError};
pub use embedding::Embedding;
pub use engine::Engine;
pub use error::EngineError;
pub use lora::{Lora, LoraFit, LoraUse};
pub use noise::{ImageRng, NoiseSource};
pub use prompt::{
    BadWeight, Emphasis, Pass, Piece, Scheduled, Side, SubPrompt, TextSettings, pieces, schedules,
    sub_prompts,
};
pub use resample::Resample;
pub use sampling::{
    BlendParts, Heeds, Observer, Padding, Point, Refiner, SampleError, SampleJob, Sampler,
    SamplerSettings, Scheduler, Start, StepInfo, Stop, UniPc, UniPcSpacing, UniPcVariant,
    Unobserved,
};
pub use scheduled::{Entry, ScheduledConditioning};
pub use tensor::{Tensor, TensorError};
pub use vae::size_multiple;

#[cfg(test)]
#[path = "../tests/parity/parity.rs"]
mod parity;
