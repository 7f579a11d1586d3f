//! `cargo xtask bench`: the engine, diffusers on torch and the same networks elsewhere in alternation, on the
//! same weights and threads.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio},
    time::{Duration, Instant},
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

/// What the engine computes in, as its bench calls it.
const OURS: [&str; 2] = ["f32", "bf16"];

/// A program that does the same.
struct Rival {
    name: &'static str,
    /// What `rival.py` calls it.
    with: &'static str,
    /// Which of [`OURS`] it is compared with.
    beside: usize,
}

/// The first is what everything is a share of.
const RIVALS: [Rival; 4] = [
    Rival { name: "torch", with: "float32", beside: 0 },
    Rival { name: "both in bf16", with: "bfloat16", beside: 1 },
    Rival { name: "onnxruntime", with: "onnxruntime", beside: 0 },
    Rival { name: "openvino", with: "openvino", beside: 0 },
];

/// The case that starts a program for each round: ours and the first rival's.
const COLD: &str = "cold";
const STEPS: &str = "20";

/// Before each measurement: threads of the program that was asked before go on looking for work.
const PAUSE: Duration = Duration::from_millis(250);

/// Time that something waited for a processor, as a share, above which a figure says little.
const DISTURBED: f64 = 0.1;

pub(crate) fn run(wanted: &[&str]) -> Result<ExitCode> {
    let programs = Programs::prepare()?;
    println!(
        "{} threads; milliseconds, medians, and ratios to ours; below 1 Atelier is faster\n",
        programs.threads
    );
    if !has_bf16() {
        println!("this processor has no AVX512-BF16: torch in bf16 is beside Atelier in f32\n");
    }
    let others = RIVALS[1..].iter().map(|rival| format!(" {} |", rival.name));
    println!(
        "| what | Atelier | torch | ratio | of the rounds |{} waiting |",
        others.collect::<String>()
    );
    println!("|---|---|---|---|---|{}---|", "---|".repeat(RIVALS.len() - 1));
    for (checkpoint, name) in [
        ("emoji", "default checkpoint"),
        ("68m", "UNet of 67 M and autoencoder"),
        ("sd15", "SD 1.5"),
    ] {
        let cases: Vec<_> = CASES
            .iter()
            .filter(|case| case.0 == checkpoint)
            .filter(|case| wanted.is_empty() || wanted.iter().any(|it| case.3.contains(it)))
            .collect();
        if cases.is_empty() {
            continue;
        }
        let mut all = programs.start(checkpoint)?;
        for (_, command, rounds, what) in cases {
            let mut measured = Vec::new();
            let (begin, waited) = (Instant::now(), waited());
            // The first round warms all of them up.
            for round in 0..=*rounds {
                let times = match *command {
                    COLD => {
                        let ours = programs.cold_atelier()?;
                        vec![ours, f64::NAN, programs.cold_torch(checkpoint)?]
                    }
                    command => {
                        all.iter_mut().map(|it| it.ask_rested(command)).collect::<Result<_>>()?
                    }
                };
                if round > 0 {
                    measured.push(times);
                }
            }
            let waiting = (self::waited() - waited) / begin.elapsed().as_secs_f64();
            row(what, &measured, waiting);
        }
        let memory = all.iter_mut().map(|it| it.ask("memory")).collect::<Result<Vec<_>>>()?;
        let shares = shares(&memory);
        println!(
            "| {name}: most memory, MB | {:.0} | {:.0} | **{:.2}** | |{} |",
            memory[0] / 1024.0,
            memory[OURS.len()] / 1024.0,
            shares[0],
            cells(&shares[1..])
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A case: for each round the times of all programs, ours first.
fn row(what: &str, measured: &[Vec<f64>], waiting: f64) {
    let programs = measured.first().map_or(0, Vec::len);
    let times: Vec<f64> =
        (0..programs).map(|which| median(measured.iter().map(|times| times[which]))).collect();
    let shares = shares(&times);
    let first = OURS.len();
    let ratios = || measured.iter().map(|times| times[0] / times[first]);
    let (least, most) = (ratios().fold(f64::MAX, f64::min), ratios().fold(0.0, f64::max));
    let doubt = if waiting > DISTURBED { " (disturbed: measure again)" } else { "" };
    println!(
        "| {what} | {:.1} | {:.1} | **{:.2}** | {least:.2}–{most:.2} |{} {:.0} %{doubt} |",
        times[0],
        times[first],
        shares[0],
        cells(&shares[1..]),
        waiting * 100.0
    );
}

/// What ours is of each rival's, of which there may be fewer.
fn shares(all: &[f64]) -> Vec<f64> {
    let (ours, theirs) = all.split_at(OURS.len().min(all.len()));
    theirs.iter().zip(&RIVALS).map(|(theirs, rival)| ours[rival.beside] / theirs).collect()
}

/// The other rivals' cells, empty where they were not asked.
fn cells(shares: &[f64]) -> String {
    let cell =
        |which: usize| shares.get(which).map_or(" |".into(), |share| format!(" {share:.2} |"));
    (0..RIVALS.len() - 1).map(cell).collect()
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

/// Whether the engine can compute in bf16 here.
fn has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// What is run, and where.
struct Programs {
    bench: PathBuf,
    atelier: PathBuf,
    python: PathBuf,
    rival: PathBuf,
    exported: PathBuf,
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
        let list = root.join("tests/rivals/torch/requirements.txt");
        let installed = environment.join("requirements.txt");
        if fs::read(&installed).ok() != fs::read(&list).ok() {
            eprintln!(
                "installing torch, diffusers, onnxruntime and openvino in {} (7 GB)",
                environment.display()
            );
            done(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            done(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(&list))?;
            fs::copy(&list, &installed)?;
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
            exported: folder.join("exported"),
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

    /// All programs with a checkpoint in memory, ours first.
    fn start(&self, checkpoint: &str) -> Result<Vec<Running>> {
        let ours = OURS.map(|precision| {
            let precision = if has_bf16() { precision } else { OURS[0] };
            let mut ours = Command::new(&self.bench);
            ours.arg(self.folder(checkpoint)).arg(precision);
            ours.env("RAYON_NUM_THREADS", &self.threads);
            ours
        });
        // More of the largest than these do not fit into 24 GB together.
        let count = if checkpoint == "sd15" { 2 } else { RIVALS.len() };
        let rivals = RIVALS[..count].iter().map(|rival| self.rival(checkpoint, rival.with));
        ours.into_iter().chain(rivals).map(|mut command| Running::start(&mut command)).collect()
    }

    fn rival(&self, checkpoint: &str, with: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.rival).arg(self.folder(checkpoint)).args([with, &self.threads]);
        command.arg(&self.exported).stderr(Stdio::null());
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
        Running::start(&mut self.rival(checkpoint, RIVALS[0].with))?
            .ask(&format!("picture {STEPS}"))?;
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

    /// The same when other programs have come to rest.
    fn ask_rested(&mut self, command: &str) -> Result<f64> {
        std::thread::sleep(PAUSE);
        self.ask(command)
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
