//! All combinations of choices, one after another.

use crate::fill::Choice;

/// A counter whose digits are the choices of a template: every combination comes once, the last
/// choice changes first, and behind the last combination the first one comes again.
///
/// The digits are found while they are chosen. What an earlier choice leads to may have choices of
/// its own, so their number need not be the same in every combination.
#[derive(Clone, Debug)]
pub(crate) struct Combinations {
    digits: Vec<Digit>,
    /// The digit that is chosen next.
    next: usize,
    /// Combinations before this one.
    before: u32,
    most: u32,
}

#[derive(Clone, Copy, Debug)]
struct Digit {
    value: usize,
    /// Values are below it.
    base: usize,
}

impl Combinations {
    /// Begins with the first one, and again behind the first `most`.
    pub(crate) fn new(most: u32) -> Self {
        Self { digits: Vec::new(), next: 0, before: 0, most }
    }

    /// Goes on to the next combination.
    pub(crate) fn advance(&mut self) {
        self.next = 0;
        self.before += 1;
        if self.before >= self.most {
            *self = Self::new(self.most);
        }
        while let Some(last) = self.digits.last_mut() {
            last.value += 1;
            if last.value < last.base {
                return;
            }
            self.digits.pop();
        }
        self.before = 0;
    }
}

impl Choice for Combinations {
    fn choose(&mut self, weights: &[f64]) -> usize {
        if self.next == self.digits.len() {
            self.digits.push(Digit { value: 0, base: weights.len() });
        }
        self.next += 1;
        self.digits[self.next - 1].value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chooses among two; the first leads to a choice among three, the second to none.
    fn drawn(combinations: &mut Combinations) -> Vec<usize> {
        let mut values = vec![combinations.choose(&[1.0; 2])];
        if values == [0] {
            values.push(combinations.choose(&[1.0; 3]));
        }
        combinations.advance();
        values
    }

    #[test]
    fn every_combination_comes_once_and_then_the_first_again() {
        let mut combinations = Combinations::new(100);
        let all: Vec<_> = (0..5).map(|_| drawn(&mut combinations)).collect();
        assert_eq!(all, [vec![0, 0], vec![0, 1], vec![0, 2], vec![1], vec![0, 0]]);
    }

    #[test]
    fn there_are_no_more_than_asked_for() {
        let mut combinations = Combinations::new(2);
        let all: Vec<_> = (0..5).map(|_| drawn(&mut combinations)).collect();
        assert_eq!(all, [[0, 0], [0, 1], [0, 0], [0, 1], [0, 0]]);
    }

    #[test]
    fn the_bound_counts_anew_behind_the_last_combination() {
        let mut combinations = Combinations::new(5);
        let all: Vec<_> = (0..8).map(|_| drawn(&mut combinations)).collect();
        assert_eq!(all[..4], all[4..]);
    }

    #[test]
    fn a_template_without_a_choice_has_one_combination() {
        let mut combinations = Combinations::new(3);
        for _ in 0..9 {
            combinations.advance();
        }
        assert_eq!(combinations.choose(&[1.0; 2]), 0);
    }
}
