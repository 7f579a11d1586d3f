//! `cargo xtask bench`: the engine and diffusers on torch in alternation, on the same weights and threads.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::build;

/// What is measured: the checkpoint, the command that both programs know, its rounds, and what it is.
const CASES: [(&str, &str, usize, &str); 10] = [
    ("emoji", "step 16 16", 15, "default checkpoint, one guided step"),
    ("emoji", "picture 20", 7, "default checkpoint, 20 steps and the picture, warm"),
    ("emoji", "text", 15, "default checkpoint, a text"),
    ("68m", "step 32 32", 7, "UNet of 67 M, one guided step at 32²"),
    ("68m", "step 64 64", 5, "UNet of 67 M, one guided step at 64²"),
    ("68m", "decode 32 32", 5, "autoencoder of SD 1.5, picture of 256²"),
    ("68m", "decode 64 64", 3, "autoencoder of SD 1.5, picture of 512²"),
    ("sd15", "step 64 64", 3, "SD 1.5, one guided step at 64²"),
    ("sd15", "text", 5, "SD 1.5, a text"),
    ("emoji", COLD, 5, "default checkpoint, from the start of the program to the picture"),
];

/// The case that starts a program for each round.
const COLD: &str = "cold";
const STEPS: &str = "20";

/// Time that something waited for a processor, as a share, above which a figure says little.
const DISTURBED: f64 = 0.1;

pub(crate) fn run(wanted: &[&str]) -> Result<ExitCode> {
    let programs = Programs::prepare()?;
    println!("{} threads; milliseconds, medians; below 1 is faster than torch\n", programs.threads);
    println!("| what | Atelier | torch | ratio | of the rounds | waiting |");
    println!("|---|---|---|---|---|---|");
    for checkpoint in ["emoji", "68m", "sd15"] {
        let cases: Vec<_> = CASES
            .iter()
            .filter(|case| case.0 == checkpoint)
            .filter(|case| wanted.is_empty() || wanted.iter().any(|it| case.3.contains(it)))
            .collect();
        if cases.is_empty() {
            continue;
        }
        let mut pair = programs.start(checkpoint)?;
        for (_, command, rounds, what) in cases {
            let mut measured = Vec::new();
            let (begin, waited) = (Instant::now(), waited());
            // The first round warms both up.
            for round in 0..=*rounds {
                let both = match *command {
                    COLD => [programs.cold_atelier()?, programs.cold_torch(checkpoint)?],
                    command => [pair[0].ask(command)?, pair[1].ask(command)?],
                };
                if round > 0 {
                    measured.push(both);
                }
            }
            let waiting = (self::waited() - waited) / begin.elapsed().as_secs_f64();
            row(what, &measured, waiting);
        }
        let [ours, torch] = [pair[0].ask("memory")?, pair[1].ask("memory")?];
        println!(
            "| {checkpoint}: most memory, MB | {:.0} | {:.0} | {:.2} | | |",
            ours / 1024.0,
            torch / 1024.0,
            ours / torch
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn row(what: &str, measured: &[[f64; 2]], waiting: f64) {
    let [ours, torch] = [0, 1].map(|which| median(measured.iter().map(|both| both[which])));
    let ratios = || measured.iter().map(|both| both[0] / both[1]);
    let (least, most) = (ratios().fold(f64::MAX, f64::min), ratios().fold(0.0, f64::max));
    let doubt = if waiting > DISTURBED { " (disturbed: measure again)" } else { "" };
    let waiting = waiting * 100.0;
    println!(
        "| {what} | {ours:.1} | {torch:.1} | **{:.2}** | {least:.2}–{most:.2} | {waiting:.0} %{doubt} |",
        ours / torch
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that something has waited for a processor since the start of the system, 0 where it does not tell.
fn waited() -> f64 {
    let text = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let total = text.split_whitespace().find_map(|word| word.strip_prefix("total="));
    total.and_then(|total| total.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// What is run, and where.
struct Programs {
    bench: PathBuf,
    atelier: PathBuf,
    python: PathBuf,
    rival: PathBuf,
    checkpoints: PathBuf,
    threads: String,
}

impl Programs {
    /// Builds what is ours, and fetches what is not.
    fn prepare() -> Result<Self> {
        let root = build::root();
        let target = build::target()?;
        let status = build::cargo()
            .args(["build", "--release", "--package", "atelier-host", "--bin", "atelier"])
            .args(["--package", "atelier-engine", "--example", "bench"])
            .status()
            .context("cargo cannot be run")?;
        ensure!(status.success(), "the build failed");
        let folder = target.join("rivals");
        let rival = root.join("tests/rivals/torch/rival.py");
        let environment = folder.join("python");
        let python = environment.join("bin/python");
        if !python.exists() {
            eprintln!("installing torch and diffusers in {} (6 GB)", environment.display());
            done(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let list = root.join("tests/rivals/torch/requirements.txt");
            done(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(list))?;
        }
        let checkpoints = folder.join("checkpoints");
        if !checkpoints.join("sd15/scheduler").exists() {
            eprintln!("making checkpoints in {} (2.5 GB)", checkpoints.display());
            done(Command::new(&python).arg(&rival).arg("make").arg(&checkpoints))?;
        }
        let threads = std::thread::available_parallelism()?.to_string();
        Ok(Self {
            bench: target.join("release/examples/bench"),
            atelier: target.join("release/atelier"),
            python,
            rival,
            checkpoints,
            threads,
        })
    }

    fn folder(&self, checkpoint: &str) -> PathBuf {
        match checkpoint {
            "emoji" => build::root().join("models/atelier-emoji-64"),
            made => self.checkpoints.join(made),
        }
    }

    /// Both programs with a checkpoint in memory.
    fn start(&self, checkpoint: &str) -> Result<[Running; 2]> {
        let mut ours = Command::new(&self.bench);
        ours.arg(self.folder(checkpoint)).env("RAYON_NUM_THREADS", &self.threads);
        let mut torch = self.torch(checkpoint);
        Ok([Running::start(&mut ours)?, Running::start(&mut torch)?])
    }

    fn torch(&self, checkpoint: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.rival).arg(self.folder(checkpoint)).args(["float32", &self.threads]);
        command.stderr(Stdio::null());
        command
    }

    /// Milliseconds from nothing to a picture.
    fn cold_atelier(&self) -> Result<f64> {
        let data = tempfile::tempdir()?;
        let begin = Instant::now();
        let mut command = Command::new(&self.atelier);
        command.args(["txt2img", "red heart", "--sampler", "Euler", "--no-save", "--json"]);
        command.args(["--steps", STEPS, "--data"]).arg(data.path());
        done(command.stdout(Stdio::null()))?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }

    fn cold_torch(&self, checkpoint: &str) -> Result<f64> {
        let begin = Instant::now();
        Running::start(&mut self.torch(checkpoint))?.ask(&format!("picture {STEPS}"))?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }
}

fn done(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).display().to_string();
    let status = command.status().with_context(|| format!("{name} cannot be run"))?;
    if !status.success() {
        bail!("{name} failed");
    }
    Ok(())
}

/// A program that answers commands.
struct Running {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Running {
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let to = child.stdin.take().context("a program without an input")?;
        let from = BufReader::new(child.stdout.take().context("a program without an output")?);
        let mut running = Self { child, to, from };
        let greeting = running.line()?;
        ensure!(greeting == "ready", "a program said “{greeting}”, not that it is ready");
        Ok(running)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn ask(&mut self, command: &str) -> Result<f64> {
        writeln!(self.to, "{command}")?;
        self.to.flush()?;
        let line = self.line()?;
        line.parse().with_context(|| format!("to “{command}” a program said “{line}”"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended itself, and then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
