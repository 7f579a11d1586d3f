//! What the text encoder gives to the UNet.

use candle_core::{Device, Tensor as Array};

/// Text conditioning, one row per prompt: `rows × tokens × width` values.
///
/// `tokens` is a multiple of 77: each chunk is 75 tokens of text between a begin and an end token,
/// as in A1111 v1.10.1. SDXL's has a vector for each prompt besides.
#[derive(Clone, Debug, PartialEq)]
pub struct Conditioning {
    rows: usize,
    tokens: usize,
    width: usize,
    data: Vec<f32>,
    /// As many values for each row; none except for SDXL.
    vectors: Vec<f32>,
}

/// Conditioning that does not fit its shape, or two that do not fit each other.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditioningError {
    /// The values do not fill the shape.
    #[error(
        "conditioning of {rows} rows × {tokens} tokens × {width} holds {expected} values, {found} were given; pass exactly one value per element"
    )]
    Length {
        /// Prompts.
        rows: usize,
        /// Tokens per prompt.
        tokens: usize,
        /// Values per token.
        width: usize,
        /// The number of values that shape has.
        expected: usize,
        /// The number of values that came.
        found: usize,
    },
    /// A row of another shape was to be joined or put in.
    #[error(
        "a row of {found_tokens} tokens × {found_width} does not fit conditioning of {tokens} tokens × {width}; pad it first or encode all prompts in one call"
    )]
    Row {
        /// Tokens per prompt here.
        tokens: usize,
        /// Values per token here.
        width: usize,
        /// Tokens of the row that came.
        found_tokens: usize,
        /// Values per token of the row that came.
        found_width: usize,
    },
    /// Texts of a schedule that do not fit each other.
    #[error("a scheduled conditioning does not hold together: {what}")]
    Schedule {
        /// What does not fit.
        what: String,
    },
    /// There is no such row.
    #[error("row {index} does not exist, the conditioning has {rows}")]
    NoRow {
        /// The row asked for.
        index: usize,
        /// The rows there are.
        rows: usize,
    },
}

impl Conditioning {
    /// Conditioning over `data`, row by row, token by token.
    ///
    /// # Errors
    /// [`ConditioningError::Length`] if `data` does not have one value per element.
    pub fn new(
        rows: usize,
        tokens: usize,
        width: usize,
        data: Vec<f32>,
    ) -> Result<Self, ConditioningError> {
        let expected = rows * tokens * width;
        if data.len() == expected {
            Ok(Self { rows, tokens, width, data, vectors: Vec::new() })
        } else {
            Err(ConditioningError::Length { rows, tokens, width, expected, found: data.len() })
        }
    }

    /// The same with a vector for each row, SDXL's; `vectors` is row by row, and may be empty.
    ///
    /// # Errors
    /// [`ConditioningError::Length`] if the rows cannot share them evenly.
    pub fn with_vectors(self, vectors: Vec<f32>) -> Result<Self, ConditioningError> {
        if self.rows == 0 || !vectors.len().is_multiple_of(self.rows) {
            let (rows, found) = (self.rows, vectors.len());
            let (tokens, width) = (0, found / rows.max(1));
            let expected = width * rows;
            return Err(ConditioningError::Length { rows, tokens, width, expected, found });
        }
        Ok(Self { vectors, ..self })
    }

    /// The rows of several conditionings below each other.
    ///
    /// # Errors
    /// [`ConditioningError::Row`] if tokens or widths differ.
    pub fn stack<'a>(parts: impl IntoIterator<Item = &'a Self>) -> Result<Self, ConditioningError> {
        let mut parts = parts.into_iter().peekable();
        let (tokens, width) = parts.peek().map_or((0, 0), |p| (p.tokens, p.width));
        let vector = parts.peek().map_or(0, |p| p.vector_width());
        let mut all = Self { rows: 0, tokens, width, data: Vec::new(), vectors: Vec::new() };
        for part in parts {
            if (part.tokens, part.width, part.vector_width()) != (tokens, width, vector) {
                return Err(all.misfit(part.tokens, part.width));
            }
            all.rows += part.rows;
            all.data.extend_from_slice(&part.data);
            all.vectors.extend_from_slice(&part.vectors);
        }
        Ok(all)
    }

    /// The number of prompts.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tokens per prompt, a multiple of 77.
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// Values per token.
    pub fn width(&self) -> usize {
        self.width
    }

    /// All values.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All values, to be changed in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The values alone.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// The vectors of all rows, empty except for SDXL.
    pub fn vectors(&self) -> &[f32] {
        &self.vectors
    }

    /// Values of a row's vector.
    pub fn vector_width(&self) -> usize {
        self.vectors.len() / self.rows.max(1)
    }

    /// The values of one prompt (`tokens × width`), or `None` past the end.
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        let size = self.tokens * self.width;
        (index < self.rows).then(|| &self.data[index * size..][..size])
    }

    /// The values of one prompt, to be changed in place, or `None` past the end.
    pub fn row_mut(&mut self, index: usize) -> Option<&mut [f32]> {
        let size = self.tokens * self.width;
        (index < self.rows).then(|| &mut self.data[index * size..][..size])
    }

    /// One prompt as conditioning of its own, or `None` past the end.
    pub fn select(&self, index: usize) -> Option<Self> {
        let data = self.row(index)?.to_vec();
        let size = self.vector_width();
        let vectors = self.vectors[index * size..][..size].to_vec();
        Some(Self { rows: 1, tokens: self.tokens, width: self.width, data, vectors })
    }

    /// Puts the only row of `with` in the place of row `index`.
    ///
    /// # Errors
    /// [`ConditioningError::NoRow`], or [`ConditioningError::Row`] if the shapes differ.
    pub fn replace(&mut self, index: usize, with: &Self) -> Result<(), ConditioningError> {
        if (with.tokens, with.width) != (self.tokens, self.width) {
            return Err(self.misfit(with.tokens, with.width));
        }
        let rows = self.rows;
        match (self.row_mut(index), with.row(0)) {
            (Some(to), Some(from)) => {
                to.copy_from_slice(from);
                Ok(())
            }
            _ => Err(ConditioningError::NoRow { index, rows }),
        }
    }

    /// The same with `tokens` tokens in every row: `padding` (whose first row is used, over and
    /// over) fills up, the surplus is cut off.
    ///
    /// # Errors
    /// [`ConditioningError::Row`] if the widths differ, or `padding` is empty.
    pub fn with_tokens(&self, tokens: usize, padding: &Self) -> Result<Self, ConditioningError> {
        let fill = padding.row(0).filter(|row| !row.is_empty() && padding.width == self.width);
        let Some(fill) = fill else {
            return Err(self.misfit(padding.tokens, padding.width));
        };
        let size = tokens * self.width;
        let mut data = Vec::with_capacity(self.rows * size);
        for row in self.data.chunks_exact((self.tokens * self.width).max(1)) {
            let kept = row.len().min(size);
            data.extend_from_slice(&row[..kept]);
            data.extend(fill.iter().cycle().take(size - kept));
        }
        Self::new(self.rows, tokens, self.width, data)?.with_vectors(self.vectors.clone())
    }

    /// The same with `tokens` tokens in every row: the last one is repeated, the surplus is cut off.
    pub(crate) fn stretched(&self, tokens: usize) -> Self {
        let row = (self.tokens * self.width).max(1);
        let stretch = |row: &[f32]| {
            let last = row[row.len().saturating_sub(self.width)..].to_vec();
            row.iter().copied().chain(last.into_iter().cycle()).take(tokens * self.width).collect()
        };
        let data = self.data.chunks_exact(row).flat_map::<Vec<f32>, _>(stretch).collect();
        Self { tokens, data, ..self.clone() }
    }

    fn misfit(&self, found_tokens: usize, found_width: usize) -> ConditioningError {
        ConditioningError::Row { tokens: self.tokens, width: self.width, found_tokens, found_width }
    }

    pub(crate) fn to_array(&self) -> candle_core::Result<Array> {
        Array::from_slice(&self.data, (self.rows, self.tokens, self.width), &Device::Cpu)
    }

    pub(crate) fn vector_array(&self) -> candle_core::Result<Option<Array>> {
        let shape = (self.rows, self.vector_width());
        (shape.1 > 0).then(|| Array::from_slice(&self.vectors, shape, &Device::Cpu)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(rows: usize, tokens: usize) -> Conditioning {
        let data = (0..rows * tokens * 2).map(|v| v as f32).collect();
        Conditioning::new(rows, tokens, 2, data).unwrap()
    }

    #[test]
    fn padding_repeats_the_first_row_of_the_filler() {
        let padded = counted(1, 1).with_tokens(4, &counted(1, 2)).unwrap();
        assert_eq!(padded.data(), [0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 0.0, 1.0]);
    }

    #[test]
    fn a_row_of_another_length_is_refused() {
        let error = counted(2, 2).replace(0, &counted(1, 3)).unwrap_err();
        assert!(matches!(error, ConditioningError::Row { tokens: 2, found_tokens: 3, .. }));
    }

    #[test]
    fn stacked_rows_keep_their_values() {
        let all = Conditioning::stack(&[counted(1, 2), counted(2, 2)]).unwrap();
        assert_eq!(all.rows(), 3);
        assert_eq!(all.row(2), counted(2, 2).row(1));
    }
}
