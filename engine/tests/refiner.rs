//! Another checkpoint that draws the rest.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::OnceLock;

use atelier_engine::{
    Engine, ImageRng, NoiseSource, Observer, Padding, Pass, Point, Refiner, SampleError, SampleJob,
    Sampler, SamplerSettings, Scheduler, Side, Start, StepInfo, Stop, Tensor, TextSettings,
};
use common::engine;

const STEPS: u32 = 4;

/// The default checkpoint for tiles: another network of the same latents.
fn other() -> &'static Engine {
    static OTHER: OnceLock<Engine> = OnceLock::new();
    OTHER.get_or_init(|| engine().with_tiling())
}

#[derive(Default)]
struct Watcher {
    /// Steps before the refiner's turn, and behind it.
    denoised: (u32, u32),
    refined: bool,
}

impl Observer for Watcher {
    fn wants(&self, point: Point) -> bool {
        point == Point::Denoised
    }

    fn denoised(&mut self, _: &StepInfo, _: &mut Tensor, _: &mut Tensor) -> Result<(), Stop> {
        if self.refined {
            self.denoised.1 += 1;
        } else {
            self.denoised.0 += 1;
        }
        Ok(())
    }

    fn refined(&mut self, _: &StepInfo) {
        assert!(!self.refined, "it has one turn");
        self.refined = true;
    }
}

/// The prompt that each checkpoint is given.
const PROMPT: &str = "red heart";

fn draw(
    sampler: Sampler,
    first: &Engine,
    next: Option<(&Engine, Option<f64>, bool)>,
) -> Result<(Tensor, (u32, u32)), SampleError> {
    let pass = Pass { steps: sampler.calls_of(STEPS as usize), ..Pass::default() };
    let text = |engine: &Engine, prompt, side| {
        engine.encode_schedules(&[prompt], side, TextSettings::default(), pass).unwrap()
    };
    let mut rng = ImageRng::new([4, 8, 8], &[1], &[], 0.0, NoiseSource::Cpu, 0);
    let start = Start::Noise(rng.first());
    let job = SampleJob {
        sampler,
        scheduler: Scheduler::Automatic,
        steps: STEPS,
        cfg_scale: 5.0,
        cond: text(first, PROMPT, Side::Positive),
        uncond: text(first, "", Side::Negative),
        padding: Padding::default(),
        start,
        shown: None,
        refiner: next.map(|(engine, switch_at, by_steps)| Refiner {
            engine,
            cond: text(engine, PROMPT, Side::Positive),
            uncond: text(engine, "", Side::Negative),
            padding: Padding::default(),
            switch_at,
            by_steps,
        }),
        rng: &mut rng,
        settings: SamplerSettings::default(),
    };
    let mut watcher = Watcher::default();
    let latents = first.sample(job, &mut watcher)?;
    Ok((latents, watcher.denoised))
}

#[test]
fn from_the_first_call_on_it_is_as_if_it_were_alone_and_behind_the_last_as_if_it_were_not_there() {
    for sampler in Sampler::ALL {
        let (base, _) = draw(sampler, engine(), None).unwrap();
        let (alone, _) = draw(sampler, other(), None).unwrap();
        assert!(base != alone, "{sampler}");
        for switch_at in [None, Some(0.0)] {
            let next = Some((other(), switch_at, false));
            let (found, calls) = draw(sampler, engine(), next).unwrap();
            assert!(found == alone && calls.0 == 0, "{sampler}: {calls:?}");
        }
        let (found, calls) = draw(sampler, engine(), Some((other(), Some(1.0), false))).unwrap();
        assert!(found == base && calls.1 == 0, "{sampler}: {calls:?}");
    }
}

#[test]
fn the_way_is_counted_in_timesteps_or_in_calls() {
    let calls = |at, by_steps| {
        draw(Sampler::Euler, engine(), Some((other(), Some(at), by_steps))).unwrap().1
    };
    assert_eq!(calls(0.5, true), (2, 2));
    assert_eq!(calls(0.75, true), (3, 1));
    // Even timesteps: 999, 666, 333, 0.
    assert_eq!(calls(0.3, false), (1, 3));
    assert_eq!(calls(0.5, false), (2, 2));
    assert_eq!(calls(0.9, false), (3, 1));
}

#[test]
fn the_rest_is_drawn_by_it_and_no_more() {
    for sampler in [Sampler::DpmPp2M, Sampler::Ddim, Sampler::UniPc] {
        let (base, _) = draw(sampler, engine(), None).unwrap();
        let (alone, _) = draw(sampler, other(), None).unwrap();
        let (found, _) = draw(sampler, engine(), Some((other(), Some(0.5), true))).unwrap();
        assert!(found != base && found != alone, "{sampler}");
        let (same, _) = draw(sampler, engine(), Some((engine(), Some(0.5), true))).unwrap();
        assert!(same == base, "{sampler}: the same checkpoint changes nothing");
    }
}

#[test]
fn a_share_that_is_none_is_refused() {
    for at in [-0.1, 1.5, f64::NAN] {
        let error = draw(Sampler::Euler, engine(), Some((other(), Some(at), false))).unwrap_err();
        assert!(error.to_string().starts_with("refiner.switch_at is"), "{error}");
    }
}
