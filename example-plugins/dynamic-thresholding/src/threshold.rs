//! Keeps the values of a strongly guided prediction in the range of a weakly guided one.
//!
//! After sd-dynamic-thresholding (commit `73e4e045`). Imagen clips pixels to a percentile and divides
//! by it (Saharia et al., “Photorealistic Text-to-Image Diffusion Models with Deep Language
//! Understanding”, 2022, section 2.3); latents have no range of their own to be clipped to, so a
//! prediction that is guided less, the *mimic*, lends its range.
//!
//! ```text
//! guided = uncond + scale · (cond − uncond)
//! mimic  = uncond + mimic scale · (cond − uncond)
//! centred values are those less the mean of their channel
//! M = spread of centred mimic, G = spread of centred guided
//!
//! MEAN, AD    mean + clamp(centred guided, ±max(M, G)) · M / max(M, G)
//! MEAN, STD   mean + centred guided · M / G
//! ZERO        guided · M / G
//! ```
//!
//! A spread is the standard deviation (STD), or the largest absolute value (AD), for `guided` that
//! percentile of the absolute values.

use crate::named::Named;

/// What values are scaled around.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Startpoint {
    /// The mean of the channel.
    Mean,
    /// Zero.
    Zero,
}

impl Named for Startpoint {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Mean, "MEAN"), (Self::Zero, "ZERO")];
}

/// What counts as the spread of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Absolute deviation.
    Ad,
    /// Standard deviation.
    Std,
}

impl Named for Measure {
    const ALL: &'static [(Self, &'static str)] = &[(Self::Ad, "AD"), (Self::Std, "STD")];
}

/// How values are kept in range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Threshold {
    /// Which of the guided values counts as the largest, 0 to 100.
    pub(crate) percentile: f64,
    /// Whether each channel has a spread of its own, or all channels of a picture have one.
    pub(crate) separate_channels: bool,
    pub(crate) startpoint: Startpoint,
    pub(crate) measure: Measure,
    /// How much of the result is mixed in, 0 to 1; the rest stays guided.
    pub(crate) phi: f64,
}

impl Threshold {
    /// Changes the guided prediction of one picture in place. In both slices lie channels of
    /// `channel` values, one behind the other.
    pub(crate) fn apply(&self, guided: &mut [f32], mimic: &[f32], channel: usize) {
        let group = if self.separate_channels { channel } else { guided.len() }.max(1);
        for (guided, mimic) in guided.chunks_mut(group).zip(mimic.chunks(group)) {
            self.apply_to_group(guided, mimic, channel);
        }
    }

    /// The same for channels that have one spread.
    fn apply_to_group(&self, guided: &mut [f32], mimic: &[f32], channel: usize) {
        let (centred, mimic) = (Centred::of(guided, channel), Centred::of(mimic, channel));
        let wanted = mimic.spread(self.measure, 100.0);
        let found = centred.spread(self.measure, self.percentile);
        let clamped = (self.startpoint, self.measure) == (Startpoint::Mean, Measure::Ad);
        let divisor = if clamped { wanted.max(found) } else { found };
        let limit = if clamped { divisor } else { f64::INFINITY };
        // Values that are all the same have no spread that could be scaled.
        let ratio = if divisor > 0.0 { wanted / divisor } else { 1.0 };
        for (value, (centred, mean)) in guided.iter_mut().zip(centred.values) {
            let plain = f64::from(*value);
            let result = match self.startpoint {
                Startpoint::Mean => centred.clamp(-limit, limit) * ratio + mean,
                Startpoint::Zero => plain * ratio,
            };
            *value = held(result * self.phi + plain * (1.0 - self.phi));
        }
    }
}

/// Fills `guided` with the prediction at this scale, by the same operations as the host's.
pub(crate) fn guide(guided: &mut [f32], cond: &[f32], uncond: &[f32], scale: f32) {
    for ((guided, cond), uncond) in guided.iter_mut().zip(cond).zip(uncond) {
        *guided = uncond + scale * (cond - uncond);
        if !guided.is_finite() {
            let (cond, uncond) = (f64::from(*cond), f64::from(*uncond));
            *guided = held(uncond + f64::from(scale) * (cond - uncond));
        }
    }
}

/// The nearest number that an f32 can hold.
fn held(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// Values less the mean of their channel, each with that mean.
struct Centred {
    values: Vec<(f64, f64)>,
}

impl Centred {
    fn of(data: &[f32], channel: usize) -> Self {
        let centred = data.chunks(channel.max(1)).flat_map(|channel| {
            let mean = mean(channel.iter().map(|value| f64::from(*value)));
            channel.iter().map(move |value| (f64::from(*value) - mean, mean))
        });
        Self { values: centred.collect() }
    }

    fn spread(&self, measure: Measure, percentile: f64) -> f64 {
        let values = self.values.iter().map(|(centred, _)| *centred);
        match measure {
            Measure::Ad => quantile(values.map(f64::abs).collect(), percentile / 100.0),
            // Their mean is 0. Dividing by n or by n − 1 is all the same for a ratio of two.
            Measure::Std => mean(values.map(|value| value * value)).sqrt(),
        }
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// The value below which that share of all values lies, between neighbours by a straight line, as
/// `torch.quantile` has it.
fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let position = share * last as f64;
    let below = (position as usize).min(last);
    match (values.get(below), values.get((below + 1).min(last))) {
        (Some(low), Some(high)) => low + (high - low) * (position - below as f64),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests;
