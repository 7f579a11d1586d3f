//! From the cells to the answer: the plot, and behind it the single pictures where they are asked for.

use atelier_plugin_api::prelude::*;

use crate::{
    cells::{Cells, Picture},
    layout::Layout,
    plot::Plot,
    settings::Settings,
    text::Area,
};

/// Pushes the plot and what belongs to it.
pub(crate) fn give(cx: &mut ScriptCx<'_>, plot: &Plot, cells: &Cells) -> HookResult {
    let layout = plot.layout(cells.size()).map_err(|error| error.stop())?;
    note_failures(cx, plot, cells)?;
    let (width, height) = layout.size();
    // It gets the run's own infotext, which says what the axes are.
    push(cx, (width, height), |mut image| paint(&mut image, &layout, cells, &plot.settings))?;
    if plot.settings.include_lone_images {
        for picture in cells.pictures() {
            let size = (picture.width, picture.height);
            let at = push(cx, size, |image| image.data.copy_from_slice(&picture.data))?;
            cx.set_infotext(at, &picture.infotext)?;
        }
    }
    Ok(())
}

/// Pushes a picture of this size and has it painted; says which one it is.
fn push(
    cx: &mut ScriptCx<'_>,
    (width, height): (usize, usize),
    paint: impl FnOnce(ImageMut<'_>),
) -> Result<usize, PluginError> {
    let at = cx.len();
    cx.push(u32::try_from(width)?, u32::try_from(height)?)?;
    let image = cx.image_mut(at).ok_or_else(|| PluginError::new("the pushed picture is gone"))?;
    paint(image);
    Ok(at)
}

/// Tells the infotext which cells are empty, and why the first of them is.
fn note_failures(cx: &ScriptCx<'_>, plot: &Plot, cells: &Cells) -> HookResult {
    let mut failed = cells.iter().filter_map(|(column, row, cell)| {
        cell.as_ref().err().map(|reason| format!("{}: {reason}", plot.name(column, row)))
    });
    match (failed.next(), failed.count()) {
        (None, _) => Ok(()),
        (Some(first), 0) => cx.infotext("Empty cells", first),
        (Some(first), more) => cx.infotext("Empty cells", format!("{first} (and {more} more)")),
    }
}

fn paint(image: &mut ImageMut<'_>, layout: &Layout, cells: &Cells, settings: &Settings) {
    for pixel in image.data.chunks_exact_mut(3) {
        pixel.copy_from_slice(&settings.background);
    }
    for (column, row, cell) in cells.iter() {
        let area = layout.cell(column, row);
        match cell {
            Ok(picture) => paste(image, picture, area),
            Err(reason) if settings.draw_legend => {
                layout.in_cell(reason).draw(image, area, settings.ink);
            }
            Err(_) => {}
        }
    }
    for (text, area) in layout.texts() {
        text.draw(image, area, settings.ink);
    }
}

/// Copies a picture into the middle of an area that it fits into.
fn paste(image: &mut ImageMut<'_>, picture: &Picture, area: Area) {
    let left = area.left + (area.width - picture.width) / 2;
    let top = area.top + (area.height - picture.height) / 2;
    let (from, to) = (picture.width * 3, image.width * 3);
    for (row, line) in picture.data.chunks_exact(from).enumerate() {
        let at = (top + row) * to + left * 3;
        image.data[at..at + from].copy_from_slice(line);
    }
}
