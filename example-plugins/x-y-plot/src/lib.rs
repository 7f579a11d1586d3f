//! Draws a grid of pictures over two parameters, options or arguments: what A1111's X/Y/Z plot does
//! with two of its axes.
//!
//! It teaches child runs: a request selects this plugin, which draws nothing itself. Every cell is a
//! run of its own, and the grid made of them is the answer. Like the original it reads *live*
//! options, at the moment it needs them: an unmigrated plugin.

#![deny(missing_docs, unsafe_code)]

mod answer;
mod axis;
mod cells;
mod colour;
mod error;
mod font;
mod kinds;
mod layout;
mod plot;
mod settings;
mod text;
mod values;

use atelier_plugin_api::prelude::*;

use crate::plot::Plot;

/// What the plugin is called, which is also the title of A1111's first script of this kind.
const NAME: &str = "X/Y plot";

/// Nothing is kept from hook to hook.
#[derive(Debug)]
pub struct XYPlot;

#[plugin(id = "x-y-plot", name = "X/Y plot")]
impl Run for XYPlot {
    fn options() -> Vec<OptionSpec> {
        settings::options()
    }

    fn args() -> Vec<ArgSpec> {
        settings::args()
    }

    /// Only here a seed that is left to chance can be told from one that was asked for: a prepared run
    /// has none but fixed ones, and its child runs get those.
    fn before_process(cx: &mut RequestCx<'_>) -> HookResult {
        if !cx.args().get(settings::NO_FIXED_SEEDS)? {
            return Ok(());
        }
        let mut own: Vec<String> = cx.live().get(settings::OWN_SEEDS)?;
        for (name, seed) in [("seed", cx.seed()), ("subseed", cx.subseed())] {
            if seed == values::RANDOM {
                own.push(name.to_owned());
            }
        }
        Ok(cx.overrides().set(settings::OWN_SEEDS, own)?)
    }

    fn start(_: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self)
    }

    /// What is wrong with the axes ends the run: without a plot it has nothing to answer.
    fn run(&mut self, cx: &mut ScriptCx<'_>) -> HookResult {
        let plot = Plot::read(cx).map_err(|error| error.stop())?;
        plot.note(cx)?;
        match cells::draw(cx, &plot)? {
            Some(cells) => answer::give(cx, &plot, &cells),
            // Cancelled: there is nobody to answer.
            None => Ok(()),
        }
    }
}
