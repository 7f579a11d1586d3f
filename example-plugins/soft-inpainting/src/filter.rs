//! The mean of the middle, or of the upper end, of what is around a place.

/// How far a window reaches from its middle.
const REACH: usize = 2;
/// Standard deviation of the weights, as the extension has it: in `exp(−d² / r²)`.
const RADIUS: f64 = 1.5;

/// Floats of a plane.
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<f64>,
}

/// The weight at a distance: a bell that ends one place beyond the reach.
fn weight(dx: usize, dy: usize) -> f64 {
    let bell = |squared: f64| (-squared / (RADIUS * RADIUS)).exp();
    let end = ((REACH + 1) * (REACH + 1)) as f64;
    (bell((dx * dx + dy * dy) as f64) - bell(end)).max(0.0)
}

impl Plane {
    /// Each place becomes the mean of its window's values between two percentiles, by weight; at least one
    /// unit of weight counts.
    pub(crate) fn filtered(&self, (low, high): (f64, f64)) -> Self {
        let place = |at: usize| {
            let (x, y) = (at % self.width, at / self.width);
            let columns = x.saturating_sub(REACH)..(x + REACH + 1).min(self.width);
            let mut values: Vec<(f64, f64)> = Vec::new();
            for row in y.saturating_sub(REACH)..(y + REACH + 1).min(self.height) {
                let near = columns.clone().map(|column| {
                    let value = self.data[row * self.width + column];
                    (value, weight(column.abs_diff(x), row.abs_diff(y)))
                });
                values.extend(near);
            }
            values.sort_by(|a, b| a.0.total_cmp(&b.0));
            mean_between(&values, (low, high))
        };
        let data = (0..self.data.len()).map(place).collect();
        Self { data, ..*self }
    }
}

/// The mean of sorted values with weights, between two shares of their sum.
fn mean_between(values: &[(f64, f64)], (low, high): (f64, f64)) -> f64 {
    let sum: f64 = values.iter().map(|(_, weight)| weight).sum();
    let (mut from, mut to) = (sum * low, sum * high);
    if to - from < 1.0 {
        let middle = f64::midpoint(from, to);
        (from, to) = (middle - 0.5, middle + 0.5);
        if to > sum {
            (from, to) = (sum - 1.0, sum);
        }
        if from < 0.0 {
            (from, to) = (0.0, 1.0);
        }
    }
    let (mut below, mut total, mut counted) = (0.0, 0.0, 0.0);
    for (value, weight) in values {
        let (begin, end) = (f64::max(below, from), f64::min(below + weight, to));
        if end > begin {
            total += value * (end - begin);
            counted += end - begin;
        }
        below += weight;
    }
    if counted > 0.0 { total / counted } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_forgets_a_single_place_and_the_upper_end_spreads_it() {
        let mut data = vec![0.0; 81];
        data[40] = 9.0;
        let plane = Plane { width: 9, height: 9, data };
        assert!(plane.filtered((0.25, 0.75)).data.iter().all(|value| *value < 1e-9));
        let spread = plane.filtered((0.9, 1.0)).data;
        assert!(spread[40] > 5.0 && spread[41] > 2.0 && spread[36] < 1e-9, "{spread:?}");
    }

    #[test]
    fn what_is_even_stays_so() {
        let plane = Plane { width: 3, height: 2, data: vec![4.0; 6] };
        for window in [(0.9, 1.0), (0.25, 0.75)] {
            let found = plane.filtered(window).data;
            assert!(found.iter().all(|value| (value - 4.0).abs() < 1e-9), "{found:?}");
        }
    }
}
