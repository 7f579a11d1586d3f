//! UniPC (Zhao et al., 2023, arXiv 2302.04867), as A1111 v1.10.1 runs it: several steps looked back
//! at, data prediction, a corrector behind every step but the last.
//!
//! The original keeps x as `α · picture + σ · noise`; here it is divided by α, as everywhere.

use std::collections::VecDeque;

use super::denoiser::Guided;
use super::discrete::{DiscreteSchedule, linspace};
use super::error::SampleError;
use super::kdiffusion::add;
use super::observer::StepInfo;
use super::settings::{UniPc, UniPcSpacing, UniPcVariant};
use crate::tensor::Tensor;

/// The model's levels at times from above 0 to 1, between which the picture's share is interpolated.
struct Times<'a> {
    log_alphas: Vec<f64>,
    schedule: &'a DiscreteSchedule,
}

/// A level that is walked through.
#[derive(Clone, Copy, Debug)]
struct Level {
    /// Timestep of the model, from 0.
    timestep: f64,
    /// Noise by picture.
    sigma: f64,
    /// Half the logarithm of picture by noise, squared.
    lambda: f64,
}

impl<'a> Times<'a> {
    fn of(schedule: &'a DiscreteSchedule) -> Self {
        let log_alphas = (0..schedule.len()).map(|t| schedule.alpha(t).ln() / 2.0).collect();
        Self { log_alphas, schedule }
    }

    fn len(&self) -> f64 {
        self.schedule.len() as f64
    }

    /// Logarithm of the picture's share at a timestep.
    fn log_alpha(&self, timestep: f64) -> f64 {
        let last = self.log_alphas.len() - 1;
        let at = timestep.clamp(0.0, last as f64);
        let low = (at.floor() as usize).min(last.saturating_sub(1));
        let (a, b) = (self.log_alphas[low], self.log_alphas[(low + 1).min(last)]);
        a + (at - low as f64) * (b - a)
    }

    fn level(&self, timestep: f64) -> Level {
        let sigma = (-2.0 * self.log_alpha(timestep)).exp_m1().sqrt();
        Level { timestep, sigma, lambda: -sigma.ln() }
    }

    /// The timestep at which [`log_alpha`](Self::log_alpha) is the noise level's.
    fn timestep_of(&self, lambda: f64) -> f64 {
        let log_alpha = -0.5 * (-2.0 * lambda).exp().ln_1p();
        let last = self.log_alphas.len() - 1;
        let above = self.log_alphas.partition_point(|known| *known > log_alpha);
        let low = above.saturating_sub(1).min(last.saturating_sub(1));
        let (a, b) = (self.log_alphas[low], self.log_alphas[low + 1]);
        low as f64 + (log_alpha - a) / (b - a)
    }

    /// The levels of `steps` steps from a timestep down to the first, both ends included.
    fn levels(&self, spacing: UniPcSpacing, from: f64, steps: usize) -> Vec<Level> {
        let (n, count) = (self.len(), steps + 1);
        let (start, end) = ((from + 1.0) / n, 1.0 / n);
        let timesteps: Vec<f64> = match spacing {
            UniPcSpacing::TimeUniform => linspace(start, end, count),
            UniPcSpacing::TimeQuadratic => {
                linspace(start.sqrt(), end.sqrt(), count).iter().map(|root| root * root).collect()
            }
            UniPcSpacing::LogSnr => {
                let (high, low) = (self.level(from).lambda, self.level(0.0).lambda);
                let lambdas = linspace(high, low, count);
                let times = lambdas.into_iter().map(|it| (self.timestep_of(it) + 1.0) / n);
                return times.map(|time| self.level(time * n - 1.0)).collect();
            }
        };
        timesteps.into_iter().map(|time| self.level(time * n - 1.0)).collect()
    }
}

/// Samples from `x` (the model's space) at the timestep `from`.
pub(super) fn unipc(
    model: &mut Guided<'_>,
    from: f64,
    steps: usize,
    x: Tensor,
    settings: UniPc,
) -> Result<Tensor, SampleError> {
    if steps == 0 {
        return Ok(x);
    }
    let times = Times::of(model.schedule);
    let levels = times.levels(settings.spacing, from, steps);
    let into = (-times.log_alpha(from)).exp();
    let mut x = x.map(|v| (f64::from(v) * into) as f32);
    let order = (settings.order.max(1) as usize).min(steps);
    let total = steps as u32;
    let mut known: VecDeque<(Level, Tensor)> = VecDeque::with_capacity(order + 1);
    let answer = |model: &mut Guided<'_>, info: StepInfo, at: Level, x: &Tensor| {
        model.timestep = Some(at.timestep);
        model.denoise(&StepInfo { sigma: at.sigma, ..info }, x)
    };
    for (step, pair) in levels.windows(2).enumerate() {
        let mut info = StepInfo {
            step: step as u32,
            total,
            call: 0,
            sigma: pair[0].sigma,
            sigma_next: pair[1].sigma,
        };
        if known.is_empty() {
            known.push_front((pair[0], answer(model, info, pair[0], &x)?));
            info.call += 1;
        }
        let left = if settings.lower_order_final { steps - step } else { order };
        let order = order.min(left).min(step + 1);
        let ahead = Ahead::of(known.make_contiguous(), pair[1], order, settings.variant);
        let target = ahead.predicted(x.clone());
        if step + 1 == steps {
            x = target;
        } else {
            let found = answer(model, info, pair[1], &target)?;
            x = ahead.corrected(x, &found);
            known.push_front((pair[1], found));
            known.truncate(settings.order.max(1) as usize);
        }
        model.stepped(&info, &mut x)?;
    }
    let out = times.log_alpha(0.0).exp();
    Ok(x.map(|v| (f64::from(v) * out) as f32))
}

/// One step: what is kept of x, what is taken of the last answer, and of what those before it differ.
struct Ahead<'k> {
    last: &'k Tensor,
    keep: f64,
    take: f64,
    /// Differences of earlier answers, with their weights without and with the corrector.
    others: Vec<(Tensor, f64, f64)>,
    /// Weight of the corrector's own.
    own: f64,
}

impl<'k> Ahead<'k> {
    /// A step to `to`; `known` are the last levels and answers, the newest first.
    fn of(known: &'k [(Level, Tensor)], to: Level, order: usize, variant: UniPcVariant) -> Self {
        let (from, last) = &known[0];
        let h = to.lambda - from.lambda;
        let others = || known[1..].iter().take(order - 1);
        let mut ratios: Vec<f64> =
            others().map(|(level, _)| (level.lambda - from.lambda) / h).collect();
        let differences: Vec<Tensor> = others()
            .zip(&ratios)
            .map(|((_, answer), ratio)| {
                let ratio = *ratio as f32;
                answer.clone().zip(last, |then, now| (then - now) / ratio)
            })
            .collect();
        ratios.push(1.0);
        let (plain, mut corrected) = match variant {
            UniPcVariant::VaryCoeff => varying(&ratios, -h),
            UniPcVariant::Bh1 => fixed(&ratios, -h, -h),
            UniPcVariant::Bh2 => fixed(&ratios, -h, (-h).exp_m1()),
        };
        let own = corrected.pop().unwrap_or(0.0);
        let weights = plain.into_iter().zip(corrected);
        let others = differences.into_iter().zip(weights).map(|(it, (a, b))| (it, a, b)).collect();
        Self { last, keep: to.sigma / from.sigma, take: -(-h).exp_m1(), others, own }
    }

    fn straight(&self, x: Tensor) -> Tensor {
        let (keep, take) = (self.keep as f32, self.take as f32);
        x.zip(self.last, |x, last| keep * x + take * last)
    }

    fn predicted(&self, x: Tensor) -> Tensor {
        self.others.iter().fold(self.straight(x), |x, (it, weight, _)| add(x, it, -weight))
    }

    fn corrected(&self, x: Tensor, found: &Tensor) -> Tensor {
        let x = self.others.iter().fold(self.straight(x), |x, (it, _, weight)| add(x, it, -weight));
        add(x, &found.clone().zip(self.last, |found, last| found - last), -self.own)
    }
}

/// Weights of the differences without the corrector, and with it; its own is the last. `hh` is −h, `b`
/// B(h).
fn fixed(ratios: &[f64], hh: f64, b: f64) -> (Vec<f64>, Vec<f64>) {
    let order = ratios.len();
    let (mut phi, mut factorial) = (hh.exp_m1() / hh - 1.0, 1.0);
    let mut wanted = Vec::with_capacity(order);
    for i in 1..=order {
        wanted.push(phi * factorial / b);
        factorial *= (i + 1) as f64;
        phi = phi / hh - 1.0 / factorial;
    }
    let powers = |count: usize| -> Vec<Vec<f64>> {
        let row = |i: usize| ratios[..count].iter().map(|ratio| ratio.powi(i as i32)).collect();
        (0..count).map(row).collect()
    };
    let plain = match order {
        // The paper's simpler ones.
        1 => Vec::new(),
        2 => vec![0.5],
        _ => solved(powers(order - 1), wanted[..order - 1].to_vec()),
    };
    let corrected = if order == 1 { vec![0.5] } else { solved(powers(order), wanted) };
    let scaled = |weights: Vec<f64>| weights.into_iter().map(|weight| weight * b).collect();
    (scaled(plain), scaled(corrected))
}

/// The same for coefficients that vary. The corrector's own is taken from the last but one row, as
/// A1111's code does.
fn varying(ratios: &[f64], hh: f64) -> (Vec<f64>, Vec<f64>) {
    let order = ratios.len();
    let mut phis = Vec::with_capacity(order + 1);
    let (mut phi, mut factorial) = (hh.exp_m1(), 1.0);
    for k in 1..=order + 1 {
        phis.push(phi);
        phi = phi / hh - 1.0 / factorial;
        factorial *= (k + 1) as f64;
    }
    let matrix = |count: usize| -> Vec<Vec<f64>> {
        let row = |ratio: &f64| {
            let next = |value: &mut f64, k: usize| {
                let now = *value;
                *value *= ratio / (k + 2) as f64;
                Some(now)
            };
            (0..count).scan(1.0, next).collect()
        };
        ratios[..count].iter().map(row).collect()
    };
    // Column `j` of the inverse: what the matrix makes of it is 1 at j.
    let inverse = |count: usize| -> Vec<Vec<f64>> {
        let unit = |j: usize| (0..count).map(|i| f64::from(u8::from(i == j))).collect();
        (0..count).map(|j| solved(matrix(count), unit(j))).collect()
    };
    let weights = |columns: &[Vec<f64>]| -> Vec<f64> {
        let weight = |column: &Vec<f64>| {
            column[..order - 1].iter().zip(&phis[1..]).map(|(value, phi)| value * phi).sum()
        };
        columns[..order - 1].iter().map(weight).collect()
    };
    let plain = if order > 1 { weights(&inverse(order - 1)) } else { Vec::new() };
    let whole = inverse(order);
    let mut corrected = weights(&whole);
    corrected.push(phis[order] * whole[order - 1][order.saturating_sub(2)]);
    (plain, corrected)
}

/// The solution of a linear system, by Gauss with the largest pivot.
fn solved(mut rows: Vec<Vec<f64>>, mut values: Vec<f64>) -> Vec<f64> {
    let n = values.len();
    for column in 0..n {
        let largest =
            |a: &usize, b: &usize| rows[*a][column].abs().total_cmp(&rows[*b][column].abs());
        let pivot = (column..n).max_by(largest).unwrap_or(column);
        rows.swap(column, pivot);
        values.swap(column, pivot);
        for row in column + 1..n {
            let factor = rows[row][column] / rows[column][column];
            let (above, below) = rows.split_at_mut(row);
            for (value, known) in below[0].iter_mut().zip(&above[column]) {
                *value -= factor * known;
            }
            values[row] -= factor * values[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|at| rows[row][at] * values[at]).sum();
        values[row] = (values[row] - known) / rows[row][row];
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::discrete::Prediction;

    /// Answers that are known at every level: the way is `x·σ' + σ' ∫ eˡ m(l) dl`.
    fn step(variant: UniPcVariant, answer: impl Fn(f64) -> f64) -> (f64, f64) {
        let level = |lambda: f64| Level { timestep: 0.0, sigma: (-lambda).exp(), lambda };
        let tensor = |value: f64| Tensor::new([1, 1, 1, 1], vec![value as f32]).unwrap();
        let known = [0.5, 0.2, -0.3].map(|lambda| (level(lambda), tensor(answer(lambda))));
        let to = level(1.1);
        let ahead = Ahead::of(&known, to, 3, variant);
        let value = |x: Tensor| f64::from(x.data()[0]);
        let found = tensor(answer(1.1));
        (value(ahead.predicted(tensor(2.0))), value(ahead.corrected(tensor(2.0), &found)))
    }

    /// The same by 20,000 small steps.
    fn exact(answer: impl Fn(f64) -> f64) -> f64 {
        let (from, to, count) = (0.5, 1.1, 20_000);
        let width = (to - from) / f64::from(count);
        let middle = |i: i32| from + width * (f64::from(i) + 0.5);
        let sum: f64 = (0..count).map(|i| middle(i).exp() * answer(middle(i)) * width).sum();
        2.0 * (from - to).exp() + (-to).exp() * sum
    }

    #[test]
    fn steps_are_exact_for_answers_that_are_polynomials() {
        let (quadratic, cubic) =
            (|l: f64| 1.0 - l + 3.0 * l * l, |l: f64| 2.0 + l - 2.0 * l.powi(3));
        for variant in [UniPcVariant::Bh1, UniPcVariant::Bh2, UniPcVariant::VaryCoeff] {
            let predicted = step(variant, quadratic).0;
            assert!((predicted - exact(quadratic)).abs() < 1e-5, "{variant:?}: {predicted}");
        }
        for variant in [UniPcVariant::Bh1, UniPcVariant::Bh2] {
            let corrected = step(variant, cubic).1;
            assert!((corrected - exact(cubic)).abs() < 1e-5, "{variant:?}: {corrected}");
        }
        // A1111's corrector with varying coefficients is not; numpy by its formula finds this.
        let corrected = step(UniPcVariant::VaryCoeff, cubic).1;
        assert!((corrected - 2.059_033_6).abs() < 1e-5, "{corrected}");
    }

    #[test]
    fn levels_go_from_the_first_to_the_lowest_as_they_are_spaced() {
        let alphas: Vec<f64> = linspace(0.9985, 0.0047, 1000);
        let schedule = DiscreteSchedule::new(Prediction::Epsilon, alphas);
        let times = Times::of(&schedule);
        let spaced = |spacing, of: fn(&Level) -> f64| {
            let levels = times.levels(spacing, 901.0, 6);
            let values: Vec<f64> = levels.iter().map(of).collect();
            let (first, last) = (levels[0].timestep, levels[6].timestep);
            assert!((first - 901.0).abs() < 1e-6 && last.abs() < 1e-6, "{levels:?}");
            let step = values[1] - values[0];
            assert!(values.windows(2).all(|pair| (pair[1] - pair[0] - step).abs() < 1e-6));
        };
        spaced(UniPcSpacing::TimeUniform, |level| level.timestep);
        spaced(UniPcSpacing::TimeQuadratic, |level| (level.timestep + 1.0).sqrt());
        spaced(UniPcSpacing::LogSnr, |level| level.lambda);
    }

    #[test]
    fn linear_systems_are_solved() {
        let rows = vec![vec![0.0, 2.0, 1.0], vec![1.0, 1.0, 1.0], vec![2.0, 0.0, -1.0]];
        let found = solved(rows, vec![7.0, 6.0, -1.0]);
        for (found, expected) in found.iter().zip([1.0, 2.0, 3.0]) {
            assert!((found - expected).abs() < 1e-12, "{found}");
        }
    }
}
