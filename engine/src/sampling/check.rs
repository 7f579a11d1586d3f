//! What can be wrong with a job.

use super::error::SampleError;
use super::run::{Refiner, SampleJob, Start};
use crate::conditioning::Conditioning;
use crate::scheduled::ScheduledConditioning;
use crate::tensor::Tensor;
use crate::unet::Unet;

/// Refuses a job that cannot be done.
pub(super) fn check(
    unet: &Unet,
    shown_channels: usize,
    job: &SampleJob<'_>,
) -> Result<(), SampleError> {
    let wrong = |field, value: String, expected: &str| {
        Err(SampleError::Job { field, value, expected: expected.to_owned() })
    };
    if !(1..=10_000).contains(&job.steps) {
        return wrong("steps", job.steps.to_string(), "1 to 10000");
    }
    if !job.cfg_scale.is_finite() {
        return wrong("cfg_scale", job.cfg_scale.to_string(), "a finite number");
    }
    let shape = match &job.start {
        Start::Noise(noise) => noise.shape(),
        Start::Latents { init, noise, denoising_strength, mask } => {
            if !(0.0..=1.0).contains(denoising_strength) {
                return wrong("denoising_strength", denoising_strength.to_string(), "0 to 1");
            }
            let [_, _, h, w] = init.shape();
            if let Some(mask) = mask.as_ref().filter(|mask| mask.shape() != [1, 1, h, w]) {
                let value = format!("{:?}", mask.shape());
                return wrong("start.mask", value, &format!("shape {:?}", [1, 1, h, w]));
            }
            if init.shape() != noise.shape() {
                let value = format!("{:?}", noise.shape());
                return wrong("start.noise", value, &format!("shape {:?}", init.shape()));
            }
            init.shape()
        }
    };
    let [n, c, h, w] = shape;
    let (_, channels) = unet.channels();
    if n == 0 || c != channels || h == 0 || w == 0 {
        let expected = format!("at least 1 × {channels} × 1 × 1 latents");
        return wrong("start", format!("{shape:?}"), &expected);
    }
    let shown = job.shown.as_ref().map_or([n, 0, h, w], Tensor::shape);
    if shown != [n, shown_channels, h, w] {
        let expected = match shown_channels {
            0 => "nothing: the checkpoint is not one for inpainting".to_owned(),
            count => format!("shape {:?}, which the checkpoint is shown", [n, count, h, w]),
        };
        return wrong("shown", format!("{shown:?}"), &expected);
    }
    if (job.rng.batch(), job.rng.shape()) != (n, [c, h, w]) {
        let value = format!("for {} pictures of {:?}", job.rng.batch(), job.rng.shape());
        return wrong("rng", value, &format!("for {n} pictures of {:?}", [c, h, w]));
    }
    check_texts(unet, n, [("cond", &job.cond), ("uncond", &job.uncond)])?;
    match &job.refiner {
        Some(refiner) => check_refiner(unet, shown_channels, refiner, n),
        None => Ok(()),
    }
}

/// The same for what draws the rest of `n` pictures.
fn check_refiner(
    unet: &Unet,
    shown_channels: usize,
    refiner: &Refiner<'_>,
    n: usize,
) -> Result<(), SampleError> {
    let wrong =
        |field, value: String, expected: String| Err(SampleError::Job { field, value, expected });
    if let Some(at) = refiner.switch_at.filter(|at| !(0.0..=1.0).contains(at)) {
        return wrong("refiner.switch_at", at.to_string(), "0 to 1".to_owned());
    }
    let channels =
        |unet: &Unet, shown| format!("{:?} channels, {shown} of them shown", unet.channels());
    let engine = refiner.engine;
    let own = channels(unet, shown_channels);
    let found = channels(engine.unet(), engine.info().shown_channels());
    if found != own {
        return wrong("refiner", format!("a checkpoint of {found}"), format!("one of {own}"));
    }
    let texts = [("refiner.cond", &refiner.cond), ("refiner.uncond", &refiner.uncond)];
    check_texts(engine.unet(), n, texts)
}

/// Checks prompts and negative prompts of `n` pictures.
fn check_texts(
    unet: &Unet,
    n: usize,
    texts: [(&'static str, &ScheduledConditioning); 2],
) -> Result<(), SampleError> {
    let wrong = |field, value: String, expected: &str| {
        Err(SampleError::Job { field, value, expected: expected.to_owned() })
    };
    for (field, text) in texts {
        let pictures = text.weights().len();
        if pictures != n {
            return wrong(field, format!("for {pictures} pictures"), &format!("for {n} pictures"));
        }
        let (width, vector) = (unet.text_width(), unet.vector_width());
        let fits = |text: &Conditioning| {
            (text.width(), text.vector_width()) == (width, vector) && text.tokens() > 0
        };
        if let Some(text) = text.texts().iter().find(|text| !fits(text)) {
            let shown = |tokens: usize, width: usize, vector: usize| match vector {
                0 => format!("{tokens} tokens × {width}"),
                vector => format!("{tokens} tokens × {width} and a vector of {vector}"),
            };
            let value = shown(text.tokens(), text.width(), text.vector_width());
            return wrong(field, value, &format!("at least {}", shown(1, width, vector)));
        }
    }
    let (field, negative) = texts[1];
    if negative.weights().iter().any(|parts| parts.len() != 1) {
        let value = "a negative prompt of several parts".to_owned();
        return wrong(field, value, "one part for each picture");
    }
    Ok(())
}
