//! A check in a process of its own: its own process group, ended as a group when it says nothing for too
//! long, and reaped.

use std::{
    fs,
    io::Read as _,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{
    check::{Outcome, Verdict},
    subject::Subject,
};
use crate::processes::{cause, end_group};

/// Files that parent and child share, in the check's scratch folder.
const VERDICT: &str = "verdict.json";
const CRUMBS: &str = "crumbs";
/// Where the child's log goes.
pub const LOG: &str = "log";
/// Lines of output and log that are kept.
const LAST_LINES: usize = 100;

/// How checks are run in processes of their own.
#[derive(Clone, Debug)]
pub struct Child {
    /// The program: it is called with [`arguments`].
    pub program: PathBuf,
    /// How long a child may say nothing.
    pub silence: Duration,
    /// More environment variables.
    pub environment: Vec<(String, String)>,
    /// The folder it begins in; one of its own without.
    pub folder: Option<PathBuf>,
}

impl Default for Child {
    fn default() -> Self {
        Self {
            program: std::env::current_exe().unwrap_or_else(|_| "atelier".into()),
            silence: Duration::from_secs(30),
            environment: Vec::new(),
            folder: None,
        }
    }
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tried {
    /// Outcome and words.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Seconds it took.
    pub seconds: f64,
    /// The signal that ended the process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// The code that the process exited with, where it had no business to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The hook in which the process was when it died.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_crumb: Option<String>,
    /// The last lines that it printed or logged, where it did not pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
}

/// The arguments with which a program is asked for one check in this very process; see [`answer`].
pub fn arguments(check: &str, subject: &Subject) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec![
        "plugins".into(),
        "validate-check".into(),
        check.into(),
        subject.library.clone().into(),
        "--seed".into(),
        subject.seed.to_string().into(),
        "--scratch".into(),
        subject.scratch.clone().into(),
    ];
    if let Some(against) = &subject.against {
        arguments.extend(["--against".into(), against.clone().into()]);
    }
    arguments
}

/// The child's side: runs the check and leaves its verdict where the parent looks for it.
///
/// # Errors
/// Where the verdict cannot be written.
pub fn answer(check: &super::Check, mut subject: Subject) -> std::io::Result<()> {
    subject.crumbs = Some(subject.scratch.join(CRUMBS));
    let verdict = check.run_here(&subject);
    fs::write(subject.scratch.join(VERDICT), serde_json::to_vec(&verdict)?)
}

/// Lines of the child's log that are errors of plugins.
pub(super) fn logged_errors(subject: &Subject) -> Vec<String> {
    let log = fs::read_to_string(subject.scratch.join(LOG)).unwrap_or_default();
    let of_plugins = |line: &&str| line.contains("ERROR") && line.contains("plugin=");
    log.lines().filter(of_plugins).map(str::to_owned).collect()
}

impl Child {
    /// Runs a check of `subject` in a process of its own.
    pub fn run(&self, check: &str, subject: &Subject) -> Tried {
        let begin = Instant::now();
        let folder = match subject.folder(check) {
            Ok(folder) => folder,
            Err(verdict) => return Tried::of(verdict, begin),
        };
        let mut own = Subject::new(subject.library.clone(), subject.seed, folder.clone());
        own.against.clone_from(&subject.against);
        let mut tried = match self.watch(check, &own, &folder) {
            Ok(tried) => tried,
            Err(error) => {
                Tried::of(Verdict::skip(format!("no process could be started: {error}")), begin)
            }
        };
        tried.seconds = begin.elapsed().as_secs_f64();
        // Best effort: what cannot be removed goes with the folder around it.
        let _ = fs::remove_dir_all(&folder);
        tried
    }

    fn watch(&self, check: &str, subject: &Subject, scratch: &Path) -> std::io::Result<Tried> {
        let begin = Instant::now();
        let home = scratch.join("home");
        let (here, temporary) = (home.join("here"), home.join("tmp"));
        fs::create_dir_all(&here)?;
        fs::create_dir_all(&temporary)?;
        let mut command = Command::new(&self.program);
        command
            .args(arguments(check, subject))
            .current_dir(self.folder.as_ref().unwrap_or(&here))
            .env("HOME", &home)
            .env("TMPDIR", &temporary)
            .env_remove("ATELIER_DATA")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn()?;
        let sign_of_life = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = [
            child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
            child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn std::io::Read + Send>),
        ]
        .into_iter()
        .flatten()
        .map(|pipe| read_along(pipe, begin, sign_of_life.clone()))
        .collect();
        let mut crumb = String::new();
        let (status, silent) = loop {
            if let Some(status) = child.try_wait()? {
                break (status, false);
            }
            let now = fs::read_to_string(scratch.join(CRUMBS)).unwrap_or_default();
            if now != crumb {
                crumb = now;
                sign_of_life.store(millis(begin), Ordering::Relaxed);
            }
            let quiet = millis(begin).saturating_sub(sign_of_life.load(Ordering::Relaxed));
            if u128::from(quiet) > self.silence.as_millis() {
                end_group(child.id());
                break (child.wait()?, true);
            }
            thread::sleep(Duration::from_millis(5));
        };
        // Whatever it has started goes with it, and lets go of the pipes.
        end_group(child.id());
        let mut lines: Vec<String> = Vec::new();
        for reader in readers {
            let bytes = reader.join().unwrap_or_default();
            lines.extend(String::from_utf8_lossy(&bytes).lines().map(str::to_owned));
        }
        let log = fs::read_to_string(scratch.join(LOG)).unwrap_or_default();
        lines.extend(log.lines().map(str::to_owned));
        let mut tried = self.judge(scratch, status, silent, begin);
        if tried.verdict.outcome != Outcome::Pass {
            tried.last_lines = lines.split_off(lines.len().saturating_sub(LAST_LINES));
        }
        Ok(tried)
    }

    fn judge(&self, scratch: &Path, status: ExitStatus, silent: bool, begin: Instant) -> Tried {
        let crumb = fs::read_to_string(scratch.join(CRUMBS)).ok();
        let crumb = crumb.map(|crumb| crumb.trim().to_owned()).filter(|crumb| !crumb.is_empty());
        let place = crumb.as_deref().map(|crumb| format!(" in {crumb}")).unwrap_or_default();
        if silent {
            let words = format!("nothing was heard for {} s{place}", self.silence.as_secs_f32());
            let verdict = Verdict { outcome: Outcome::Timeout, words };
            return Tried { last_crumb: crumb, ..Tried::of(verdict, begin) };
        }
        let told = fs::read(scratch.join(VERDICT)).ok();
        let verdict = told.and_then(|bytes| serde_json::from_slice::<Verdict>(&bytes).ok());
        match (verdict, status.success()) {
            (Some(verdict), true) => Tried::of(verdict, begin),
            (told, _) => {
                // A check that was through when the process died at its end.
                let place =
                    if told.is_some() { " after the check was done".to_owned() } else { place };
                let words = format!("the process ended by {}{place}", cause(status));
                let verdict = Verdict { outcome: Outcome::Crashed, words };
                Tried {
                    signal: status.signal(),
                    exit_code: status.code(),
                    last_crumb: crumb,
                    ..Tried::of(verdict, begin)
                }
            }
        }
    }
}

impl Tried {
    /// A verdict that took until now.
    pub fn of(verdict: Verdict, begin: Instant) -> Self {
        Self {
            verdict,
            seconds: begin.elapsed().as_secs_f64(),
            signal: None,
            exit_code: None,
            last_crumb: None,
            last_lines: Vec::new(),
        }
    }
}

fn millis(begin: Instant) -> u64 {
    u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Reads a pipe to its end; every byte is a sign of life.
fn read_along(
    mut pipe: Box<dyn std::io::Read + Send>,
    begin: Instant,
    sign_of_life: Arc<AtomicU64>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count) = pipe.read(&mut piece) {
            if count == 0 {
                break;
            }
            sign_of_life.store(millis(begin), Ordering::Relaxed);
            all.extend_from_slice(&piece[..count]);
            // A plugin that prints for ever must not fill the memory.
            if all.len() > 1 << 20 {
                all.drain(..1 << 19);
            }
        }
        all
    })
}
