//! Where a picture's file goes and what it is called.

use std::path::PathBuf;

use image::RgbImage;
use jiff::Zoned;

use super::{Kind, caption::Caption};
use crate::{
    output::filename::{
        DEFAULT_FOLDER_PATTERN, NameParts, default_file_pattern, file_stem, folder,
    },
    run::{active::ActiveRun, pipeline::ModelInfo, prepare::first_text},
};

impl ActiveRun<'_> {
    /// The folder of the run's single pictures, without the part that depends on a picture.
    pub(in crate::run) fn samples_folder(&mut self) -> PathBuf {
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
    pub(super) fn name(
        &mut self,
        kind: Kind,
        image: &RgbImage,
        caption: &Caption<'_>,
    ) -> (String, PathBuf) {
        let root = match (kind, self.params.is_img2img) {
            (Kind::Sample | Kind::Beside(_), _) => self.samples_folder(),
            (Kind::Grid, false) => self.output_folder("outdir_grids", "outdir_txt2img_grids"),
            (Kind::Grid, true) => self.output_folder("outdir_grids", "outdir_img2img_grids"),
        };
        let seam = &mut self.hooks.seam;
        let in_folders = match kind {
            Kind::Sample | Kind::Beside(_) => seam.host_bool("save_to_dirs"),
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
            styles: &self.request.styles,
            style_prompts: &self.style_prompts,
            max_prompt_words,
            steps: Some(self.params.steps),
            cfg: Some(self.params.cfg_scale),
            sampler: Some(&self.params.sampler),
            scheduler,
            model_hash: model.map(ModelInfo::short_hash),
            model_name: model.map(|model| model.name.as_str()),
            vae: model.and_then(|model| Some(model.vae.as_ref()?.name.as_str())),
            clip_skip,
            denoising: self.denoising(),
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
