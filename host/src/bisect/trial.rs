//! One run with some of the plugins, in a process of its own.

use std::{
    ffi::OsString,
    fs,
    io::{self, Read as _},
    os::unix::{fs::symlink, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{
    processes::{cause, end_group},
    run::RunRecord,
};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// It is done, and no hook failed.
    Done {
        /// BLAKE3 of each picture's pixels.
        pixels: Vec<String>,
    },
    /// It is not, or a hook failed.
    Broken {
        /// What happened.
        how: String,
    },
    /// It was refused before anything was drawn.
    Refused {
        /// Why.
        why: String,
    },
}

/// Where runs are tried.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// The `atelier` program.
    pub(crate) program: PathBuf,
    /// The data folder whose options, models and trust count. Nothing in it is changed, but in what
    /// plugins keep in their own folders.
    pub(crate) data: PathBuf,
    /// Flags for all commands.
    pub(crate) flags: Vec<OsString>,
    /// The command that draws.
    pub(crate) command: Vec<OsString>,
    /// How long it may take.
    pub(crate) patience: Duration,
}

impl Bench {
    /// Draws with these libraries and no others.
    ///
    /// # Errors
    /// Where no process can be started, or there is no room for its folder.
    pub(crate) fn draw(&self, libraries: &[&Path]) -> io::Result<Outcome> {
        let scratch = tempfile::Builder::new().prefix("atelier-bisect-").tempdir()?;
        self.furnish(scratch.path())?;
        let mut command = Command::new(&self.program);
        command.arg("--json").arg("--no-extensions").args(&self.flags);
        for library in libraries {
            command.arg("--plugins").arg(library);
        }
        command
            .args(&self.command)
            .arg("--lenient")
            .env("ATELIER_DATA", scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn()?;
        let readers = [
            child.stdout.take().map(|mut pipe| thread::spawn(move || all_of(&mut pipe))),
            child.stderr.take().map(|mut pipe| thread::spawn(move || all_of(&mut pipe))),
        ];
        let end = Instant::now() + self.patience;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break Some(status),
                None if Instant::now() >= end => break None,
                None => thread::sleep(Duration::from_millis(5)),
            }
        };
        // Whatever it has started goes with it, and lets go of the pipes.
        end_group(child.id());
        child.wait()?;
        let [printed, told] =
            readers.map(|reader| reader.and_then(|reader| reader.join().ok()).unwrap_or_default());
        let Some(status) = status else {
            let how = format!("it was not done after {} s", self.patience.as_secs());
            return Ok(Outcome::Broken { how });
        };
        let record: Option<RunRecord> = serde_json::from_slice(&printed).ok();
        Ok(match (record, status.code()) {
            (Some(record), Some(0)) => of_record(record),
            (Some(record), _) => {
                let how =
                    record.error.unwrap_or_else(|| format!("the run is {}", record.state.word()));
                Outcome::Broken { how }
            }
            (None, Some(2)) => Outcome::Refused { why: last_line(&told) },
            (None, Some(_)) => {
                Outcome::Broken { how: format!("{}: {}", cause(status), last_line(&told)) }
            }
            (None, None) => Outcome::Broken { how: cause(status) },
        })
    }

    /// A data folder that is like the user's, as far as a run reads it.
    fn furnish(&self, scratch: &Path) -> io::Result<()> {
        for name in ["config.json", "plugins.json"] {
            match fs::copy(self.data.join(name), scratch.join(name)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        for name in ["models", "plugins"] {
            let own = self.data.join(name);
            if own.is_dir() {
                symlink(fs::canonicalize(own)?, scratch.join(name))?;
            }
        }
        Ok(())
    }
}

fn of_record(record: RunRecord) -> Outcome {
    match record.failures.first() {
        Some(failure) => Outcome::Broken { how: failure.to_string() },
        None => Outcome::Done { pixels: record.outputs.into_iter().map(|it| it.pixels).collect() },
    }
}

fn all_of(pipe: &mut impl io::Read) -> Vec<u8> {
    let mut all = Vec::new();
    // What a process prints beyond that is not looked at, and must not fill the memory.
    let read = pipe.by_ref().take(64 << 20).read_to_end(&mut all);
    if read.is_ok() {
        let _ = io::copy(pipe, &mut io::sink());
    }
    all
}

/// The last error that was told, without its heading.
fn last_line(told: &[u8]) -> String {
    let told = String::from_utf8_lossy(told);
    let lines = || told.lines().map(str::trim).filter(|line| !line.is_empty());
    let error = lines().rev().find_map(|line| line.strip_prefix("error: "));
    error.or_else(|| lines().next_back()).unwrap_or("it said nothing").to_owned()
}
