//! Executing a run: iterations of sampling, decoding and saving, then the grid and the result.

use atelier_plugin_abi::{Buffer, Field, Hook, Value, frame::Frame};
use image::RgbImage;
use serde_json::json;

use super::{
    active::ActiveRun,
    comments::without_comments,
    error::{Ended, RunError},
    extra_networks::{Tag, take_tags},
    img2img::{Laid, Overlay},
    params::Pictures,
    pipeline::Tensor,
    runner::Picture,
    sample::Drawn,
    stage::{PictureAccess, Slot, Stage},
};

/// Prompts and seeds of one iteration.
#[derive(Clone, Debug, Default)]
pub(super) struct Batch {
    pub(super) iteration: u32,
    pub(super) prompts: Vec<String>,
    pub(super) negative_prompts: Vec<String>,
    pub(super) seeds: Vec<i64>,
    pub(super) subseeds: Vec<i64>,
}

impl Batch {
    fn lend<'a>(&'a mut self, stage: Stage<'a>) -> Stage<'a> {
        stage
            .field(Field::Prompts, Slot::Texts(&mut self.prompts))
            .field(Field::NegativePrompts, Slot::Texts(&mut self.negative_prompts))
            .field(Field::Seeds, Slot::Ints(&mut self.seeds))
            .field(Field::Subseeds, Slot::Ints(&mut self.subseeds))
    }

    /// Lends it to look at.
    pub(super) fn show<'a>(&'a self, stage: Stage<'a>) -> Stage<'a> {
        stage
            .field(Field::Prompts, Slot::FixedTexts(&self.prompts))
            .field(Field::NegativePrompts, Slot::FixedTexts(&self.negative_prompts))
            .field(Field::Seeds, Slot::FixedInts(&self.seeds))
            .field(Field::Subseeds, Slot::FixedInts(&self.subseeds))
    }

    pub(super) fn frame(&self, hook: Hook) -> Frame {
        Frame { iteration: self.iteration, ..Frame::new(hook) }
    }

    /// Lends what belongs to one picture of the batch.
    fn show_picture<'a>(&self, index: usize, stage: Stage<'a>) -> Stage<'a> {
        let text = |list: &[String]| list.get(index).map_or("", String::as_str).into();
        let int = |list: &[i64]| list.get(index).copied().unwrap_or(0);
        stage
            .field(Field::Prompt, Slot::Fixed(Value::Text(text(&self.prompts))))
            .field(Field::NegativePrompt, Slot::Fixed(Value::Text(text(&self.negative_prompts))))
            .field(Field::Seed, Slot::Fixed(Value::Int(int(&self.seeds))))
            .field(Field::Subseed, Slot::Fixed(Value::Int(int(&self.subseeds))))
            .field(Field::BatchIndex, Slot::Fixed(Value::Int(index as i64)))
    }
}

impl ActiveRun<'_> {
    /// From the snapshot to the pictures.
    pub(super) fn execute(&mut self) -> Result<(), Ended> {
        self.hooks.seam.host_enters("execute");
        let Some(pipeline) = self.pipeline.clone() else { return Ok(()) };
        self.process()?;
        let start = self.beginning(pipeline.as_ref())?;
        for iteration in 0..self.params.n_iter {
            self.check_cancelled()?;
            let mut batch = self.batch(iteration)?;
            if batch.prompts.is_empty() {
                break;
            }
            self.hold_picture(&batch, 0);
            self.hooks.seam.host_enters("execute");
            self.batch_hook(Hook::BeforeProcessBatch, &mut batch)?;
            let tags = take_networks(&mut batch);
            let base = &pipeline;
            let pipeline = self.with_networks(base, &tags);
            self.networks_active(&pipeline, &batch, &tags, false)?;
            self.batch_hook(Hook::ProcessBatch, &mut batch)?;
            let drawn = self.sample(&pipeline, &batch, &tags, start.as_ref())?;
            let drawn = self.second_pass(base, &pipeline, &batch, &tags, drawn)?;
            let pictures = self.decode(&mut batch, drawn)?;
            let overlay = start.as_ref().and_then(|start| start.overlay.as_ref());
            self.finish_pictures(&batch, pictures, overlay)?;
        }
        self.hooks.seam.host_enters("execute");
        self.grid()?;
        self.postprocess()
    }

    fn check_cancelled(&self) -> Result<(), Ended> {
        if self.hooks.cancel.is_cancelled() { Err(Ended::Cancelled) } else { Ok(()) }
    }

    fn process(&mut self) -> Result<(), Ended> {
        self.remove_comments();
        let Self { params, pictures, names, hooks, request, .. } = self;
        let stage = params
            .lend(Stage::new(), names, false)
            .field(Field::AllPrompts, Slot::Texts(&mut pictures.all_prompts))
            .field(Field::AllNegativePrompts, Slot::Texts(&mut pictures.all_negative_prompts))
            .field(Field::AllSeeds, Slot::Ints(&mut pictures.all_seeds))
            .field(Field::AllSubseeds, Slot::Ints(&mut pictures.all_subseeds));
        let stage = match &mut request.inpaint {
            Some(inpaint) => stage.field(Field::MaskRound, Slot::Bool(&mut inpaint.mask_round)),
            None => stage,
        };
        hooks.call(Frame::new(Hook::Process), stage)
    }

    /// A1111 does this in its `process` hook too, so that the prepared run keeps what was written.
    fn remove_comments(&mut self) {
        let Pictures { all_prompts, all_negative_prompts, .. } = &mut self.pictures;
        let prompts = all_prompts.iter_mut().chain(all_negative_prompts);
        let mut commented = prompts.filter(|prompt| prompt.contains('#')).peekable();
        if commented.peek().is_some() && self.hooks.seam.host_bool("enable_prompt_comments") {
            commented.for_each(|prompt| *prompt = without_comments(prompt));
        }
    }

    /// The slice of an iteration, as A1111 takes it.
    pub(super) fn batch(&self, iteration: u32) -> Result<Batch, Ended> {
        let size = self.params.batch_size as usize;
        let from = iteration as usize * size;
        let all = &self.pictures;
        let to = (from + size).min(all.all_prompts.len());
        let from = from.min(to);
        let missing = |field| RunError::Parameter {
            field,
            reason: format!("a hook left fewer of them than prompts ({to})"),
        };
        Ok(Batch {
            iteration,
            prompts: all.all_prompts[from..to].to_vec(),
            negative_prompts: all
                .all_negative_prompts
                .get(from..to)
                .ok_or_else(|| missing("all_negative_prompts"))?
                .to_vec(),
            seeds: all.all_seeds.get(from..to).ok_or_else(|| missing("all_seeds"))?.to_vec(),
            subseeds: all
                .all_subseeds
                .get(from..to)
                .ok_or_else(|| missing("all_subseeds"))?
                .to_vec(),
        })
    }

    fn batch_hook(&mut self, hook: Hook, batch: &mut Batch) -> Result<(), Ended> {
        let Self { params, names, hooks, .. } = self;
        let frame = batch.frame(hook);
        hooks.call(frame, batch.lend(params.lend(Stage::new(), names, false)))
    }

    /// From latents to a list of pictures.
    fn decode(
        &mut self,
        batch: &mut Batch,
        Drawn { mut latents, by }: Drawn,
    ) -> Result<Vec<RgbImage>, Ended> {
        let stage = self.params.show(Stage::new()).tensor(
            Buffer::Latents,
            latents.shape,
            &mut latents.data,
        );
        self.hooks.call(batch.frame(Hook::PostSample), stage)?;
        let mut pixels = by.decode(&latents)?;
        let stage =
            self.params.show(Stage::new()).tensor(Buffer::Pixels, pixels.shape, &mut pixels.data);
        self.hooks.call(batch.frame(Hook::PostprocessBatch), stage)?;
        let mut pictures = to_pictures(&pixels);
        // A1111 puts the batch's prompts back from the run's here.
        let iteration = batch.iteration;
        *batch = Batch {
            seeds: batch.seeds.clone(),
            subseeds: batch.subseeds.clone(),
            ..self.batch(iteration)?
        };
        let frame = batch.frame(Hook::PostprocessBatchList);
        let stage =
            batch.lend(self.params.show(Stage::new())).pictures(&mut pictures, PictureAccess::List);
        self.hooks.call(frame, stage)?;
        Ok(pictures)
    }

    /// Picture by picture: the last hooks on its pixels, what stays of a first one over it, then the file.
    fn finish_pictures(
        &mut self,
        batch: &Batch,
        pictures: Vec<RgbImage>,
        overlay: Option<&Overlay>,
    ) -> Result<(), Ended> {
        for (index, picture) in pictures.into_iter().enumerate() {
            self.hold_picture(batch, index);
            let picture = self.picture_hook(Hook::PostprocessImage, batch, index, picture)?;
            let laid = self.maskoverlay(batch, index, overlay)?;
            let picture = match &laid {
                Some(laid) => laid.lay(picture),
                None => picture,
            };
            let hook = Hook::PostprocessImageAfterComposite;
            let picture = self.picture_hook(hook, batch, index, picture)?;
            self.save_sample(batch, index, picture)?;
            if let Some(laid) = laid {
                let seam = &mut self.hooks.seam;
                let wanted = (seam.host_bool("save_mask"), seam.host_bool("return_mask"));
                if wanted.0 || wanted.1 {
                    self.save_beside(batch, index, laid.mask_picture(), "-mask", wanted)?;
                }
            }
        }
        Ok(())
    }

    /// One picture, which a hook may change and replace.
    fn picture_hook(
        &mut self,
        hook: Hook,
        batch: &Batch,
        index: usize,
        picture: RgbImage,
    ) -> Result<RgbImage, Ended> {
        let frame = Frame { image: self.finished.len() as u32, ..batch.frame(hook) };
        let mut one = vec![picture];
        let stage = batch
            .show_picture(index, self.params.show(Stage::new()))
            .pictures(&mut one, PictureAccess::Replace);
        self.hooks.call(frame, stage)?;
        Ok(one.pop().unwrap_or_default())
    }

    /// What is laid over a picture, which hooks may change. They are called without it too, as in A1111.
    fn maskoverlay<'o>(
        &mut self,
        batch: &Batch,
        index: usize,
        overlay: Option<&'o Overlay>,
    ) -> Result<Option<Laid<'o>>, Ended> {
        let hook = Hook::PostprocessMaskoverlay;
        let mut laid = overlay.and_then(|overlay| overlay.of(index));
        let frame = Frame { image: self.finished.len() as u32, ..batch.frame(hook) };
        let mut stage = batch.show_picture(index, self.params.show(Stage::new()));
        if let Some(Laid { first, mask, over, part, .. }) =
            laid.as_mut().filter(|_| self.hooks.wants(hook))
        {
            let (mask, over) = (mask.to_mut(), over.to_mut());
            let shape = |(width, height), channels| [height as usize, width as usize, channels];
            let (first_shape, mask_shape) =
                (shape(first.dimensions(), 3), shape(mask.dimensions(), 1));
            let over_shape = shape(over.dimensions(), 4);
            let part = part.map(|part| json!([part.x, part.y, part.width, part.height]));
            let part = part.map_or(Value::Null, |part| Value::Json(part.to_string().into()));
            stage = stage
                .show_bytes(Buffer::InitImage, first_shape, first)
                .bytes(Buffer::MaskForOverlay, mask_shape, mask)
                .bytes(Buffer::OverlayImage, over_shape, over)
                .field(Field::PasteTo, Slot::Fixed(part));
        }
        self.hooks.call(frame, stage)?;
        Ok(laid)
    }

    fn postprocess(&mut self) -> Result<(), Ended> {
        let mut pictures: Vec<RgbImage> = Vec::new();
        let mut infotexts: Vec<String> = Vec::new();
        for picture in &mut self.finished {
            pictures.push(std::mem::take(&mut picture.image));
            infotexts.push(std::mem::take(&mut picture.infotext));
        }
        let stage = self
            .params
            .show(Stage::new())
            .field(Field::Infotexts, Slot::Texts(&mut infotexts))
            .pictures(&mut pictures, PictureAccess::Pixels);
        let outcome = self.hooks.call(Frame::new(Hook::Postprocess), stage);
        let both = pictures.into_iter().zip(infotexts);
        for (finished, (image, infotext)) in self.finished.iter_mut().zip(both) {
            *finished = Picture { image, infotext, ..finished.clone() };
        }
        outcome
    }
}

/// Takes the tags of extra networks out of a batch's prompts; the infotext keeps them. As in A1111,
/// those of the first prompt count for the whole batch.
fn take_networks(batch: &mut Batch) -> Vec<Tag> {
    let mut first = None;
    for prompt in &mut batch.prompts {
        let (text, tags) = take_tags(prompt);
        *prompt = text;
        first.get_or_insert(tags);
    }
    first.unwrap_or_default()
}

/// A picture as floats in 0..1, `[1, 3, height, width]`.
pub(super) fn to_floats(picture: &RgbImage) -> Tensor {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut tensor = Tensor::zeros([1, 3, height, width]);
    for (x, y, pixel) in picture.enumerate_pixels() {
        for (channel, value) in pixel.0.iter().enumerate() {
            let at = (channel * height + y as usize) * width + x as usize;
            tensor.data[at] = f32::from(*value) / 255.0;
        }
    }
    tensor
}

/// Floats in 0..1 as pictures; A1111 scales by 255 and cuts off.
pub(super) fn to_pictures(pixels: &Tensor) -> Vec<RgbImage> {
    let [n, _, height, width] = pixels.shape;
    let plane = height * width;
    let byte = |value: f32| (value.clamp(0.0, 1.0) * 255.0) as u8;
    let picture = |index: usize| {
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let at = index * 3 * plane + y as usize * width + x as usize;
            image::Rgb([0, 1, 2].map(|channel| byte(pixels.data[at + channel * plane])))
        })
    };
    (0..n).map(picture).collect()
}
