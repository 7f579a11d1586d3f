//! What the model is told in the course of a run.

use crate::conditioning::{Conditioning, ConditioningError};

/// The conditioning of a batch of prompts, call by call: prompts may change while they are drawn
/// ([`schedules`](crate::schedules)) and have several parts ([`sub_prompts`](crate::sub_prompts)).
///
/// A [`Conditioning`] becomes one that stays what it is, each of its rows a picture's whole prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledConditioning {
    weights: Vec<Vec<f64>>,
    texts: Vec<Conditioning>,
    entries: Vec<Entry>,
}

/// A text of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last step that it holds for, from 1.
    pub until: usize,
    /// Which of the texts.
    pub text: usize,
}

/// One part of a picture's prompt.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) weight: f64,
    /// For every text in its order the last step and the row that it is.
    pub(crate) schedule: Vec<(usize, usize)>,
}

impl Part {
    /// The row that holds up to a step.
    fn row(&self, until: usize) -> Option<usize> {
        let due = self.schedule.iter().find(|(end, _)| until <= *end);
        due.or(self.schedule.last()).map(|(_, row)| *row)
    }
}

impl ScheduledConditioning {
    /// The parts of all pictures, their rows below each other in every entry. Rows of fewer tokens
    /// than others repeat their last one, as in A1111 v1.10.1.
    pub(crate) fn of(
        pictures: &[Vec<Part>],
        rows: &[Conditioning],
    ) -> Result<Self, ConditioningError> {
        let parts = || pictures.iter().flatten();
        let tokens = rows.iter().map(Conditioning::tokens).max().unwrap_or(0);
        let rows: Vec<_> = rows.iter().map(|row| row.stretched(tokens)).collect();
        let mut ends: Vec<usize> =
            parts().flat_map(|part| &part.schedule).map(|(until, _)| *until).collect();
        ends.sort_unstable();
        ends.dedup();
        let (mut texts, mut entries) = (Vec::new(), Vec::new());
        let mut known: Vec<Vec<usize>> = Vec::new();
        for until in ends {
            let held: Vec<usize> = parts().filter_map(|part| part.row(until)).collect();
            // The first text is never shared: hooks may change it, and nothing that comes later.
            let again = known.iter().skip(1).position(|known| *known == held);
            let text = again.map_or(texts.len(), |at| at + 1);
            if text == texts.len() {
                texts.push(Conditioning::stack(held.iter().filter_map(|row| rows.get(*row)))?);
                known.push(held);
            }
            entries.push(Entry { until, text });
        }
        let weights = pictures.iter().map(|parts| parts.iter().map(|part| part.weight).collect());
        Self::new(weights.collect(), texts, entries)
    }

    /// One whose texts are given: `weights` has a list for each picture, with a weight for each of its
    /// parts. Every text has a row for every part of every picture.
    ///
    /// # Errors
    /// [`ConditioningError::Schedule`] where these do not fit each other.
    pub fn new(
        weights: Vec<Vec<f64>>,
        texts: Vec<Conditioning>,
        entries: Vec<Entry>,
    ) -> Result<Self, ConditioningError> {
        let rows: usize = weights.iter().map(Vec::len).sum();
        let wrong = |what: String| Err(ConditioningError::Schedule { what });
        if weights.iter().any(Vec::is_empty) {
            return wrong("a picture has no part".to_owned());
        }
        if let Some(text) = texts.iter().find(|text| text.rows() != rows) {
            return wrong(format!("a text has {} rows for {rows} parts", text.rows()));
        }
        if entries.is_empty() {
            return wrong("there is no entry".to_owned());
        }
        match entries.iter().find(|entry| entry.text >= texts.len()) {
            Some(entry) => wrong(format!("an entry is for text {} of {}", entry.text, texts.len())),
            None => Ok(Self { weights, texts, entries }),
        }
    }

    /// When each text holds, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// All texts.
    pub fn texts(&self) -> &[Conditioning] {
        &self.texts
    }

    /// The texts alone.
    pub fn into_texts(self) -> Vec<Conditioning> {
        self.texts
    }

    /// For each picture the weights of its prompt's parts.
    pub fn weights(&self) -> &[Vec<f64>] {
        &self.weights
    }

    /// What holds at a model call, from 0. In A1111 v1.10.1 an entry `until` step 3 holds for the
    /// calls 0 to 3, and past the last entry the first one holds again.
    pub fn at(&self, call: usize) -> &Conditioning {
        let due = self.entries.iter().find(|entry| call <= entry.until);
        &self.texts[due.map_or(0, |entry| entry.text)]
    }
}

impl From<Conditioning> for ScheduledConditioning {
    fn from(text: Conditioning) -> Self {
        let weights = vec![vec![1.0]; text.rows()];
        Self { weights, texts: vec![text], entries: vec![Entry { until: usize::MAX, text: 0 }] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(tokens: usize, value: f32) -> Conditioning {
        let data = (0..tokens).map(|at| value + at as f32 / 10.0).collect();
        Conditioning::new(1, tokens, 1, data).unwrap()
    }

    fn part(weight: f64, schedule: &[(usize, usize)]) -> Part {
        Part { weight, schedule: schedule.to_vec() }
    }

    #[test]
    fn an_entry_holds_for_one_call_more_than_its_number() {
        let pictures = [vec![part(0.5, &[(2, 0), (4, 1)])]];
        let all = ScheduledConditioning::of(&pictures, &[row(1, 1.0), row(1, 2.0)]).unwrap();
        let values: Vec<f32> = (0..6).map(|call| all.at(call).data()[0]).collect();
        assert_eq!(values, [1.0, 1.0, 1.0, 2.0, 2.0, 1.0]);
        assert_eq!(all.weights(), [[0.5]]);
    }

    #[test]
    fn rows_of_a_batch_change_on_their_own_and_get_as_many_tokens() {
        let rows = [row(1, 1.0), row(1, 2.0), row(2, 3.0), row(2, 4.0)];
        let (short, long) = ([(1, 0), (4, 1)], [(2, 2), (4, 3)]);
        let pictures = [vec![part(1.0, &short)], vec![part(1.0, &long), part(2.0, &short)]];
        let all = ScheduledConditioning::of(&pictures, &rows).unwrap();
        let at = |call| all.at(call).data().to_vec();
        assert_eq!(at(1), [1.0, 1.0, 3.0, 3.1, 1.0, 1.0]);
        assert_eq!(at(2), [2.0, 2.0, 3.0, 3.1, 2.0, 2.0]);
        assert_eq!(at(3), [2.0, 2.0, 4.0, 4.1, 2.0, 2.0]);
        assert_eq!(all.weights(), [vec![1.0], vec![1.0, 2.0]]);
    }

    #[test]
    fn texts_that_come_again_are_kept_once_and_the_first_for_itself() {
        let turns = part(1.0, &[(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)]);
        let all = ScheduledConditioning::of(&[vec![turns]], &[row(1, 1.0), row(1, 2.0)]).unwrap();
        assert_eq!(all.texts().len(), 3);
        let entries: Vec<_> = all.entries().iter().map(|entry| (entry.until, entry.text)).collect();
        assert_eq!(entries, [(1, 0), (2, 1), (3, 2), (4, 1), (5, 2)]);
    }

    #[test]
    fn parts_that_do_not_fit_are_refused() {
        let text = || row(1, 1.0);
        let entry = |text| Entry { until: 1, text };
        for (weights, texts, entries) in [
            (vec![vec![1.0], vec![1.0]], vec![text()], vec![entry(0)]),
            (vec![vec![1.0]], vec![text()], vec![entry(1)]),
            (vec![vec![1.0]], vec![text()], vec![]),
            (vec![vec![], vec![1.0]], vec![text()], vec![entry(0)]),
        ] {
            let error = ScheduledConditioning::new(weights, texts, entries).unwrap_err();
            assert!(matches!(error, ConditioningError::Schedule { .. }));
        }
    }
}
