//! What an observer sees and may change of a picture of which part stays, and of extra noise.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use atelier_engine::{
    BlendParts, Conditioning, Observer, Point, Sampler, SamplerSettings, StepInfo, Stop, Tensor,
    Unobserved,
};
use common::Draw;

/// Watches nothing but what is put together.
#[derive(Default)]
struct Parts {
    /// Model calls.
    model_calls: usize,
    /// Whether each call was within a step.
    blends: Vec<bool>,
    /// The points in their order.
    points: Vec<Point>,
    keeps_nothing: bool,
    before_the_model: bool,
    extra: Vec<(f32, f32)>,
    silences: bool,
}

impl Observer for Parts {
    fn wants(&self, point: Point) -> bool {
        point != Point::AfterStep
    }

    fn denoiser(
        &mut self,
        _: &StepInfo,
        _: &mut Tensor,
        _: &mut f64,
        _: &mut Conditioning,
        _: &mut Conditioning,
    ) -> Result<(), Stop> {
        self.points.push(Point::Denoiser);
        Ok(())
    }

    fn after_cfg(&mut self, _: &StepInfo, _: &mut Tensor) -> Result<(), Stop> {
        self.points.push(Point::AfterCfg);
        Ok(())
    }

    fn denoised(&mut self, _: &StepInfo, _: &mut Tensor, _: &mut Tensor) -> Result<(), Stop> {
        self.model_calls += 1;
        Ok(())
    }

    fn blend(
        &mut self,
        info: Option<&StepInfo>,
        parts: &BlendParts<'_>,
        blended: &mut Tensor,
    ) -> Result<(), Stop> {
        self.blends.push(info.is_some());
        self.points.push(Point::Blend);
        // As strong as what it is put into: those on timesteps see x, which is divided by what is left of it.
        let level = match info {
            Some(info) if self.before_the_model => (info.sigma * info.sigma + 1.0).sqrt(),
            _ => 1.0,
        };
        let (init, own) = (parts.init.data()[7], picture().data()[7]);
        assert!(
            (f64::from(init) - f64::from(own) * level).abs() < 1e-4,
            "{init}, not {level} × {own}"
        );
        let plane = parts.mask.data().len();
        let parted = parts.current.data().iter().zip(parts.init.data()).enumerate();
        for ((at, (current, init)), both) in parted.zip(blended.data()) {
            let stays = parts.mask.data()[at % plane];
            assert!((current * (1.0 - stays) + init * stays - both).abs() < 1e-5);
        }
        if self.keeps_nothing {
            blended.clone_from(parts.current);
        }
        Ok(())
    }

    fn extra_noise(&mut self, noise: &mut Tensor, x: &Tensor, noised: &Tensor) -> Result<(), Stop> {
        let at = 7;
        self.extra.push((noise.data()[at], noised.data()[at] - x.data()[at]));
        if self.silences {
            noise.data_mut().fill(0.0);
        }
        Ok(())
    }
}

/// The latents that runs start from.
fn picture() -> Tensor {
    let data = (0..256).map(|at| (at as f32 * 0.37).sin()).collect();
    Tensor::new([1, 4, 8, 8], data).unwrap()
}

fn from_picture(sampler: Sampler) -> Draw<'static> {
    Draw { sampler, size: 32, steps: 4, init: Some((picture(), 0.6)), ..Draw::default() }
}

/// The samplers on timesteps, whose model is shown what stays.
fn before_the_model(sampler: Sampler) -> bool {
    use Sampler::{Ddim, DdimCfgPp, Plms, UniPc};
    matches!(sampler, Ddim | DdimCfgPp | Plms | UniPc)
}

fn watching(sampler: Sampler) -> Parts {
    Parts { before_the_model: before_the_model(sampler), ..Parts::default() }
}

/// The left half is drawn anew.
fn masked(sampler: Sampler) -> Draw<'static> {
    let fresh = (0..64).map(|at| if at % 8 < 4 { 1.0 } else { 0.0 }).collect();
    let mask = Some(Tensor::new([1, 1, 8, 8], fresh).unwrap());
    Draw { mask, ..from_picture(sampler) }
}

#[test]
fn parts_are_put_together_at_every_call_of_every_sampler_and_once_behind_them() {
    for sampler in Sampler::ALL {
        let mut parts = watching(sampler);
        let latents = masked(sampler).latents(&mut parts).unwrap();
        let (last, within) = parts.blends.split_last().unwrap();
        assert!(!last && within.iter().all(|within| *within), "{sampler}: {:?}", parts.blends);
        assert_eq!(within.len(), parts.model_calls, "{sampler}");
        let order = if before_the_model(sampler) {
            [Point::Blend, Point::Denoiser, Point::AfterCfg]
        } else {
            [Point::Denoiser, Point::Blend, Point::AfterCfg]
        };
        let (last, points) = parts.points.split_last().unwrap();
        assert_eq!(*last, Point::Blend, "{sampler}");
        assert!(points.chunks(3).all(|call| call == order), "{sampler}: {points:?}");
        let unobserved = masked(sampler).latents(&mut Unobserved).unwrap();
        assert!(latents == unobserved, "{sampler}: watching changes nothing");
    }
}

#[test]
fn what_is_put_in_place_of_it_counts() {
    for sampler in [Sampler::Euler, Sampler::Ddim] {
        let mut parts = Parts { keeps_nothing: true, ..watching(sampler) };
        let found = masked(sampler).latents(&mut parts).unwrap();
        let without = from_picture(sampler).latents(&mut Unobserved).unwrap();
        assert!(found == without, "{sampler}: as if there were no mask");
    }
}

#[test]
fn nothing_is_put_together_without_a_mask() {
    let mut parts = Parts::default();
    from_picture(Sampler::Euler).latents(&mut parts).unwrap();
    assert!(parts.blends.is_empty() && parts.extra.is_empty());
}

#[test]
fn extra_noise_is_seen_before_it_is_put_on() {
    for sampler in [Sampler::Euler, Sampler::Ddim, Sampler::UniPc] {
        let settings = SamplerSettings { extra_noise: 0.3, ..SamplerSettings::default() };
        let draw = Draw { settings, ..from_picture(sampler) };
        let mut seen = Parts::default();
        let noisy = draw.latents(&mut seen).unwrap();
        let [(noise, first)] = seen.extra[..] else { panic!("once: {:?}", seen.extra) };
        assert!(noise != 0.0 && first / noise > 0.5, "{sampler}: {noise} {first}");
        assert!(noisy == draw.latents(&mut Unobserved).unwrap(), "{sampler}");
        let mut silent = Parts { silences: true, ..Parts::default() };
        let silent = draw.latents(&mut silent).unwrap();
        let plain = from_picture(sampler).latents(&mut Unobserved).unwrap();
        assert!(silent == plain && noisy != plain, "{sampler}");
    }
}
