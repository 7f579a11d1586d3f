//! Sampling one batch: its prompts encoded, its noise drawn, the engine at work.

use std::time::Instant;

use atelier_plugin_abi::{Buffer, Hook, frame::Frame};

use super::{
    active::ActiveRun,
    error::Ended,
    execute::Batch,
    extra_networks::name_and_hash,
    hooks::Hooks,
    img2img::Beginning,
    observe::Sampling,
    pipeline::{
        NoiseSource, Padding, Pipeline, PipelineError, PromptBatch, SampleJob,
        ScheduledConditioning, Seeds, Start, Stop, Tensor, TextSettings, UsedEmbedding,
    },
    services::text_settings,
    stage::{Access, Stage},
    told::tell_settings,
};

impl ActiveRun<'_> {
    /// From prompts and noise to latents.
    pub(super) fn sample(
        &mut self,
        pipeline: &dyn Pipeline,
        batch: &Batch,
        start: Option<&Beginning>,
    ) -> Result<Tensor, Ended> {
        let seam = &mut self.hooks.seam;
        let text = text_settings(seam, &self.params);
        let source = match &*seam.host_text("randn_source") {
            "NV" => NoiseSource::Nv,
            // “GPU” means the device that draws, which is a CPU here.
            _ => NoiseSource::Cpu,
        };
        let ensd = seam.host_int("eta_noise_seed_delta");
        // Read where A1111 reads them: plugins steer them until sampling begins.
        self.settings.eta_ancestral = seam.host_float("eta_ancestral");
        self.settings.eta_ddim = seam.host_float("eta_ddim");
        let noise_multiplier = seam.host_float("initial_noise_multiplier") as f32;
        let heeds = self.runner.provider().catalogue().heeds;
        let heeds = heeds(&self.params.sampler, &self.params.scheduler);
        tell_settings(&mut self.hooks.infotext, heeds, &self.settings, start.is_some());

        let (mut cond, mut uncond, padding) = self.encode_prompts(pipeline, batch, &text)?;
        let seeds = Seeds {
            seeds: batch.seeds.clone(),
            subseeds: batch.subseeds.clone(),
            subseed_strength: self.params.subseed_strength,
            source,
            ensd,
        };
        let mut stream = pipeline.noise(&seeds, self.params.width, self.params.height);
        let mut noise = stream.first();
        if start.is_some() && (noise_multiplier - 1.0).abs() > f32::EPSILON {
            noise.data.iter_mut().for_each(|value| *value *= noise_multiplier);
        }
        let start = self.before_sampling(batch, noise, start, &mut cond, &mut uncond)?;
        let job = SampleJob {
            sampler: self.params.sampler.clone(),
            scheduler: self.params.scheduler.clone(),
            steps: self.params.steps,
            cfg_scale: self.params.cfg_scale,
            cond,
            uncond,
            padding,
            start,
            noise: stream,
            settings: self.settings.clone(),
        };
        let begin = Instant::now();
        let mut observer = Sampling {
            hooks: &mut self.hooks,
            observer: self.runner.observer(),
            iteration: batch.iteration,
            seeds: &batch.seeds,
            cfg_scale: job.cfg_scale,
            ended: None,
        };
        let sampled = pipeline.sample(job, &mut observer);
        let ended = observer.ended.take();
        self.sampling += begin.elapsed();
        match sampled {
            Ok(latents) => Ok(latents),
            Err(PipelineError::Stopped(Stop::Cancelled)) => Err(Ended::Cancelled),
            Err(PipelineError::Stopped(Stop::Ended)) => Err(ended.unwrap_or(Ended::Cancelled)),
            Err(error) => Err(error.into()),
        }
    }

    /// The prompts and negative prompts of a batch, and what is done about different lengths. What made
    /// a difference is told in the infotext, as A1111 does.
    fn encode_prompts(
        &mut self,
        pipeline: &dyn Pipeline,
        batch: &Batch,
        settings: &TextSettings,
    ) -> Result<(ScheduledConditioning, ScheduledConditioning, Padding), Ended> {
        let Hooks { seam, infotext, .. } = &mut self.hooks;
        let brackets = |prompt: &String| prompt.contains(['(', '[']);
        let mut prompts = batch.prompts.iter().chain(&batch.negative_prompts);
        let bracketed = prompts.any(brackets);
        if settings.emphasis != "Original" && bracketed {
            infotext.set("Emphasis", settings.emphasis.as_str());
        }
        let positive = PromptBatch {
            prompts: &batch.prompts,
            negative: false,
            settings,
            sampler: &self.params.sampler,
            steps: self.params.steps,
            old_scheduling: bracketed && seam.host_bool("use_old_scheduling"),
        };
        let negative = PromptBatch { prompts: &batch.negative_prompts, negative: true, ..positive };
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
        batch: &Batch,
        mut noise: Tensor,
        start: Option<&Beginning>,
        cond: &mut ScheduledConditioning,
        uncond: &mut ScheduledConditioning,
    ) -> Result<Start, Ended> {
        let frame = Frame {
            cfg_scale: self.params.cfg_scale,
            ..batch.frame(Hook::ProcessBeforeEverySampling)
        };
        let mut stage = self.params.show(Stage::new());
        for (buffer, text) in [(Buffer::Cond, cond), (Buffer::Uncond, uncond)] {
            if let Some(first) = text.texts.first_mut() {
                stage = stage.conditioning(buffer, first);
            }
        }
        Ok(match start {
            // In txt2img the latents are the noise, under both names, as in A1111.
            None => {
                let stage = stage
                    .tensor(Buffer::Latents, noise.shape, &mut noise.data, Access::Write)
                    .alias(Buffer::Noise, Buffer::Latents);
                self.hooks.call(frame, stage)?;
                Start::Noise(noise)
            }
            Some(start) => {
                let mut init = first_rows(&start.latents, noise.shape[0]);
                let stage = stage
                    .tensor(Buffer::Latents, init.shape, &mut init.data, Access::Write)
                    .tensor(Buffer::Noise, noise.shape, &mut noise.data, Access::Write);
                self.hooks.call(frame, stage)?;
                let denoising_strength = self.params.denoising_strength;
                Start::Latents { init, noise, denoising_strength, mask: start.mask.clone() }
            }
        })
    }
}

/// The first rows of a batch: the last iteration may be smaller.
fn first_rows(tensor: &Tensor, rows: usize) -> Tensor {
    let [n, channels, height, width] = tensor.shape;
    let rows = rows.min(n);
    let size = channels * height * width;
    Tensor { shape: [rows, channels, height, width], data: tensor.data[..rows * size].to_vec() }
}
