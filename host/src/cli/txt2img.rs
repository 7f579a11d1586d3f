//! `atelier txt2img`: pictures from a prompt.

use clap::Args;

use super::{
    Global,
    draw::{self, DrawArgs},
    error::Failure,
    ui::Ui,
};

#[derive(Debug, Args)]
pub(super) struct Txt2img {
    /// What to draw
    prompt: String,
    #[command(flatten)]
    draw: DrawArgs,
}

pub(super) fn run(ui: &Ui, global: &Global, args: Txt2img) -> Result<(), Failure> {
    draw::draw(ui, global, &args.draw, |request| request.prompt = args.prompt)
}
