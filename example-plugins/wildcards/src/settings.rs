//! Options and arguments, and what they say at the moment.

use std::path::{Path, PathBuf};

use atelier_plugin_api::prelude::*;

use crate::pictures::Mode;

const ENABLED: &str = "wildcards_enabled";
const FOLDER: &str = "wildcards_folder";
const COMBINATORIAL: &str = "wildcards_combinatorial";
const MAX_COMBINATIONS: &str = "wildcards_max_combinations";
const SAME_SEED: &str = "wildcards_same_seed";
const MISSING_IS_ERROR: &str = "wildcards_missing_is_error";
const WRITE_INFOTEXT: &str = "wildcards_write_infotext";

const SECTION: &str = "Wildcards";
/// As many pictures as a run can have.
const MOST_PICTURES: f64 = 1_048_576.0;

pub(crate) fn options() -> Vec<OptionSpec> {
    let options = [
        OptionSpec::bool(ENABLED, true)
            .label("Fill wildcards and variants in")
            .doc("Off: prompts stay as they are typed."),
        OptionSpec::text(FOLDER, "")
            .label("Folder with wildcard files")
            .doc("Empty: the folder “wildcards” in the plugin's own data folder.")
            .restricted(),
        OptionSpec::bool(COMBINATORIAL, false)
            .label("All combinations, one per picture")
            .doc("Instead of choices by chance. Weights do not count then."),
        OptionSpec::int(MAX_COMBINATIONS, 10_000)
            .range(1.0, MOST_PICTURES)
            .label("Combinations at most")
            .doc("Behind so many, or behind the last one, the first comes again."),
        OptionSpec::bool(SAME_SEED, false)
            .label("Use the same seed for all pictures")
            .doc("All pictures of a run get the choices of the first one."),
        OptionSpec::bool(MISSING_IS_ERROR, false)
            .label("A missing wildcard is an error")
            .doc("Off: it stays in the prompt as it is, with a warning in the log."),
        OptionSpec::bool(WRITE_INFOTEXT, true)
            .label("Write the template into the infotext")
            .doc("Where the prompt differs from it."),
    ];
    options.map(|option| option.section(SECTION)).into()
}

pub(crate) fn args() -> Vec<ArgSpec> {
    vec![
        ArgSpec::bool("enabled", true).optional().label("Fill in (empty: settings)"),
        ArgSpec::bool("combinatorial", false)
            .optional()
            .label("All combinations (empty: settings)"),
    ]
}

/// Whether this run is to be touched at all.
pub(crate) fn is_enabled(cx: &RunCx<'_>) -> Result<bool, OptionError> {
    switch(cx, "enabled", ENABLED)
}

/// An argument or, where the request does not have it, the option.
fn switch(cx: &RunCx<'_>, arg: &str, option: &str) -> Result<bool, OptionError> {
    match cx.args().get(arg)? {
        Some(asked) => Ok(asked),
        None => cx.live().get(option),
    }
}

/// The live options at this moment.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) folder: PathBuf,
    pub(crate) mode: Mode,
    pub(crate) missing_is_error: bool,
    pub(crate) write_infotext: bool,
}

impl Settings {
    pub(crate) fn read(cx: &RunCx<'_>, own_folder: &Path) -> Result<Self, OptionError> {
        let live = cx.live();
        let folder: PathBuf = live.get(FOLDER)?;
        let mode = if switch(cx, "combinatorial", COMBINATORIAL)? {
            Mode::Combinatorial { most: live.get(MAX_COMBINATIONS)? }
        } else {
            Mode::Random { same_seed: live.get(SAME_SEED)? }
        };
        Ok(Self {
            folder: if folder.as_os_str().is_empty() { own_folder.to_owned() } else { folder },
            mode,
            missing_is_error: live.get(MISSING_IS_ERROR)?,
            write_infotext: live.get(WRITE_INFOTEXT)?,
        })
    }
}
