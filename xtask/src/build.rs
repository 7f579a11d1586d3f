//! Builds with cargo, and asks cargo where things are.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The example that is there to fail, which would spoil every picture.
const LEFT_OUT: &str = "misbehaving";

/// What was built.
#[derive(Debug, Default)]
pub(crate) struct Built {
    /// The plugins' libraries.
    pub(crate) libraries: Vec<PathBuf>,
    /// The `atelier` binary, if it was among what was to be built.
    pub(crate) binary: Option<PathBuf>,
}

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// cargo in the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // Set for this program by `cargo run`; a build inside must not take them for its own.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

fn metadata() -> Result<Value> {
    let output = cargo()
        .args(["metadata", "--no-deps", "--format-version=1"])
        .stderr(Stdio::inherit())
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("cargo metadata failed");
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")
}

/// The folder that builds go to.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata = metadata()?;
    let folder = metadata["target_directory"].as_str().context("cargo names no target folder")?;
    Ok(folder.into())
}

/// The packages under `example-plugins/`, by name.
fn example_packages() -> Result<Vec<String>> {
    let folder = root().join("example-plugins");
    let metadata = metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = packages.filter_map(|package| {
        let inside = Path::new(package["manifest_path"].as_str()?).starts_with(&folder);
        let name = package["name"].as_str()?;
        (inside && name != LEFT_OUT).then(|| name.to_owned())
    });
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        bail!("there are no packages in {}", folder.display());
    }
    Ok(names)
}

/// Builds all example plugins.
pub(crate) fn examples() -> Result<Built> {
    let packages = example_packages()?;
    build(&packages.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Builds packages in one go.
pub(crate) fn build(packages: &[&str]) -> Result<Built> {
    let mut command = cargo();
    command.args(["build", "--message-format=json-render-diagnostics"]);
    for package in packages {
        command.args(["--package", package]);
    }
    let output = command.stderr(Stdio::inherit()).output().context("cargo cannot be run")?;
    if !output.status.success() {
        bail!("the build failed");
    }
    let mut built = Built::default();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Ok(message) = serde_json::from_str(line) {
            built.note(&message);
        }
    }
    built.libraries.sort();
    Ok(built)
}

impl Built {
    fn note(&mut self, message: &Value) {
        let kinds = message["target"]["kind"].as_array().into_iter().flatten();
        let kinds: Vec<&str> = kinds.filter_map(Value::as_str).collect();
        if message["reason"] != "compiler-artifact" {
            return;
        }
        if kinds.contains(&"bin") && message["target"]["name"] == "atelier" {
            self.binary = message["executable"].as_str().map(PathBuf::from);
        }
        let inside = message["manifest_path"]
            .as_str()
            .is_some_and(|path| Path::new(path).starts_with(root().join("example-plugins")));
        if inside && kinds.contains(&"cdylib") {
            let files = message["filenames"].as_array().into_iter().flatten();
            let mut files = files.filter_map(Value::as_str).map(PathBuf::from);
            self.libraries.extend(files.find(|file| {
                file.extension().is_some_and(|ending| ending == env::consts::DLL_EXTENSION)
            }));
        }
    }
}
