//! Measures one part of a checkpoint, over and over, on commands from standard input: what
//! `cargo xtask bench` runs in alternation with programs that do the same in Python.
//!
//! `bench FOLDER [f32|bf16 [DEVICE]]`, and then lines of `step WIDTH HEIGHT` (latents), `decode WIDTH HEIGHT` (latents), `text`, `picture
//! STEPS` and `memory`; each is answered with milliseconds, the last with kilobytes.

use std::error::Error;
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::time::Instant;

use atelier_engine::{
    Compute, Conditioning, Device, Engine, ImageRng, NoiseSource, Padding, Precision, SampleJob,
    Sampler, SamplerSettings, Scheduler, Start, Tensor, TextSettings, Unobserved,
};

type Done<T> = Result<T, Box<dyn Error>>;

fn main() -> Done<()> {
    let folder = std::env::args().nth(1).ok_or("which checkpoint?")?;
    let precision = match std::env::args().nth(2).as_deref() {
        None | Some("f32") => Precision::Full,
        Some("bf16") => Precision::Bf16,
        Some(other) => return Err(format!("what precision is “{other}”?").into()),
    };
    let device = std::env::args().nth(3).map_or(Ok(Device::Cpu), |device| device.parse())?;
    let engine = Engine::load_for(Path::new(&folder), Compute { precision, device })?;
    // The texts of pictures are encoded once: they have a case of their own.
    let encode = |prompt| engine.encode_prompts(&[prompt], TextSettings::default());
    let texts = [encode(PROMPT)?, encode("")?];
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let begin = Instant::now();
        match words.as_slice() {
            ["step", width, height] => draw(&engine, &texts, 1, size(&engine, width, height)?)?,
            ["decode", width, height] => {
                let latents = Tensor::zeros([
                    1,
                    engine.info().latent_channels,
                    height.parse()?,
                    width.parse()?,
                ]);
                engine.decode(&latents)?;
            }
            ["text"] => {
                engine.encode_prompts(&[PROMPT], TextSettings::default())?;
            }
            ["picture", steps] => {
                let (width, height) = (engine.info().native_width, engine.info().native_height);
                draw(&engine, &texts, steps.parse()?, (width, height, true))?;
            }
            ["memory"] => {
                writeln!(out, "{}", peak()?)?;
                continue;
            }
            _ => return Err(format!("what is “{line}”?").into()),
        }
        writeln!(out, "{:.3}", begin.elapsed().as_secs_f64() * 1e3)?;
    }
    Ok(())
}

const PROMPT: &str = "a photo of a red heart, smiling";

/// Pixels for a size in latents; nothing is decoded.
fn size(engine: &Engine, width: &str, height: &str) -> Done<(usize, usize, bool)> {
    let factor = engine.info().vae_factor;
    Ok((width.parse::<usize>()? * factor, height.parse::<usize>()? * factor, false))
}

/// Guided steps, and the picture where it is wanted.
fn draw(
    engine: &Engine,
    [cond, uncond]: &[Conditioning; 2],
    steps: u32,
    (width, height, decode): (usize, usize, bool),
) -> Done<()> {
    let shape = engine.info().latent_shape(width, height);
    let mut rng = ImageRng::new(shape, &[7], &[], 0.0, NoiseSource::Cpu, 0);
    let job = SampleJob {
        sampler: Sampler::Euler,
        scheduler: Scheduler::Uniform,
        steps,
        cfg_scale: 7.0,
        cond: cond.clone().into(),
        uncond: uncond.clone().into(),
        padding: Padding::default(),
        start: Start::Noise(rng.first()),
        shown: None,
        refiner: None,
        rng: &mut rng,
        settings: SamplerSettings::default(),
    };
    let latents = engine.sample(job, &mut Unobserved)?;
    if decode {
        engine.decode(&latents)?;
    }
    Ok(())
}

/// The most memory that this process had, in kilobytes.
fn peak() -> Done<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words = line.and_then(|line| line.split_whitespace().next());
    Ok(words.ok_or("the system does not tell")?.parse()?)
}
