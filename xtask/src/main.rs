//! Commands for people who work on Atelier: `cargo xtask help` lists them.

#![forbid(unsafe_code)]

mod bench;
mod build;
mod demo;
mod header;
mod parity;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  demo [PROMPT]   builds the host and four example plugins, draws with them, shows the seam
  plugins         builds the example plugins and prints where they are
  header [--check]
                  writes plugin-api/include/atelier_plugin.h from plugin-api/abi;
                  with --check, says whether it is up to date
  bench [WORD...] measures the engine and diffusers on torch in alternation, in release builds: all, or
                  the cases with one of the words in them
  parity          measures the engine against diffusers, k-diffusion and torch, and writes
                  docs/parity.md";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["demo"] => demo::run(demo::PROMPT),
        ["demo", prompt] if !prompt.starts_with('-') => demo::run(prompt),
        ["plugins"] => {
            for library in build::examples()?.libraries {
                println!("{}", library.display());
            }
            Ok(ExitCode::SUCCESS)
        }
        ["header"] => header::write(),
        ["header", "--check"] => header::check(),
        ["bench", words @ ..] if !words.iter().any(|word| word.starts_with('-')) => {
            bench::run(words)
        }
        ["parity"] => parity::run(),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        [] => bail!("no command\n\n{USAGE}"),
        [other, ..] => {
            bail!("“{other}” is no command, or has arguments it does not take\n\n{USAGE}")
        }
    }
}
