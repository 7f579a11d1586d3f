//! Styles: texts that are put around a prompt, from `styles.csv`.

use std::{collections::BTreeMap, io, path::Path};

use serde::Serialize;

/// The file of styles in the data folder.
pub const STYLES_FILE: &str = "styles.csv";

/// A style.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Style {
    /// Name.
    pub name: String,
    /// Text for the prompt; `{prompt}` in it stands for what it is put around.
    pub prompt: String,
    /// The same for the negative prompt.
    pub negative_prompt: String,
}

/// Why the file of styles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StylesError {
    /// It cannot be read.
    #[error("{path} cannot be read ({source})")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is no table of styles.
    #[error("{path}: {reason}; it needs the columns name, prompt and negative_prompt")]
    Table {
        /// The file.
        path: String,
        /// What is wrong, and where.
        reason: String,
    },
}

/// The styles of a file in A1111 v1.10.1's layout, a comma-separated table with the columns `name`,
/// `prompt` (in old files `text`) and `negative_prompt`. Where there is no file there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Styles(BTreeMap<String, Style>);

impl Styles {
    /// Reads a file. Names that begin with `#` are comments; of two with one name the last counts.
    ///
    /// # Errors
    /// [`StylesError`].
    pub fn load(path: &Path) -> Result<Self, StylesError> {
        let shown = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(StylesError::Read { path: shown(), source }),
        };
        Self::parse(&text).map_err(|reason| StylesError::Table { path: shown(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim_start_matches('\u{feff}');
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| header.iter().position(|found| found.trim() == name);
        if header.is_empty() {
            return Ok(Self::default());
        }
        let name = column("name").ok_or("there is no column “name”")?;
        let prompt = column("prompt").or_else(|| column("text"));
        let prompt = prompt.ok_or("there is no column “prompt”")?;
        let negative = column("negative_prompt");
        let mut styles = BTreeMap::new();
        for row in reader.records() {
            let row = row.map_err(|error| error.to_string())?;
            let cell = |at: usize| row.get(at).unwrap_or_default().to_owned();
            let name = cell(name);
            if name.is_empty() || name.starts_with('#') {
                continue;
            }
            let negative_prompt = negative.map(cell).unwrap_or_default();
            styles.insert(name.clone(), Style { name, prompt: cell(prompt), negative_prompt });
        }
        Ok(Self(styles))
    }

    /// All styles by their names.
    pub fn all(&self) -> impl Iterator<Item = &Style> {
        self.0.values()
    }

    /// The style of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Style> {
        self.0.get(name)
    }

    /// Prompt and negative prompt with the styles of these names around them, the first one
    /// innermost. Names that are not there are no styles, as in A1111.
    pub(super) fn apply(&self, names: &[String], prompt: &str, negative: &str) -> (String, String) {
        let (mut prompt, mut negative) = (prompt.to_owned(), negative.to_owned());
        for name in names {
            let Some(style) = self.get(name) else {
                tracing::warn!(style = name, "there is no such style; it is left out");
                continue;
            };
            prompt = merged(&style.prompt, &prompt);
            negative = merged(&style.negative_prompt, &negative);
        }
        (prompt, negative)
    }
}

fn merged(style: &str, prompt: &str) -> String {
    if style.contains("{prompt}") {
        return style.replace("{prompt}", prompt);
    }
    let parts = [prompt.trim(), style.trim()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(table: &str, names: &[&str], prompt: &str, negative: &str) -> (String, String) {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Styles::parse(table).unwrap().apply(&names, prompt, negative)
    }

    const TABLE: &str = "\u{feff}name,prompt,negative_prompt\n\
        fine,masterpiece,blurry\n\
        around,\"masterpiece, {prompt}, 8k\",\n\
        #comment,x,y\n\
        short\n\
        fine,best,\n";

    #[test]
    fn styles_are_put_behind_or_around_a_prompt() {
        let both = |prompt: &str, negative: &str| (prompt.to_owned(), negative.to_owned());
        assert_eq!(apply(TABLE, &["around"], "cat", "dog"), both("masterpiece, cat, 8k", "dog"));
        assert_eq!(apply(TABLE, &["fine"], " cat ", ""), both("cat, best", ""));
        let table = "name,text\nold,masterpiece";
        assert_eq!(apply(table, &["old"], "cat", " dog"), both("cat, masterpiece", "dog"));
        let nested = ["around", "fine", "missing", "#comment", "short"];
        assert_eq!(apply(TABLE, &nested, "cat", ""), both("masterpiece, cat, 8k, best", ""));
        assert_eq!(apply(TABLE, &[], " cat", ""), both(" cat", ""));
    }

    #[test]
    fn a_file_that_is_no_table_is_refused_in_words() {
        assert_eq!(Styles::parse("").unwrap(), Styles::default());
        let error = Styles::parse("prompt\nx").unwrap_err();
        assert!(error.contains("“name”"), "{error}");
        assert!(Styles::parse("name,tag\nx").unwrap_err().contains("“prompt”"));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Styles::load(&folder.path().join("none.csv")).unwrap(), Styles::default());
        assert!(matches!(Styles::load(folder.path()), Err(StylesError::Read { .. })));
    }
}
