//! Where the cells of a plot are, and its legends.
//!
//! ```text
//! ┌──────────┬──────────────────────┐
//! │          │       X title        │
//! │ Y title  │  value  value  value │
//! ├──────────┼──────────────────────┤
//! │  value   │  cell   cell   cell  │
//! │  value   │  cell   cell   cell  │
//! └──────────┴──────────────────────┘
//! ```

use crate::text::{Area, Block, line_height};

/// Dots around texts.
const PADDING: usize = 3;
/// Dots that a text beside the rows may be wide in any case: ten letters.
const LEAST_SIDE: usize = 60;
/// Lines of a text above the columns.
const MOST_LINES: usize = 5;
/// Lines of a title.
const MOST_TITLE_LINES: usize = 3;

/// What the legend of an axis says.
#[derive(Clone, Debug)]
pub(crate) struct Legend {
    pub(crate) title: String,
    pub(crate) values: Vec<String>,
}

/// Sizes in pixels, but for the counts of columns and rows.
#[derive(Debug)]
pub(crate) struct Layout {
    columns: usize,
    rows: usize,
    cell: (usize, usize),
    margin: usize,
    scale: usize,
    /// Room beside the rows.
    left: usize,
    /// Room above the columns.
    top: usize,
    x: Option<Texts>,
    y: Option<Texts>,
}

/// A legend that is divided into lines.
#[derive(Debug)]
struct Texts {
    title: Block,
    values: Vec<Block>,
}

impl Layout {
    /// A plot of so many columns and rows of equal cells.
    pub(crate) fn new(
        (columns, rows): (usize, usize),
        cell: (usize, usize),
        margin: usize,
        x: Option<&Legend>,
        y: Option<&Legend>,
    ) -> Self {
        let scale = scale(cell);
        let plain = Self { columns, rows, cell, margin, scale, left: 0, top: 0, x: None, y: None };
        let x = x.map(|legend| plain.above(legend));
        let y = y.map(|legend| plain.beside(legend));
        let padding = PADDING * scale;
        let left = y.as_ref().map_or(0, |y| widest(y) + 2 * padding);
        let above = x.as_ref().map_or(0, |x| x.title.height() + tallest(x) + 3 * padding);
        let corner = y.as_ref().map_or(0, |y| y.title.height() + 2 * padding);
        Self { left, top: above.max(corner), x, y, ..plain }
    }

    fn above(&self, legend: &Legend) -> Texts {
        let padding = PADDING * self.scale;
        let inside = |width: usize| width.saturating_sub(padding);
        let title = inside(self.cells_size().0);
        let value = |text: &String| Block::new(text, inside(self.cell.0), MOST_LINES, self.scale);
        Texts {
            title: Block::new(&legend.title, title, MOST_TITLE_LINES, self.scale),
            values: legend.values.iter().map(value).collect(),
        }
    }

    fn beside(&self, legend: &Legend) -> Texts {
        let width = (self.cell.0 * 3 / 4).max(LEAST_SIDE * self.scale);
        let value = |text: &String| Block::new(text, width, self.lines_in_cell(), self.scale);
        Texts {
            title: Block::new(&legend.title, width, MOST_TITLE_LINES, self.scale),
            values: legend.values.iter().map(value).collect(),
        }
    }

    fn lines_in_cell(&self) -> usize {
        (self.cell.1 / line_height(self.scale)).max(1)
    }

    /// Width and height of all cells.
    fn cells_size(&self) -> (usize, usize) {
        let side = |count: usize, size| count * size + count.saturating_sub(1) * self.margin;
        (side(self.columns, self.cell.0), side(self.rows, self.cell.1))
    }

    /// Width and height of the whole.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (width, height) = self.cells_size();
        (self.left + width, self.top + height)
    }

    /// Where a cell is.
    pub(crate) fn cell(&self, column: usize, row: usize) -> Area {
        Area {
            left: self.left + column * (self.cell.0 + self.margin),
            top: self.top + row * (self.cell.1 + self.margin),
            width: self.cell.0,
            height: self.cell.1,
        }
    }

    /// A text in the place of a cell's picture.
    pub(crate) fn in_cell(&self, text: &str) -> Block {
        let width = self.cell.0.saturating_sub(2 * PADDING * self.scale);
        Block::new(text, width, self.lines_in_cell(), self.scale)
    }

    /// All texts of the legends, and where they are.
    pub(crate) fn texts(&self) -> Vec<(&Block, Area)> {
        let padding = PADDING * self.scale;
        let mut texts = Vec::new();
        if let Some(x) = &self.x {
            let height = tallest(x);
            let values = self.top - padding - height;
            let title = x.title.height();
            let (left, width) = (self.left, self.cells_size().0);
            texts.push((
                &x.title,
                Area { left, top: values - padding - title, width, height: title },
            ));
            let value =
                |(column, text)| (text, Area { top: values, height, ..self.cell(column, 0) });
            texts.extend(x.values.iter().enumerate().map(value));
        }
        if let Some(y) = &self.y {
            let height = y.title.height();
            let top = self.top - padding - height;
            let place = |top, height| Area { left: 0, top, width: self.left, height };
            texts.push((&y.title, place(top, height)));
            let value = |(row, text)| {
                let cell = self.cell(0, row);
                (text, place(cell.top, cell.height))
            };
            texts.extend(y.values.iter().enumerate().map(value));
        }
        texts
    }
}

/// Pixels per dot: letters grow with the cells.
fn scale((width, height): (usize, usize)) -> usize {
    ((width + height) / 256).max(1)
}

fn widest(texts: &Texts) -> usize {
    let values = texts.values.iter().map(Block::width);
    values.chain([texts.title.width()]).max().unwrap_or(0)
}

fn tallest(texts: &Texts) -> usize {
    texts.values.iter().map(Block::height).max().unwrap_or(0)
}

#[cfg(test)]
mod tests;
