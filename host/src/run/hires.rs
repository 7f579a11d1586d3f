//! The second pass of a run ("hires fix"): what was drawn, larger, drawn over. As A1111 v1.10.1's
//! `sample_hr_pass`.

use std::sync::Arc;

use atelier_plugin_abi::{Field, Hook, Value};
use image::{RgbImage, imageops};

use super::{
    active::ActiveRun,
    error::{Ended, RunError},
    execute::{Batch, to_floats, to_pictures},
    extra_networks::{Tag, take_tags},
    img2img::{Beginning, joined},
    params::{Params, SIDES, STEPS, fits_memory},
    pipeline::{Catalogue, Pipeline, Tensor},
    refiner::asked_for,
    request::{Hires, RunRequest},
    sample::{Drawn, Pass},
    stage::{Slot, Stage},
};
use crate::{
    imaging::{ResizeMode, resized},
    output::infotext::Params as Infotext,
};

/// Ways to make pixels more, by A1111's names.
const PIXEL_UPSCALERS: [&str; 3] = ["None", "Lanczos", "Nearest"];

/// A second pass that is to be made.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HiresPlan {
    asked: Hires,
    /// The size that pictures are made, and the part of it that is kept.
    cover: (u32, u32),
    size: (u32, u32),
    upscaler: String,
    sampler: String,
    scheduler: String,
    pub(super) steps: u32,
    /// Prompt and negative prompt with styles, where they are not the first pass's.
    prompt: Option<String>,
    negative_prompt: Option<String>,
}

impl HiresPlan {
    /// None for a run of one pass. `multiple` is what sides are made multiples of.
    ///
    /// # Errors
    /// [`RunError::Parameter`] and [`RunError::Pipeline`].
    pub(super) fn of(
        request: &RunRequest,
        params: &Params,
        catalogue: Catalogue,
        multiple: u32,
    ) -> Result<Option<Self>, RunError> {
        let Some(asked) = &request.hires else { return Ok(None) };
        let wrong = |field, reason: String| Err(RunError::Parameter { field, reason });
        if request.init_images.is_some() {
            let reason = "a run from a picture has no second pass; leave it out".to_owned();
            return wrong("hires", reason);
        }
        if !(asked.hr_scale.is_finite() && asked.hr_scale > 0.0) {
            let reason = format!("{} is not a number above 0", asked.hr_scale);
            return wrong("hr_scale", reason);
        }
        let (cover, size) = asked.sizes((params.width, params.height), multiple.max(1));
        for side in [cover.0, cover.1, size.0, size.1] {
            if !(SIDES.0..=SIDES.1).contains(&side) {
                let (min, max) = SIDES;
                return wrong("hires", format!("a side of {side} is not from {min} to {max}"));
            }
        }
        fits_memory("hires", cover.0, cover.1, params.batch_size)?;
        let latent = (catalogue.latent_upscalers)();
        let upscaler = asked.hr_upscaler.as_deref().or(latent.first().copied()).unwrap_or("None");
        if !latent.contains(&upscaler) && !PIXEL_UPSCALERS.contains(&upscaler) {
            let known = latent.iter().chain(&PIXEL_UPSCALERS).copied().collect::<Vec<_>>();
            let reason =
                format!("there is no upscaler “{upscaler}”; there are: {}", known.join(", "));
            return wrong("hr_upscaler", reason);
        }
        let steps =
            if asked.hr_second_pass_steps == 0 { params.steps } else { asked.hr_second_pass_steps };
        if !(STEPS.0..=STEPS.1).contains(&steps) {
            return wrong("hr_second_pass_steps", format!("{steps} is not from 1 to {}", STEPS.1));
        }
        let named = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
        let sampler = named(&asked.hr_sampler_name).unwrap_or_else(|| params.sampler.clone());
        let sampler = catalogue.find_sampler(&sampler)?.to_owned();
        let scheduler = named(&asked.hr_scheduler).unwrap_or_else(|| params.scheduler.clone());
        catalogue.find_scheduler(&scheduler, &sampler)?;
        Ok(Some(Self {
            asked: asked.clone(),
            cover,
            size,
            upscaler: upscaler.to_owned(),
            sampler,
            scheduler,
            steps,
            prompt: None,
            negative_prompt: None,
        }))
    }

    /// With its prompts, styles around them.
    pub(super) fn with_prompts(self, prompts: (String, String)) -> Self {
        let (prompt, negative_prompt) = prompts;
        Self {
            prompt: Some(prompt).filter(|_| !self.asked.hr_prompt.is_empty()),
            negative_prompt: Some(negative_prompt)
                .filter(|_| !self.asked.hr_negative_prompt.is_empty()),
            ..self
        }
    }

    pub(super) fn asked(&self) -> &Hires {
        &self.asked
    }

    /// What A1111 tells of it, under its keys.
    pub(super) fn tell(&self, to: &mut Infotext, first: &Params) {
        if self.sampler != first.sampler {
            to.set("Hires sampler", self.sampler.as_str());
        }
        if let Some(prompt) = &self.prompt {
            to.set("Hires prompt", prompt.as_str());
        }
        if let Some(prompt) = &self.negative_prompt {
            to.set("Hires negative prompt", prompt.as_str());
        }
        if self.scheduler != first.scheduler {
            to.set("Hires schedule type", self.scheduler.as_str());
        }
        let Hires { hr_scale, hr_resize_x: x, hr_resize_y: y, .. } = self.asked;
        if (x, y) == (0, 0) {
            to.set("Hires upscale", hr_scale);
        } else {
            to.set("Hires resize", format!("{x}x{y}"));
        }
        if self.asked.hr_second_pass_steps > 0 {
            to.set("Hires steps", self.steps);
        }
        if let Some(upscaler) = &self.asked.hr_upscaler {
            to.set("Hires upscaler", upscaler.as_str());
        }
    }
}

impl Hires {
    /// The size that pictures are made, and the size of the middle that is kept.
    fn sizes(&self, (width, height): (u32, u32), multiple: u32) -> ((u32, u32), (u32, u32)) {
        let whole = |side: f64| {
            // What is too large stays so, to be refused.
            let side = side.clamp(0.0, f64::from(u32::MAX)) as u32;
            (side / multiple * multiple).max(multiple)
        };
        let both = |x: f64, y: f64| (whole(x), whole(y));
        let (w, h) = (f64::from(width.max(1)), f64::from(height.max(1)));
        let (x, y) = (f64::from(self.hr_resize_x), f64::from(self.hr_resize_y));
        let cover = match (self.hr_resize_x, self.hr_resize_y) {
            (0, 0) => both(w * self.hr_scale, h * self.hr_scale),
            (_, 0) => both(x, x * h / w),
            (0, _) => both(y * w / h, y),
            _ if w / h < x / y => both(x, x * h / w),
            _ => both(y * w / h, y),
        };
        if self.hr_resize_x == 0 || self.hr_resize_y == 0 {
            return (cover, cover);
        }
        (cover, (whole(x).min(cover.0), whole(y).min(cover.1)))
    }
}

impl ActiveRun<'_> {
    /// Draws a batch over, larger. `base` is the checkpoint without extra networks, `pipeline` with those
    /// of the first pass, which `tags` are.
    pub(super) fn second_pass(
        &mut self,
        base: &Arc<dyn Pipeline>,
        pipeline: &Arc<dyn Pipeline>,
        batch: &Batch,
        tags: &[Tag],
        drawn: Drawn,
    ) -> Result<Drawn, Ended> {
        let Some(plan) = self.hires.clone() else { return Ok(drawn) };
        let Drawn { latents, by } = drawn;
        if self.hooks.seam.host_bool("save_images_before_highres_fix") {
            let suffix = "-before-highres-fix";
            for (index, picture) in to_pictures(&by.decode(&latents)?).into_iter().enumerate() {
                self.save_beside(batch, index, picture, suffix, (true, false))?;
            }
        }
        let (prompts, own_tags) = plan.prompts(batch);
        let other = asked_for(plan.asked.hr_checkpoint_name.as_ref()).cloned();
        let other = other.map(|name| self.checkpoint_beside(&name)).transpose()?;
        if let Some(other) = &other {
            self.hooks.infotext.set("Hires checkpoint", other.model().short_title());
        }
        let pipeline = if other.is_none() && own_tags.is_none() {
            pipeline.clone()
        } else {
            let base = other.as_ref().unwrap_or(base);
            self.with_networks(base, own_tags.as_deref().unwrap_or(tags))
        };
        let tags = own_tags.unwrap_or_else(|| tags.to_vec());
        let latents = enlarged((by.as_ref(), pipeline.as_ref()), latents, &plan)?;
        self.networks_active(&pipeline, batch, &tags, true)?;
        let count = batch.negative_prompts.len();
        let negative_prompts = match &plan.negative_prompt {
            Some(prompt) => vec![prompt.clone(); count],
            None => batch.negative_prompts.clone(),
        };
        let pass = Pass {
            sampler: plan.sampler.clone(),
            scheduler: plan.scheduler.clone(),
            steps: plan.steps,
            size: plan.size,
            prompts,
            negative_prompts,
            tags,
            behind: Some((self.params.sampler.clone(), self.params.steps)),
            steps_around: (self.params.steps, 0),
        };
        let start = Beginning { latents, shown: None, mask: None, overlay: None };
        self.sample_pass(&pipeline, batch, &pass, Some(&start))
    }

    /// The last look at the second pass before its noise and conditioning are shown.
    pub(super) fn before_hr(&mut self, batch: &Batch, pass: &Pass) -> Result<(), Ended> {
        let Self { params, hooks, .. } = self;
        let int = |value: u32| Slot::Fixed(Value::Int(i64::from(value)));
        let shown = params.show(Stage::new());
        let stage = batch
            .show(params.lend_guidance(shown))
            .field(Field::HrWidth, int(pass.size.0))
            .field(Field::HrHeight, int(pass.size.1))
            .field(Field::HrSteps, int(pass.steps))
            .field(Field::Prompts, Slot::FixedTexts(&pass.prompts))
            .field(Field::NegativePrompts, Slot::FixedTexts(&pass.negative_prompts));
        hooks.call(batch.frame(Hook::BeforeHr), stage)
    }
}

impl HiresPlan {
    /// The prompts of a batch, and their tags of networks where they are not the first pass's.
    fn prompts(&self, batch: &Batch) -> (Vec<String>, Option<Vec<Tag>>) {
        match &self.prompt {
            None => (batch.prompts.clone(), None),
            Some(prompt) => {
                let (text, tags) = take_tags(prompt);
                (vec![text; batch.prompts.len()], Some(tags))
            }
        }
    }
}

/// Latents of the second pass's size: stretched, or through their pictures, from what drew them to what
/// goes on.
fn enlarged(
    (first, second): (&dyn Pipeline, &dyn Pipeline),
    latents: Tensor,
    plan: &HiresPlan,
) -> Result<Tensor, Ended> {
    let (width, height) = plan.cover;
    let latents = if PIXEL_UPSCALERS.contains(&plan.upscaler.as_str()) {
        let mut rows: Vec<Tensor> = Vec::new();
        for picture in to_pictures(&first.decode(&latents)?) {
            let picture = enlarged_picture(&picture, width, height, &plan.upscaler);
            rows.push(second.encode(&to_floats(&picture))?);
        }
        joined(&rows, rows.len()).unwrap_or(latents)
    } else {
        second.resize_latents(latents, width, height, &plan.upscaler)?
    };
    Ok(middle(&latents, second.model().vae_factor, plan.size))
}

fn enlarged_picture(picture: &RgbImage, width: u32, height: u32, upscaler: &str) -> RgbImage {
    if upscaler == "Nearest" {
        return imageops::resize(picture, width, height, imageops::FilterType::Nearest);
    }
    resized(picture, width, height, ResizeMode::JustResize)
}

/// The middle of latents, for pictures of a size.
fn middle(latents: &Tensor, factor: u32, (width, height): (u32, u32)) -> Tensor {
    let [n, c, h, w] = latents.shape;
    let side = |side: u32| (side / factor.max(1)) as usize;
    let (columns, rows) = (side(width).min(w), side(height).min(h));
    let (left, top) = ((w - columns) / 2, (h - rows) / 2);
    let planes = latents.data.chunks_exact((h * w).max(1));
    let lines = planes.flat_map(|plane| plane.chunks_exact(w.max(1)).skip(top).take(rows));
    let data = lines.flat_map(|line| line[left..left + columns].iter().copied()).collect();
    Tensor { shape: [n, c, rows, columns], data }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(hires: &Hires) -> ((u32, u32), (u32, u32)) {
        hires.sizes((64, 48), 8)
    }

    #[test]
    fn sizes_follow_the_scale_or_the_sides_that_are_given() {
        let hires = |hr_scale, hr_resize_x, hr_resize_y| Hires {
            hr_scale,
            hr_resize_x,
            hr_resize_y,
            ..Hires::default()
        };
        assert_eq!(sizes(&hires(2.0, 0, 0)), ((128, 96), (128, 96)));
        // Whole latents only.
        assert_eq!(sizes(&hires(1.3, 0, 0)), ((80, 56), (80, 56)));
        assert_eq!(sizes(&hires(2.0, 96, 0)), ((96, 72), (96, 72)));
        assert_eq!(sizes(&hires(2.0, 0, 96)), ((128, 96), (128, 96)));
        // Made to cover both sides, and cut.
        assert_eq!(sizes(&hires(2.0, 96, 96)), ((128, 96), (96, 96)));
        assert_eq!(sizes(&hires(2.0, 128, 64)), ((128, 96), (128, 64)));
    }

    #[test]
    fn the_middle_is_kept() {
        let latents = Tensor { shape: [1, 1, 3, 4], data: (0..12).map(|v| v as f32).collect() };
        let found = middle(&latents, 8, (16, 8));
        assert_eq!((found.shape, found.data), ([1, 1, 1, 2], vec![5.0, 6.0]));
    }
}
