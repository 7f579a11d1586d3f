//! The log: one JSON object per line, appended.

use std::{fs::OpenOptions, io::Write as _, path::PathBuf};

use atelier_plugin_api::PluginError;
use serde_json::{Map, Value};

/// A file that lines are appended to, or nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log(Option<PathBuf>);

impl Log {
    /// A log at `path`; an empty path is no log.
    pub(crate) fn new(path: &str) -> Self {
        Self((!path.is_empty()).then(|| PathBuf::from(path)))
    }

    /// Appends a line in one write, so that plugins and processes may share a file.
    pub(crate) fn write(&self, line: Map<String, Value>) -> Result<(), PluginError> {
        let Some(path) = &self.0 else { return Ok(()) };
        let line = format!("{}\n", Value::Object(line));
        let file = OpenOptions::new().create(true).append(true).open(path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        written.map_err(|error| PluginError::new(format!("log: {}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: i64) -> Map<String, Value> {
        Map::from_iter([("n".to_owned(), value.into())])
    }

    #[test]
    fn lines_are_appended() {
        let path = std::env::temp_dir().join(format!("probe-log-{}", std::process::id()));
        let log = Log::new(&path.to_string_lossy());
        log.write(line(1)).expect("a line");
        log.clone().write(line(2)).expect("a line");
        let text = std::fs::read_to_string(&path).expect("the log");
        std::fs::remove_file(&path).expect("the log is there");
        assert_eq!(text, "{\"n\":1}\n{\"n\":2}\n");
    }

    #[test]
    fn without_a_path_nothing_is_written_and_a_bad_path_is_an_error() {
        assert!(Log::new("").write(line(1)).is_ok());
        assert!(Log::new("/no/such/folder/log").write(line(1)).is_err());
    }
}
