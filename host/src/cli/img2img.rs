//! `atelier img2img`: pictures from a picture and a prompt.

use std::path::{Path, PathBuf};

use clap::Args;
use image::DynamicImage;

use super::{
    Global,
    draw::{self, DrawArgs},
    error::Failure,
    ui::{Ui, short_path},
};
use crate::{
    imaging::{ResizeMode, binary_mask},
    run::{InitImages, Inpaint, InpaintingFill},
};

#[derive(Debug, Args)]
pub(super) struct Img2img {
    /// The picture to start from: PNG, JPEG or WebP
    picture: PathBuf,
    /// What to make of it
    prompt: String,
    /// How far the picture is left, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.75)]
    denoising_strength: f64,
    /// What is done with a picture of another size than --width and --height
    #[arg(long, value_enum, value_name = "MODE", default_value_t)]
    resize_mode: ResizeMode,
    #[command(flatten)]
    inpaint: InpaintArgs,
    #[command(flatten)]
    draw: DrawArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Inpainting")]
struct InpaintArgs {
    /// A picture whose white part is drawn anew, and the rest stays; the opaque part, if it has a
    /// transparent one
    #[arg(long, value_name = "PICTURE")]
    mask: Option<PathBuf>,
    /// Draws the other part anew
    #[arg(long, requires = "mask")]
    invert_mask: bool,
    /// How soft the mask's edges are made, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 4, requires = "mask")]
    mask_blur: u32,
    /// Mixes what is drawn and what stays where the mask is grey, instead of one or the other
    #[arg(long, requires = "mask")]
    soft_mask: bool,
    /// What is put there before it is drawn
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = InpaintingFill::Original, requires = "mask")]
    masked_content: InpaintingFill,
    /// Draws the masked part alone, in the full size, and puts it back
    #[arg(long, requires = "mask")]
    only_masked: bool,
    /// Pixels around the masked part that are drawn with it
    #[arg(long, value_name = "PIXELS", default_value_t = 32, requires = "only_masked")]
    only_masked_padding: u32,
}

impl InpaintArgs {
    fn read(&self) -> Result<Option<Inpaint>, Failure> {
        let Some(path) = &self.mask else { return Ok(None) };
        Ok(Some(Inpaint {
            mask: binary_mask(&read(path)?, !self.soft_mask),
            mask_round: !self.soft_mask,
            mask_blur_x: self.mask_blur,
            mask_blur_y: self.mask_blur,
            inpainting_mask_invert: self.invert_mask,
            inpainting_fill: self.masked_content,
            inpaint_full_res: self.only_masked,
            inpaint_full_res_padding: self.only_masked_padding,
        }))
    }
}

pub(super) fn run(ui: &Ui, global: &Global, args: Img2img) -> Result<(), Failure> {
    let picture = read(&args.picture)?.to_rgb8();
    let inpaint = args.inpaint.read()?;
    draw::draw(ui, global, &args.draw, |request| {
        request.prompt = args.prompt;
        request.denoising_strength = args.denoising_strength;
        request.init_images = Some(InitImages(vec![picture]));
        request.resize_mode = args.resize_mode;
        request.inpaint = inpaint;
    })
}

fn read(path: &Path) -> Result<DynamicImage, Failure> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::refused(format!(
            "{} cannot be read ({error}); img2img takes PNG, JPEG and WebP pictures",
            short_path(path)
        ))
    };
    image::ImageReader::open(path)
        .and_then(image::ImageReader::with_guessed_format)
        .map_err(|error| unreadable(&error))?
        .decode()
        .map_err(|error| unreadable(&error))
}
