//! `atelier img2img`: pictures from a picture and a prompt.

use std::path::PathBuf;

use clap::Args;

use super::{
    Global,
    draw::{self, DrawArgs},
    error::Failure,
    ui::{Ui, short_path},
};
use crate::run::InitImages;

#[derive(Debug, Args)]
pub(super) struct Img2img {
    /// The picture to start from: PNG, JPEG or WebP; another size is resized
    picture: PathBuf,
    /// What to make of it
    prompt: String,
    /// How far the picture is left, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.75)]
    denoising_strength: f64,
    #[command(flatten)]
    draw: DrawArgs,
}

pub(super) fn run(ui: &Ui, global: &Global, args: Img2img) -> Result<(), Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::refused(format!(
            "{} cannot be read ({error}); img2img takes PNG, JPEG and WebP pictures",
            short_path(&args.picture)
        ))
    };
    let picture = image::ImageReader::open(&args.picture)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|error| unreadable(&error))?
        .decode()
        .map_err(|error| unreadable(&error))?
        .to_rgb8();
    draw::draw(ui, global, &args.draw, |request| {
        request.prompt = args.prompt;
        request.denoising_strength = args.denoising_strength;
        request.init_images = Some(InitImages(vec![picture]));
    })
}
