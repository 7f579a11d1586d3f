//! Fills wildcards and variants into prompts: `a __colours__ {heart|apple}`.
//!
//! An *unmigrated* plugin: like the extensions of A1111's web UI that it follows, it asks for live
//! options in the hook. It has two objects because of its folder: the place is known when the plugin
//! is made, and every run needs it.

#![deny(missing_docs, unsafe_code)]

mod chance;
mod combinations;
mod fill;
mod folder;
mod grammar;
mod library;
mod pattern;
mod pictures;
mod settings;
mod template;

use std::path::PathBuf;

use atelier_plugin_api::prelude::*;

use crate::{
    folder::Folder,
    library::{Library, LibraryError},
    pictures::{Pictures, Prompts},
    settings::Settings,
};

/// What outlives a run: where wildcard files are unless an option says otherwise.
#[derive(Debug)]
pub struct Wildcards {
    own_folder: PathBuf,
}

#[plugin(id = "wildcards", name = "Wildcards")]
impl Plugin for Wildcards {
    type Run = WildcardsRun;

    fn options() -> Vec<OptionSpec> {
        settings::options()
    }

    fn args() -> Vec<ArgSpec> {
        settings::args()
    }

    fn create(cx: &CreateCx<'_>) -> Result<Self, PluginError> {
        Ok(Self { own_folder: cx.data_folder().join("wildcards") })
    }

    fn start(&self, _: &RunStart<'_>) -> Result<WildcardsRun, PluginError> {
        Ok(WildcardsRun { own_folder: self.own_folder.clone() })
    }
}

/// One run of it.
#[derive(Debug)]
pub struct WildcardsRun {
    own_folder: PathBuf,
}

#[plugin_run]
impl Run for WildcardsRun {
    /// Prompts and seeds of all pictures are known, and nothing has been encoded.
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        if !settings::is_enabled(cx)? {
            return Ok(());
        }
        let asked = prompts(cx);
        let pictures = Pictures::read(&asked)?;
        if pictures.are_verbatim() {
            return Ok(());
        }
        let settings = Settings::read(cx, &self.own_folder)?;
        let library = library(cx, &pictures, &settings)?;
        let filled = pictures.fill(&library, settings.mode, &cx.all_seeds())?;
        for (index, prompts) in filled.iter().enumerate() {
            cx.set_prompt(index, &prompts.prompt)?;
            cx.set_negative_prompt(index, &prompts.negative)?;
        }
        if settings.write_infotext {
            note(cx, "Wildcard prompt", &asked, &filled, |both| &both.prompt)?;
            note(cx, "Wildcard negative prompt", &asked, &filled, |both| &both.negative)?;
        }
        Ok(())
    }
}

fn prompts(cx: &RunCx<'_>) -> Vec<Prompts> {
    let both = cx.all_prompts().into_iter().zip(cx.all_negative_prompts());
    both.map(|(prompt, negative)| Prompts { prompt, negative }).collect()
}

/// Reads the wildcards, and says which there are not.
fn library(
    cx: &RunCx<'_>,
    pictures: &Pictures<'_>,
    settings: &Settings,
) -> Result<Library, LibraryError> {
    let mut folder = Folder::new(settings.folder.clone());
    let library = Library::gather(&mut folder, pictures.templates())?;
    for name in library.missing() {
        let missing = LibraryError::Missing { name: name.to_owned(), folder: folder.path().into() };
        if settings.missing_is_error {
            return Err(missing);
        }
        cx.log(Level::Warn, &format!("{missing}; until then it stays in the prompt as it is"));
    }
    Ok(library)
}

/// Tells the infotext what was typed, if it is not what is drawn. The infotext is the run's: the
/// first picture that differs speaks for all.
fn note(
    cx: &RunCx<'_>,
    key: &str,
    asked: &[Prompts],
    filled: &[Prompts],
    side: impl Fn(&Prompts) -> &String,
) -> HookResult {
    let differs = asked.iter().zip(filled).find(|(asked, filled)| side(asked) != side(filled));
    differs.map_or(Ok(()), |(asked, _)| cx.infotext(key, side(asked)))
}
