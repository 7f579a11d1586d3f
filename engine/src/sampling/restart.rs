//! Restart sampling (Xu et al., 2023), as A1111 v1.10.1 has it: Heun's steps, and from 20 steps on a way
//! back up to a higher noise level and down again.

use super::denoiser::Guided;
use super::error::SampleError;
use super::kdiffusion::add;
use super::observer::StepInfo;
use super::scheduler::karras;
use super::second_order::heun_step;
use crate::noise::ImageRng;
use crate::tensor::Tensor;

/// The noise level at which the way back begins, and the one that it leads to.
const BACK: (f64, f64) = (0.1, 2.0);

/// Down `sigmas`, with restarts.
pub(super) fn restart(
    model: &mut Guided<'_>,
    sigmas: &[f64],
    mut x: Tensor,
    rng: &mut ImageRng,
) -> Result<Tensor, SampleError> {
    let plan = plan(sigmas);
    let mut reached = f64::INFINITY;
    for (step, (sigma, sigma_next)) in plan.iter().copied().enumerate() {
        if sigma > reached {
            let added = (sigma * sigma - reached * reached).sqrt();
            x = add(x, &rng.next(), added);
        }
        let (step, total) = (step as u32, plan.len() as u32);
        let info = StepInfo { step, total, call: 0, sigma, sigma_next };
        x = heun_step(model, &info, x)?;
        model.stepped(&info, &mut x)?;
        reached = sigma_next;
    }
    Ok(x)
}

/// The steps, from one noise level to the next.
fn plan(sigmas: &[f64]) -> Vec<(f64, f64)> {
    let pairs = |levels: &[f64]| -> Vec<(f64, f64)> {
        levels.windows(2).map(|pair| (pair[0], pair[1])).collect()
    };
    let steps = sigmas.len().saturating_sub(1);
    let (length, times) = match steps {
        0..20 => return pairs(sigmas),
        20..36 => (9, 1),
        _ => (steps / 4, 2),
    };
    // The steps that the ways back take are missing in the first way down, so that their sum stays.
    let mut down = karras(sigmas[0], sigmas[steps - 1], 7.0, steps - length * times);
    down.push(0.0);
    let nearest = |level: f64| {
        let distances = down.iter().map(|sigma| (sigma - level).abs()).enumerate();
        distances.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
    };
    let (low, high) = (nearest(BACK.0), nearest(BACK.1));
    let mut plan = pairs(&down[..=low]);
    if high < low {
        let again = pairs(&karras(down[high], down[low], 7.0, length + 1));
        (0..times).for_each(|_| plan.extend(&again));
    }
    plan.extend(pairs(&down[low..]));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(steps: usize) -> Vec<f64> {
        let mut sigmas = karras(14.6, 0.03, 7.0, steps);
        sigmas.push(0.0);
        sigmas
    }

    #[test]
    fn short_ways_do_not_go_back_and_long_ones_keep_their_number_of_steps() {
        for (steps, backs) in [(4, 0), (19, 0), (20, 1), (35, 1), (36, 2), (50, 2)] {
            let plan = plan(&levels(steps));
            assert_eq!(plan.len(), steps);
            let back = |pair: &&[(f64, f64)]| pair[1].0 > pair[0].1;
            assert_eq!(plan.windows(2).filter(back).count(), backs, "{steps}");
            assert!(plan.iter().all(|(from, to)| to < from));
        }
    }
}
