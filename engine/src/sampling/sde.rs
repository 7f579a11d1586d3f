//! The samplers of k-diffusion (commit ab527a9, which A1111 v1.10.1 runs) that solve a stochastic
//! equation: their noise is the increments of one motion, so that more steps follow the same path.

use super::denoiser::Guided;
use super::error::SampleError;
use super::kdiffusion::{add, ancestral, steps};
use super::observer::StepInfo;
use super::second_order::mixed;
use super::settings::SamplerSettings;
use crate::noise::{BrownianTree, ImageRng};
use crate::tensor::Tensor;

/// The ends of a whole schedule but 0, also where sampling begins further down.
#[derive(Clone, Copy)]
pub(super) struct Levels {
    lowest: f64,
    highest: f64,
}

impl Levels {
    pub(super) fn of(sigmas: &[f64]) -> Self {
        let above = || sigmas.iter().copied().filter(|sigma| *sigma > 0.0).map(single);
        let highest = above().fold(0.0, f64::max);
        Self { lowest: above().fold(highest, f64::min), highest }
    }
}

/// The motion of a batch over the noise levels of a schedule (`BrownianTreeNoiseSampler`).
pub(super) struct Motion {
    trees: Vec<BrownianTree>,
    shape: [usize; 3],
}

impl Motion {
    pub(super) fn over(levels: Levels, rng: &ImageRng) -> Self {
        Self { trees: rng.brownian(levels.lowest, levels.highest), shape: rng.shape() }
    }

    /// Unit normal noise for the way from one level down to another.
    fn noise(&self, from: f64, to: f64) -> Tensor {
        let (from, to) = (single(from), single(to));
        let by = (1.0 / (from - to).abs().sqrt()) as f32;
        let [c, h, w] = self.shape;
        let mut noise = Tensor::zeros([self.trees.len(), c, h, w]);
        let rows = noise.data_mut().chunks_exact_mut((c * h * w).max(1));
        for (row, tree) in rows.zip(&self.trees) {
            // Times run upwards, the way goes down.
            for (value, moved) in row.iter_mut().zip(tree.between(to, from)) {
                *value = -moved * by;
            }
        }
        noise
    }
}

/// torch keeps noise levels as f32.
fn single(sigma: f64) -> f64 {
    f64::from(sigma as f32)
}

/// `sample_dpmpp_sde`: DPM-Solver++, looking ahead to the middle of the step.
pub(super) fn dpmpp_sde(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    motion: &Motion,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    for info in steps(sigmas) {
        let (sigma, next) = (info.sigma, info.sigma_next);
        let denoised = model.denoise(&info, &x)?;
        x = if next <= 0.0 {
            denoised
        } else {
            let middle = (sigma * next).sqrt();
            let step = |x: Tensor, denoised: &Tensor, to: f64| {
                let (down, up) = ancestral(sigma, to, settings.eta_ancestral);
                add(
                    mixed(x, denoised, down / sigma),
                    &motion.noise(sigma, to),
                    settings.s_noise * up,
                )
            };
            let there = step(x.clone(), &denoised, middle);
            let other = model.denoise(&StepInfo { call: 1, sigma: middle, ..info }, &there)?;
            step(x, &other, next)
        };
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// What takes in the step before in `sample_dpmpp_2m_sde`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Solver {
    Midpoint,
    Heun,
}

/// `sample_dpmpp_2m_sde`.
pub(super) fn dpmpp_2m_sde(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    motion: &Motion,
    settings: &SamplerSettings,
    solver: Solver,
) -> Result<Tensor, SampleError> {
    let eta = settings.eta_ancestral;
    let mut before: Option<(f64, Tensor)> = None;
    for info in steps(sigmas) {
        let (sigma, next) = (info.sigma, info.sigma_next);
        let denoised = model.denoise(&info, &x)?;
        if next <= 0.0 {
            x = denoised.clone();
        } else {
            let h = (sigma / next).ln();
            let whole = h + eta * h;
            let gained = -(-whole).exp_m1();
            x = mixed(x, &denoised, (-whole).exp());
            if let Some((last, old)) = &before {
                let weight = match solver {
                    Solver::Midpoint => 0.5 * gained,
                    Solver::Heun => 1.0 - gained / whole,
                };
                let by = weight * h / last;
                x = add(add(x, &denoised, by), old, -by);
            }
            x = put_back(x, motion, &info, eta * h, settings);
            before = Some((h, denoised));
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// `sample_dpmpp_3m_sde`.
pub(super) fn dpmpp_3m_sde(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    motion: &Motion,
    settings: &SamplerSettings,
) -> Result<Tensor, SampleError> {
    let eta = settings.eta_ancestral;
    let mut before: Vec<(f64, Tensor)> = Vec::with_capacity(2);
    for info in steps(sigmas) {
        let (sigma, next) = (info.sigma, info.sigma_next);
        let denoised = model.denoise(&info, &x)?;
        if next <= 0.0 {
            x = denoised.clone();
        } else {
            let h = (sigma / next).ln();
            let whole = h * (eta + 1.0);
            x = mixed(x, &denoised, (-whole).exp());
            let second = (-whole).exp_m1() / whole + 1.0;
            match &before[..] {
                [(h1, old)] => {
                    let by = second * h / h1;
                    x = add(add(x, &denoised, by), old, -by);
                }
                [(h1, old), (h2, older)] => {
                    let (r0, r1) = (h1 / h, h2 / h);
                    let third = second / whole - 0.5;
                    // d1 and d2 of the paper, gathered by the answers that they are made of.
                    let near = second * (1.0 + r0 / (r0 + r1)) - third / (r0 + r1);
                    let far = -second * r0 / (r0 + r1) + third / (r0 + r1);
                    x = add(x, &denoised, near / r0);
                    x = add(x, old, far / r1 - near / r0);
                    x = add(x, older, -far / r1);
                }
                _ => {}
            }
            x = put_back(x, motion, &info, eta * h, settings);
            before.insert(0, (h, denoised));
            before.truncate(2);
        }
        model.stepped(&info, &mut x)?;
    }
    Ok(x)
}

/// Puts noise on the end of a step.
fn put_back(
    x: Tensor,
    motion: &Motion,
    info: &StepInfo,
    eta_h: f64,
    settings: &SamplerSettings,
) -> Tensor {
    if eta_h <= 0.0 {
        return x;
    }
    let spread = (-(-2.0 * eta_h).exp_m1()).sqrt();
    let noise = motion.noise(info.sigma, info.sigma_next);
    add(x, &noise, info.sigma_next * spread * settings.s_noise)
}
