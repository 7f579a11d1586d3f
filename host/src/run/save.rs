//! From a finished picture to its file: infotext, name, hooks, bytes; and the grid.

use std::path::PathBuf;

use atelier_plugin_abi::{Field, Hook, Value, frame::Frame};
use image::{Rgb, RgbImage};
use jiff::Zoned;

use super::{
    error::Ended,
    events::RunEvent,
    execute::Batch,
    prepare::first_text,
    record::RecordedOutput,
    runner::{ActiveRun, Picture},
    services::AtHand,
    stage::{PictureAccess, Slot, Stage},
};
use crate::output::{
    encode::{Format, encode},
    filename::{DEFAULT_FOLDER_PATTERN, NameParts, default_file_pattern, file_stem, folder},
    grid::{compose, grid_size},
    infotext::{Infotext, ParamValue},
    infotext_params::RunParams,
    sequence::{Naming, Target, save_image_file},
};

/// Which file a picture becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Sample,
    Grid,
}

/// What is told of a picture beside its pixels.
struct Caption<'a> {
    prompt: &'a str,
    negative_prompt: &'a str,
    seed: i64,
    subseed: i64,
    /// Picture within the run, from 0.
    number: u32,
    batch_index: u32,
    iteration: u32,
}

/// The texts of a caption.
struct Prompts {
    prompt: String,
    negative_prompt: String,
}

impl Prompts {
    fn of(batch: &Batch, index: usize) -> Self {
        Self {
            prompt: text_at(&batch.prompts, index),
            negative_prompt: text_at(&batch.negative_prompts, index),
        }
    }

    fn caption(&self, batch: &Batch, index: usize, number: u32) -> Caption<'_> {
        Caption {
            prompt: &self.prompt,
            negative_prompt: &self.negative_prompt,
            seed: batch.seeds.get(index).copied().unwrap_or(0),
            subseed: batch.subseeds.get(index).copied().unwrap_or(0),
            number,
            batch_index: index as u32,
            iteration: batch.iteration,
        }
    }
}

impl Caption<'_> {
    fn show<'a>(&self, stage: Stage<'a>) -> Stage<'a> {
        stage
            .field(Field::Prompt, Slot::Fixed(Value::Text(self.prompt.into())))
            .field(Field::NegativePrompt, Slot::Fixed(Value::Text(self.negative_prompt.into())))
            .field(Field::Seed, Slot::Fixed(Value::Int(self.seed)))
            .field(Field::Subseed, Slot::Fixed(Value::Int(self.subseed)))
    }
}

impl ActiveRun<'_> {
    /// Saves a picture where options and request say so, and keeps it for the answer.
    pub(super) fn save_sample(
        &mut self,
        batch: &Batch,
        index: usize,
        image: RgbImage,
    ) -> Result<(), Ended> {
        self.hooks.seam.host_enters("save");
        let (prompts, number) = (Prompts::of(batch, index), self.finished.len());
        let caption = prompts.caption(batch, index, number as u32);
        let infotext = self.infotext(&caption);
        let save = self.saves_samples();
        self.keep(Kind::Sample, image, infotext, &caption, save, Some(number))
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

    /// The infotext of a picture in A1111's layout; behind A1111's own keys come the plugins', then
    /// which options and plugins made the picture.
    fn infotext(&mut self, caption: &Caption<'_>) -> String {
        let seam = &mut self.hooks.seam;
        let flag = |on: bool, text: String| on.then_some(text);
        let (with_hash, with_name) =
            (seam.host_bool("add_model_hash_to_info"), seam.host_bool("add_model_name_to_info"));
        let version = flag(
            seam.host_bool("add_version_to_infotext"),
            format!("Atelier {}", env!("CARGO_PKG_VERSION")),
        );
        let clip_skip = seam.host_int("CLIP_stop_at_last_layers");
        let ensd = Some(seam.host_int("eta_noise_seed_delta"));
        let rng = Some(seam.host_text("randn_source").to_string());
        let model = self.hooks.model.as_ref();
        let schedule = (self.runner.provider().catalogue().scheduler)(
            &self.params.scheduler,
            &self.params.sampler,
        );
        let params = RunParams {
            steps: self.params.steps,
            sampler: self.params.sampler.clone(),
            schedule_type: schedule.map(str::to_owned),
            cfg_scale: self.params.cfg_scale,
            seed: caption.seed,
            size: (self.params.width, self.params.height),
            model_hash: model.and_then(|m| flag(with_hash, m.short_hash().to_owned())),
            model: model.and_then(|m| flag(with_name, m.name.clone())),
            variation_seed: Some(caption.subseed),
            variation_seed_strength: self.params.subseed_strength,
            denoising_strength: self.params.is_img2img.then_some(self.params.denoising_strength),
            clip_skip,
            ensd: ensd.filter(|_| self.params.sampler == "Euler a"),
            rng,
            version,
            ..RunParams::default()
        };
        let own = self.hooks.infotext.iter();
        let mut extra: Vec<(String, ParamValue)> =
            own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        if let Some(snapshot) = self.hooks.seam.snapshot() {
            let digest = ParamValue::Text(snapshot.digest().short());
            extra.push(("Options snapshot".to_owned(), digest));
        }
        let plugins = self.hooks.plugins();
        let plugins: Vec<String> =
            plugins.map(|p| format!("{} {}", p.manifest.id, p.manifest.version)).collect();
        if !plugins.is_empty() {
            extra.push(("Plugins".to_owned(), ParamValue::Text(plugins.join(", "))));
        }
        let mut failed: Vec<String> = Vec::new();
        for failure in &self.hooks.failures {
            let place = format!("{} at {}", failure.plugin, failure.hook);
            if !failed.contains(&place) {
                failed.push(place);
            }
        }
        if !failed.is_empty() {
            extra.push(("Plugin failures".to_owned(), ParamValue::Text(failed.join(", "))));
        }
        Infotext::new(caption.prompt, caption.negative_prompt, params.with_extra(extra))
            .render(caption.number as usize)
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
        let target = Target {
            folder: &folder,
            basename: if kind == Kind::Grid { "grid" } else { "" },
            decoration: &crate::output::safe_name::component(&name, 200),
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

    /// What only Atelier can say of a picture, as JSON: a chunk of its own in the file.
    fn own_metadata(&self) -> String {
        let plugins = self.hooks.plugins().map(|plugin| {
            serde_json::json!({
                "id": plugin.manifest.id,
                "version": plugin.manifest.version,
                "hash": plugin.hash,
            })
        });
        serde_json::json!({
            "run": self.record.id,
            "snapshot": self.hooks.seam.snapshot().map(crate::options::Snapshot::digest),
            "plugins": plugins.collect::<Vec<_>>(),
            "failures": self.hooks.failures,
        })
        .to_string()
    }

    /// The folder of the run's single pictures, without the part that depends on a picture.
    pub(super) fn samples_folder(&mut self) -> PathBuf {
        let key = if self.params.is_img2img {
            "outdir_img2img_samples"
        } else {
            "outdir_txt2img_samples"
        };
        self.output_folder("outdir_samples", key)
    }

    fn output_folder(&mut self, common: &str, own: &str) -> PathBuf {
        let seam = &mut self.hooks.seam;
        let folder = first_text([&seam.host(common), &seam.host(own)]);
        self.runner.data().join(folder.as_deref().unwrap_or("outputs"))
    }

    /// Name without number and ending, and folder.
    fn name(&mut self, kind: Kind, image: &RgbImage, caption: &Caption<'_>) -> (String, PathBuf) {
        let root = match (kind, self.params.is_img2img) {
            (Kind::Sample, _) => self.samples_folder(),
            (Kind::Grid, false) => self.output_folder("outdir_grids", "outdir_txt2img_grids"),
            (Kind::Grid, true) => self.output_folder("outdir_grids", "outdir_img2img_grids"),
        };
        let seam = &mut self.hooks.seam;
        let in_folders = match kind {
            Kind::Sample => seam.host_bool("save_to_dirs"),
            Kind::Grid => seam.host_bool("grid_save_to_dirs"),
        };
        let or = |text: std::sync::Arc<str>, default: &str| {
            if text.is_empty() { default.to_owned() } else { text.to_string() }
        };
        let pattern =
            or(seam.host_text("samples_filename_pattern"), default_file_pattern(in_folders));
        let folder_pattern =
            or(seam.host_text("directories_filename_pattern"), DEFAULT_FOLDER_PATTERN);
        let max_prompt_words =
            usize::try_from(seam.host_int("directories_max_prompt_words")).unwrap_or(8);
        let clip_skip = Some(seam.host_int("CLIP_stop_at_last_layers"));
        // A grid has a name of its own unless it is to be told apart by what it shows.
        let plain_grid = kind == Kind::Grid && !seam.host_bool("grid_extended_filename");
        let model = self.hooks.model.as_ref();
        let job_timestamp = self.started.strftime("%Y%m%d%H%M%S").to_string();
        let scheduler = (self.runner.provider().catalogue().scheduler)(
            &self.params.scheduler,
            &self.params.sampler,
        );
        let parts = NameParts {
            image,
            now: &Zoned::now(),
            job_timestamp: &job_timestamp,
            basename: if kind == Kind::Grid { "grid" } else { "" },
            seed: Some(caption.seed),
            all_seeds: &self.pictures.all_seeds,
            prompt: caption.prompt,
            negative_prompt: caption.negative_prompt,
            styles: &[],
            style_prompts: &[],
            max_prompt_words,
            steps: Some(self.params.steps),
            cfg: Some(self.params.cfg_scale),
            sampler: Some(&self.params.sampler),
            scheduler,
            model_hash: model.map(super::pipeline::ModelInfo::short_hash),
            model_name: model.map(|model| model.name.as_str()),
            vae: None,
            clip_skip,
            denoising: self.params.is_img2img.then_some(self.params.denoising_strength),
            user: None,
            batch_index: caption.batch_index,
            batch_size: self.params.batch_size,
            iteration: caption.iteration,
            iterations: self.params.n_iter,
        };
        let name = if plain_grid { String::new() } else { file_stem(&pattern, &parts) };
        let place = if in_folders { root.join(folder(&folder_pattern, &parts)) } else { root };
        (name, place)
    }
}

fn text_at(list: &[String], index: usize) -> String {
    list.get(index).cloned().unwrap_or_default()
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
