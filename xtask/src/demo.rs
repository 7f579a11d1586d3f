//! One run with four example plugins, and what the host saw of their reads.

use std::process::{Command, ExitCode, ExitStatus};

use anyhow::{Context as _, Result};

use crate::build;

/// What the demo draws unless told otherwise: something the default checkpoint is good at.
pub(crate) const PROMPT: &str = "cat face";

/// One plugin of every kind that the seam knows: ready, live, diverged.
const PLUGINS: [&str; 4] = ["latent-noise", "option-drift", "prompt-styles", "watermark"];

/// Builds, draws and shows; the exit code is the first that is not 0.
pub(crate) fn run(prompt: &str) -> Result<ExitCode> {
    let built = build::build(&[&["atelier-host"], &PLUGINS[..]].concat())?;
    let binary = built.binary.as_deref().context("cargo built no atelier binary")?;
    let data = build::target()?.join("demo");
    let atelier = || {
        let mut command = Command::new(binary);
        command.arg("--data").arg(&data);
        command
    };
    let mut draw = atelier();
    for library in &built.libraries {
        draw.arg("--plugins").arg(library);
    }
    draw.args(["txt2img", "--seed", "7", "--", prompt]);
    let drawn = draw.status().context("atelier cannot be run")?;
    if !drawn.success() {
        return Ok(code(drawn));
    }
    println!();
    let shown = atelier().args(["seam", "--run", "last"]).status()?;
    println!();
    println!("More of the run: {} --data {} runs show", binary.display(), data.display());
    Ok(code(shown))
}

fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
