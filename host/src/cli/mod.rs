//! The `atelier` command: flags for all commands here, then one file per command.
//!
//! Exit codes: 0 done, 1 failed, 2 refused before anything began, 130 cancelled.

mod consent;
mod doctor;
mod draw;
mod error;
mod host;
mod img2img;
mod log;
mod models;
mod options;
mod plugins;
mod runs;
mod schema;
mod seam;
mod styles;
mod txt2img;
mod ui;
mod worker;

use std::{path::PathBuf, process::ExitCode};

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use error::Failure;
use ui::Ui;

/// Draws pictures, with plugins at every stage and a snapshot of all options for every run.
#[derive(Debug, Parser)]
#[command(name = "atelier", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every command has.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "independent flags, read by name")]
struct Global {
    /// Folder of options, extensions, models, outputs and records
    /// [default: ~/.local/share/atelier]
    #[arg(long, value_name = "DIR", env = "ATELIER_DATA", global = true, hide_env_values = true)]
    data: Option<PathBuf>,
    /// Loads a plugin beside those in the data folder, or a folder of them
    #[arg(long, value_name = "PATH", global = true)]
    plugins: Vec<PathBuf>,
    /// Leaves out the plugins of the data folder
    #[arg(long, global = true)]
    no_extensions: bool,
    /// Starts without any plugin; which ones are enabled stays as it is
    #[arg(long, global = true)]
    safe: bool,
    /// Refuses other plugins than those in the lock file
    #[arg(long, global = true)]
    locked: bool,
    /// Where plugins run, whatever options and manifests say
    #[arg(long, value_name = "WHERE", global = true)]
    isolation: Option<Isolation>,
    /// Puts every plugin behind bytes
    #[arg(long, global = true, hide = true)]
    loopback: bool,
    /// Prints one JSON document instead of text, also where something went wrong
    #[arg(long, global = true)]
    json: bool,
    /// Tells more: -v what happens, -vv why
    #[arg(short, long, action = ArgAction::Count, global = true)]
    verbose: u8,
    /// Tells errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// How log lines look on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text", global = true)]
    log_format: LogFormat,
    /// Colours
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    color: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Isolation {
    /// In the host's own process
    InProcess,
    /// Each in a process of its own
    Worker,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draws pictures from a prompt
    Txt2img(Box<txt2img::Txt2img>),
    /// Draws pictures from a picture and a prompt
    Img2img(Box<img2img::Img2img>),
    /// Shows who still reads live options, and where that made a difference
    Seam(seam::SeamArgs),
    /// Lists, inspects and switches plugins
    #[command(subcommand)]
    Plugins(plugins::Plugins),
    /// Lists, shows and sets options
    #[command(subcommand)]
    Options(options::Options),
    /// Lists and shows the records of runs
    #[command(subcommand)]
    Runs(runs::Runs),
    /// Lists checkpoints, LoRAs and VAEs
    #[command(subcommand)]
    Models(models::Models),
    /// Lists styles
    #[command(subcommand)]
    Styles(styles::Styles),
    /// Looks over everything that is installed, and says what to do about what is wrong
    Doctor,
    /// Serves one plugin: the host starts this itself
    #[command(hide = true)]
    Worker {
        /// The plugin's id, for whoever lists processes
        id: String,
    },
    /// Prints the JSON schema of records
    #[command(hide = true)]
    Schema,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version come this way too, with code 0.
            let _ = error.print();
            if error.use_stderr() && std::env::args_os().any(|word| word == "--json") {
                Failure::refused(error.render()).document();
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if matches!(cli.command, Command::Worker { .. }) {
        return worker::run();
    }
    let ui = Ui::new(&cli.global);
    match &cli.command {
        // What it prints is the plugin's alone.
        Command::Plugins(plugins::Plugins::ValidateCheck(args)) => log::into_file(&args.log()),
        command => log::begin(&cli.global, &ui, matches!(command, Command::Plugins(_))),
    }
    match run(&ui, &cli.global, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.show(&ui);
            ExitCode::from(failure.code())
        }
    }
}

fn run(ui: &Ui, global: &Global, command: Command) -> Result<(), Failure> {
    match command {
        Command::Txt2img(args) => txt2img::run(ui, global, *args),
        Command::Img2img(args) => img2img::run(ui, global, *args),
        Command::Seam(args) => seam::run(ui, global, &args),
        Command::Plugins(command) => plugins::run(ui, global, command),
        Command::Options(command) => options::run(ui, global, command),
        Command::Runs(command) => runs::run(ui, global, command),
        Command::Models(command) => models::run(ui, global, &command),
        Command::Styles(command) => styles::run(ui, global, &command),
        Command::Schema => {
            schema::run(ui);
            Ok(())
        }
        Command::Doctor => doctor::run(ui, global),
        Command::Worker { .. } => Err(worker::refused()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
