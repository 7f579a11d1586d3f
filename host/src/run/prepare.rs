//! Preparing a run: hooks on the request, base, overrides, checkpoint, prompts and seeds, snapshot.

use std::sync::Arc;

use atelier_plugin_abi::{Field, Hook, frame::Frame};

use super::{
    active::ActiveRun,
    error::{Ended, RunError},
    events::RunEvent,
    hires::HiresPlan,
    params::{Names, Pictures},
    pipeline::{Pipeline, SamplerSettings, UniPcSettings},
    record::{PreparedRun, RecordedOverride, RunState},
    refiner::RefinerPlan,
    request::{Inpaint, RunRequest},
    services::{RunServices, text_settings},
    stage::{Slot, Stage},
    styles::{STYLES_FILE, Styles},
};
use crate::options::Value;

/// Random seeds are below this, as in A1111 v1.10.1.
const SEED_END: u64 = 4_294_967_294;

impl ActiveRun<'_> {
    /// From the request to the snapshot, and the plugins' instances.
    pub(super) fn prepare(&mut self) -> Result<(), Ended> {
        self.hooks.seam.host_enters("prepare");
        self.before_process()?;
        // From here on one state of the options counts: overrides, filling and snapshot.
        self.hooks.seam.freeze();
        self.hooks.seam.host_enters("prepare");
        self.load_checkpoint()?;
        self.hooks.seam.host_enters("prepare");
        if let Some(pipeline) = &self.pipeline {
            self.params.settle(pipeline.as_ref(), self.runner.provider().catalogue())?;
        }
        self.pictures = self.prompts_and_seeds()?;
        self.plan_hires()?;
        self.refiner = RefinerPlan::of(&self.request, self.runner.provider())?;
        self.settings = self.fill_settings();
        if self.runner.recording() {
            self.hooks.seam.take_snapshot();
        }
        self.note_prepared()?;
        self.start_plugins()
    }

    /// The request may be changed, overrides may be added.
    fn before_process(&mut self) -> Result<(), Ended> {
        let Self { params, request, hooks, .. } = self;
        // The checkpoint is not known yet: names are checked when it is.
        let stage = params
            .lend(Stage::new(), &Names::default(), true)
            .field(Field::Prompt, Slot::Text(&mut request.prompt, Vec::new()))
            .field(Field::NegativePrompt, Slot::Text(&mut request.negative_prompt, Vec::new()))
            .field(Field::Seed, Slot::Int(&mut request.seed))
            .field(Field::Subseed, Slot::Int(&mut request.subseed));
        hooks.call(Frame::new(Hook::BeforeProcess), stage)
    }

    fn load_checkpoint(&mut self) -> Result<(), Ended> {
        let name = self.hooks.seam.host_text("sd_model_checkpoint");
        let name = (!name.is_empty()).then_some(&*name);
        let (pipeline, fresh) = self.runner.provider().get(name)?;
        self.params.tiling =
            self.request.tiling.unwrap_or_else(|| self.hooks.seam.host_bool("tiling"));
        let pipeline = self.furnished(pipeline)?;
        let model = pipeline.model().clone();
        let catalogue = self.runner.provider().catalogue();
        self.names =
            Names { samplers: (catalogue.samplers)(), schedulers: (catalogue.schedulers)() };
        self.record.model = Some(model.clone());
        self.record.engine = Some(pipeline.build());
        self.hooks.model = Some(model);
        self.pipeline = Some(pipeline);
        if fresh {
            self.hooks.call(Frame::new(Hook::ModelLoaded), Stage::new())?;
        }
        Ok(())
    }

    /// A checkpoint with the autoencoder, the embeddings and the kind of pictures that the run wants.
    pub(super) fn furnished(
        &mut self,
        mut pipeline: Arc<dyn Pipeline>,
    ) -> Result<Arc<dyn Pipeline>, Ended> {
        let wanted = self.hooks.seam.host_text("sd_vae");
        if let Some(vae) = self.runner.provider().vae(&pipeline.model().name, &wanted) {
            pipeline = pipeline.with_vae(&vae)?;
        }
        if self.params.tiling {
            pipeline = pipeline.with_tiling()?;
        }
        let embeddings = self.runner.provider().embeddings();
        if !embeddings.is_empty() {
            pipeline = pipeline.with_embeddings(&embeddings)?;
        }
        Ok(pipeline)
    }

    /// Lists for every picture of the run, as A1111 v1.10.1 makes them: picture `i` has seed
    /// `seed + i`, unless variation seeds are in use, which then count instead.
    fn prompts_and_seeds(&mut self) -> Result<Pictures, Ended> {
        let count = (self.params.batch_size as usize) * (self.params.n_iter as usize);
        let seed = fixed(self.request.seed);
        let subseed = fixed(self.request.subseed);
        (self.request.seed, self.request.subseed) = (seed, subseed);
        let varied = self.params.subseed_strength != 0.0;
        let step = |from: i64, index: usize| from.wrapping_add(index as i64);
        let RunRequest { prompt, negative_prompt, .. } = &self.request;
        let (prompt, negative_prompt) = (prompt.clone(), negative_prompt.clone());
        let (prompt, negative_prompt) = self.styled(&prompt, &negative_prompt)?;
        Ok(Pictures {
            all_prompts: vec![prompt; count],
            all_negative_prompts: vec![negative_prompt; count],
            all_seeds: (0..count).map(|i| if varied { seed } else { step(seed, i) }).collect(),
            all_subseeds: (0..count).map(|i| step(subseed, i)).collect(),
        })
    }

    /// The second pass, its prompts with styles.
    fn plan_hires(&mut self) -> Result<(), Ended> {
        let Some(pipeline) = &self.pipeline else { return Ok(()) };
        let multiple = pipeline.model().size_multiple;
        let catalogue = self.runner.provider().catalogue();
        let Some(plan) = HiresPlan::of(&self.request, &self.params, catalogue, multiple)? else {
            return Ok(());
        };
        let asked = plan.asked().clone();
        let plan = plan.with_prompts(self.styled(&asked.hr_prompt, &asked.hr_negative_prompt)?);
        plan.tell(&mut self.hooks.infotext, &self.params);
        self.hires = Some(plan);
        Ok(())
    }

    /// Prompts with the request's styles around them.
    fn styled(
        &mut self,
        prompt: &str,
        negative_prompt: &str,
    ) -> Result<(String, String), RunError> {
        let styles = &self.request.styles;
        if styles.is_empty() {
            return Ok((prompt.to_owned(), negative_prompt.to_owned()));
        }
        let known = Styles::load(&self.runner.data().join(STYLES_FILE));
        let known = known
            .map_err(|error| RunError::Parameter { field: "styles", reason: error.to_string() })?;
        let texts = styles.iter().map(|name| known.get(name).map(|style| style.prompt.clone()));
        self.style_prompts = texts.map(Option::unwrap_or_default).collect();
        Ok(known.apply(styles, prompt, negative_prompt))
    }

    /// Settings that A1111 fills from options before its run begins.
    fn fill_settings(&mut self) -> SamplerSettings {
        let (token_merging_ratio, token_merging_ratio_hr) = self.token_merging();
        let seam = &mut self.hooks.seam;
        SamplerSettings {
            token_merging_ratio,
            token_merging_ratio_hr,
            eta_ancestral: seam.host_float("eta_ancestral"),
            eta_ddim: seam.host_float("eta_ddim"),
            s_churn: seam.host_float("s_churn"),
            s_tmin: seam.host_float("s_tmin"),
            s_tmax: seam.host_float("s_tmax"),
            s_noise: seam.host_float("s_noise"),
            s_min_uncond: seam.host_float("s_min_uncond"),
            s_min_uncond_all: seam.host_bool("s_min_uncond_all"),
            skip_early_cond: seam.host_float("skip_early_cond"),
            sigma_min: seam.host_float("sigma_min"),
            sigma_max: seam.host_float("sigma_max"),
            rho: seam.host_float("rho"),
            beta_dist_alpha: seam.host_float("beta_dist_alpha"),
            beta_dist_beta: seam.host_float("beta_dist_beta"),
            uni_pc: UniPcSettings {
                variant: seam.host_text("uni_pc_variant").to_string(),
                skip_type: seam.host_text("uni_pc_skip_type").to_string(),
                order: u32::try_from(seam.host_int("uni_pc_order")).unwrap_or(1),
                lower_order_final: seam.host_bool("uni_pc_lower_order_final"),
            },
            zero_terminal_snr: &*seam.host_text("sd_noise_schedule") == "Zero Terminal SNR",
            use_downcasted_alpha_bar: seam.host_bool("use_downcasted_alpha_bar"),
            always_discard_next_to_last_sigma: seam.host_bool("always_discard_next_to_last_sigma"),
            sgm_noise_multiplier: seam.host_bool("sgm_noise_multiplier"),
            img2img_fix_steps: seam.host_bool("img2img_fix_steps"),
            img2img_extra_noise: seam.host_float("img2img_extra_noise"),
        }
    }

    /// Shares of tokens that are merged, in the first and in the second pass: A1111's options stand in for
    /// each other where they are 0.
    fn token_merging(&mut self) -> (f64, f64) {
        let seam = &mut self.hooks.seam;
        let or = |value: f64, other: f64| if value > 0.0 { value } else { other };
        let ratio = seam.host_float("token_merging_ratio");
        if self.params.is_img2img {
            let overridden = self.request.override_settings.contains_key("token_merging_ratio");
            let own = seam.host_float("token_merging_ratio_img2img");
            return (if overridden { or(ratio, own) } else { or(own, ratio) }, 0.0);
        }
        let second =
            self.request.hires.is_some().then(|| seam.host_float("token_merging_ratio_hr"));
        (ratio, second.map_or(0.0, |second| or(second, ratio)))
    }

    fn note_prepared(&mut self) -> Result<(), Ended> {
        let mut init_images = Vec::new();
        for picture in self.request.init_images.iter().flat_map(|images| &images.0) {
            let bytes = crate::output::png::write(picture, &[])?;
            init_images.push(self.runner.records().put_blob(&bytes)?);
        }
        let mask = match &self.request.inpaint {
            Some(inpaint) => {
                let mask = image::DynamicImage::from(inpaint.mask.clone()).to_rgb8();
                Some(self.runner.records().put_blob(&crate::output::png::write(&mask, &[])?)?)
            }
            None => None,
        };
        let layer = self.hooks.seam.overrides().into_iter();
        self.record.overrides =
            layer.map(|(key, value, writer)| (key, RecordedOverride { value, writer })).collect();
        self.record.prepared = Some(PreparedRun {
            params: self.params.clone(),
            pictures: self.pictures.clone(),
            settings: self.settings.clone(),
            init_images,
            hires: self.request.hires.clone(),
            resize_mode: self.request.resize_mode,
            inpaint: self.request.inpaint.as_ref().map(Inpaint::without_mask),
            mask,
        });
        self.record.order = self.hooks.order();
        self.record.state = RunState::Executing;
        self.runner.records().put(&self.record)?;
        self.runner.event(
            &self.record.id,
            &RunEvent::Prepared {
                iterations: self.params.n_iter,
                pictures: self.pictures.all_prompts.len() as u32,
                steps: self.params.steps,
            },
        );
        Ok(())
    }

    fn start_plugins(&mut self) -> Result<(), Ended> {
        let text = text_settings(&mut self.hooks.seam, (self.params.width, self.params.height));
        let folder = self.samples_folder();
        if let Some(pipeline) = &self.pipeline {
            self.hooks.services = Some(RunServices::new(pipeline.clone(), text, folder));
        }
        self.hold_picture(&self.batch(0)?, 0);
        let stage = self
            .params
            .show(Stage::new())
            .field(Field::AllPrompts, Slot::FixedTexts(&self.pictures.all_prompts))
            .field(Field::AllNegativePrompts, Slot::FixedTexts(&self.pictures.all_negative_prompts))
            .field(Field::AllSeeds, Slot::FixedInts(&self.pictures.all_seeds))
            .field(Field::AllSubseeds, Slot::FixedInts(&self.pictures.all_subseeds));
        self.hooks.start(stage)
    }
}

/// A seed, random where −1 asks for one.
fn fixed(seed: i64) -> i64 {
    if seed != -1 {
        return seed;
    }
    // A v4 UUID is as good a source of random bits as any here.
    (uuid::Uuid::new_v4().as_u64_pair().0 % SEED_END) as i64
}

/// The short names of options that are texts in folders: empty means “the other one”.
pub(super) fn first_text(values: [&Value; 2]) -> Option<Arc<str>> {
    values.into_iter().find_map(|value| match value {
        Value::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    })
}
