//! From a finished picture to its file: infotext, name, hooks, bytes; and the grid.

mod caption;
mod infotext;
mod name;

use atelier_plugin_abi::{Field, Hook, Value, frame::Frame};
use image::{Rgb, RgbImage};

use super::{
    active::ActiveRun,
    error::Ended,
    events::RunEvent,
    execute::Batch,
    record::RecordedOutput,
    runner::Picture,
    services::AtHand,
    stage::{PictureAccess, Slot, Stage},
};
use crate::output::{
    encode::{Format, encode},
    grid::{compose, grid_size},
    sequence::{Naming, Target, save_image_file},
};
use caption::{Caption, Prompts};

/// Which file a picture becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sample,
    /// What belongs to a sample, under its name with this at the end.
    Beside(&'static str),
    Grid,
}

impl ActiveRun<'_> {
    /// Saves a picture where options and request say so, and keeps it for the answer.
    pub(super) fn save_sample(
        &mut self,
        batch: &Batch,
        index: usize,
        image: RgbImage,
    ) -> Result<(), Ended> {
        self.keep_one(Kind::Sample, batch, index, image, (true, true))
    }

    /// Saves what belongs to a picture where samples are saved and `save` says so, and answers it where
    /// `answer` does.
    pub(super) fn save_beside(
        &mut self,
        batch: &Batch,
        index: usize,
        image: RgbImage,
        suffix: &'static str,
        (save, answer): (bool, bool),
    ) -> Result<(), Ended> {
        self.keep_one(Kind::Beside(suffix), batch, index, image, (save, answer))
    }

    fn keep_one(
        &mut self,
        kind: Kind,
        batch: &Batch,
        index: usize,
        image: RgbImage,
        (save, answer): (bool, bool),
    ) -> Result<(), Ended> {
        self.hooks.seam.host_enters("save");
        let (prompts, number) = (Prompts::of(batch, index), self.finished.len());
        let caption = prompts.caption(batch, index, number as u32);
        let infotext = self.infotext(&caption);
        let save = save && self.saves_samples();
        self.keep(kind, image, infotext, &caption, save, answer.then_some(number))
    }

    /// How far the pictures that a run or its second pass starts from are left.
    fn denoising(&self) -> Option<f64> {
        let leaves = self.params.is_img2img || self.hires.is_some();
        leaves.then_some(self.params.denoising_strength)
    }

    fn saves_samples(&mut self) -> bool {
        self.hooks.seam.host_bool("samples_save") && !self.params.do_not_save_samples
    }

    /// Tells the services which picture plugins are at work on.
    pub(super) fn hold_picture(&mut self, batch: &Batch, index: usize) {
        if self.hooks.plugins().next().is_none() {
            return;
        }
        self.hooks.seam.host_enters("services");
        let prompts = Prompts::of(batch, index);
        let caption = prompts.caption(batch, index, self.finished.len() as u32);
        let infotext = self.infotext(&caption);
        let with_infotext = self.hooks.seam.host_bool("enable_pnginfo");
        let save = self.saves_samples();
        let picture =
            AtHand { seed: caption.seed, infotext: with_infotext.then_some(infotext), save };
        if let Some(services) = &mut self.hooks.services {
            services.hold(picture);
        }
    }

    /// Makes the grid of a run with several pictures, as A1111 v1.10.1 does: saved and put in front
    /// where the options say so.
    pub(super) fn grid(&mut self) -> Result<(), Ended> {
        let seam = &mut self.hooks.seam;
        let (wanted, saved) = (seam.host_bool("return_grid"), seam.host_bool("grid_save"));
        let needed = if seam.host_bool("grid_only_if_multiple") { 2 } else { 1 };
        if !(wanted || saved) || self.params.do_not_save_grid || self.finished.len() < needed {
            return Ok(());
        }
        let rows = seam.host_int("n_rows");
        let tight = seam.host_bool("grid_prevent_empty_spots");
        let background = colour(&seam.host_text("grid_background_color"));
        let count = self.finished.len() as u32;
        let (mut columns, mut rows) =
            grid_size(count as usize, rows, self.params.batch_size as usize, tight);
        let mut images: Vec<RgbImage> =
            self.finished.iter().map(|picture| picture.image.clone()).collect();
        let stage = self
            .params
            .show(Stage::new())
            .field(Field::Columns, Slot::UInt(&mut columns, (1, count.max(1))))
            .field(Field::Rows, Slot::UInt(&mut rows, (1, count.max(1))))
            .pictures(&mut images, PictureAccess::Pixels);
        self.hooks.call(Frame::new(Hook::ImageGrid), stage)?;
        let image = compose(&images, columns, rows, background)?;
        self.hooks.seam.host_enters("save");
        let first = |list: &[String]| list.first().cloned().unwrap_or_default();
        let caption = Caption {
            prompt: &first(&self.pictures.all_prompts),
            negative_prompt: &first(&self.pictures.all_negative_prompts),
            seed: self.pictures.all_seeds.first().copied().unwrap_or(0),
            subseed: self.pictures.all_subseeds.first().copied().unwrap_or(0),
            number: 0,
            batch_index: 0,
            iteration: 0,
        };
        let infotext = self.infotext(&caption);
        self.keep(Kind::Grid, image, infotext, &caption, saved, wanted.then_some(0))
    }

    /// Saves a picture that a selected plugin answers, where grids are saved, and puts it into the
    /// answer. Without words of the plugin's it gets the run's own infotext.
    pub(super) fn keep_answer(&mut self, image: RgbImage, infotext: String) -> Result<(), Ended> {
        self.hooks.seam.host_enters("save");
        let saved = self.hooks.seam.host_bool("grid_save") && !self.params.do_not_save_grid;
        let batch = self.batch(0)?;
        let prompts = Prompts::of(&batch, 0);
        let number = self.finished.len();
        let caption = prompts.caption(&batch, 0, number as u32);
        let infotext = if infotext.is_empty() { self.infotext(&caption) } else { infotext };
        self.keep(Kind::Grid, image, infotext, &caption, saved, Some(number))
    }

    /// Writes a picture with the events around it, notes it in the record and puts it into the answer,
    /// where it has a place there.
    fn keep(
        &mut self,
        kind: Kind,
        image: RgbImage,
        infotext: String,
        caption: &Caption<'_>,
        save: bool,
        place: Option<usize>,
    ) -> Result<(), Ended> {
        let grid = kind == Kind::Grid;
        let mut picture = Picture { image, infotext, path: None, grid, seed: caption.seed };
        let outcome = if save { self.write(kind, &mut picture, caption) } else { Ok(()) };
        // A picture whose file is there counts, whatever the hook behind it did to the run.
        if outcome.is_err() && picture.path.is_none() {
            return outcome;
        }
        self.record.outputs.push(RecordedOutput {
            path: picture.path.clone(),
            grid,
            seed: picture.seed,
            width: picture.image.width(),
            height: picture.image.height(),
            pixels: blake3::hash(&picture.image).to_hex().to_string(),
            infotext: picture.infotext.clone(),
        });
        if let Some(place) = place {
            self.finished.insert(place, picture);
        }
        outcome
    }

    fn write(
        &mut self,
        kind: Kind,
        picture: &mut Picture,
        caption: &Caption<'_>,
    ) -> Result<(), Ended> {
        let (mut name, folder) = self.name(kind, &picture.image, caption);
        let frame = |hook| Frame {
            image: caption.number,
            iteration: caption.iteration,
            ..Frame::new(hook)
        };
        let mut images = vec![std::mem::take(&mut picture.image)];
        let stage = caption
            .show(Stage::new())
            .field(Field::FileName, Slot::Text(&mut name, Vec::new()))
            .field(Field::Infotext, Slot::Text(&mut picture.infotext, Vec::new()))
            .pictures(&mut images, PictureAccess::Replace);
        let outcome = self.hooks.call(frame(Hook::BeforeImageSaved), stage);
        picture.image = images.pop().unwrap_or_default();
        outcome?;

        self.hooks.seam.host_enters("save");
        let seam = &mut self.hooks.seam;
        let option = if kind == Kind::Grid { "grid_format" } else { "samples_format" };
        let quality = u8::try_from(seam.host_int("jpeg_quality")).unwrap_or(80);
        let format = Format::from_name(&seam.host_text(option), quality)?
            .for_size(picture.image.width(), picture.image.height());
        let with_infotext = seam.host_bool("enable_pnginfo");
        let numbered = kind == Kind::Grid || seam.host_bool("save_images_add_number");
        let replace = &*seam.host_text("save_images_replace_action") == "Replace";
        let own = self.own_metadata();
        let more = [("atelier", own.as_str())];
        let bytes = encode(
            &picture.image,
            format,
            with_infotext.then_some(picture.infotext.as_str()),
            if with_infotext { &more } else { &[] },
        )?;
        let mut decoration = crate::output::safe_name::component(&name, 200);
        if let Kind::Beside(suffix) = kind {
            decoration.push_str(suffix);
        }
        let target = Target {
            folder: &folder,
            basename: if kind == Kind::Grid { "grid" } else { "" },
            decoration: &decoration,
            extension: format.extension(),
            naming: match (numbered, replace) {
                (true, _) => Naming::Numbered,
                (false, true) => Naming::Replace,
                (false, false) => Naming::Suffixed,
            },
        };
        let path = save_image_file(&target, &bytes)?;

        let mut images = vec![std::mem::take(&mut picture.image)];
        let shown = |text: &str| Slot::Fixed(Value::Text(text.into()));
        let stage = caption
            .show(Stage::new())
            .field(Field::Path, shown(&path.display().to_string()))
            .field(Field::Infotext, shown(&picture.infotext))
            .pictures(&mut images, PictureAccess::Read);
        let outcome = self.hooks.call(frame(Hook::ImageSaved), stage);
        picture.image = images.pop().unwrap_or_default();
        self.runner.event(&self.record.id, &RunEvent::Saved { path: path.clone() });
        picture.path = Some(path);
        outcome
    }
}

/// `#rrggbb`; anything else is white, A1111's default.
fn colour(text: &str) -> Rgb<u8> {
    let digits = text.trim_start_matches('#');
    let channel =
        |at: usize| digits.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    match (channel(0), channel(2), channel(4)) {
        (Some(r), Some(g), Some(b)) if digits.len() == 6 => Rgb([r, g, b]),
        _ => Rgb([255, 255, 255]),
    }
}
