//! A font of 3 × 5 dots, capitals only: the smallest that can be read.

/// Dots of a glyph from side to side.
const WIDTH: usize = 3;
/// Dots of a glyph from top to bottom.
pub(crate) const HEIGHT: usize = 5;

/// The dots of a glyph, row by row, the leftmost in the highest of three bits. Small letters have
/// the shape of capitals; a character without a glyph is a solid box.
fn glyph(character: char) -> [u8; HEIGHT] {
    match character.to_ascii_uppercase() {
        ' ' => [0b000, 0b000, 0b000, 0b000, 0b000],
        'A' => [0b010, 0b101, 0b111, 0b101, 0b101],
        'B' => [0b110, 0b101, 0b110, 0b101, 0b110],
        'C' => [0b011, 0b100, 0b100, 0b100, 0b011],
        'D' => [0b110, 0b101, 0b101, 0b101, 0b110],
        'E' => [0b111, 0b100, 0b110, 0b100, 0b111],
        'F' => [0b111, 0b100, 0b110, 0b100, 0b100],
        'G' => [0b011, 0b100, 0b101, 0b101, 0b011],
        'H' => [0b101, 0b101, 0b111, 0b101, 0b101],
        'I' => [0b111, 0b010, 0b010, 0b010, 0b111],
        'J' => [0b001, 0b001, 0b001, 0b101, 0b010],
        'K' => [0b101, 0b101, 0b110, 0b101, 0b101],
        'L' => [0b100, 0b100, 0b100, 0b100, 0b111],
        'M' => [0b101, 0b111, 0b111, 0b101, 0b101],
        'N' => [0b110, 0b101, 0b101, 0b101, 0b101],
        'O' => [0b010, 0b101, 0b101, 0b101, 0b010],
        'P' => [0b110, 0b101, 0b110, 0b100, 0b100],
        'Q' => [0b010, 0b101, 0b101, 0b110, 0b011],
        'R' => [0b110, 0b101, 0b110, 0b101, 0b101],
        'S' => [0b011, 0b100, 0b010, 0b001, 0b110],
        'T' => [0b111, 0b010, 0b010, 0b010, 0b010],
        'U' => [0b101, 0b101, 0b101, 0b101, 0b111],
        'V' => [0b101, 0b101, 0b101, 0b101, 0b010],
        'W' => [0b101, 0b101, 0b111, 0b111, 0b101],
        'X' => [0b101, 0b101, 0b010, 0b101, 0b101],
        'Y' => [0b101, 0b101, 0b010, 0b010, 0b010],
        'Z' => [0b111, 0b001, 0b010, 0b100, 0b111],
        '0' => [0b111, 0b101, 0b101, 0b101, 0b111],
        '1' => [0b010, 0b110, 0b010, 0b010, 0b111],
        '2' => [0b110, 0b001, 0b010, 0b100, 0b111],
        '3' => [0b110, 0b001, 0b010, 0b001, 0b110],
        '4' => [0b101, 0b101, 0b111, 0b001, 0b001],
        '5' => [0b111, 0b100, 0b110, 0b001, 0b110],
        '6' => [0b011, 0b100, 0b111, 0b101, 0b111],
        '7' => [0b111, 0b001, 0b010, 0b010, 0b010],
        '8' => [0b111, 0b101, 0b111, 0b101, 0b111],
        '9' => [0b111, 0b101, 0b111, 0b001, 0b110],
        '.' => [0b000, 0b000, 0b000, 0b000, 0b010],
        ',' => [0b000, 0b000, 0b000, 0b010, 0b100],
        ':' => [0b000, 0b010, 0b000, 0b010, 0b000],
        '-' => [0b000, 0b000, 0b111, 0b000, 0b000],
        '_' => [0b000, 0b000, 0b000, 0b000, 0b111],
        '+' => [0b000, 0b010, 0b111, 0b010, 0b000],
        '/' => [0b001, 0b001, 0b010, 0b100, 0b100],
        '!' => [0b010, 0b010, 0b010, 0b000, 0b010],
        '?' => [0b110, 0b001, 0b010, 0b000, 0b010],
        '\'' => [0b010, 0b010, 0b000, 0b000, 0b000],
        '(' => [0b001, 0b010, 0b010, 0b010, 0b001],
        ')' => [0b100, 0b010, 0b010, 0b010, 0b100],
        '#' => [0b101, 0b111, 0b101, 0b111, 0b101],
        '&' => [0b010, 0b101, 0b010, 0b101, 0b011],
        '@' => [0b111, 0b101, 0b111, 0b100, 0b111],
        '©' => [0b111, 0b101, 0b100, 0b101, 0b111],
        _ => [0b111; HEIGHT],
    }
}

/// A line of text as dots.
#[derive(Clone, Debug)]
pub(crate) struct Line(Vec<[u8; HEIGHT]>);

impl Line {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().map(glyph).collect())
    }

    /// Dots from side to side. Glyphs have one dot between them.
    pub(crate) fn width(&self) -> usize {
        (self.0.len() * (WIDTH + 1)).saturating_sub(1)
    }

    /// Whether there is ink at a column and row; there is none outside of the line.
    pub(crate) fn has_ink(&self, column: usize, row: usize) -> bool {
        let Some(glyph) = self.0.get(column / (WIDTH + 1)) else { return false };
        let column = column % (WIDTH + 1);
        column < WIDTH && row < HEIGHT && glyph[row] >> (WIDTH - 1 - column) & 1 == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_glyph_fits_and_no_two_letters_look_the_same() {
        let letters: Vec<_> = ('A'..='Z').map(glyph).collect();
        for (index, rows) in letters.iter().enumerate() {
            assert!(rows.iter().all(|row| *row < 8));
            assert!(!letters[..index].contains(rows), "letter {index}");
        }
    }

    #[test]
    fn small_letters_are_capitals_and_unknown_ones_a_box() {
        assert_eq!(glyph('a'), glyph('A'));
        assert_eq!(glyph('語'), [0b111; HEIGHT]);
    }

    #[test]
    fn a_line_has_its_glyphs_side_by_side() {
        let row = |line: &Line, row| -> String {
            let columns = 0..line.width() + 2;
            columns.map(|at| if line.has_ink(at, row) { '#' } else { '.' }).collect()
        };
        let line = Line::new("hi");
        assert_eq!(line.width(), 7);
        assert_eq!(row(&line, 0), "#.#.###..");
        assert_eq!(row(&line, 2), "###..#...");
        assert_eq!(row(&line, 5), ".........");
        assert_eq!(Line::new("").width(), 0);
    }
}
