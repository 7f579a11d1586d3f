//! The child runs of a plot.

use std::collections::BTreeMap;

use atelier_plugin_api::{
    Level, PluginError,
    cx::{Child, ScriptCx},
};

use crate::{error::PlotError, plot::Plot};

/// A finished picture of a cell.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// RGB bytes, row by row.
    pub(crate) data: Vec<u8>,
    pub(crate) infotext: String,
}

/// All cells of a plot.
#[derive(Debug)]
pub(crate) struct Cells {
    /// By row and column. Where there is no picture, the reason.
    all: BTreeMap<(usize, usize), Result<Picture, String>>,
}

impl Cells {
    /// All cells with their columns and rows, row by row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, usize, &Result<Picture, String>)> {
        self.all.iter().map(|((row, column), cell)| (*column, *row, cell))
    }

    /// All pictures, row by row.
    pub(crate) fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.all.values().flatten()
    }

    /// A size that every picture fits into.
    pub(crate) fn size(&self) -> (usize, usize) {
        let larger = |(width, height): (usize, usize), picture: &Picture| {
            (picture.width.max(width), picture.height.max(height))
        };
        self.pictures().fold((0, 0), larger)
    }
}

/// Draws all cells, one after another; none where the run is cancelled. A cell that cannot be drawn
/// stays empty, and the others are drawn all the same.
pub(crate) fn draw(cx: &mut ScriptCx<'_>, plot: &Plot) -> Result<Option<Cells>, PluginError> {
    let mut cells = Cells { all: BTreeMap::new() };
    for (column, row) in plot.order() {
        let cell = match cx.child(&plot.request(column, row)) {
            _ if cx.cancelled() => return Ok(None),
            Ok(child) => picture(cx, &child)?,
            Err(refused) => Err(refused.message().to_owned()),
        };
        if let Err(reason) = &cell
            && !cells.all.values().any(|other| other.as_ref().err() == Some(reason))
        {
            // Once for all cells of which the same is to be said.
            let cell = plot.name(column, row);
            cx.log(Level::Warn, &format!("{cell}: {reason}; the cell stays empty"));
        }
        cells.all.insert((row, column), cell);
        // Other plugins may make pictures larger than was asked for. Better now than after the last.
        plot.layout(cells.size()).map_err(|error| error.stop())?;
    }
    if cells.pictures().next().is_none()
        && let Some((column, row, Err(reason))) = cells.iter().next()
    {
        let (cell, reason) = (plot.name(column, row), reason.clone());
        return Err(PlotError::NothingDrawn { cell, reason }.stop());
    }
    Ok(Some(cells))
}

/// What a child shows: its picture, or the grid of its pictures.
fn picture(cx: &ScriptCx<'_>, child: &Child) -> Result<Result<Picture, String>, PluginError> {
    if let Some(reason) = &child.error {
        return Ok(Err(reason.clone()));
    }
    let Some(first) = child.pictures.first() else {
        return Ok(Err("it has no picture".to_owned()));
    };
    let image = cx.child_image(0)?;
    Ok(Ok(Picture {
        width: image.width,
        height: image.height,
        data: image.data.to_vec(),
        infotext: first.infotext.clone(),
    }))
}
