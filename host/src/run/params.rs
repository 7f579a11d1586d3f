//! The parameters of a prepared run.

use atelier_plugin_abi::{Field, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    error::RunError,
    pipeline::{Catalogue, Pipeline},
    request::RunRequest,
    stage::{Slot, Stage},
};

/// What a run is drawn with; hooks may change most of it until it is used.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "as in RunRequest")]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of their own")]
pub struct Params {
    pub is_img2img: bool,
    pub steps: u32,
    pub cfg_scale: f64,
    pub width: u32,
    pub height: u32,
    pub sampler: String,
    pub scheduler: String,
    pub batch_size: u32,
    pub n_iter: u32,
    pub denoising_strength: f64,
    pub subseed_strength: f64,
    #[serde(default)]
    pub seed_resize_from: (u32, u32),
    #[serde(default)]
    pub tiling: bool,
    pub do_not_save_samples: bool,
    pub do_not_save_grid: bool,
}

/// Prompts and seeds of every picture of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "A1111's names")]
pub struct Pictures {
    pub all_prompts: Vec<String>,
    pub all_negative_prompts: Vec<String>,
    pub all_seeds: Vec<i64>,
    pub all_subseeds: Vec<i64>,
}

/// Limits of numbers, the same for requests and for hooks.
pub(super) const STEPS: (u32, u32) = (1, 10_000);
/// Pictures per iteration, and iterations.
pub(super) const COUNTS: (u32, u32) = (1, 1024);
/// Sides in pixels.
pub(super) const SIDES: (u32, u32) = (8, 16_384);
/// Guidance.
pub(super) const CFG: (f64, f64) = (-1000.0, 1000.0);
/// Pixels of a batch: beyond, memory would run out before a picture is there.
const MOST_PIXELS: u64 = 64 << 20;
const SHARE: (f64, f64) = (0.0, 1.0);

/// The names that a hook may set.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    /// Samplers.
    pub samplers: Vec<&'static str>,
    /// Schedulers.
    pub schedulers: Vec<&'static str>,
}

/// Refuses more pixels at a time than there would be memory for.
///
/// # Errors
/// [`RunError::Parameter`] for the field.
pub(super) fn fits_memory(
    field: &'static str,
    width: u32,
    height: u32,
    count: u32,
) -> Result<(), RunError> {
    if u64::from(width) * u64::from(height) * u64::from(count) <= MOST_PIXELS {
        return Ok(());
    }
    let reason = format!(
        "{count} pictures of {width}×{height} at a time are more than {} million pixels; draw smaller \
         ones, or more iterations of fewer",
        MOST_PIXELS >> 20
    );
    Err(RunError::Parameter { field, reason })
}

impl Params {
    /// The request's parameters; a size that is not given is 0 until the checkpoint is known.
    pub(super) fn of(request: &RunRequest) -> Self {
        Self {
            is_img2img: request.init_images.is_some(),
            steps: request.steps,
            cfg_scale: request.cfg_scale,
            width: request.width.unwrap_or(0),
            height: request.height.unwrap_or(0),
            sampler: request.sampler_name.clone(),
            scheduler: request.scheduler.clone(),
            batch_size: request.batch_size,
            n_iter: request.n_iter,
            denoising_strength: request.denoising_strength,
            subseed_strength: request.subseed_strength,
            seed_resize_from: request.seed_resize_from,
            tiling: request.tiling.unwrap_or_default(),
            do_not_save_samples: request.do_not_save_samples,
            do_not_save_grid: request.do_not_save_grid,
        }
    }

    /// Fills in the checkpoint's size and the samplers' own names, and checks everything.
    ///
    /// # Errors
    /// [`RunError::Parameter`] and [`RunError::Pipeline`].
    pub(super) fn settle(
        &mut self,
        pipeline: &dyn Pipeline,
        catalogue: Catalogue,
    ) -> Result<(), RunError> {
        let model = pipeline.model();
        let sides = [
            ("width", &mut self.width, model.native_size.0),
            ("height", &mut self.height, model.native_size.1),
        ];
        for (field, side, native) in sides {
            if *side == 0 {
                *side = native;
            }
            fits(field, *side, model.size_multiple)?;
        }
        fits_memory("batch_size", self.width, self.height, self.batch_size)?;
        catalogue.find_scheduler(&self.scheduler, &self.sampler)?;
        catalogue.find_sampler(&self.sampler)?.clone_into(&mut self.sampler);
        self.check()
    }

    /// Checks what can be checked before the checkpoint is loaded; `multiple` is what sides have to be
    /// multiples of.
    ///
    /// # Errors
    /// As [`Params::settle`].
    pub(super) fn foresee(&self, catalogue: Catalogue, multiple: u32) -> Result<(), RunError> {
        self.check()?;
        catalogue.find_scheduler(&self.scheduler, &self.sampler)?;
        catalogue.find_sampler(&self.sampler)?;
        fits("width", self.width, multiple)?;
        fits("height", self.height, multiple)
    }

    /// Checks what can be checked without a checkpoint.
    ///
    /// # Errors
    /// [`RunError::Parameter`].
    pub(super) fn check(&self) -> Result<(), RunError> {
        let whole = |field, value: u32, (min, max): (u32, u32)| {
            let reason = format!("{value} is not from {min} to {max}");
            if (min..=max).contains(&value) {
                Ok(())
            } else {
                Err(RunError::Parameter { field, reason })
            }
        };
        let number = |field, value: f64, (min, max): (f64, f64)| {
            let reason = format!("{value} is not a number from {min} to {max}");
            if value.is_finite() && value >= min && value <= max {
                Ok(())
            } else {
                Err(RunError::Parameter { field, reason })
            }
        };
        whole("steps", self.steps, STEPS)?;
        whole("batch_size", self.batch_size, COUNTS)?;
        whole("n_iter", self.n_iter, COUNTS)?;
        for side in [self.seed_resize_from.0, self.seed_resize_from.1] {
            if side != 0 {
                whole("seed_resize_from", side, SIDES)?;
            }
        }
        if self.width != 0 {
            whole("width", self.width, SIDES)?;
        }
        if self.height != 0 {
            whole("height", self.height, SIDES)?;
        }
        number("cfg_scale", self.cfg_scale, CFG)?;
        number("denoising_strength", self.denoising_strength, SHARE)?;
        number("subseed_strength", self.subseed_strength, SHARE)
    }

    /// The size that the seeds' noise is drawn for, unless it is the run's.
    pub(super) fn seed_resize(&self) -> Option<(u32, u32)> {
        Some(self.seed_resize_from).filter(|(width, height)| *width > 0 && *height > 0)
    }

    /// Lends the parameters to look at.
    pub(super) fn show<'a>(&self, stage: Stage<'a>) -> Stage<'a> {
        let int = |value: u32| Slot::Fixed(Value::Int(i64::from(value)));
        let float = |value: f64| Slot::Fixed(Value::Float(value));
        let text = |value: &str| Slot::Fixed(Value::Text(value.into()));
        let bool = |value: bool| Slot::Fixed(Value::Bool(value));
        stage
            .field(Field::IsImg2Img, bool(self.is_img2img))
            .field(Field::Steps, int(self.steps))
            .field(Field::CfgScale, float(self.cfg_scale))
            .field(Field::Width, int(self.width))
            .field(Field::Height, int(self.height))
            .field(Field::Sampler, text(&self.sampler))
            .field(Field::Scheduler, text(&self.scheduler))
            .field(Field::BatchSize, int(self.batch_size))
            .field(Field::Iterations, int(self.n_iter))
            .field(Field::DenoisingStrength, float(self.denoising_strength))
            .field(Field::SubseedStrength, float(self.subseed_strength))
            .field(Field::DoNotSaveSamples, bool(self.do_not_save_samples))
            .field(Field::DoNotSaveGrid, bool(self.do_not_save_grid))
    }

    /// Lends to change what still counts for a second pass.
    pub(super) fn lend_guidance<'a>(&'a mut self, stage: Stage<'a>) -> Stage<'a> {
        stage
            .field(Field::CfgScale, Slot::Float(&mut self.cfg_scale, CFG))
            .field(Field::DenoisingStrength, Slot::Float(&mut self.denoising_strength, SHARE))
    }

    /// Lends the parameters to change. Counts and sizes can be changed before the run is prepared
    /// only: `resize` says whether that is so.
    pub(super) fn lend<'a>(
        &'a mut self,
        stage: Stage<'a>,
        names: &Names,
        resize: bool,
    ) -> Stage<'a> {
        let fixed = |value: u32| Slot::Fixed(Value::Int(i64::from(value)));
        let stage = if resize {
            stage
                .field(Field::Width, Slot::UInt(&mut self.width, (0, SIDES.1)))
                .field(Field::Height, Slot::UInt(&mut self.height, (0, SIDES.1)))
                .field(Field::BatchSize, Slot::UInt(&mut self.batch_size, COUNTS))
                .field(Field::Iterations, Slot::UInt(&mut self.n_iter, COUNTS))
                .field(Field::SubseedStrength, Slot::Float(&mut self.subseed_strength, SHARE))
        } else {
            let strength = Slot::Fixed(Value::Float(self.subseed_strength));
            stage
                .field(Field::Width, fixed(self.width))
                .field(Field::Height, fixed(self.height))
                .field(Field::BatchSize, fixed(self.batch_size))
                .field(Field::Iterations, fixed(self.n_iter))
                .field(Field::SubseedStrength, strength)
        };
        stage
            .field(Field::IsImg2Img, Slot::Fixed(Value::Bool(self.is_img2img)))
            .field(Field::Steps, Slot::UInt(&mut self.steps, STEPS))
            .field(Field::CfgScale, Slot::Float(&mut self.cfg_scale, CFG))
            .field(Field::Sampler, Slot::Text(&mut self.sampler, names.samplers.clone()))
            .field(Field::Scheduler, Slot::Text(&mut self.scheduler, names.schedulers.clone()))
            .field(Field::DenoisingStrength, Slot::Float(&mut self.denoising_strength, SHARE))
            .field(Field::DoNotSaveSamples, Slot::Bool(&mut self.do_not_save_samples))
            .field(Field::DoNotSaveGrid, Slot::Bool(&mut self.do_not_save_grid))
    }
}

/// A side of a picture against what the checkpoint needs; 0 is a side that is not known yet.
fn fits(field: &'static str, side: u32, multiple: u32) -> Result<(), RunError> {
    let multiple = multiple.max(1);
    if side.is_multiple_of(multiple) {
        return Ok(());
    }
    let nearest = (side / multiple).max(1) * multiple;
    let reason = format!(
        "{side} is no multiple of {multiple}, which the checkpoint needs; try {nearest} or {}",
        nearest + multiple
    );
    Err(RunError::Parameter { field, reason })
}
