//! Prompts that change while they are drawn, and prompts of several parts.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use atelier_engine::{
    Conditioning, Observer, Pass, Point, Sampler, Side, StepInfo, Stop, Tensor, TextSettings,
    Unobserved,
};
use common::{Draw, apart, engine};

fn encoded(prompt: &str) -> Vec<f32> {
    engine().encode_prompts(&[prompt], TextSettings::default()).unwrap().into_data()
}

/// Notes which of some texts the model is told at each call, and how many rows there are.
struct Told {
    known: Vec<Vec<f32>>,
    calls: Vec<Option<usize>>,
    rows: (usize, usize),
}

impl Told {
    fn of(texts: &[&str]) -> Self {
        let known = texts.iter().map(|text| encoded(text)).collect();
        Self { known, calls: Vec::new(), rows: (0, 0) }
    }
}

impl Observer for Told {
    fn wants(&self, point: Point) -> bool {
        point == Point::Denoiser
    }

    fn denoiser(
        &mut self,
        _: &StepInfo,
        _: &mut Tensor,
        _: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop> {
        let first = cond.row(0).unwrap();
        self.calls.push(self.known.iter().position(|text| text == first));
        self.rows = (cond.rows(), uncond.rows());
        Ok(())
    }
}

#[test]
fn a_prompt_changes_after_its_step_counted_as_a1111_counts_calls() {
    let mut told = Told::of(&["red heart", "blue circle"]);
    let draw = Draw { prompt: "[red heart:blue circle:3]", steps: 6, ..Draw::default() };
    draw.latents(&mut told).unwrap();
    assert_eq!(told.calls, [0, 0, 0, 0, 1, 1].map(Some));

    // Twelve calls are planned for six steps of a sampler that looks ahead: a half is six of them.
    let mut told = Told::of(&["red heart", "blue circle"]);
    let prompt = "[red heart:blue circle:0.5]";
    let draw = Draw { prompt, steps: 6, sampler: Sampler::Heun, ..Draw::default() };
    draw.latents(&mut told).unwrap();
    assert_eq!(told.calls, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1].map(Some));
}

#[test]
fn alternatives_take_turns_in_the_negative_prompt_too() {
    let mut told = Told::of(&["red heart", "blue circle"]);
    let draw = Draw { prompt: "[red heart|blue circle]", steps: 4, ..Draw::default() };
    draw.latents(&mut told).unwrap();
    assert_eq!(told.calls, [0, 0, 1, 0].map(Some));

    let plain = Draw { negative: "blue circle", ..Draw::default() }.picture();
    let late = Draw { negative: "[blue circle:8]", ..Draw::default() }.picture();
    assert_ne!(plain, late);
    assert_eq!(plain, Draw { negative: "[blue circle:0]", ..Draw::default() }.picture());
}

#[test]
fn each_part_of_a_prompt_moves_the_picture_by_its_weight() {
    let draw = |prompt, cfg_scale| Draw { prompt, cfg_scale, ..Draw::default() }.picture();
    let close = |a: &Tensor, b: &Tensor| apart(a.data(), b.data()) < 2e-3;
    let heart = draw("red heart", 5.0);
    // Two halves of the same are the whole, and a weight alone scales the guidance.
    assert!(close(&heart, &draw("red heart:0.5 AND red heart:0.5", 5.0)));
    assert!(close(&heart, &draw("red heart:0.5", 10.0)));
    assert!(close(&heart, &draw("red heart AND blue circle:0", 5.0)));
    let both = draw("red heart AND blue circle", 5.0);
    assert!(!close(&heart, &both) && !close(&both, &draw("red heart, blue circle", 5.0)));
    // At scale 1 the negative prompt counts as soon as the weights do not make 1.
    let negative =
        |prompt, negative| Draw { prompt, negative, cfg_scale: 1.0, ..Draw::default() }.picture();
    let half = "red heart:0.5";
    assert_ne!(negative(half, ""), negative(half, "blue circle"));
    let whole = "red heart:0.25 AND blue circle:0.75";
    assert_eq!(negative(whole, ""), negative(whole, "blue circle"));
}

#[test]
fn parts_are_rows_of_what_the_model_is_told() {
    let mut told = Told::of(&["red heart"]);
    let draw = Draw { prompt: "red heart AND blue circle AND dog", ..Draw::default() };
    let draw = Draw { seeds: vec![1, 2], steps: 1, ..draw };
    assert_eq!(draw.latents(&mut told).unwrap().batch(), 2);
    assert_eq!((told.rows, &told.calls[..]), ((6, 2), &[Some(0)][..]));
    let negative = Draw { negative: "red heart AND dog", steps: 1, ..Draw::default() };
    negative.latents(&mut told).unwrap();
    assert_eq!(told.rows, (1, 1));
}

/// Pictures of a batch do not see each other.
#[test]
fn a_batch_draws_what_each_of_its_prompts_draws_alone() {
    let engine = engine();
    let draw = |prompts: &[&str], seeds: &[i64]| {
        let pass = Pass { steps: 4, ..Pass::default() };
        let text = |prompts: &[&str], side| {
            engine.encode_schedules(prompts, side, TextSettings::default(), pass).unwrap()
        };
        let shape = engine.info().latent_shape(64, 64);
        let mut rng = atelier_engine::ImageRng::new(
            shape,
            seeds,
            &[],
            0.0,
            atelier_engine::NoiseSource::Cpu,
            0,
        );
        let job = atelier_engine::SampleJob {
            sampler: Sampler::Euler,
            scheduler: atelier_engine::Scheduler::Automatic,
            steps: 4,
            cfg_scale: 5.0,
            cond: text(prompts, Side::Positive),
            uncond: text(&vec![""; prompts.len()], Side::Negative),
            padding: atelier_engine::Padding::default(),
            start: atelier_engine::Start::Noise(rng.first()),
            shown: None,
            refiner: None,
            rng: &mut rng,
            settings: atelier_engine::SamplerSettings::default(),
        };
        engine.sample(job, &mut Unobserved).unwrap()
    };
    let (one, other) = ("[red:blue:2] heart AND dog:0.3", "[yellow|green] circle");
    let both = draw(&[one, other], &[1, 2]);
    let alone = [draw(&[one], &[1]), draw(&[other], &[2])].map(Tensor::into_data).concat();
    assert!(apart(both.data(), &alone) < 1e-4, "{}", apart(both.data(), &alone));
}
