//! Draws a prompt with the default checkpoint:
//! `cargo run -p atelier-engine --example draw -- "red heart" 1 heart.png [steps]`

use std::path::Path;
use std::time::Instant;

use atelier_engine::{
    Engine, ImageRng, NoiseSource, Padding, SampleJob, Sampler, SamplerSettings, Scheduler, Start,
    Tensor, TextSettings, Unobserved,
};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [prompt, seed, out, rest @ ..] = args.as_slice() else {
        return Err("usage: draw PROMPT SEED OUT.png [STEPS]".into());
    };
    let steps = rest.first().map_or(Ok(20), |text| text.parse())?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/atelier-emoji-64");
    let begin = Instant::now();
    let engine = Engine::load(&folder)?;
    let loaded = begin.elapsed();
    let begin = Instant::now();
    let picture = draw(&engine, prompt, seed.parse()?, steps)?;
    let drawn = begin.elapsed();
    save(&picture, Path::new(out))?;
    println!("loaded in {loaded:.2?}, drawn in {drawn:.2?}");
    Ok(())
}

fn draw(engine: &Engine, prompt: &str, seed: i64, steps: u32) -> Result<Tensor, Failure> {
    let info = engine.info();
    let shape = info.latent_shape(info.native_width, info.native_height);
    let mut rng = ImageRng::new(shape, &[seed], &[], 0.0, NoiseSource::Cpu, 0);
    let job = SampleJob {
        sampler: Sampler::Euler,
        scheduler: Scheduler::Automatic,
        steps,
        cfg_scale: 5.0,
        cond: engine.encode_prompts(&[prompt], TextSettings::default())?.into(),
        uncond: engine.encode_prompts(&[""], TextSettings::default())?.into(),
        padding: Padding::default(),
        start: Start::Noise(rng.first()),
        shown: None,
        refiner: None,
        rng: &mut rng,
        settings: SamplerSettings::default(),
    };
    Ok(engine.decode(&engine.sample(job, &mut Unobserved)?)?)
}

fn save(picture: &Tensor, out: &Path) -> Result<(), Failure> {
    let [_, _, height, width] = picture.shape();
    let plane = width * height;
    let bytes = (0..plane * 3)
        .map(|i| (picture.data()[i % 3 * plane + i / 3] * 255.0).round() as u8)
        .collect();
    let image = image::RgbImage::from_raw(width as u32, height as u32, bytes).ok_or("size")?;
    Ok(image.save(out)?)
}
