//! Why there is no plot.

use atelier_plugin_api::{OptionError, PluginError};

use crate::values::ValueError;

/// A plot that cannot be drawn. `argument` is the plugin's argument that is to be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    #[error(
        "{argument}: there is no axis “{given}”; there are {known}, option:KEY and arg:PLUGIN.NAME"
    )]
    UnknownType { argument: &'static str, given: String, known: String },
    #[error("{argument}: “{given}” does not say which argument; write arg:PLUGIN.NAME")]
    NoArgument { argument: &'static str, given: String },
    #[error("{argument}: {source}")]
    UnknownOption { argument: &'static str, source: OptionError },
    #[error("{argument}: {label} says something in img2img only; this run starts from no picture")]
    FromAPictureOnly { argument: &'static str, label: &'static str },
    #[error("{argument} is empty; write values for {label} with commas between them")]
    NoValues { argument: &'static str, label: String },
    #[error("{argument}, {source}")]
    Values { argument: &'static str, source: ValueError },
    #[error(
        "{argument}: “{words}” is not in the {text}; the first value are the words that the others \
         take the place of"
    )]
    NotInPrompt { argument: &'static str, words: String, text: &'static str },
    #[error(
        "{columns} × {rows} cells are more than {most}; give fewer values, or raise the option {}",
        crate::settings::MAX_CELLS
    )]
    TooManyCells { columns: usize, rows: usize, most: usize },
    #[error(
        "the plot would have {width}×{height} pixels, and {most} megapixels are allowed; give fewer \
         values or smaller pictures, or raise the option img_max_size_mp"
    )]
    TooManyPixels { width: usize, height: usize, most: usize },
    #[error(
        "the plot would have {width}×{height} pixels, and no side may have more than {most}; give \
         fewer values or smaller pictures"
    )]
    TooLong { width: usize, height: usize, most: usize },
    #[error("no cell could be drawn; the first one ({cell}): {reason}")]
    NothingDrawn { cell: String, reason: String },
    #[error(transparent)]
    Unreadable(#[from] OptionError),
}

impl PlotError {
    /// Ends the run with these words, whatever its policy is: without a plot it has no answer.
    pub(crate) fn stop(&self) -> PluginError {
        PluginError::stop_run(self.to_string())
    }
}
