//! An axis: what it varies, and its values.

mod change;
mod read;

use atelier_plugin_api::OptionError;
use serde_json::Value as Json;

pub(crate) use change::{Cell, Change};

use crate::{error::PlotError, kinds};

/// Which of the two, by the names of its arguments and infotext keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side {
    pub(crate) letter: &'static str,
    pub(crate) type_argument: &'static str,
    pub(crate) values_argument: &'static str,
}

pub(crate) const X: Side =
    Side { letter: "X", type_argument: "x_type", values_argument: "x_values" };
pub(crate) const Y: Side =
    Side { letter: "Y", type_argument: "y_type", values_argument: "y_values" };

/// What has to be known of the run to read an axis.
pub(crate) struct Run<'r> {
    pub(crate) prompt: &'r str,
    pub(crate) negative_prompt: &'r str,
    pub(crate) is_img2img: bool,
    /// Values at most.
    pub(crate) most: usize,
    /// Whether a random seed among the values is drawn once and for all.
    pub(crate) fixes_seeds: bool,
    /// An option as it is now.
    pub(crate) option: &'r dyn Fn(&str) -> Result<Json, OptionError>,
}

/// One change of the request for every value.
#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) side: Side,
    pub(crate) label: String,
    /// The values as they were given.
    pub(crate) given: String,
    /// At least one.
    pub(crate) changes: Vec<Change>,
}

impl Axis {
    /// Reads an axis of this type with these values. Without a type there is none.
    pub(crate) fn read(
        side: Side,
        kind: &str,
        given: &str,
        run: &Run<'_>,
    ) -> Result<Self, PlotError> {
        let kind = match kind.trim() {
            "" => "Nothing",
            kind => kind,
        };
        let (label, changes) = read::changes(side, kind, given, run)?;
        if changes.is_empty() {
            return Err(PlotError::NoValues { argument: side.values_argument, label });
        }
        Ok(Self { side, label, given: given.trim().to_owned(), changes })
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.changes == [Change::Nothing]
    }

    pub(crate) fn has_seeds(&self) -> bool {
        matches!(self.changes[..], [Change::Field("seed" | "subseed", _), ..])
    }

    /// Whether the next value takes long: a checkpoint has to be loaded.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(&self.changes[..], [Change::Option(key, _), ..] if key == kinds::CHECKPOINT)
    }

    /// The values, for people.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.changes.iter().map(Change::text).collect()
    }
}

#[cfg(test)]
mod tests;
