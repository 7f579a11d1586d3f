//! Grading the latents of one picture, by the amounts of one step.
//!
//! ```text
//! rgb = the colour of each position, in the space of the checkpoint
//! w   = weights of the method, by the lightness or by the colour of the latents that weigh
//!
//! rgb += w · brightness
//! rgb += (lightness − mean lightness) · contrast
//! rgb += w · (red, green, blue)
//! rgb  = lightness + (rgb − lightness) · saturation
//! ```
//!
//! The change of the colours then goes into the latents the shortest way: what is no colour in them
//! stays. Lightness is the mean of the three colours. Order and weights are those of Vectorscope CC,
//! which works on single channels of the latents instead of colours.

use crate::{
    method::Method,
    space::{CHANNELS, Rgb, Space},
};

/// How much of everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Amounts {
    pub(crate) brightness: f64,
    pub(crate) contrast: f64,
    /// A factor: 1 changes nothing.
    pub(crate) saturation: f64,
    pub(crate) colour: Rgb,
}

impl Amounts {
    /// What one of `steps` steps gets of them, by its strength.
    pub(crate) fn of_step(&self, steps: u32, strength: f64) -> Self {
        let share = 1.0 / f64::from(steps.max(1));
        Self {
            brightness: self.brightness * share * strength,
            contrast: self.contrast * share * strength,
            saturation: 1.0 + (self.saturation.powf(share) - 1.0) * strength,
            colour: self.colour.map(|amount| amount * share * strength),
        }
    }
}

/// Grades latents in place, channels one behind the other. Offsets are weighed by other latents of the
/// same size, or by these themselves.
pub(crate) fn grade(
    latents: &mut [f32],
    other: Option<&[f32]>,
    space: &Space,
    method: Method,
    amounts: &Amounts,
) {
    let before = colours(latents, space);
    let weighing = other.map_or_else(|| before.clone(), |other| colours(other, space));
    let mut after = before.clone();
    for (rgb, weighing) in after.iter_mut().zip(&weighing) {
        let offset = method.weight(lightness(weighing)) * amounts.brightness;
        *rgb = rgb.map(|value| value + offset);
    }
    let mean = after.iter().map(lightness).sum::<f64>() / after.len().max(1) as f64;
    for (rgb, weighing) in after.iter_mut().zip(&weighing) {
        let offset = (lightness(rgb) - mean) * amounts.contrast;
        for ((value, weighing), amount) in rgb.iter_mut().zip(weighing).zip(amounts.colour) {
            *value += offset + method.weight(*weighing) * amount;
        }
        let grey = lightness(rgb);
        *rgb = rgb.map(|value| value + (value - grey) * (amounts.saturation - 1.0));
    }
    let changes: Vec<_> = after
        .iter()
        .zip(&before)
        .map(|([r, g, b], [red, green, blue])| space.latent([r - red, g - green, b - blue]))
        .collect();
    for (channel, values) in latents.chunks_mut(changes.len().max(1)).enumerate() {
        for (value, change) in values.iter_mut().zip(&changes) {
            let changed = f64::from(*value) + change[channel];
            *value = changed.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
        }
    }
}

fn lightness(rgb: &Rgb) -> f64 {
    rgb.iter().sum::<f64>() / 3.0
}

/// The colour of every position.
fn colours(latents: &[f32], space: &Space) -> Vec<Rgb> {
    let positions = latents.len() / CHANNELS;
    let value = |channel, at| f64::from(latents[channel * positions + at]);
    (0..positions).map(|at| space.colour(std::array::from_fn(|c| value(c, at)))).collect()
}

#[cfg(test)]
mod tests;
