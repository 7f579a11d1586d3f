//! The denoising network, diffusers' `UNet2DConditionModel`.

mod blocks;
mod config;
mod merging;
mod model;
mod resnet;
mod text;
mod time;
mod transformer;

pub(crate) use model::Unet;
pub(crate) use resnet::Resnet;
pub(crate) use time::{WAVES, waves};
