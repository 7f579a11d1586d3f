//! What a run is asked for.

use std::collections::BTreeMap;

use image::{GrayImage, RgbImage};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{error::RunError, seam::SeamMode};
use crate::{
    imaging::ResizeMode,
    plugins::{GivenArgs, PluginId},
};

/// What becomes of a run when a hook fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The run goes on as if the hook had not run.
    #[default]
    Skip,
    /// The run fails.
    FailRun,
    /// The run goes on as if the hook had not run, and the plugin is not called again until the host
    /// is started anew.
    Disable,
}

impl std::str::FromStr for OnError {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "skip" => Ok(Self::Skip),
            "fail-run" => Ok(Self::FailRun),
            "disable" => Ok(Self::Disable),
            other => Err(format!("“{other}” is no policy: use skip, fail-run or disable")),
        }
    }
}

/// The pictures an img2img run starts from.
#[derive(Clone, Debug, Default)]
pub struct InitImages(pub Vec<RgbImage>);

/// Pixels that the edge of a mask is made soft by, at most.
const MOST_BLUR: u32 = 256;

/// What is put where pictures are drawn anew, before they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum InpaintingFill {
    /// The colours around.
    #[default]
    Fill,
    /// What is there.
    Original,
    /// Noise, in the latents.
    LatentNoise,
    /// Nothing, in the latents.
    LatentNothing,
}

/// Which part of the starting pictures is drawn anew. Names and defaults are A1111's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inpaint {
    /// White is drawn anew, black stays; see [`binary_mask`](crate::imaging::binary_mask). Not in the
    /// JSON: the record names its blob.
    #[serde(skip)]
    pub mask: GrayImage,
    /// Whether each place of the latents is drawn anew or stays; else where the mask is grey both are
    /// mixed.
    #[serde(default = "yes")]
    pub mask_round: bool,
    /// How soft its edges are made along x, in pixels.
    pub mask_blur_x: u32,
    /// The same along y.
    pub mask_blur_y: u32,
    /// Whether it says what stays instead.
    pub inpainting_mask_invert: bool,
    /// What is put there first.
    pub inpainting_fill: InpaintingFill,
    /// Whether the masked part alone is drawn, in the run's size, and put back.
    pub inpaint_full_res: bool,
    /// Pixels around the masked part that are drawn with it.
    pub inpaint_full_res_padding: u32,
}

/// For requests from before there was a choice.
fn yes() -> bool {
    true
}

impl Inpaint {
    /// With A1111's defaults.
    #[must_use]
    pub fn new(mask: GrayImage) -> Self {
        Self {
            mask,
            mask_round: true,
            mask_blur_x: 4,
            mask_blur_y: 4,
            inpainting_mask_invert: false,
            inpainting_fill: InpaintingFill::default(),
            inpaint_full_res: true,
            inpaint_full_res_padding: 0,
        }
    }

    /// What can be wrong with it.
    ///
    /// # Errors
    /// [`RunError::Parameter`].
    pub(super) fn check(&self) -> Result<(), RunError> {
        for (field, blur) in [("mask_blur_x", self.mask_blur_x), ("mask_blur_y", self.mask_blur_y)]
        {
            if blur > MOST_BLUR {
                let reason = format!("{blur} is not from 0 to {MOST_BLUR}");
                return Err(RunError::Parameter { field, reason });
            }
        }
        Ok(())
    }

    /// All but the mask, for the record.
    pub(super) fn without_mask(&self) -> Self {
        Self { mask: GrayImage::default(), ..self.clone() }
    }
}

/// The second pass of a run ("hires fix"): its pictures larger, drawn over. Names and defaults are
/// A1111's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Hires {
    /// How often larger.
    pub hr_scale: f64,
    /// Width instead, in pixels; 0 is none.
    pub hr_resize_x: u32,
    /// Height instead. With both, what stands out is cut off.
    pub hr_resize_y: u32,
    /// How they are made larger; the first of the latent upscalers without.
    pub hr_upscaler: Option<String>,
    /// Steps, 0 for as many as the first pass has. All of them are made, whatever the denoising strength.
    pub hr_second_pass_steps: u32,
    /// Sampler; the first pass's without.
    pub hr_sampler_name: Option<String>,
    /// Scheduler; the first pass's without.
    pub hr_scheduler: Option<String>,
    /// Checkpoint; the run's without, or if it is `Use same checkpoint`.
    #[serde(default)]
    pub hr_checkpoint_name: Option<String>,
    /// Prompt; the first pass's if empty.
    pub hr_prompt: String,
    /// Negative prompt; the first pass's if empty.
    pub hr_negative_prompt: String,
}

impl Default for Hires {
    fn default() -> Self {
        Self {
            hr_scale: 2.0,
            hr_resize_x: 0,
            hr_resize_y: 0,
            hr_upscaler: None,
            hr_second_pass_steps: 0,
            hr_sampler_name: None,
            hr_scheduler: None,
            hr_checkpoint_name: None,
            hr_prompt: String::new(),
            hr_negative_prompt: String::new(),
        }
    }
}

/// A request for pictures. Field names are A1111's.
///
/// The settings of the run itself (`seam`, `on_error`) are no options: they are recorded beside the
/// snapshot, not in it.
#[derive(Clone, Debug, Serialize)]
pub struct RunRequest {
    /// Prompt.
    pub prompt: String,
    /// Negative prompt.
    pub negative_prompt: String,
    /// Styles that are put around both, by their names in `styles.csv`.
    pub styles: Vec<String>,
    /// Seed of the first picture, −1 for a random one.
    pub seed: i64,
    /// Variation seed of the first picture, −1 for a random one.
    pub subseed: i64,
    /// Weight of the variation seed, 0 to 1.
    pub subseed_strength: f64,
    /// Width and height that the seeds' noise is drawn for, and pasted into the middle of the run's; 0 is
    /// the run's.
    pub seed_resize_from: (u32, u32),
    /// Whether pictures go on on the far side, as tiles do; the option `tiling` without.
    pub tiling: Option<bool>,
    /// Sampling steps.
    pub steps: u32,
    /// Guidance scale.
    pub cfg_scale: f64,
    /// Width in pixels; the checkpoint's own without.
    pub width: Option<u32>,
    /// Height in pixels; the checkpoint's own without.
    pub height: Option<u32>,
    /// Sampler, by A1111's name.
    pub sampler_name: String,
    /// Scheduler, by A1111's name.
    pub scheduler: String,
    /// Pictures per iteration.
    pub batch_size: u32,
    /// Iterations.
    pub n_iter: u32,
    /// For txt2img: a second pass.
    pub hires: Option<Hires>,
    /// A checkpoint that draws the rest of a picture; none if empty or `None`.
    pub refiner_checkpoint: Option<String>,
    /// The share of the way from which on it does, 0 to 1; the whole of it without.
    pub refiner_switch_at: Option<f64>,
    /// For img2img and the second pass: how far the picture is left, 0 to 1.
    pub denoising_strength: f64,
    /// For img2img: the pictures it starts from. Not in the JSON: the record names their blobs.
    #[serde(skip)]
    pub init_images: Option<InitImages>,
    /// For img2img: what is done where they have another size.
    pub resize_mode: ResizeMode,
    /// For img2img: what of them is drawn anew; all of it without.
    pub inpaint: Option<Inpaint>,
    /// Options for this run.
    pub override_settings: Map<String, Json>,
    /// Whether they end with the run (A1111's name; nothing is restored, they were never applied).
    pub override_settings_restore_afterwards: bool,
    /// A plugin that makes the run out of child runs (A1111's selectable script).
    pub script_name: Option<PluginId>,
    /// Arguments of plugins.
    pub plugin_args: BTreeMap<PluginId, GivenArgs>,
    /// Leaves single pictures unsaved.
    pub do_not_save_samples: bool,
    /// Leaves the grid unsaved and unmade.
    pub do_not_save_grid: bool,
    /// How live reads are answered.
    pub seam: SeamMode,
    /// The same for single plugins.
    pub seam_of: BTreeMap<PluginId, SeamMode>,
    /// What a failed hook does to the run.
    pub on_error: OnError,
}

impl Default for RunRequest {
    fn default() -> Self {
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            styles: Vec::new(),
            seed: -1,
            subseed: -1,
            subseed_strength: 0.0,
            seed_resize_from: (0, 0),
            tiling: None,
            steps: 20,
            cfg_scale: 7.0,
            width: None,
            height: None,
            sampler_name: "Euler a".to_owned(),
            scheduler: "Automatic".to_owned(),
            batch_size: 1,
            n_iter: 1,
            hires: None,
            refiner_checkpoint: None,
            refiner_switch_at: None,
            denoising_strength: 0.75,
            init_images: None,
            resize_mode: ResizeMode::default(),
            inpaint: None,
            override_settings: Map::new(),
            override_settings_restore_afterwards: true,
            script_name: None,
            plugin_args: BTreeMap::new(),
            do_not_save_samples: false,
            do_not_save_grid: false,
            seam: SeamMode::default(),
            seam_of: BTreeMap::new(),
            on_error: OnError::default(),
        }
    }
}
