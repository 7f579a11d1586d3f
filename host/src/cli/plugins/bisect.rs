//! `atelier plugins bisect`: which of the plugins does it?

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use serde_json::{Value as Json, json};

use super::{manifests, progress, trust};
use crate::{
    Atelier,
    bisect::{Bench, Outcome, culprits},
    cli::{
        Global,
        error::Failure,
        ui::{Ui, counted, cut, style},
    },
    plugins::{Isolation, disabled},
};

/// What is drawn where nobody says.
const COMMAND: [&str; 4] = ["txt2img", "red heart", "--steps", "4"];

#[derive(Debug, Args)]
#[command(
    after_help = "For example: atelier plugins bisect -- txt2img \"red heart\" --seed 7 -o wildcards_seed=1"
)]
pub(in crate::cli) struct BisectArgs {
    /// What to look for; a broken run where it breaks, a changed picture otherwise
    #[arg(long = "for", value_name = "WHAT")]
    wanted: Option<Wanted>,
    /// Longest time for one run, in seconds; a run that takes longer is broken
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// How to draw: a whole txt2img or img2img command
    /// [default: txt2img "red heart" --steps 4 --seed 1]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Wanted {
    /// The run fails, a hook of it fails, or the process dies or hangs
    Breaks,
    /// The pictures are others than without plugins
    Changes,
}

/// The plugins that are tried, and what came of it so far.
struct Bisect<'a> {
    ui: &'a Ui,
    bench: Bench,
    plugins: Vec<(String, PathBuf)>,
    bar: ProgressBar,
    tries: Vec<Json>,
}

pub(super) fn run(
    ui: &Ui,
    global: &Global,
    atelier: &Atelier,
    args: &BisectArgs,
) -> Result<(), Failure> {
    let plugins = plugins(global, atelier)?;
    if plugins.is_empty() {
        return Err(Failure::refused(
            "there is no plugin to look for; `atelier plugins list` shows what there is",
        ));
    }
    let bench = Bench {
        program: std::env::current_exe().map_err(Failure::failed)?,
        data: atelier.data().to_owned(),
        flags: flags(global),
        command: command(&args.command)?,
        patience: Duration::from_secs(args.timeout),
    };
    let mut bisect = Bisect { ui, bench, plugins, bar: progress(ui), tries: Vec::new() };
    let found = bisect.search(args.wanted);
    bisect.bar.finish_and_clear();
    let (what, found) = found?;
    bisect.tell(what, &found)
}

/// Those that would be loaded, each id once.
fn plugins(global: &Global, atelier: &Atelier) -> Result<Vec<(String, PathBuf)>, Failure> {
    let state = atelier.store().load_full();
    let mut plugins: Vec<(String, PathBuf)> = Vec::new();
    for (path, manifest) in manifests(global, atelier) {
        let id = manifest.id.to_string();
        let known = plugins.iter().any(|(other, _)| *other == id);
        if !known && disabled(&state.options, &manifest.id).is_none() {
            trust::consent(atelier, &path)?;
            plugins.push((id, std::path::absolute(path).map_err(Failure::failed)?));
        }
    }
    Ok(plugins)
}

/// The command that draws, with a seed: other pictures must have another reason.
fn command(given: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let mut command = given.to_vec();
    if command.is_empty() {
        command.extend(COMMAND.map(OsString::from));
    }
    let name = command[0].to_string_lossy();
    if !matches!(&*name, "txt2img" | "img2img") {
        return Err(Failure::refused(format!(
            "{name} draws nothing; give a txt2img or img2img command behind --"
        )));
    }
    let seeded = command.iter().any(|word| {
        let word = word.to_string_lossy();
        word.starts_with("--seed") || (word.starts_with("-s") && !word.starts_with("--"))
    });
    if !seeded {
        command.extend(["--seed", "1"].map(OsString::from));
    }
    command.push("--no-save".into());
    Ok(command)
}

fn flags(global: &Global) -> Vec<OsString> {
    let mut flags: Vec<OsString> = Vec::new();
    if let Some(isolation) = global.isolation {
        flags.extend(["--isolation".into(), Isolation::from(isolation).word().into()]);
    }
    if global.loopback {
        flags.push("--loopback".into());
    }
    flags
}

impl Bisect<'_> {
    /// What was looked for, and the plugins that do it, by their places.
    fn search(&mut self, wanted: Option<Wanted>) -> Result<(Wanted, Vec<usize>), Failure> {
        let all: Vec<usize> = (0..self.plugins.len()).collect();
        let without = self.draw(&[])?;
        let plain = match without {
            Outcome::Done { pixels } => pixels,
            Outcome::Broken { how } | Outcome::Refused { why: how } => {
                return Err(Failure::refused(format!(
                    "this does not work without any plugin either: {how}; mend the command or the options first"
                )));
            }
        };
        let with = self.draw(&all)?;
        let what = wanted.unwrap_or(match &with {
            Outcome::Done { .. } => Wanted::Changes,
            _ => Wanted::Breaks,
        });
        let bad = |outcome: &Outcome| match (what, outcome) {
            (Wanted::Breaks, outcome) => !matches!(outcome, Outcome::Done { .. }),
            // A run that breaks has no pictures to compare: it tells nothing of them.
            (Wanted::Changes, outcome) => {
                matches!(outcome, Outcome::Done { pixels } if *pixels != plain)
            }
        };
        if !bad(&with) {
            return Ok((what, Vec::new()));
        }
        if what == Wanted::Changes {
            let again = self.draw(&[])?;
            if again != (Outcome::Done { pixels: plain.clone() }) {
                return Err(Failure::refused(
                    "the pictures differ from one run to the next without any plugin; give a --seed",
                ));
            }
        }
        let found =
            culprits(&all, &mut |tried: &[usize]| Ok::<_, Failure>(bad(&self.draw(tried)?)))?;
        Ok((what, found))
    }

    fn draw(&mut self, which: &[usize]) -> Result<Outcome, Failure> {
        let ids: Vec<&str> = which.iter().map(|at| self.plugins[*at].0.as_str()).collect();
        let of = match ids.as_slice() {
            [one] => format!("{one} alone"),
            ids => format!("{} of {}", ids.len(), counted(self.plugins.len(), "plugin")),
        };
        self.bar.set_message(format!("try {}: {of}", self.tries.len() + 1));
        let paths: Vec<&Path> = which.iter().map(|at| self.plugins[*at].1.as_path()).collect();
        let outcome = self.bench.draw(&paths).map_err(Failure::failed)?;
        self.bar.suspend(|| {
            if self.ui.json {
                return;
            }
            let words = match &outcome {
                Outcome::Done { pixels } => {
                    let hash = pixels.first().map_or("no picture", |hash| &hash[..8]);
                    format!("{} {hash}", self.ui.paint(style::GOOD, "done"))
                }
                Outcome::Broken { how } => {
                    format!("{} {}", self.ui.paint(style::ERROR, "broken"), cut(how, 80))
                }
                Outcome::Refused { why } => {
                    format!("{} {}", self.ui.paint(style::ERROR, "refused"), cut(why, 80))
                }
            };
            Ui::line(&format!("{:>3}  {of:<24}  {words}", self.tries.len() + 1));
        });
        self.tries.push(json!({"plugins": ids, "outcome": outcome}));
        Ok(outcome)
    }

    fn tell(&self, what: Wanted, found: &[usize]) -> Result<(), Failure> {
        let ids: Vec<&str> = found.iter().map(|at| self.plugins[*at].0.as_str()).collect();
        let word = match what {
            Wanted::Breaks => "breaks",
            Wanted::Changes => "changes",
        };
        if self.ui.json {
            return Ok(self
                .ui
                .document(&json!({"what": word, "culprits": ids, "tries": self.tries}))?);
        }
        let (alone, together, next) = match what {
            Wanted::Breaks => ("breaks the run", "break the run, together", "to go on without it"),
            Wanted::Changes => (
                "changes the picture",
                "change the picture, together",
                "another may, too; to look further",
            ),
        };
        let Some(first) = ids.first() else {
            let nothing = format!("no plugin {word} it; nothing to look for");
            Ui::line(&self.ui.paint(style::GOOD, &nothing));
            return Ok(());
        };
        let does = if ids.len() == 1 { alone } else { together };
        Ui::line(&format!("{} {does}", self.ui.paint(style::STRONG, &ids.join(" and "))));
        Ui::line(&self.ui.paint(style::HINT, &format!("{next}: atelier plugins disable {first}")));
        Ok(())
    }
}
