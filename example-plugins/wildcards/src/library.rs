//! The lines of all wildcards that a run may come to.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{
    folder::{Folder, FolderError},
    grammar::{self, SyntaxError},
    template::{Alternative, Template},
};

/// How deep wildcards may lie in one another.
const MOST_NESTED: usize = 16;
/// How much is read for one run, in bytes.
const MOST_BYTES: u64 = 32 << 20;

/// Why the wildcards of a run cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibraryError {
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error("{} cannot be read", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no UTF-8 text: save it as that", path.display())]
    NotText { path: PathBuf },
    #[error(
        "the wildcards of this prompt have more than {} MiB, with {}: use smaller files",
        MOST_BYTES >> 20, path.display()
    )]
    TooLarge { path: PathBuf },
    #[error("{}, line {line}", path.display())]
    Line { path: PathBuf, line: usize, source: SyntaxError },
    #[error("wildcards go round in a circle: {}; take one of them out of its file", arrows(path))]
    Cycle { path: Vec<String> },
    #[error(
        "wildcards lie more than {MOST_NESTED} deep in one another: {}; write some of them out",
        arrows(path)
    )]
    TooDeep { path: Vec<String> },
    #[error(
        "there is no line for “__{name}__” in {}: write some into a file of that name",
        folder.display()
    )]
    Missing { name: String, folder: PathBuf },
}

fn arrows(path: &[String]) -> String {
    path.join(" → ")
}

/// The lines of wildcards by their names, read once for a run.
#[derive(Debug, Default)]
pub(crate) struct Library {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Of all files that the name leads to; none where it leads nowhere.
    lines: Vec<Alternative>,
    /// How many wildcards lie in one another here, this one included.
    height: usize,
}

impl Library {
    /// Reads all wildcards of these templates, and those in their lines. What is wrong with any of
    /// them is an error now, not for the one seed that would have come to it.
    pub(crate) fn gather<'t>(
        folder: &mut Folder,
        templates: impl IntoIterator<Item = &'t Template>,
    ) -> Result<Self, LibraryError> {
        let mut gathering = Gathering {
            folder,
            entries: BTreeMap::new(),
            path: Vec::new(),
            bytes_left: MOST_BYTES,
        };
        for template in templates {
            for name in template.wildcards() {
                gathering.visit(name)?;
            }
        }
        Ok(Self { entries: gathering.entries })
    }

    /// The lines of a wildcard, if it has any.
    pub(crate) fn lines(&self, name: &str) -> Option<&[Alternative]> {
        let lines = &self.entries.get(name)?.lines;
        (!lines.is_empty()).then_some(lines)
    }

    /// Wildcards without a line.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &str> {
        let missing = self.entries.iter().filter(|(_, entry)| entry.lines.is_empty());
        missing.map(|(name, _)| name.as_str())
    }
}

struct Gathering<'a> {
    folder: &'a mut Folder,
    entries: BTreeMap<String, Entry>,
    /// The wildcards that are being read, each from a line of the one before.
    path: Vec<String>,
    bytes_left: u64,
}

impl Gathering<'_> {
    /// Reads a wildcard and all below it, and returns its height.
    fn visit(&mut self, name: &str) -> Result<usize, LibraryError> {
        let cycle = self.path.iter().position(|above| above == name);
        let height = self.entries.get(name).map_or(1, |entry| entry.height);
        self.path.push(name.to_owned());
        if let Some(from) = cycle {
            return Err(LibraryError::Cycle { path: self.path.split_off(from) });
        }
        if self.path.len() - 1 + height > MOST_NESTED {
            return Err(LibraryError::TooDeep { path: self.path.clone() });
        }
        let height = match self.entries.get(name) {
            Some(entry) => entry.height,
            None => self.read(name)?,
        };
        self.path.pop();
        Ok(height)
    }

    fn read(&mut self, name: &str) -> Result<usize, LibraryError> {
        let mut lines = Vec::new();
        for file in self.folder.find(name)? {
            lines.extend(self.file(&file)?);
        }
        let mut below = 0;
        for line in &lines {
            for name in line.template.wildcards() {
                below = below.max(self.visit(name)?);
            }
        }
        self.entries.insert(name.to_owned(), Entry { lines, height: below + 1 });
        Ok(below + 1)
    }

    fn file(&mut self, path: &Path) -> Result<Vec<Alternative>, LibraryError> {
        let unreadable = |source| LibraryError::Read { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(self.bytes_left + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        self.bytes_left = self
            .bytes_left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| LibraryError::TooLarge { path: path.to_owned() })?;
        let text = String::from_utf8(bytes)
            .map_err(|_| LibraryError::NotText { path: path.to_owned() })?;
        lines(&text).map_err(|(line, source)| LibraryError::Line {
            path: path.to_owned(),
            line,
            source,
        })
    }
}

/// The lines of a file: one alternative each, but for blank lines and those that begin with `#`. An
/// error has the number of its line.
fn lines(text: &str) -> Result<Vec<Alternative>, (usize, SyntaxError)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim).zip(1..);
    let lines = lines.filter(|(line, _)| !line.is_empty() && !line.starts_with('#'));
    let read = lines.map(|(line, number)| grammar::line(line).map_err(|error| (number, error)));
    read.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// Gathers what a prompt needs from these files.
    fn gather(files: &[(&str, &str)], prompt: &str) -> (TempDir, Result<Library, LibraryError>) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(folder.path().join(name).with_extension("txt"), text).unwrap();
        }
        let template = grammar::prompt(prompt).unwrap();
        let library = Library::gather(&mut Folder::new(folder.path().to_owned()), [&template]);
        (folder, library)
    }

    fn refused(files: &[(&str, &str)], prompt: &str) -> LibraryError {
        gather(files, prompt).1.expect_err(prompt)
    }

    /// The first piece of text in each line.
    fn texts(library: &Library, name: &str) -> Vec<(f64, String)> {
        let lines = library.lines(name).unwrap_or_default().iter();
        lines.map(|line| (line.weight, format!("{:?}", line.template.0))).collect()
    }

    fn text(weight: f64, text: &str) -> (f64, String) {
        (weight, format!("[Text({text:?})]"))
    }

    #[test]
    fn blank_lines_comments_and_lines_of_weight_0_do_not_count() {
        let file =
            "\u{feff}# colours\r\n red \r\n\r\n0::grey\r\n  # dark ones\r\n0.5::black\r\nblue # 2";
        let library = gather(&[("colours", file)], "__colours__").1.unwrap();
        let lines = [text(1.0, "red"), text(0.5, "black"), text(1.0, "blue # 2")];
        assert_eq!(texts(&library, "colours"), lines);
    }

    #[test]
    fn the_files_of_a_pattern_are_one_wildcard() {
        let files = [("dark-b", "blue"), ("dark-a", "black"), ("light", "white")];
        let library = gather(&files, "{__dark*__|x}").1.unwrap();
        assert_eq!(texts(&library, "dark*"), [text(1.0, "black"), text(1.0, "blue")]);
        assert_eq!(library.lines("light"), None);
    }

    #[test]
    fn wildcards_without_a_line_are_missing() {
        let files = [("empty", "# nothing\n\n0::x"), ("some", "__deep__")];
        let library = gather(&files, "__empty__ __some__ __nowhere__ __nowhere__").1.unwrap();
        assert_eq!(library.missing().collect::<Vec<_>>(), ["deep", "empty", "nowhere"]);
        assert_eq!(library.lines("empty"), None);
    }

    #[test]
    fn a_circle_is_an_error_that_shows_it() {
        let files = [("a", "x\n__b__"), ("b", "{y|2::__c__}"), ("c", "__b__")];
        let error = refused(&files, "__a__").to_string();
        assert!(error.starts_with("wildcards go round in a circle: b → c → b;"), "{error}");
        let error = refused(&[("a", "__*__")], "__a__").to_string();
        assert!(error.contains("* → *"), "{error}");
    }

    #[test]
    fn a_wildcard_that_is_reached_twice_is_no_circle() {
        let files = [("a", "__c__"), ("b", "__c__ __a__"), ("c", "x")];
        assert!(gather(&files, "__a__ __b__ __c__").1.is_ok());
    }

    #[test]
    fn wildcards_lie_only_so_deep_in_one_another() {
        let names: Vec<String> = (0..20).map(|n| format!("w{n:02}")).collect();
        let texts: Vec<String> = (1..21).map(|n| format!("__w{n:02}__")).collect();
        let chain = |n: usize| -> Vec<(&str, &str)> {
            let links = names.iter().zip(&texts).map(|(name, text)| (name.as_str(), text.as_str()));
            links.take(n).collect()
        };
        // The last of them leads nowhere, which is a wildcard too.
        assert!(gather(&chain(MOST_NESTED - 1), "__w00__").1.is_ok());
        for prompt in ["__w00__", "__w08__ __w00__"] {
            let error = refused(&chain(MOST_NESTED), prompt).to_string();
            assert!(error.contains("more than 16 deep in one another: w00 → w01"), "{error}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_with_its_file() {
        let error = refused(&[("a", "fine\n\n{red|blue")], "__a__");
        assert!(error.to_string().ends_with("a.txt, line 3"), "{error}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("at character 1 is not closed"), "{source}");
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let (folder, _) = gather(&[], "");
        fs::write(folder.path().join("a.txt"), [b'a', 0xff]).unwrap();
        let template = grammar::prompt("__a__").unwrap();
        let library = Library::gather(&mut Folder::new(folder.path().to_owned()), [&template]);
        assert!(matches!(library, Err(LibraryError::NotText { .. })));
    }

    #[test]
    fn only_so_much_is_read() {
        let line = format!("{}\n", "#".repeat(1023));
        let large = line.repeat((MOST_BYTES / 1024) as usize);
        assert!(gather(&[("a", &large)], "__a__").1.is_ok());
        let error = refused(&[("a", &large), ("b", "x")], "__a__ __b__").to_string();
        assert!(error.contains("more than 32 MiB") && error.contains("b.txt"), "{error}");
    }
}
