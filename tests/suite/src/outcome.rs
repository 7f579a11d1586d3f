//! What came of a run, in a form that two runs can be compared by.

use std::path::Path;

use atelier_host::{
    output::{infotext_parse::ParsedInfotext, png},
    run::{Finished, record::PreparedRun},
};
use serde_json::Value;

/// Everything of a run that a failed hook may not have changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Pixels of each picture, with its size.
    pub pictures: Vec<((u32, u32), Vec<u8>)>,
    /// Infotexts without the entries that name snapshot, plugins and failures.
    pub infotexts: Vec<String>,
    /// Names of the files, without their folders and numbers.
    pub files: Vec<Option<String>>,
    /// Prompts, seeds and parameters.
    pub prepared: Option<PreparedRun>,
    /// The overrides at the snapshot, as text.
    pub overrides: String,
}

impl Outcome {
    /// What came of a run.
    pub fn of(finished: &Finished) -> Self {
        let pictures = finished.pictures.iter();
        Self {
            pictures: pictures
                .clone()
                .map(|p| (p.image.dimensions(), p.image.as_raw().clone()))
                .collect(),
            infotexts: pictures.clone().map(|p| without_plugins(&p.infotext)).collect(),
            files: pictures.map(|p| p.path.as_deref().map(file_name)).collect(),
            prepared: finished.record.prepared.clone(),
            overrides: format!("{:?}", finished.record.overrides.keys()),
        }
    }
}

/// The part of a file's name that does not count the files of its folder.
fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.split_once('-') {
        Some(("grid", _)) => {
            format!("grid.{}", path.extension().unwrap_or_default().to_string_lossy())
        }
        Some((_, rest)) => rest.to_owned(),
        None => name.into_owned(),
    }
}

/// An infotext without what names the snapshot, the plugins and their failures.
fn without_plugins(infotext: &str) -> String {
    const OWN: [&str; 3] = ["Options snapshot", "Plugins", "Plugin failures"];
    let ParsedInfotext { prompt, negative_prompt, params } = ParsedInfotext::parse(infotext);
    let kept = params.iter().filter(|(key, _)| !OWN.contains(key));
    format!("{prompt}\n{negative_prompt}\n{:?}", kept.collect::<Vec<_>>())
}

/// The `atelier` chunk of a saved picture.
///
/// # Panics
/// If the file is no PNG file or has no such chunk.
pub fn own_metadata(path: &Path) -> Value {
    let bytes = std::fs::read(path).expect("a saved picture");
    let texts = png::read(&bytes).expect("a PNG file").texts;
    let (_, text) = texts.iter().find(|(key, _)| key == "atelier").expect("an atelier chunk");
    serde_json::from_str(text).expect("JSON")
}
