//! What an img2img run starts from: its pictures in the run's size, the part that is drawn anew, and
//! what is laid over the result. As A1111 v1.10.1's `StableDiffusionProcessingImg2Img.init`.

use std::borrow::Cow;

use image::{GrayImage, RgbImage, RgbaImage, imageops};

use super::{
    active::ActiveRun,
    error::Ended,
    execute::to_floats,
    pipeline::{Pipeline, Seeds, Tensor},
    request::{Inpaint, InpaintingFill},
    sample::noise_source,
};
use crate::imaging::{
    self, Region, ResizeMode, bicubic, blurred, crop_region, expanded, filled, kept, laid_over,
    resized, strengthened, uncropped,
};

/// What sampling starts from, the same for every batch.
pub(super) struct Beginning {
    /// A row for each picture of a batch.
    pub(super) latents: Tensor,
    /// What a checkpoint for inpainting is shown, a row for each picture of a batch.
    pub(super) shown: Option<Tensor>,
    /// How much of each place is drawn anew, `[1, 1, height, width]`.
    pub(super) mask: Option<Tensor>,
    /// What stays of the pictures; none without a mask.
    pub(super) overlay: Option<Overlay>,
}

/// What stays of the pictures that a run starts from.
pub(super) struct Overlay {
    pictures: Vec<Kept>,
    /// Whether it is laid over (`overlay_inpaint`).
    covers: bool,
    /// Where the drawn part belongs, unless it is the whole.
    part: Option<Region>,
}

/// A picture, all in the size of the whole.
struct Kept {
    first: RgbImage,
    mask: GrayImage,
    /// What stays, the rest transparent; all of it is without `overlay_inpaint`.
    over: RgbaImage,
}

/// What is laid over one picture.
pub(super) struct Laid<'a> {
    /// The picture that the run starts from.
    pub(super) first: &'a RgbImage,
    /// White is drawn anew.
    pub(super) mask: Cow<'a, GrayImage>,
    /// What stays, the rest transparent.
    pub(super) over: Cow<'a, RgbaImage>,
    covers: bool,
    /// Where the drawn part belongs, unless it is the whole.
    pub(super) part: Option<Region>,
}

/// The masks of a run.
struct Masks {
    /// In the size of what is drawn.
    drawn: GrayImage,
    /// In the size of the whole picture.
    whole: GrayImage,
    part: Option<Region>,
}

impl Overlay {
    /// What is laid over a picture of a batch.
    pub(super) fn of(&self, index: usize) -> Option<Laid<'_>> {
        let Kept { first, mask, over } = self.pictures.get(index % self.pictures.len().max(1))?;
        let (mask, over) = (Cow::Borrowed(mask), Cow::Borrowed(over));
        Some(Laid { first, mask, over, covers: self.covers, part: self.part })
    }
}

impl Laid<'_> {
    /// The drawn picture in its place, under what stays.
    pub(super) fn lay(&self, drawn: RgbImage) -> RgbImage {
        let over = self.over.as_ref();
        // Where the option is off a plugin may lay something over all the same.
        if !self.covers && over.pixels().all(|pixel| pixel.0[3] == 0) {
            return drawn;
        }
        let whole = self.part.map(|part| uncropped(&drawn, over.dimensions(), part));
        let drawn = whole.unwrap_or(drawn);
        // A hook may have made it another size.
        if drawn.dimensions() == over.dimensions() { laid_over(&drawn, over) } else { drawn }
    }

    /// The mask as a picture.
    pub(super) fn mask_picture(&self) -> RgbImage {
        image::DynamicImage::from(self.mask.clone().into_owned()).to_rgb8()
    }
}

impl ActiveRun<'_> {
    /// None for a run from noise.
    pub(super) fn beginning(
        &mut self,
        pipeline: &dyn Pipeline,
    ) -> Result<Option<Beginning>, Ended> {
        let Some(images) = self.request.init_images.take() else { return Ok(None) };
        let mode = self.request.resize_mode;
        let inpaint = self.request.inpaint.take();
        let masks = match (&inpaint, images.0.first()) {
            (Some(inpaint), Some(first)) => self.masks(inpaint, first),
            _ => None,
        };
        let fill = inpaint.as_ref().map_or(InpaintingFill::Original, |it| it.inpainting_fill);
        let strength = self.hooks.seam.host_float("inpainting_mask_weight");
        let rounds = inpaint.as_ref().is_none_or(|it| it.mask_round);
        let pixel_mask = masks.as_ref().map(|it| mask_tensor(&it.drawn, rounds));
        let (mut latents, mut shown): (Vec<Tensor>, Vec<Tensor>) = (Vec::new(), Vec::new());
        let covers = masks.is_some() && self.hooks.seam.host_bool("overlay_inpaint");
        let mut overlay =
            Overlay { pictures: Vec::new(), covers, part: masks.as_ref().and_then(|it| it.part) };
        for picture in images.0 {
            let (picture, first) = self.fitted(picture, mode, masks.as_ref(), fill);
            if let Some(masks) = &masks {
                let mut mask = masks.whole.clone();
                if mask.dimensions() != first.dimensions() {
                    mask = resized(&mask, first.width(), first.height(), mode);
                }
                let over = if covers {
                    imaging::overlay(&first, &mask)
                } else {
                    RgbaImage::new(first.width(), first.height())
                };
                overlay.pictures.push(Kept { first, mask, over });
            }
            let picture = to_floats(&picture);
            let encoded = pipeline.encode(&picture)?;
            // Latents that are stretched have no picture to be shown.
            if mode != ResizeMode::LatentUpscale
                || masks.as_ref().is_some_and(|it| it.part.is_some())
            {
                shown.extend(pipeline.shown(&picture, pixel_mask.as_ref(), strength)?);
            }
            let (width, height) = (self.params.width, self.params.height);
            latents.push(pipeline.resize_latents(encoded, width, height, "Latent")?);
        }
        let shown = joined(&shown, self.params.batch_size as usize);
        let Some(mut latents) = joined(&latents, self.params.batch_size as usize) else {
            return Ok(None);
        };
        let overlay = masks.is_some().then_some(overlay);
        // In the size of latents.
        let mask = masks.map(|it| {
            let [_, _, height, width] = latents.shape;
            mask_tensor(&bicubic(&it.drawn, width as u32, height as u32), rounds)
        });
        if let Some(mask) = &mask {
            self.fill_latents(pipeline, &mut latents, mask, fill);
        }
        Ok(Some(Beginning { latents, shown, mask, overlay }))
    }

    /// A picture in the size that is encoded, and the whole one.
    fn fitted(
        &mut self,
        picture: RgbImage,
        mode: ResizeMode,
        masks: Option<&Masks>,
        fill: InpaintingFill,
    ) -> (RgbImage, RgbImage) {
        let (width, height) = (self.params.width, self.params.height);
        let part = masks.and_then(|masks| masks.part);
        let whole = match (part, mode) {
            (None, ResizeMode::LatentUpscale) => {
                // The autoencoder takes whole latents only.
                let multiple =
                    self.pipeline.as_ref().map_or(8, |it| it.model().size_multiple).max(1);
                let side = |side: u32| (side / multiple * multiple).max(multiple);
                let (wide, high) = (side(picture.width()), side(picture.height()));
                if picture.width() < wide || picture.height() < high {
                    resized(&picture, wide, high, ResizeMode::JustResize)
                } else {
                    imageops::crop_imm(&picture, 0, 0, wide, high).to_image()
                }
            }
            (None, mode) => resized(&picture, width, height, mode),
            (Some(_), _) => picture,
        };
        let drawn = part.map(|part| {
            let part = imageops::crop_imm(&whole, part.x, part.y, part.width, part.height);
            resized(&part.to_image(), width, height, ResizeMode::ResizeAndFill)
        });
        let drawn = drawn.unwrap_or_else(|| whole.clone());
        let Some(masks) = masks.filter(|_| fill != InpaintingFill::Original) else {
            return (drawn, whole);
        };
        if fill == InpaintingFill::Fill {
            self.hooks.infotext.set("Masked content", "fill");
        }
        let mask = resized(&masks.drawn, drawn.width(), drawn.height(), ResizeMode::JustResize);
        (filled(&drawn, &mask), whole)
    }

    fn masks(&mut self, inpaint: &Inpaint, first: &RgbImage) -> Option<Masks> {
        let infotext = &mut self.hooks.infotext;
        let mut mask = inpaint.mask.clone();
        if mask.dimensions() != first.dimensions() {
            mask = resized(&mask, first.width(), first.height(), ResizeMode::JustResize);
        }
        if inpaint.inpainting_mask_invert {
            mask = kept(&mask);
            infotext.set("Mask mode", "Inpaint not masked");
        }
        let (x, y) = (inpaint.mask_blur_x, inpaint.mask_blur_y);
        mask = blurred(&mask, x, y);
        if x == y && x > 0 {
            infotext.set("Mask blur", x);
        }
        let (width, height) = (self.params.width, self.params.height);
        if !inpaint.inpaint_full_res {
            let drawn = resized(&mask, width, height, self.request.resize_mode);
            return Some(Masks { whole: strengthened(&drawn), drawn, part: None });
        }
        let padding = inpaint.inpaint_full_res_padding;
        let Some(part) = crop_region(&mask, padding) else {
            tracing::warn!(
                "the mask is black: nothing of it is drawn anew, so the whole picture is"
            );
            return None;
        };
        infotext.set("Inpaint area", "Only masked");
        infotext.set("Masked area padding", padding);
        let part = expanded(part, (width, height), mask.dimensions());
        let cut = imageops::crop_imm(&mask, part.x, part.y, part.width, part.height).to_image();
        let drawn = resized(&cut, width, height, ResizeMode::ResizeAndFill);
        Some(Masks { drawn, whole: mask, part: Some(part) })
    }

    /// What the masked places hold where that is nothing of a picture.
    fn fill_latents(
        &mut self,
        pipeline: &dyn Pipeline,
        latents: &mut Tensor,
        mask: &Tensor,
        fill: InpaintingFill,
    ) {
        let noise = match fill {
            InpaintingFill::Fill | InpaintingFill::Original => return,
            InpaintingFill::LatentNothing => {
                self.hooks.infotext.set("Masked content", "latent nothing");
                None
            }
            InpaintingFill::LatentNoise => {
                self.hooks.infotext.set("Masked content", "latent noise");
                let seeds =
                    self.pictures.all_seeds.iter().copied().take(latents.shape[0]).collect();
                let source = noise_source(&mut self.hooks.seam);
                let subseeds = Vec::new();
                let seeds = Seeds {
                    seeds,
                    subseeds,
                    subseed_strength: 0.0,
                    resize_from: None,
                    source,
                    ensd: 0,
                };
                Some(pipeline.noise(&seeds, self.params.width, self.params.height).first())
            }
        };
        let plane = mask.data.len().max(1);
        for (at, value) in latents.data.iter_mut().enumerate() {
            let fresh = mask.data[at % plane];
            let noise = noise.as_ref().and_then(|noise| noise.data.get(at)).copied().unwrap_or(0.0);
            *value = *value * (1.0 - fresh) + noise * fresh;
        }
    }
}

/// The latents below each other, from the first again where there are fewer than wanted.
pub(super) fn joined(latents: &[Tensor], count: usize) -> Option<Tensor> {
    let [_, channels, height, width] = latents.first()?.shape;
    let rows = latents.iter().cycle().take(count);
    let data = rows.flat_map(|latents| latents.data.iter().copied()).collect();
    Some(Tensor { shape: [count, channels, height, width], data })
}

/// The mask as floats; with `rounds` each place is drawn anew or stays.
fn mask_tensor(mask: &GrayImage, rounds: bool) -> Tensor {
    let shares = mask.as_raw().iter().map(|value| f32::from(*value) / 255.0);
    let data = shares.map(|share| if rounds { share.round() } else { share }).collect();
    Tensor { shape: [1, 1, mask.height() as usize, mask.width() as usize], data }
}
