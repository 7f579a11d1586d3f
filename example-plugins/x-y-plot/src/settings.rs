//! What a user can say: options and arguments.

use atelier_plugin_api::{OptionError, prelude::*};

use crate::colour;

pub(crate) const MAX_CELLS: &str = "x_y_plot_max_cells";
pub(crate) const OWN_SEEDS: &str = "x_y_plot_own_seeds";
pub(crate) const NO_FIXED_SEEDS: &str = "no_fixed_seeds";

pub(crate) fn options() -> Vec<OptionSpec> {
    vec![
        OptionSpec::int(MAX_CELLS, 400)
            .range(1.0, 10_000.0)
            .label("Cells of a plot at most")
            .doc("A plot of more cells is refused before anything is drawn."),
        OptionSpec::list(OWN_SEEDS, &[])
            .choices(["seed", "subseed"])
            .label("Seeds that every cell draws for itself")
            .doc("With no_fixed_seeds the plugin adds those that a request leaves to chance."),
    ]
}

/// The order is that of A1111's first script of this kind.
pub(crate) fn args() -> Vec<ArgSpec> {
    let axis = "An axis by its label, option:KEY or arg:PLUGIN.NAME.";
    let values = "With commas; numbers as ranges too: 1-5, 1-10 (+2), 1-10 [4].";
    vec![
        ArgSpec::text("x_type", "Nothing").label("X type").doc(axis),
        ArgSpec::text("x_values", "").label("X values").doc(values),
        ArgSpec::text("y_type", "Nothing").label("Y type").doc(axis),
        ArgSpec::text("y_values", "").label("Y values").doc(values),
        ArgSpec::bool("draw_legend", true).label("Draw legend"),
        ArgSpec::bool("include_lone_images", false)
            .label("Include single pictures")
            .doc("The pictures of the cells are part of the answer, behind the plot."),
        ArgSpec::bool(NO_FIXED_SEEDS, false)
            .label("Keep -1 for seeds")
            .doc("A random seed is another one in every cell."),
        ArgSpec::int("margin_size", 0)
            .range(0.0, 500.0)
            .label("Margin between cells")
            .doc("In pixels."),
    ]
}

/// Both, as they are when the plot begins. Options are read live, as the original reads them.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) draw_legend: bool,
    pub(crate) include_lone_images: bool,
    pub(crate) no_fixed_seeds: bool,
    /// In pixels.
    pub(crate) margin: usize,
    pub(crate) max_cells: usize,
    pub(crate) max_megapixels: usize,
    pub(crate) background: [u8; 3],
    pub(crate) ink: [u8; 3],
}

impl Settings {
    pub(crate) fn read(cx: &ScriptCx<'_>) -> Result<Self, OptionError> {
        let (args, live) = (cx.args(), cx.live());
        let colour = |key, or| live.get(key).map(|text: String| colour::parse(&text).unwrap_or(or));
        Ok(Self {
            draw_legend: args.get("draw_legend")?,
            include_lone_images: args.get("include_lone_images")?,
            no_fixed_seeds: args.get(NO_FIXED_SEEDS)?,
            margin: args.get("margin_size")?,
            max_cells: live.get(MAX_CELLS)?,
            max_megapixels: live.get("img_max_size_mp")?,
            background: colour("grid_background_color", [255; 3])?,
            ink: colour("grid_text_active_color", [0; 3])?,
        })
    }
}
