//! What an observer of the sampling loop sees and may change.

mod common;

use atelier_engine::{
    Conditioning, Observer, Point, SampleError, Sampler, StepInfo, Stop, Tensor, TextSettings,
    Unobserved,
};
use common::{Draw, engine};

fn short() -> Draw<'static> {
    Draw { steps: 3, ..Draw::default() }
}

type AfterStep = fn(&StepInfo, &mut Tensor) -> Result<(), Stop>;

/// Writes down every call, and does what a test asks for.
#[derive(Default)]
struct Log {
    calls: Vec<(Point, u32)>,
    /// Noise levels of the first calls of the steps.
    sigmas: Vec<(f64, f64)>,
    /// Step and number of the calls that are not the first of their step.
    ahead: Vec<(u32, u32)>,
    deaf_to: Vec<Point>,
    on_denoiser: Option<fn(&mut Tensor, &mut f64, &mut Conditioning, &mut Conditioning)>,
    on_denoised: Option<fn(&mut Tensor, &mut Tensor)>,
    on_combine: Option<fn(&Tensor, &Tensor, &mut Tensor)>,
    on_after_cfg: Option<fn(&mut Tensor)>,
    on_after_step: Option<AfterStep>,
}

impl Observer for Log {
    fn wants(&self, point: Point) -> bool {
        !self.deaf_to.contains(&point)
    }

    fn denoiser(
        &mut self,
        info: &StepInfo,
        x: &mut Tensor,
        sigma: &mut f64,
        cond: &mut Conditioning,
        uncond: &mut Conditioning,
    ) -> Result<(), Stop> {
        self.calls.push((Point::Denoiser, info.step));
        if info.call == 0 {
            self.sigmas.push((info.sigma, info.sigma_next));
        } else {
            self.ahead.push((info.step, info.call));
        }
        if let Some(f) = self.on_denoiser {
            f(x, sigma, cond, uncond);
        }
        Ok(())
    }

    fn denoised(
        &mut self,
        info: &StepInfo,
        cond: &mut Tensor,
        uncond: &mut Tensor,
    ) -> Result<(), Stop> {
        self.calls.push((Point::Denoised, info.step));
        if let Some(f) = self.on_denoised {
            f(cond, uncond);
        }
        Ok(())
    }

    fn combine(
        &mut self,
        info: &StepInfo,
        _: &Tensor,
        cond: &Tensor,
        uncond: &Tensor,
        cfg_scale: f64,
        combined: &mut Tensor,
    ) -> Result<(), Stop> {
        self.calls.push((Point::Combine, info.step));
        for ((c, u), both) in cond.data().iter().zip(uncond.data()).zip(combined.data()) {
            assert!((u + cfg_scale as f32 * (c - u) - both).abs() < 1e-6);
        }
        if let Some(f) = self.on_combine {
            f(cond, uncond, combined);
        }
        Ok(())
    }

    fn after_cfg(&mut self, info: &StepInfo, denoised: &mut Tensor) -> Result<(), Stop> {
        self.calls.push((Point::AfterCfg, info.step));
        if let Some(f) = self.on_after_cfg {
            f(denoised);
        }
        Ok(())
    }

    fn after_step(&mut self, info: &StepInfo, x: &mut Tensor) -> Result<(), Stop> {
        self.calls.push((Point::AfterStep, info.step));
        self.on_after_step.map_or(Ok(()), |f| f(info, x))
    }
}

/// The model calls of a step of so many.
fn calls(sampler: Sampler, step: u32, steps: u32) -> usize {
    let last = step + 1 == steps;
    match sampler {
        // Behind the last step nothing is left to look at. DPM fast makes of three calls a step of two and
        // one of one.
        Sampler::DpmFast
        | Sampler::Heun
        | Sampler::Dpm2
        | Sampler::Dpm2A
        | Sampler::DpmPp2SA
        | Sampler::DpmPpSde
        | Sampler::Restart => 2 - usize::from(last),
        Sampler::Plms => 1 + usize::from(step == 0),
        Sampler::UniPc => 1 + usize::from(step == 0) - usize::from(last),
        Sampler::DpmAdaptive => 3,
        _ => 1,
    }
}

#[test]
fn the_points_come_in_their_order_at_every_step_of_every_sampler() {
    for sampler in Sampler::ALL {
        let mut log = Log::default();
        Draw { sampler, size: 32, ..short() }.latents(&mut log).unwrap();
        let call = [Point::Denoiser, Point::Denoised, Point::Combine, Point::AfterCfg];
        let ends = log.calls.iter().filter(|(point, _)| *point == Point::AfterStep);
        let steps = ends.count() as u32;
        let of = |step| calls(sampler, step, steps);
        let expected: Vec<_> = (0..steps)
            .flat_map(|step| {
                let points = call.repeat(of(step)).into_iter().chain([Point::AfterStep]);
                points.map(move |point| (point, step)).collect::<Vec<_>>()
            })
            .collect();
        let ahead: Vec<_> = (0..steps)
            .flat_map(|step| (1..of(step)).map(move |call| (step, call as u32)))
            .collect();
        if sampler == Sampler::DpmAdaptive {
            // It may try a step more than once, three calls each time.
            log.ahead.retain(|(_, call)| *call < 3);
        }
        assert!(log.ahead == ahead, "{sampler}: {:?}, not {ahead:?}", log.ahead);
        if sampler != Sampler::DpmAdaptive {
            assert!(log.calls == expected, "{sampler}: {:?}, not {expected:?}", log.calls);
        }
        // UniPC looks at a level where the step to it ends, DPM adaptive may end a step earlier than it
        // tried.
        let own_way = matches!(sampler, Sampler::UniPc | Sampler::DpmAdaptive);
        let goes_on = log.sigmas.windows(2).all(|pair| (pair[0].1 - pair[1].0).abs() < 1e-9);
        assert!(goes_on || own_way, "{sampler}: {:?}", log.sigmas);
    }
}

#[test]
fn watching_changes_nothing() {
    for sampler in Sampler::ALL {
        let draw = Draw { sampler, size: 32, ..short() };
        let unobserved = draw.latents(&mut Unobserved).unwrap();
        assert_eq!(draw.latents(&mut Log::default()).unwrap(), unobserved, "{sampler}");
    }
}

#[test]
fn an_unwanted_point_is_not_called() {
    let mut log = Log { deaf_to: vec![Point::Denoiser, Point::Combine], ..Log::default() };
    short().latents(&mut log).unwrap();
    assert!(log.calls.iter().all(|(p, _)| !matches!(p, Point::Denoiser | Point::Combine)));
    assert_eq!(log.calls.len(), 9);
}

#[test]
fn a_change_at_any_point_changes_the_picture() {
    let plain = short().latents(&mut Unobserved).unwrap();
    let changes = [
        Log {
            on_denoiser: Some(|x, _, _, _| x.data_mut().iter_mut().for_each(|v| *v += 0.5)),
            ..Log::default()
        },
        Log { on_denoiser: Some(|_, sigma, _, _| *sigma *= 0.9), ..Log::default() },
        Log { on_denoiser: Some(|_, _, cond, _| cond.data_mut().fill(0.1)), ..Log::default() },
        Log { on_denoiser: Some(|_, _, _, uncond| uncond.data_mut().fill(0.1)), ..Log::default() },
        Log { on_denoised: Some(|cond, _| cond.data_mut()[7] += 1.0), ..Log::default() },
        Log {
            on_combine: Some(|_, uncond, combined| combined.clone_from(uncond)),
            ..Log::default()
        },
        Log { on_after_cfg: Some(|x| x.data_mut()[7] += 1.0), ..Log::default() },
        Log {
            on_after_step: Some(|_, x| {
                x.data_mut()[7] += 1.0;
                Ok(())
            }),
            ..Log::default()
        },
    ];
    for (index, mut log) in changes.into_iter().enumerate() {
        assert_ne!(short().latents(&mut log).unwrap(), plain, "change {index}");
    }
}

#[test]
fn the_models_input_is_a_copy() {
    // An input of another scale and noise level, undone behind the model, leaves the sampler's own
    // x as it was: only the prediction counts.
    let mut log = Log {
        on_denoiser: Some(|x, _, _, _| x.data_mut().fill(3.0)),
        on_after_cfg: Some(|x| x.data_mut().fill(0.25)),
        ..Log::default()
    };
    let latents = short().latents(&mut log).unwrap();
    assert!(latents.data().iter().all(|v| (v - 0.25).abs() < 1e-5));
}

#[test]
fn conditioning_may_grow_for_one_call() {
    let longer = |_: &mut Tensor, _: &mut f64, cond: &mut Conditioning, _: &mut Conditioning| {
        *cond = cond.with_tokens(154, cond).unwrap();
    };
    let mut log = Log { on_denoiser: Some(longer), ..Log::default() };
    short().latents(&mut log).unwrap();
    let narrow = |_: &mut Tensor, _: &mut f64, cond: &mut Conditioning, _: &mut Conditioning| {
        *cond = Conditioning::new(1, 77, 3, vec![0.0; 231]).unwrap();
    };
    let mut log = Log { on_denoiser: Some(narrow), ..Log::default() };
    let error = short().latents(&mut log).unwrap_err();
    assert!(matches!(error, SampleError::Misfit { step: 0, point: Point::Denoiser, .. }));
}

#[test]
fn without_guidance_the_negative_prediction_is_a_copy() {
    let mut log =
        Log { on_denoised: Some(|cond, uncond| assert_eq!(cond, uncond)), ..Log::default() };
    Draw { cfg_scale: 1.0, ..short() }.latents(&mut log).unwrap();
    assert_eq!(log.calls.len(), 15);
}

#[test]
fn a_stop_ends_the_run_in_its_step() {
    let cancel = |info: &StepInfo, _: &mut Tensor| match info.step {
        1 => Err(Stop::Cancelled),
        _ => Ok(()),
    };
    let mut log = Log { on_after_step: Some(cancel), ..Log::default() };
    let error = short().latents(&mut log).unwrap_err();
    assert!(matches!(error, SampleError::Cancelled { step: 1, total: 3 }));
    assert_eq!(log.calls.last(), Some(&(Point::AfterStep, 1)));

    let fail = |_: &StepInfo, _: &mut Tensor| Err(std::io::Error::other("no room").into());
    let error = short().latents(&mut Log { on_after_step: Some(fail), ..Log::default() });
    let message = error.unwrap_err().to_string();
    assert!(message.contains("AfterStep of step 1") && message.contains("no room"), "{message}");
}

#[test]
fn numbers_that_are_not_finite_name_their_step() {
    let poison = |info: &StepInfo, x: &mut Tensor| {
        if info.step == 1 {
            x.data_mut()[0] = f32::NAN;
        }
        Ok(())
    };
    let mut log = Log { on_after_step: Some(poison), ..Log::default() };
    let error = short().latents(&mut log).unwrap_err();
    assert!(matches!(error, SampleError::NotFinite { step: 2, total: 3, .. }), "{error}");
}

#[test]
fn impossible_jobs_name_their_field() {
    let error = Draw { steps: 0, ..short() }.latents(&mut Unobserved).unwrap_err();
    assert!(error.to_string().starts_with("steps is 0"), "{error}");
    let init = Tensor::zeros([1, 4, 16, 16]);
    let error = Draw { init: Some((init, 1.5)), ..short() }.latents(&mut Unobserved).unwrap_err();
    assert!(error.to_string().starts_with("denoising_strength is 1.5"), "{error}");
    let too_far = TextSettings { clip_skip: 4, ..TextSettings::default() };
    let error = engine().encode_prompts(&["a"], too_far).unwrap_err().to_string();
    assert!(error.contains("1 to 3"), "{error}");
    let error = engine().encode_image(&Tensor::zeros([1, 3, 62, 64]), None).unwrap_err();
    assert!(error.to_string().contains("multiples of 4"), "{error}");
}
