//! The flags of txt2img and img2img.

use std::path::{Path, PathBuf};

use atelier_engine::{Compute, Device, Precision};
use clap::{Args, ValueEnum};
use serde_json::{Map, Value as Json};

use super::{checkpoint::Named, values};
use crate::{
    Atelier,
    cli::error::Failure,
    options::Schema,
    plugins::{PluginId, PluginSet},
    run::{OnError, RunRequest, seam::SeamMode},
};

/// How to draw, and what becomes of it.
#[derive(Debug, Args)]
pub(in crate::cli) struct DrawArgs {
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    around: AroundArgs,
    #[command(flatten)]
    output: OutputArgs,
}

// The defaults suit small checkpoints, the one that comes with the program above all: DPM++ 2M
// finishes in 20 steps, and guidance beyond 6 burns colours. Requests of the API keep A1111's.
#[derive(Debug, Args)]
#[command(next_help_heading = "Picture")]
struct PictureArgs {
    /// What to keep out of the picture
    #[arg(short, long, value_name = "PROMPT", default_value = "", hide_default_value = true)]
    negative: String,
    /// Style to put around the prompts, by its name in styles.csv; may be given again
    #[arg(long = "style", value_name = "NAME")]
    styles: Vec<String>,
    /// Seed of the first picture; -1 is a random one
    #[arg(short, long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    seed: i64,
    /// Sampling steps
    #[arg(long, value_name = "N", default_value_t = 20)]
    steps: u32,
    /// How closely the prompt is followed (A1111's default is 7)
    #[arg(long, value_name = "NUMBER", default_value_t = 5.0, allow_negative_numbers = true)]
    cfg_scale: f64,
    /// Width in pixels [default: the checkpoint's]
    #[arg(long, value_name = "PX")]
    width: Option<u32>,
    /// Height in pixels [default: the checkpoint's]
    #[arg(long, value_name = "PX")]
    height: Option<u32>,
    /// Sampler, by A1111's name, in any case
    #[arg(long, value_name = "NAME", default_value = "DPM++ 2M")]
    sampler: String,
    /// Scheduler, by A1111's name, in any case
    #[arg(long, value_name = "NAME", default_value = "Automatic")]
    scheduler: String,
    /// A checkpoint that draws the rest of each picture
    #[arg(long, value_name = "PATH|NAME")]
    refiner: Option<String>,
    /// The share of the way from which on it does, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.8, requires = "refiner")]
    refiner_switch_at: f64,
    /// Pictures at once
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch_size: u32,
    /// Times that many pictures, one after another
    #[arg(long, value_name = "N", default_value_t = 1)]
    n_iter: u32,
    /// Variation seed; -1 is a random one
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    subseed: i64,
    /// Weight of the variation seed, 0 to 1
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0)]
    subseed_strength: f64,
    /// Draws the seed's noise for pictures of this size, so that another size shows much the same
    #[arg(long, value_name = "WIDTHxHEIGHT", value_parser = size)]
    seed_resize_from: Option<(u32, u32)>,
    /// Makes a tile: its edges go on at the other side
    #[arg(long)]
    tiling: bool,
    /// Checkpoint: a file or folder, or a name that `atelier models list` shows
    #[arg(short, long, value_name = "PATH|NAME")]
    model: Option<String>,
    /// What networks compute in: bf16 is faster and changes small things
    #[arg(long, value_enum, default_value_t)]
    precision: PrecisionArg,
    /// What networks compute on: cpu, or cuda, cuda:1, metal in builds with that feature
    #[arg(long, default_value_t)]
    device: Device,
}

/// The engine's precisions as words.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PrecisionArg {
    /// Single precision
    #[default]
    Full,
    /// Eight bits of a value in products, for processors with AVX512-BF16
    Bf16,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options and plugins")]
struct AroundArgs {
    /// Sets an option for this run only
    #[arg(short = 'o', long = "override", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Keeps the overrides in config.json after the run
    #[arg(long)]
    keep_overrides: bool,
    /// Lets a plugin make the run out of child runs, an X/Y plot for instance
    #[arg(long, value_name = "PLUGIN")]
    script: Option<String>,
    /// Gives a plugin an argument; as PLUGIN=JSON, all of them by name or in their order
    #[arg(short = 'a', long = "plugin-arg", value_name = "PLUGIN.NAME=VALUE")]
    plugin_args: Vec<String>,
    /// How plugins' live reads are answered: record, warn, or pin (from the snapshot)
    #[arg(long, value_name = "MODE", default_value_t)]
    seam: SeamMode,
    /// The same for one plugin
    #[arg(long, value_name = "PLUGIN=MODE")]
    seam_of: Vec<String>,
    /// Leaves out overrides and arguments of plugins that are not loaded
    #[arg(long, hide = true)]
    lenient: bool,
    /// What a failing hook does: skip, fail-run, or disable (its plugin)
    #[arg(long, value_name = "POLICY", default_value = "skip")]
    on_error: OnError,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
struct OutputArgs {
    /// Folder to save in; or a file, which gets a copy of the picture
    #[arg(long, value_name = "DIR|FILE.png")]
    out: Option<PathBuf>,
    /// Saves nothing in the output folders
    #[arg(long)]
    no_save: bool,
    /// Does not draw the picture in the terminal
    #[arg(long)]
    no_preview: bool,
}

/// `640x480`.
fn size(text: &str) -> Result<(u32, u32), String> {
    let sides = text.split_once(['x', '×']).map(|(width, height)| (width.parse(), height.parse()));
    match sides {
        Some((Ok(width), Ok(height))) => Ok((width, height)),
        _ => Err(format!("“{text}” is no size; write 640x480")),
    }
}

impl DrawArgs {
    /// The request, complete but for the prompt. Everything is cast and checked that can be before
    /// the checkpoint is known.
    pub(super) fn request(&self, atelier: &Atelier) -> Result<RunRequest, Failure> {
        let state = atelier.store().load_full();
        let Self { picture, output, .. } = self;
        let around = &self.around.fitting(state.options.schema(), &state.companion);
        let mut overrides = Map::new();
        if let Some(folder) = self.out_folder()? {
            let folder = Json::from(folder.display().to_string());
            overrides.insert("outdir_samples".to_owned(), folder.clone());
            overrides.insert("outdir_grids".to_owned(), folder);
            overrides.insert("save_to_dirs".to_owned(), Json::from(false));
            overrides.insert("grid_save_to_dirs".to_owned(), Json::from(false));
        }
        if let Some(model) = self.model()? {
            overrides.insert("sd_model_checkpoint".to_owned(), Json::from(model.name));
        }
        overrides.extend(values::overrides(state.options.schema(), &around.overrides)?);
        Ok(RunRequest {
            negative_prompt: picture.negative.clone(),
            styles: picture.styles.clone(),
            seed: picture.seed,
            subseed: picture.subseed,
            subseed_strength: picture.subseed_strength,
            seed_resize_from: picture.seed_resize_from.unwrap_or_default(),
            tiling: picture.tiling.then_some(true),
            steps: picture.steps,
            cfg_scale: picture.cfg_scale,
            width: picture.width,
            height: picture.height,
            sampler_name: picture.sampler.clone(),
            scheduler: picture.scheduler.clone(),
            refiner_switch_at: picture.refiner.is_some().then_some(picture.refiner_switch_at),
            refiner_checkpoint: picture.refiner.clone(),
            batch_size: picture.batch_size,
            n_iter: picture.n_iter,
            override_settings: overrides,
            override_settings_restore_afterwards: !around.keep_overrides,
            script_name: values::script(&state.companion, around.script.as_deref())?,
            plugin_args: values::plugin_args(&state.companion, &around.plugin_args)?,
            do_not_save_samples: output.no_save,
            do_not_save_grid: output.no_save,
            seam: around.seam,
            seam_of: values::seam_of(&state.companion, &around.seam_of)?,
            on_error: around.on_error,
            ..RunRequest::default()
        })
    }

    /// How networks compute.
    ///
    /// # Errors
    /// This machine or this build does not have it.
    pub(super) fn compute(&self) -> Result<Compute, Failure> {
        let precision = match self.picture.precision {
            PrecisionArg::Full => Precision::Full,
            PrecisionArg::Bf16 => Precision::Bf16,
        };
        let compute = Compute { precision, device: self.picture.device };
        compute.check().map_err(Failure::refused)?;
        Ok(compute)
    }

    /// The checkpoint of `--model`, where it names one.
    pub(super) fn model(&self) -> Result<Option<Named>, Failure> {
        self.picture.model.as_deref().map(Named::read).transpose()
    }

    fn out_folder(&self) -> Result<Option<PathBuf>, Failure> {
        match &self.output.out {
            Some(path) if self.out_file().is_none() => {
                let picture =
                    ["jpg", "jpeg", "webp"].iter().any(|ending| path.ends_with_case(ending));
                if picture {
                    return Err(Failure::refused(
                        "--out takes a folder or a .png file; other formats are the option samples_format",
                    ));
                }
                std::path::absolute(path).map(Some).map_err(Failure::failed)
            }
            _ => Ok(None),
        }
    }

    /// The file that is to get a copy of the picture.
    pub(super) fn out_file(&self) -> Option<&Path> {
        let path = self.output.out.as_deref()?;
        (path.ends_with_case("png") && !path.is_dir()).then_some(path)
    }

    pub(super) fn keep_overrides(&self) -> bool {
        self.around.keep_overrides
    }

    pub(super) fn preview(&self) -> bool {
        !self.output.no_preview
    }
}

impl AroundArgs {
    /// What can be given to the plugins that are there, where nothing else is wanted.
    fn fitting(&self, schema: &Schema, set: &PluginSet) -> Self {
        let mut fitting = self.clone();
        if self.lenient {
            let loaded = |text: &str| {
                let id = text.split(['.', '=']).next().unwrap_or_default();
                PluginId::new(id).is_ok_and(|id| set.get(&id).is_some())
            };
            let known = |text: &str| {
                let key = text.split('=').next().unwrap_or_default();
                schema.id(key).is_some()
            };
            fitting.overrides.retain(|text| known(text));
            fitting.plugin_args.retain(|text| loaded(text));
            fitting.seam_of.retain(|text| loaded(text));
            fitting.script = fitting.script.filter(|id| loaded(id));
        }
        fitting
    }
}

trait EndsWithCase {
    /// Whether the extension is this one, in any case.
    fn ends_with_case(&self, extension: &str) -> bool;
}

impl EndsWithCase for Path {
    fn ends_with_case(&self, extension: &str) -> bool {
        self.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension))
    }
}
