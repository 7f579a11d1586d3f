//! `atelier plugins new`: a plugin to begin with, that builds and passes its test.

mod hooks;

use std::{
    fs,
    path::{Path, PathBuf},
};

use atelier_plugin_abi::{C_HEADER, Hook, version::ABI_VERSION_TEXT};
use clap::{Args, ValueEnum};
use serde_json::json;

use crate::{
    cli::{
        draw::nearest,
        error::Failure,
        ui::{Ui, short_path, style},
    },
    plugins::PluginId,
};

/// What `--api-path` stands for while nothing is asked for: the published crates.
const API_VERSION: &str = "\"0.1\"";

#[derive(Debug, Args)]
pub(in crate::cli) struct NewArgs {
    /// The plugin's id, and the name of its folder: lower-case letters, digits, - and _
    name: String,
    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,
    /// The hooks it has, with commas between
    #[arg(long, value_name = "HOOKS", default_value = "postprocess_image", value_delimiter = ',')]
    hooks: Vec<String>,
    /// A checkout of Atelier to build against, instead of the published crates
    #[arg(long, value_name = "DIR")]
    api_path: Option<PathBuf>,
    /// The folder to make it in
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Language {
    Rust,
    C,
}

/// Names and pieces that templates are filled with.
struct Pieces(Vec<(&'static str, String)>);

impl Pieces {
    fn fill(&self, template: &str) -> String {
        self.0.iter().fold(template.to_owned(), |text, (name, piece)| {
            text.replace(&format!("{{{{{name}}}}}"), piece)
        })
    }
}

pub(super) fn run(ui: &Ui, args: &NewArgs) -> Result<(), Failure> {
    let id = PluginId::new(&args.name).map_err(Failure::refused)?;
    let hooks = args.hooks.iter().map(|name| hook(name)).collect::<Result<Vec<_>, _>>()?;
    let folder = args.dir.join(id.as_str());
    if folder.exists() {
        return Err(Failure::refused(format!(
            "{} is there already; take another name, or another folder with --dir",
            short_path(&folder)
        )));
    }
    let files = match args.lang {
        Language::Rust => rust(&id, &hooks, args.api_path.as_deref())?,
        Language::C => c(&id, &hooks),
    };
    for (name, text) in &files {
        let file = folder.join(name);
        let written = fs::create_dir_all(file.parent().unwrap_or(&folder))
            .and_then(|()| fs::write(&file, text));
        written.map_err(|error| {
            Failure::failed(format!("{} cannot be written ({error})", short_path(&file)))
        })?;
    }
    if ui.json {
        let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
        return Ok(ui.document(&json!({"folder": folder, "files": names}))?);
    }
    for (name, _) in &files {
        Ui::line(&short_path(&folder.join(name)));
    }
    let next = match args.lang {
        Language::Rust => "cargo test",
        Language::C => "make test",
    };
    let next = format!("next: cd {} && {next}", short_path(&folder));
    Ui::line(&ui.paint(style::HINT, &next));
    Ok(())
}

fn hook(name: &str) -> Result<Hook, Failure> {
    let known = Hook::ALL.iter().copied().filter(|hook| *hook != Hook::Start);
    Hook::from_name(name).filter(|hook| *hook != Hook::Start).ok_or_else(|| {
        let hint = match nearest(name, known.clone().map(Hook::name)) {
            Some(nearest) => format!("did you mean “{nearest}”?"),
            None => format!("there are: {}", known.map(Hook::name).collect::<Vec<_>>().join(", ")),
        };
        Failure::refused(format!("there is no hook “{name}”; {hint}"))
    })
}

/// `lens-flare` as a title: `Lens flare`.
fn title(id: &PluginId) -> String {
    let words = id.as_str().replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// `lens-flare` as a type: `LensFlare`.
fn type_name(id: &PluginId) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    let name: String = id.as_str().split(['-', '_']).map(capital).collect();
    // A type cannot begin with a digit.
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        format!("Plugin{name}")
    } else {
        name
    }
}

fn common(id: &PluginId) -> Vec<(&'static str, String)> {
    let key = id.as_str().replace('-', "_");
    vec![
        ("name", id.to_string()),
        ("title", title(id)),
        ("type", type_name(id)),
        ("crate", key.clone()),
        ("key", key),
        ("abi", ABI_VERSION_TEXT.to_owned()),
    ]
}

type Files = Vec<(PathBuf, String)>;

fn rust(id: &PluginId, hooks: &[Hook], api_path: Option<&Path>) -> Result<Files, Failure> {
    let dependency = |folder: &str| -> Result<String, Failure> {
        match api_path {
            None => Ok(API_VERSION.to_owned()),
            Some(checkout) => {
                let path = fs::canonicalize(checkout.join(folder)).map_err(|error| {
                    Failure::refused(format!(
                        "there is no {} ({error}); --api-path takes a checkout of Atelier",
                        short_path(&checkout.join(folder))
                    ))
                })?;
                Ok(format!("{{ path = {:?} }}", path.display().to_string()))
            }
        }
    };
    let selectable = hooks.contains(&Hook::Run);
    let mut pieces = common(id);
    pieces.push(("api", dependency("plugin-api")?));
    pieces.push(("testkit", dependency("tests/testkit")?));
    pieces.push(("hooks", hooks.iter().map(|hook| hooks::rust(*hook)).collect()));
    let script = if selectable { format!(".script(\"{id}\")") } else { String::new() };
    pieces.push(("script", script));
    let names = Pieces(pieces);
    let strength = hooks.contains(&Hook::PostprocessImage) && !selectable;
    let more = if strength {
        names.fill(include_str!("templates/rust/more.rs.in"))
    } else {
        String::new()
    };
    let test = names.fill(include_str!("templates/rust/run.rs.in")).replace("{{more}}\n", &more);
    Ok(vec![
        ("Cargo.toml".into(), names.fill(include_str!("templates/rust/Cargo.toml.in"))),
        // Hooks are filled with names too.
        ("src/lib.rs".into(), names.fill(&names.fill(include_str!("templates/rust/lib.rs.in")))),
        ("tests/run.rs".into(), test),
        ("README.md".into(), names.fill(include_str!("templates/rust/README.md.in"))),
        (".github/workflows/ci.yml".into(), names.fill(include_str!("templates/rust/ci.yml.in"))),
        (".gitignore".into(), include_str!("templates/rust/gitignore.in").to_owned()),
    ])
}

fn c(id: &PluginId, hooks: &[Hook]) -> Files {
    let mut pieces = common(id);
    let names: Vec<_> = hooks.iter().map(|hook| hook.name()).collect();
    pieces.push(("hook_names", names.join(", ")));
    let of_run = || hooks.iter().copied().filter(|hook| !hook.of_plugin());
    pieces.push(("functions", of_run().map(hooks::c_function).collect()));
    pieces.push(("cases", of_run().map(hooks::c_case).collect()));
    let of_plugin: Vec<_> = hooks.iter().copied().filter(|hook| hook.of_plugin()).collect();
    let (function, name) = if of_plugin.is_empty() {
        (String::new(), "NULL")
    } else {
        (hooks::c_plugin_function(&of_plugin), "call_plugin")
    };
    pieces.push(("plugin_function", function));
    pieces.push(("call_plugin", name.to_owned()));
    let names = Pieces(pieces);
    let source = names.fill(&names.fill(include_str!("templates/c/plugin.c.in")));
    let file = names.fill("{{crate}}.c");
    vec![
        (file.into(), source),
        ("atelier_plugin.h".into(), C_HEADER.to_owned()),
        ("Makefile".into(), names.fill(include_str!("templates/c/Makefile.in"))),
        ("README.md".into(), names.fill(include_str!("templates/c/README.md.in"))),
        (".github/workflows/ci.yml".into(), names.fill(include_str!("templates/c/ci.yml.in"))),
        (".gitignore".into(), include_str!("templates/c/gitignore.in").to_owned()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_titles_and_types() {
        for (id, title_, type_) in [
            ("lens-flare", "Lens flare", "LensFlare"),
            ("x_y", "X y", "XY"),
            ("3d", "3d", "Plugin3d"),
        ] {
            let id = PluginId::new(id).unwrap();
            assert_eq!((title(&id), type_name(&id)), (title_.to_owned(), type_.to_owned()));
        }
    }

    #[test]
    fn every_template_is_filled_for_every_hook() {
        let id = PluginId::new("lens-flare").unwrap();
        for hook in Hook::ALL.iter().copied().filter(|hook| *hook != Hook::Start) {
            let rust = rust(&id, &[hook], None).unwrap();
            for (name, text) in rust.into_iter().chain(c(&id, &[hook])) {
                assert!(!text.contains("{{"), "{hook}: {}: {text}", name.display());
            }
        }
    }
}
