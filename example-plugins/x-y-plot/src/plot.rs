//! A plot as it was asked for: axes, settings, and the request of every cell.

use atelier_plugin_api::{
    OptionError, PluginError,
    cx::{ChildRequest, ScriptCx},
};

use crate::{
    axis::{Axis, Cell, Change, Run, Side, X, Y},
    error::PlotError,
    layout::{Layout, Legend},
    settings::{self, Settings},
    values::RANDOM,
};

/// The longest side of a picture in this host, in pixels.
const LONGEST_SIDE: usize = 16_384;

#[derive(Debug)]
pub(crate) struct Plot {
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) settings: Settings,
    /// The request of a cell before the axes change it.
    base: Cell,
}

impl Plot {
    /// Reads arguments and options, and refuses what cannot be drawn before anything is.
    pub(crate) fn read(cx: &ScriptCx<'_>) -> Result<Self, PlotError> {
        let settings = Settings::read(cx)?;
        let first = |all: Vec<String>| all.into_iter().next().unwrap_or_default();
        let base = Cell {
            prompt: first(cx.all_prompts()),
            negative_prompt: first(cx.all_negative_prompts()),
            request: base_request(cx)?,
        };
        let run = Run {
            prompt: &base.prompt,
            negative_prompt: &base.negative_prompt,
            is_img2img: cx.is_img2img(),
            most: settings.max_cells,
            fixes_seeds: !settings.no_fixed_seeds,
            option: &|key| cx.live().get(key),
        };
        let axis = |side: Side| {
            let text = |name| cx.args().get::<String>(name);
            Axis::read(side, &text(side.type_argument)?, &text(side.values_argument)?, &run)
        };
        let (x, y) = (axis(X)?, axis(Y)?);
        let plot = Self { x, y, settings, base };
        let (columns, rows) = plot.shape();
        if columns * rows > plot.settings.max_cells {
            let most = plot.settings.max_cells;
            return Err(PlotError::TooManyCells { columns, rows, most });
        }
        plot.layout(plot.foreseen_cell(cx))?;
        Ok(plot)
    }

    /// Columns and rows.
    pub(crate) fn shape(&self) -> (usize, usize) {
        (self.x.changes.len(), self.y.changes.len())
    }

    /// Columns and rows of all cells, in the order in which they are drawn: row by row, unless that
    /// would load a checkpoint for every cell.
    pub(crate) fn order(&self) -> Vec<(usize, usize)> {
        let (columns, rows) = self.shape();
        if self.x.is_slow() && !self.y.is_slow() {
            (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row))).collect()
        } else {
            (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).collect()
        }
    }

    /// The request of a cell.
    pub(crate) fn request(&self, column: usize, row: usize) -> ChildRequest {
        let cell = self.x.changes[column].apply(self.base.clone());
        self.y.changes[row].apply(cell).request()
    }

    /// What a cell is called: `Steps 4, CFG Scale 7`.
    pub(crate) fn name(&self, column: usize, row: usize) -> String {
        let named = |axis: &Axis, at: usize| {
            (!axis.is_nothing()).then(|| format!("{} {}", axis.label, axis.texts()[at]))
        };
        let names = [named(&self.x, column), named(&self.y, row)];
        names.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Where everything is if the cells have this size.
    pub(crate) fn layout(&self, cell: (usize, usize)) -> Result<Layout, PlotError> {
        let legend = |axis: &Axis| {
            let wanted = self.settings.draw_legend && !axis.is_nothing();
            wanted.then(|| Legend { title: axis.label.clone(), values: axis.texts() })
        };
        let (x, y) = (legend(&self.x), legend(&self.y));
        let layout = Layout::new(self.shape(), cell, self.settings.margin, x.as_ref(), y.as_ref());
        let ((width, height), most) = (layout.size(), self.settings.max_megapixels);
        if width.max(height) > LONGEST_SIDE {
            return Err(PlotError::TooLong { width, height, most: LONGEST_SIDE });
        }
        if width * height > most.saturating_mul(1_000_000) {
            return Err(PlotError::TooManyPixels { width, height, most });
        }
        Ok(layout)
    }

    /// The size of the largest picture that is asked for.
    fn foreseen_cell(&self, cx: &ScriptCx<'_>) -> (usize, usize) {
        let sizes = self.x.changes.iter().chain(&self.y.changes).filter_map(Change::size);
        let sizes = sizes.chain([(cx.width(), cx.height())]);
        let (width, height) = sizes.fold((0, 0), |(w, h), size| (size.0.max(w), size.1.max(h)));
        (width as usize, height as usize)
    }

    /// Tells the infotext of the plot what its axes are, by A1111's keys.
    pub(crate) fn note(&self, cx: &ScriptCx<'_>) -> Result<(), PluginError> {
        cx.infotext("Script", crate::NAME)?;
        for axis in [&self.x, &self.y].into_iter().filter(|axis| !axis.is_nothing()) {
            let letter = axis.side.letter;
            cx.infotext(&format!("{letter} Type"), &axis.label)?;
            cx.infotext(&format!("{letter} Values"), &axis.given)?;
            if axis.has_seeds() && !self.settings.no_fixed_seeds {
                cx.infotext(&format!("Fixed {letter} Values"), axis.texts().join(", "))?;
            }
        }
        Ok(())
    }
}

/// What is the same in all cells. Nothing of a cell is saved: the plot is what the run answers.
fn base_request(cx: &ScriptCx<'_>) -> Result<ChildRequest, OptionError> {
    let own: Vec<String> = cx.live().get(settings::OWN_SEEDS)?;
    let request = own.iter().fold(ChildRequest::new(), |request, seed| request.field(seed, RANDOM));
    let request = request.save(false);
    let several = cx.batch_size() > 1 || cx.n_iter() > 1;
    if several && cx.live().get("return_grid")? {
        // The grid of the cell's pictures: where a request forbids to save one, none is made.
        return Ok(request.field("do_not_save_grid", false).option("grid_save", false));
    }
    Ok(request.batch_size(1).n_iter(1))
}
