//! Sampling one batch: its prompts encoded, its noise drawn, the engine at work.

use std::{sync::Arc, time::Instant};

use atelier_plugin_abi::{Buffer, Field, Hook, Value, frame::Frame};

use super::{
    active::ActiveRun,
    error::Ended,
    execute::Batch,
    extra_networks::{Tag, name_and_hash},
    hooks::Hooks,
    img2img::Beginning,
    observe::Sampling,
    pipeline::{
        NoiseSource, Padding, Pipeline, PipelineError, PromptBatch, SampleJob, SamplerSettings,
        ScheduledConditioning, Seeds, Start, Stop, Tensor, TextSettings, UsedEmbedding,
    },
    previews::Previews,
    seam::Seam,
    services::text_settings,
    stage::{Slot, Stage},
    told::{Starts, tell_settings},
};

/// One pass of sampling over a batch.
pub(super) struct Pass {
    pub(super) sampler: String,
    pub(super) scheduler: String,
    pub(super) steps: u32,
    /// Pixels of its pictures.
    pub(super) size: (u32, u32),
    pub(super) prompts: Vec<String>,
    pub(super) negative_prompts: Vec<String>,
    /// The tags of extra networks in its prompts.
    pub(super) tags: Vec<Tag>,
    /// For a second pass, sampler and steps of the first.
    pub(super) behind: Option<(String, u32)>,
    /// Steps of the passes before and behind, for those who watch.
    pub(super) steps_around: (u32, u32),
}

/// The latents of a batch, and what drew them last.
pub(super) struct Drawn {
    pub(super) latents: Tensor,
    pub(super) by: Arc<dyn Pipeline>,
}

impl ActiveRun<'_> {
    /// From prompts and noise to latents.
    pub(super) fn sample(
        &mut self,
        pipeline: &Arc<dyn Pipeline>,
        batch: &Batch,
        tags: &[Tag],
        start: Option<&Beginning>,
    ) -> Result<Drawn, Ended> {
        let pass = Pass {
            sampler: self.params.sampler.clone(),
            scheduler: self.params.scheduler.clone(),
            steps: self.params.steps,
            size: (self.params.width, self.params.height),
            prompts: batch.prompts.clone(),
            negative_prompts: batch.negative_prompts.clone(),
            tags: tags.to_vec(),
            behind: None,
            steps_around: (0, self.hires.as_ref().map_or(0, |plan| plan.steps)),
        };
        self.sample_pass(pipeline, batch, &pass, start)
    }

    /// The same for any pass.
    pub(super) fn sample_pass(
        &mut self,
        pipeline: &Arc<dyn Pipeline>,
        batch: &Batch,
        pass: &Pass,
        start: Option<&Beginning>,
    ) -> Result<Drawn, Ended> {
        let seam = &mut self.hooks.seam;
        let text = text_settings(seam, pass.size);
        let source = noise_source(seam);
        let ensd = seam.host_int("eta_noise_seed_delta");
        // Read where A1111 reads them: plugins steer them until sampling begins.
        self.settings.eta_ancestral = seam.host_float("eta_ancestral");
        self.settings.eta_ddim = seam.host_float("eta_ddim");
        let noise_multiplier = seam.host_float("initial_noise_multiplier");
        let heeds = self.runner.provider().catalogue().heeds;
        let is_second = pass.behind.is_some();
        if !is_second {
            let heeds = heeds(&pass.sampler, &pass.scheduler);
            let from_noise = start.is_none();
            let starts = Starts { from_noise, from_latents: !from_noise || self.hires.is_some() };
            tell_settings(&mut self.hooks.infotext, heeds, &self.settings, starts);
        }

        let (mut cond, mut uncond, padding) =
            self.encode_prompts(pipeline.as_ref(), pass, &text)?;
        let refiner = self.refiner(pipeline.as_ref(), pass, &text)?;
        let refines = refiner.as_ref().map(|it| (it.pipeline.clone(), it.by_steps));
        let seeds = Seeds {
            seeds: batch.seeds.clone(),
            subseeds: batch.subseeds.clone(),
            subseed_strength: self.params.subseed_strength,
            resize_from: self.params.seed_resize(),
            source,
            ensd,
        };
        let mut stream = pipeline.noise(&seeds, pass.size.0, pass.size.1);
        let mut noise = stream.first();
        if start.is_some() && !is_second && (noise_multiplier - 1.0).abs() > f64::EPSILON {
            self.hooks.infotext.set("Noise multiplier", noise_multiplier);
            noise.data.iter_mut().for_each(|value| *value *= noise_multiplier as f32);
        }
        let shown = match start.and_then(|start| start.shown.clone()) {
            Some(shown) => Some(shown),
            None => nothing_shown(pipeline.as_ref(), pass.size, batch.seeds.len())?,
        };
        if is_second {
            self.before_hr(batch, pass)?;
        }
        let start =
            self.before_sampling((batch, is_second), noise, start, &mut cond, &mut uncond)?;
        let shown = shown.map(|shown| first_rows(&shown, batch.seeds.len()));
        let job = SampleJob {
            sampler: pass.sampler.clone(),
            scheduler: pass.scheduler.clone(),
            steps: pass.steps,
            cfg_scale: self.params.cfg_scale,
            cond,
            uncond,
            padding,
            start,
            shown,
            refiner,
            noise: stream,
            // A second pass makes all of its steps.
            settings: SamplerSettings {
                token_merging_ratio: if is_second {
                    self.settings.token_merging_ratio_hr
                } else {
                    self.settings.token_merging_ratio
                },
                img2img_fix_steps: is_second || self.settings.img2img_fix_steps,
                ..self.settings.clone()
            },
        };
        let watcher = self.runner.observer();
        let previews = Previews::of(&mut self.hooks.seam, pipeline.as_ref(), watcher);
        let begin = Instant::now();
        let mut observer = Sampling {
            hooks: &mut self.hooks,
            previews,
            observer: watcher,
            iteration: batch.iteration,
            seeds: &batch.seeds,
            cfg_scale: job.cfg_scale,
            is_second,
            steps_around: pass.steps_around,
            refined: false,
            ended: None,
        };
        let sampled = pipeline.sample(job, &mut observer);
        let (ended, refined) = (observer.ended.take(), observer.refined);
        self.sampling += begin.elapsed();
        let mut by = pipeline.clone();
        if let Some((refiner, by_steps)) = refines.filter(|_| refined) {
            self.tell_refiner(refiner.as_ref(), by_steps);
            by = refiner;
        }
        match sampled {
            Ok(latents) => Ok(Drawn { latents, by }),
            Err(PipelineError::Stopped(Stop::Cancelled)) => Err(Ended::Cancelled),
            Err(PipelineError::Stopped(Stop::Ended)) => Err(ended.unwrap_or(Ended::Cancelled)),
            Err(error) => Err(error.into()),
        }
    }

    /// The prompts and negative prompts of a batch, and what is done about different lengths. What made
    /// a difference is told in the infotext, as A1111 does.
    pub(super) fn encode_prompts(
        &mut self,
        pipeline: &dyn Pipeline,
        pass: &Pass,
        settings: &TextSettings,
    ) -> Result<(ScheduledConditioning, ScheduledConditioning, Padding), Ended> {
        let Hooks { seam, infotext, .. } = &mut self.hooks;
        let brackets = |prompt: &String| prompt.contains(['(', '[']);
        let mut prompts = pass.prompts.iter().chain(&pass.negative_prompts);
        let bracketed = prompts.any(brackets);
        if settings.emphasis != "Original" && bracketed {
            infotext.set("Emphasis", settings.emphasis.as_str());
        }
        let positive = PromptBatch {
            prompts: &pass.prompts,
            negative: false,
            settings,
            sampler: &pass.sampler,
            steps: pass.steps,
            behind: pass.behind.as_ref().map(|(sampler, steps)| (sampler.as_str(), *steps)),
            old_scheduling: bracketed && seam.host_bool("use_old_scheduling"),
        };
        let negative = PromptBatch { prompts: &pass.negative_prompts, negative: true, ..positive };
        let cond = pipeline.encode_schedules(&positive)?;
        let uncond = pipeline.encode_schedules(&negative)?;
        if cond.old_timelines || uncond.old_timelines {
            infotext.set("Old prompt editing timelines", true);
        }
        let mut used: Vec<&UsedEmbedding> = Vec::new();
        for embedding in cond.embeddings.iter().chain(&uncond.embeddings) {
            if !used.contains(&embedding) {
                used.push(embedding);
            }
        }
        if !used.is_empty() && seam.host_bool("textual_inversion_add_hashes_to_infotext") {
            let told = used.iter().map(|used| name_and_hash(&used.name, &used.hash));
            infotext.set("TI hashes", told.collect::<Vec<_>>().join(", "));
        }
        let mut padding = Padding::Apart;
        if cond.tokens() != uncond.tokens() {
            if seam.host_bool("pad_cond_uncond_v0") {
                padding = Padding::LastToken;
                infotext.set("Pad conds v0", true);
            } else if seam.host_bool("pad_cond_uncond") {
                padding = Padding::Empty;
                infotext.set("Pad conds", true);
            }
        }
        Ok((cond, uncond, padding))
    }

    /// Noise and conditioning are there: the last look at them.
    fn before_sampling(
        &mut self,
        (batch, is_second): (&Batch, bool),
        mut noise: Tensor,
        start: Option<&Beginning>,
        cond: &mut ScheduledConditioning,
        uncond: &mut ScheduledConditioning,
    ) -> Result<Start, Ended> {
        let frame = Frame {
            cfg_scale: self.params.cfg_scale,
            ..batch.frame(Hook::ProcessBeforeEverySampling)
        };
        let is_second = Slot::Fixed(Value::Bool(is_second));
        let mut stage = self.params.show(Stage::new()).field(Field::IsSecondPass, is_second);
        for (buffer, text) in [(Buffer::Cond, cond), (Buffer::Uncond, uncond)] {
            if let Some(first) = text.texts.first_mut() {
                stage = stage.conditioning(buffer, first);
            }
        }
        Ok(match start {
            // In txt2img the latents are the noise, under both names, as in A1111.
            None => {
                let stage = stage
                    .tensor(Buffer::Latents, noise.shape, &mut noise.data)
                    .alias(Buffer::Noise, Buffer::Latents);
                self.hooks.call(frame, stage)?;
                Start::Noise(noise)
            }
            Some(start) => {
                let mut init = first_rows(&start.latents, noise.shape[0]);
                let stage = stage.tensor(Buffer::Latents, init.shape, &mut init.data).tensor(
                    Buffer::Noise,
                    noise.shape,
                    &mut noise.data,
                );
                self.hooks.call(frame, stage)?;
                let denoising_strength = self.params.denoising_strength;
                Start::Latents { init, noise, denoising_strength, mask: start.mask.clone() }
            }
        })
    }
}

/// Where the options want noise to come from, now.
pub(super) fn noise_source(seam: &mut Seam) -> NoiseSource {
    match &*seam.host_text("randn_source") {
        "NV" => NoiseSource::Nv,
        // “GPU” means the device that draws, which is a CPU here.
        _ => NoiseSource::Cpu,
    }
}

/// What a checkpoint for inpainting is shown where all is to be drawn.
fn nothing_shown(
    pipeline: &dyn Pipeline,
    (width, height): (u32, u32),
    count: usize,
) -> Result<Option<Tensor>, PipelineError> {
    if !pipeline.model().inpaints {
        return Ok(None);
    }
    let shape = [1, 3, height as usize, width as usize];
    let grey = Tensor { shape, data: vec![0.5; shape.iter().product()] };
    let Some(shown) = pipeline.shown(&grey, None, 1.0)? else { return Ok(None) };
    let [_, channels, rows, columns] = shown.shape;
    Ok(Some(Tensor { shape: [count, channels, rows, columns], data: shown.data.repeat(count) }))
}

/// The first rows of a batch: the last iteration may be smaller.
fn first_rows(tensor: &Tensor, rows: usize) -> Tensor {
    let [n, channels, height, width] = tensor.shape;
    let rows = rows.min(n);
    let size = channels * height * width;
    Tensor { shape: [rows, channels, height, width], data: tensor.data[..rows * size].to_vec() }
}
