//! A job, from its start to its last step.

use super::check::check;
use super::denoiser::{Blend, Guided, Next};
use super::discrete::DiscreteSchedule;
use super::dpm_solver::{self, Span};
use super::error::SampleError;
use super::kdiffusion;
use super::observer::{Observer, StepInfo};
use super::padding::Padding;
use super::restart;
use super::sampler::Sampler;
use super::scheduler::Scheduler;
use super::sde::{self, Levels, Motion, Solver};
use super::second_order;
use super::settings::SamplerSettings;
use super::timesteps::{self, Walk};
use super::unipc;
use crate::engine::Engine;
use crate::noise::ImageRng;
use crate::scheduled::ScheduledConditioning;
use crate::tensor::Tensor;
use crate::unet::Unet;

/// One batch to sample.
#[derive(Debug)]
pub struct SampleJob<'a> {
    /// The sampler.
    pub sampler: Sampler,
    /// The schedule; DDIM does not use it.
    pub scheduler: Scheduler,
    /// Steps, 1 to 10,000. From latents see [`SamplerSettings::fix_steps`].
    pub steps: u32,
    /// Weight of the prompt against the negative prompt. At 1 the negative prompt has no weight
    /// and its model call is left out.
    pub cfg_scale: f64,
    /// The prompts, one or more parts per picture.
    pub cond: ScheduledConditioning,
    /// The negative prompts, one part per picture; may have another number of tokens.
    pub uncond: ScheduledConditioning,
    /// What is done about another number of tokens.
    pub padding: Padding,
    /// Where the sampling starts.
    pub start: Start,
    /// What an inpainting checkpoint is shown beside the latents, for every picture
    /// ([`Engine::image_conditioning`](crate::Engine::image_conditioning)).
    pub shown: Option<Tensor>,
    /// What draws the rest.
    pub refiner: Option<Refiner<'a>>,
    /// The noise of the steps; [`ImageRng::first`] has been drawn, for [`Start`].
    pub rng: &'a mut ImageRng,
    /// The knobs.
    pub settings: SamplerSettings,
}

/// Another checkpoint that goes on where one has begun (A1111's refiner).
#[derive(Debug)]
pub struct Refiner<'a> {
    /// It. Its latents are of the same kind.
    pub engine: &'a Engine,
    /// The prompts as it encodes them.
    pub cond: ScheduledConditioning,
    /// The negative prompts as it encodes them.
    pub uncond: ScheduledConditioning,
    /// What is done about another number of tokens.
    pub padding: Padding,
    /// The share of the way from which on it draws, 0 to 1; from the first model call on without.
    pub switch_at: Option<f64>,
    /// Whether the way is counted in model calls; else in timesteps.
    pub by_steps: bool,
}

/// Where the sampling starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// Unit normal noise: text to picture.
    Noise(Tensor),
    /// Latents with noise on top: picture to picture.
    Latents {
        /// Scaled latents, from [`Engine::encode_image`](crate::Engine::encode_image).
        init: Tensor,
        /// Unit normal noise.
        noise: Tensor,
        /// How much of the way is sampled anew, 0 to 1.
        denoising_strength: f64,
        /// How much of each place is drawn anew, 0 to 1, for all pictures and channels: `[1, 1, h, w]`.
        /// The rest stays as it was. All of it without.
        mask: Option<Tensor>,
    },
}

/// Samples a batch.
pub(crate) fn run(
    unet: &Unet,
    schedule: &DiscreteSchedule,
    shown_channels: usize,
    job: SampleJob<'_>,
    observer: &mut dyn Observer,
) -> Result<Tensor, SampleError> {
    check(unet, shown_channels, &job)?;
    let SampleJob {
        sampler,
        scheduler,
        steps,
        cfg_scale,
        cond,
        uncond,
        padding,
        start,
        shown,
        refiner,
        rng,
        settings,
    } = job;
    let settings = &settings;
    let steps = steps as usize;
    let blend = match &start {
        Start::Latents { init, mask: Some(mask), .. } => {
            Some(Blend::new(init.clone(), mask.clone()))
        }
        _ => None,
    };
    let of = |schedule: &DiscreteSchedule| {
        let overridden = schedule.overridden(settings);
        if sampler == Sampler::Lcm { overridden.consistency() } else { overridden.into_owned() }
    };
    let schedule = of(schedule);
    let refiner_schedule = refiner.as_ref().map(|refiner| of(refiner.engine.schedule()));
    let refiner = match (refiner, &refiner_schedule) {
        (Some(refiner), Some(schedule)) => Some(Next {
            unet: refiner.engine.unet(),
            schedule,
            cond: refiner.cond,
            uncond: refiner.uncond,
            padding: refiner.padding,
            switch_at: refiner.switch_at,
            by_steps: refiner.by_steps,
        }),
        _ => None,
    };
    let mut model = Guided {
        unet,
        schedule: &schedule,
        cond,
        uncond,
        shown,
        padding,
        refiner,
        cfg_scale,
        settings,
        observer,
        planned: sampler.calls_of(steps),
        calls: 0,
        at: StepInfo { step: 0, total: steps as u32, call: 0, sigma: 0.0, sigma_next: 0.0 },
        timestep: None,
        keeps_uncond: false,
        last_uncond: None,
        answers_noise: !sampler.heeds().sigmas,
        blend,
    };
    let x = if sampler.heeds().sigmas {
        on_levels(&mut model, sampler, scheduler, steps, start, rng)?
    } else {
        on_timesteps(&mut model, sampler, steps, start, rng)?
    };
    model.finish(x)
}

/// The samplers that walk the noise levels of a scheduler.
fn on_levels(
    model: &mut Guided<'_>,
    sampler: Sampler,
    scheduler: Scheduler,
    steps: usize,
    start: Start,
    rng: &mut ImageRng,
) -> Result<Tensor, SampleError> {
    let (schedule, settings) = (model.schedule, model.settings);
    let from_noise = matches!(start, Start::Noise(_));
    let (x, sigmas, levels) = match start {
        Start::Noise(noise) => {
            let sigmas = scheduler.sigmas(sampler, steps, schedule, settings);
            let highest = sigmas[0];
            let factor = if settings.sgm_noise_multiplier {
                (1.0 + highest * highest).sqrt()
            } else {
                highest
            };
            let factor = factor as f32;
            let levels = Levels::of(&sigmas);
            (noise.map(|v| v * factor), sigmas, levels)
        }
        Start::Latents { init, noise, denoising_strength, .. } => {
            let Some(part) = Part::of(steps, denoising_strength, settings) else {
                return Ok(init);
            };
            model.planned = sampler.calls_of(part.encoded + 1);
            let mut sigmas = scheduler.sigmas(sampler, part.steps, schedule, settings);
            let levels = Levels::of(&sigmas);
            sigmas.drain(..part.steps - part.encoded - 1);
            (noised(model, &init, noise, (1.0, sigmas[0]))?, sigmas, levels)
        }
    };
    // The solvers that have no noise level 0 end at the last above it.
    let calls = if from_noise { steps } else { sigmas.len() - 1 };
    let span = || {
        if from_noise {
            Span { high: schedule.sigma_max(), low: schedule.sigma_min() }
        } else {
            Span { high: sigmas[0], low: sigmas[sigmas.len().saturating_sub(2)] }
        }
    };
    // Only the samplers that follow a motion pay for one.
    let motion = |rng: &ImageRng| Motion::over(levels, rng);
    match sampler {
        Sampler::Euler => kdiffusion::euler(model, &sigmas, x, rng, settings),
        Sampler::EulerA => kdiffusion::euler_ancestral(model, &sigmas, x, rng, settings),
        Sampler::Lms => kdiffusion::lms(model, &sigmas, x),
        Sampler::Heun => second_order::heun(model, &sigmas, x, rng, settings),
        Sampler::Dpm2 => second_order::dpm_2(model, &sigmas, x, rng, settings),
        Sampler::Dpm2A => second_order::dpm_2_ancestral(model, &sigmas, x, rng, settings),
        Sampler::DpmPp2SA => second_order::dpmpp_2s_ancestral(model, &sigmas, x, rng, settings),
        Sampler::DpmPpSde => sde::dpmpp_sde(model, &sigmas, x, &motion(rng), settings),
        Sampler::DpmPp2MSde => {
            sde::dpmpp_2m_sde(model, &sigmas, x, &motion(rng), settings, Solver::Midpoint)
        }
        Sampler::DpmPp2MSdeHeun => {
            sde::dpmpp_2m_sde(model, &sigmas, x, &motion(rng), settings, Solver::Heun)
        }
        Sampler::DpmPp3MSde => sde::dpmpp_3m_sde(model, &sigmas, x, &motion(rng), settings),
        Sampler::DpmFast => dpm_solver::fast(model, span(), calls, x, rng, settings),
        Sampler::DpmAdaptive => dpm_solver::adaptive(model, span(), calls, x, rng, settings),
        Sampler::Lcm => kdiffusion::lcm(model, &sigmas, x, rng),
        Sampler::Restart => restart::restart(model, &sigmas, x, rng),
        Sampler::DpmPp2M | Sampler::Ddim | Sampler::DdimCfgPp | Sampler::Plms | Sampler::UniPc => {
            kdiffusion::dpmpp_2m(model, &sigmas, x)
        }
    }
}

/// The samplers that walk the model's own timesteps.
fn on_timesteps(
    model: &mut Guided<'_>,
    sampler: Sampler,
    steps: usize,
    start: Start,
    rng: &mut ImageRng,
) -> Result<Tensor, SampleError> {
    let (schedule, settings) = (model.schedule, model.settings);
    // UniPC begins at the last timestep of all, and from latents at the first that is left out.
    let (x, timesteps, from) = match start {
        Start::Noise(noise) => {
            (noise, timesteps::timesteps(schedule, steps, settings), schedule.len() - 1)
        }
        Start::Latents { init, noise, denoising_strength, .. } => {
            let Some(part) = Part::of(steps, denoising_strength, settings) else {
                return Ok(init);
            };
            model.planned = sampler.calls_of(part.encoded + 1);
            let mut timesteps = timesteps::timesteps(schedule, part.steps, settings);
            let a = schedule.alpha(timesteps[part.encoded]);
            timesteps.truncate(part.encoded);
            let from = timesteps.last().copied().unwrap_or(0);
            (noised(model, &init, noise, (a.sqrt(), (1.0 - a).sqrt()))?, timesteps, from)
        }
    };
    let walk = Walk { model, timesteps: &timesteps };
    match sampler {
        Sampler::UniPc => {
            unipc::unipc(walk.model, from as f64, timesteps.len(), x, settings.uni_pc)
        }
        Sampler::Plms => walk.plms(x),
        Sampler::DdimCfgPp => walk.ddim_cfgpp(x, rng, settings),
        _ => walk.ddim(x, rng, settings),
    }
}

/// Latents and noise, each by its share, and the extra noise of the settings, which is as strong as what
/// is left of the latents.
fn noised(
    model: &mut Guided<'_>,
    init: &Tensor,
    noise: Tensor,
    (keep, add): (f64, f64),
) -> Result<Tensor, SampleError> {
    let (keep, add) = (keep as f32, add as f32);
    let x = init.clone().zip(&noise, |x, noise| keep * x + add * noise);
    let extra = model.settings.extra_noise as f32;
    if extra <= 0.0 {
        return Ok(x);
    }
    let noise = model.extra_noise(noise, init, &x.clone().map(|x| x / keep))?;
    Ok(x.zip(&noise, |x, noise| x + keep * extra * noise))
}

/// The part of a schedule that is run from latents (A1111 v1.10.1's `setup_img2img_steps`).
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// Steps of the whole schedule.
    steps: usize,
    /// Steps run, less one.
    encoded: usize,
}

impl Part {
    /// `None` if nothing is to be run.
    fn of(steps: usize, strength: f64, settings: &SamplerSettings) -> Option<Self> {
        let strength = strength.min(0.999);
        if !settings.fix_steps {
            return Some(Self { steps, encoded: (strength * steps as f64) as usize });
        }
        (strength > 0.0)
            .then(|| Self { steps: (steps as f64 / strength) as usize, encoded: steps - 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(steps: usize, strength: f64, fix_steps: bool) -> Option<Part> {
        Part::of(steps, strength, &SamplerSettings { fix_steps, ..SamplerSettings::default() })
    }

    #[test]
    fn latents_run_the_share_that_the_strength_leaves() {
        assert_eq!(part(20, 0.75, false), Some(Part { steps: 20, encoded: 15 }));
        assert_eq!(part(20, 1.0, false), Some(Part { steps: 20, encoded: 19 }));
        assert_eq!(part(20, 0.0, false), Some(Part { steps: 20, encoded: 0 }));
    }

    #[test]
    fn fixed_steps_stretch_the_schedule_instead() {
        assert_eq!(part(20, 0.5, true), Some(Part { steps: 40, encoded: 19 }));
        assert_eq!(part(20, 0.0, true), None);
    }
}
