//! The tint by which a level can be seen.

/// What a picture is drawn towards at level 1: the colour of evening light.
const LIGHT: [u8; 3] = [255, 160, 60];
/// How far at most.
const MOST: f64 = 0.6;

/// Makes RGB bytes warmer; `level` is 0 (nothing happens) to 1.
pub(crate) fn warm(data: &mut [u8], level: f64) {
    let share = level.clamp(0.0, 1.0) * MOST;
    for pixel in data.chunks_exact_mut(3) {
        for (byte, light) in pixel.iter_mut().zip(LIGHT) {
            let (from, to) = (f64::from(*byte), f64::from(light));
            *byte = (from + (to - from) * share).round() as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_zero_changes_nothing() {
        let mut data = [1, 2, 3, 250, 251, 252];
        warm(&mut data, 0.0);
        assert_eq!(data, [1, 2, 3, 250, 251, 252]);
    }

    #[test]
    fn a_higher_level_is_warmer() {
        let [mut low, mut high] = [[100; 3]; 2];
        warm(&mut low, 0.2);
        warm(&mut high, 1.0);
        assert_eq!(low, [119, 107, 95]);
        assert_eq!(high, [193, 136, 76]);
    }
}
