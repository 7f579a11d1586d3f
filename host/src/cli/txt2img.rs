//! `atelier txt2img`: pictures from a prompt.

use clap::Args;

use super::{
    Global,
    draw::{self, DrawArgs},
    error::Failure,
    ui::Ui,
};
use crate::run::Hires;

#[derive(Debug, Args)]
pub(super) struct Txt2img {
    /// What to draw
    prompt: String,
    #[command(flatten)]
    hires: HiresArgs,
    #[command(flatten)]
    draw: DrawArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Second pass (hires fix)")]
struct HiresArgs {
    /// Draws the picture over, so often larger [2 without a number]
    #[arg(
        long,
        value_name = "SCALE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2"
    )]
    hires: Option<f64>,
    /// Width of the larger picture instead, in pixels
    #[arg(
        long,
        value_name = "PX",
        default_value_t = 0,
        hide_default_value = true,
        requires = "hires"
    )]
    hires_width: u32,
    /// Height of the larger picture instead, in pixels
    #[arg(
        long,
        value_name = "PX",
        default_value_t = 0,
        hide_default_value = true,
        requires = "hires"
    )]
    hires_height: u32,
    /// How it is made larger, by A1111's name: Latent and its kin, Lanczos, Nearest
    #[arg(long, value_name = "NAME", default_value = "Latent", requires = "hires")]
    hires_upscaler: String,
    /// Steps of the second pass [default: as many as the first has]
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        hide_default_value = true,
        requires = "hires"
    )]
    hires_steps: u32,
    /// How far the second pass leaves the picture, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.7, requires = "hires")]
    denoising_strength: f64,
    /// Sampler of the second pass [default: the first's]
    #[arg(long, value_name = "NAME", requires = "hires")]
    hires_sampler: Option<String>,
    /// Scheduler of the second pass [default: the first's]
    #[arg(long, value_name = "NAME", requires = "hires")]
    hires_scheduler: Option<String>,
    /// Checkpoint of the second pass [default: the first's]
    #[arg(long, value_name = "PATH|NAME", requires = "hires")]
    hires_checkpoint: Option<String>,
    /// Prompt of the second pass [default: the first's]
    #[arg(
        long,
        value_name = "PROMPT",
        default_value = "",
        hide_default_value = true,
        requires = "hires"
    )]
    hires_prompt: String,
    /// Negative prompt of the second pass [default: the first's]
    #[arg(
        long,
        value_name = "PROMPT",
        default_value = "",
        hide_default_value = true,
        requires = "hires"
    )]
    hires_negative: String,
}

impl HiresArgs {
    fn hires(self) -> Option<Hires> {
        Some(Hires {
            hr_scale: self.hires?,
            hr_resize_x: self.hires_width,
            hr_resize_y: self.hires_height,
            hr_upscaler: Some(self.hires_upscaler),
            hr_second_pass_steps: self.hires_steps,
            hr_sampler_name: self.hires_sampler,
            hr_scheduler: self.hires_scheduler,
            hr_checkpoint_name: self.hires_checkpoint,
            hr_prompt: self.hires_prompt,
            hr_negative_prompt: self.hires_negative,
        })
    }
}

pub(super) fn run(ui: &Ui, global: &Global, args: Txt2img) -> Result<(), Failure> {
    draw::draw(ui, global, &args.draw, |request| {
        request.prompt = args.prompt;
        request.denoising_strength = args.hires.denoising_strength;
        request.hires = args.hires.hires();
    })
}
