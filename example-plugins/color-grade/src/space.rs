//! What latents look like: linear approximations of autoencoders with four channels.

use crate::named::Named;

/// Latent channels of the spaces below.
pub(crate) const CHANNELS: usize = 4;

/// Red, green and blue, from −1 (none of it) to 1.
pub(crate) type Rgb = [f64; 3];

/// One position of the latents.
pub(crate) type Latent = [f64; CHANNELS];

/// A latent space whose colours can be read and changed.
#[derive(Debug, PartialEq)]
pub(crate) struct Space {
    /// The colour that one unit of each channel adds.
    to_rgb: [Rgb; CHANNELS],
    /// The shortest latents that add one unit of red, green and blue: the pseudoinverse of `to_rgb`.
    from_rgb: [Latent; 3],
}

/// Stable Diffusion 1.x, by the coefficients of A1111 v1.10.1's cheap previews
/// (`modules/sd_vae_approx.py`).
static SD1: Space = Space {
    to_rgb: [
        [0.298, 0.207, 0.208],
        [0.187, 0.286, 0.173],
        [-0.158, 0.189, 0.264],
        [-0.184, -0.271, -0.473],
    ],
    from_rgb: [
        [1.698_1, -0.282_71, -2.551_63, -0.780_83],
        [-0.029_86, 4.914_31, 2.231_59, 3.029_81],
        [-0.057_46, -3.047_84, 0.044_88, -3.229_14],
    ],
};

/// Atelier's own checkpoint, `atelier-emoji-64`. Measured: what its decoder makes of 0.2 more and 0.2
/// less of one channel, at pixels where no colour is beyond ±0.9, on average over the forty pictures
/// of `docs/images/emoji-sheet.png`.
static ATELIER_EMOJI: Space = Space {
    to_rgb: [
        [-0.378, -0.285, 0.207],
        [-0.187, 0.049, -0.034],
        [-0.231, -0.594, -0.326],
        [-0.229, -0.148, 0.695],
    ],
    from_rgb: [
        [-1.917_61, -2.922_94, 0.512_39, 0.668_49],
        [0.517_55, 1.883_22, -1.576_74, -0.801_61],
        [-0.169_32, -0.862_05, -0.313_76, 1.299_93],
    ],
};

/// Three channels that are red, green and blue, and one that is no colour.
#[cfg(test)]
pub(crate) static PLAIN: Space = Space {
    to_rgb: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0; 3]],
    from_rgb: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
};

/// Which space is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// By the name of the checkpoint.
    Auto,
    Sd1,
    AtelierEmoji,
}

impl Named for Choice {
    const ALL: &'static [(Self, &'static str)] =
        &[(Self::Auto, "auto"), (Self::Sd1, "sd1"), (Self::AtelierEmoji, "atelier-emoji")];
}

impl Choice {
    /// The space for latents of this checkpoint; `None` where they have another number of channels.
    pub(crate) fn space(self, model: &str, channels: usize) -> Option<&'static Space> {
        let own = match self {
            Self::Auto => model.starts_with(Self::AtelierEmoji.name()),
            Self::Sd1 => false,
            Self::AtelierEmoji => true,
        };
        (channels == CHANNELS).then_some(if own { &ATELIER_EMOJI } else { &SD1 })
    }
}

impl Space {
    pub(crate) fn colour(&self, latent: Latent) -> Rgb {
        sums(latent, self.to_rgb)
    }

    pub(crate) fn latent(&self, colour: Rgb) -> Latent {
        sums(colour, self.from_rgb)
    }
}

/// A row times a matrix.
fn sums<const N: usize, const M: usize>(row: [f64; N], matrix: [[f64; M]; N]) -> [f64; M] {
    let mut sums = [0.0; M];
    for (value, weights) in row.into_iter().zip(matrix) {
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum += value * weight;
        }
    }
    sums
}

#[cfg(test)]
mod measured;

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: &[f64], expected: &[f64]) -> bool {
        found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-4)
    }

    #[test]
    fn the_colour_of_the_latents_of_a_colour_is_that_colour() {
        for space in [&SD1, &ATELIER_EMOJI] {
            for colour in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.3, -0.5, 0.9]] {
                let found = space.colour(space.latent(colour));
                assert!(close(&found, &colour), "{found:?} for {colour:?}");
            }
        }
    }

    /// The pseudoinverse gives the shortest of all latents that have a colour: to go there and back
    /// is a projection, whose matrix is symmetric.
    #[test]
    fn no_shorter_latents_add_that_colour() {
        for space in [&SD1, &ATELIER_EMOJI] {
            let rows = space.to_rgb.map(|colour| space.latent(colour));
            for (row, values) in rows.iter().enumerate() {
                let column = rows.map(|values| values[row]);
                assert!(close(values, &column), "{rows:?}");
            }
        }
    }

    #[test]
    fn the_space_is_known_by_the_name_of_the_checkpoint() {
        let space = |choice: Choice, model| choice.space(model, 4);
        assert_eq!(space(Choice::Auto, "atelier-emoji-64"), Some(&ATELIER_EMOJI));
        assert_eq!(space(Choice::Auto, "v1-5-pruned-emaonly"), Some(&SD1));
        assert_eq!(space(Choice::Sd1, "atelier-emoji-64"), Some(&SD1));
        assert_eq!(space(Choice::AtelierEmoji, "mine"), Some(&ATELIER_EMOJI));
    }

    #[test]
    fn other_numbers_of_channels_have_no_space() {
        for channels in [0, 1, 3, 16] {
            assert_eq!(Choice::Sd1.space("flux", channels), None);
        }
    }
}
