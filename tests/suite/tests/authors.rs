//! What authors do: a crate of their own, far from this workspace, and mistakes.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use atelier_suite::{every_way, packages, variant};
use atelier_testkit::TestHost;

const PLUGIN: &str = r#"//! Darkens every finished picture.

use atelier_plugin_api::prelude::*;

/// Counts pictures over all runs.
#[derive(Debug, Default)]
pub struct Darken(std::sync::atomic::AtomicU32);

#[plugin(id = "PACKAGE", name = "Darken", after = ["watermark"])]
impl Plugin for Darken {
    type Run = DarkenRun;

    fn options() -> Vec<OptionSpec> {
        vec![OptionSpec::float("darken_keep", 0.5).label("Keep").section("Darken")]
    }
    fn args() -> Vec<ArgSpec> {
        vec![ArgSpec::bool("enabled", true)]
    }
    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> {
        Ok(Self::default())
    }
    fn start(&self, cx: &RunStart<'_>) -> Result<DarkenRun, PluginError> {
        let run = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(DarkenRun { keep: cx.snapshot().get("darken_keep")?, run })
    }
}

/// One run of it.
#[derive(Debug)]
pub struct DarkenRun {
    keep: f64,
    run: u32,
}

#[plugin_run]
impl Run for DarkenRun {
    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        if !cx.args().get::<bool>("enabled")? {
            return Ok(());
        }
        for byte in cx.image_mut().data {
            *byte = (f64::from(*byte) * self.keep) as u8;
        }
        cx.infotext("Darken run", i64::from(self.run))
    }
}
"#;

/// A crate outside of the workspace, with a lock file of its own and one dependency.
fn outside(name: &str, patch: &str) -> PathBuf {
    let folder = variant::workbench(name);
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.3.1\"\nedition = \"2024\"\n\n\
         [lib]\ncrate-type = [\"cdylib\"]\n\n\
         [dependencies]\natelier-plugin-api = \"0.1.0\"\n\n[workspace]\n\n{patch}"
    );
    variant::write(&folder.join("Cargo.toml"), &manifest);
    variant::write(&folder.join("src/lib.rs"), &PLUGIN.replace("PACKAGE", name));
    folder
}

fn build(mut cargo: Command, folder: &Path, name: &str) -> PathBuf {
    let target = variant::target();
    cargo.current_dir(folder).args(["build", "--offline", "--target-dir"]).arg(&target);
    let output = cargo.output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(folder.join("Cargo.lock").exists());
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    target.join(format!("debug/{prefix}{}{suffix}", name.replace('-', "_")))
}

fn runs(library: &Path, id: &str) {
    every_way(|wiring| {
        let host = TestHost::new(&[library.to_owned()], wiring);
        let [entry] = host.atelier().plugins() else { panic!("one entry") };
        assert_eq!(entry.state.reason(), None);
        let manifest = entry.manifest.as_ref().expect("a manifest");
        assert_eq!((manifest.id.as_str(), &*manifest.version), (id, "0.3.1"));
        assert_eq!(manifest.hooks, ["postprocess_image"]);
        assert_eq!(manifest.after, ["watermark"]);
        assert_eq!(host.option("darken_keep"), 0.5);

        let alone = TestHost::new(&[], wiring);
        let light = alone.draw(alone.request()).pictures.remove(0).image;
        let mut request = host.request();
        request.override_settings.insert("darken_keep".to_owned(), 0.25.into());
        for run in 0..2 {
            let finished = host.draw(request.clone());
            let dark: Vec<u8> = light.iter().map(|byte| (f64::from(*byte) * 0.25) as u8).collect();
            assert_eq!(finished.pictures[0].image.as_raw(), &dark, "{wiring:?}");
            let infotext = &finished.pictures[0].infotext;
            assert!(infotext.contains(&format!("Darken run: {run}")), "{infotext}");
            assert_eq!(finished.record.failures, []);
        }
    });
}

#[test]
fn a_plugin_outside_the_workspace_builds_against_the_packages_and_runs() {
    let patch = packages::patch_table();
    let folder = outside("darken", &patch);
    runs(&build(packages::cargo(), &folder, "darken"), "darken");
    let lock = std::fs::read_to_string(folder.join("Cargo.lock")).expect("its own lock file");
    assert!(lock.contains("name = \"darken\"") && !lock.contains("atelier-host"));
}

#[test]
fn a_plugin_of_another_compiler_runs() {
    let Some(nightly) = packages::cargo_of("nightly") else {
        println!("skipped: there is no nightly toolchain");
        return;
    };
    let folder = outside("darken-nightly", &packages::patch_table());
    runs(&build(nightly, &folder, "darken-nightly"), "darken-nightly");
}

/// A mistake, the source that has it, and what the compiler has to say.
const MISTAKES: [(&str, &str, &str); 16] = [
    (
        "missing_start",
        "#[plugin(id = \"x\")] impl Run for X { fn process(&mut self, _: &mut RunCx<'_>) -> HookResult { Ok(()) } }",
        "a plugin needs `fn start(cx: &RunStart<'_>) -> Result<Self, PluginError>`",
    ),
    (
        "generic",
        "struct G<T>(T); #[plugin(id = \"x\")] impl<T: Send + 'static> Run for G<T> { fn start(_: &RunStart<'_>) -> Result<Self, PluginError> { todo!() } }",
        "a plugin is one type: it cannot be generic",
    ),
    (
        "bad_id",
        "#[plugin(id = \"My Plugin\")] impl Run for X { START }",
        "a plugin's id has lower-case letters, digits, `-` and `_` only",
    ),
    (
        "empty_id",
        "#[plugin(id = \"\")] impl Run for X { START }",
        "a plugin's id has 1 to 64 characters",
    ),
    ("no_id", "#[plugin(name = \"X\")] impl Run for X { START }", "Missing field `id`"),
    (
        "unknown_argument",
        "#[plugin(id = \"x\", nmae = \"X\")] impl Run for X { START }",
        "Unknown field: `nmae`",
    ),
    (
        "order_is_no_list",
        "#[plugin(id = \"x\", before = \"y\")] impl Run for X { START }",
        "expected a list of texts",
    ),
    (
        "another_trait",
        "#[plugin(id = \"x\")] impl Clone for X { fn clone(&self) -> Self { X } }",
        "#[plugin] goes on `impl Run for YourType` or `impl Plugin for YourType`",
    ),
    (
        "no_trait",
        "#[plugin(id = \"x\")] impl X { fn start() {} }",
        "#[plugin] goes on `impl Run for YourType` or `impl Plugin for YourType`",
    ),
    (
        "no_such_hook",
        "#[plugin(id = \"x\")] impl Run for X { START fn proces(&mut self, _: &mut RunCx<'_>) -> HookResult { Ok(()) } }",
        "method `proces` is not a member of trait `Run`",
    ),
    (
        "unmarked_run",
        "PLUGIN impl Run for X { fn process(&mut self, _: &mut RunCx<'_>) -> HookResult { Ok(()) } }",
        "the hooks of `X` are not known",
    ),
    (
        "run_with_start",
        "PLUGIN #[plugin_run] impl Run for X { START }",
        "this belongs to the `impl Plugin for …` here: it would never be called",
    ),
    (
        "run_with_arguments",
        "PLUGIN #[plugin_run(id = \"x\")] impl Run for X { }",
        "#[plugin_run] takes no arguments",
    ),
    (
        "no_snapshot_before_process",
        "#[plugin(id = \"x\")] impl Run for X { START fn before_process(cx: &mut RequestCx<'_>) -> HookResult { cx.snapshot(); Ok(()) } }",
        "no method named `snapshot` found",
    ),
    (
        "not_send",
        "struct L(std::rc::Rc<u8>); #[plugin(id = \"x\")] impl Run for L { fn start(_: &RunStart<'_>) -> Result<Self, PluginError> { todo!() } }",
        "cannot be sent between threads safely",
    ),
    (
        "kept_live",
        "struct L(Live<'static>); #[plugin(id = \"x\")] impl Run for L { fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> { Ok(Self(cx.live())) } }",
        "",
    ),
];

const START: &str = "fn start(_: &RunStart<'_>) -> Result<Self, PluginError> { Ok(X) }";
const OF_PLUGIN: &str = "struct P; #[plugin(id = \"p\")] impl Plugin for P { type Run = X; \
    fn create(_: &CreateCx<'_>) -> Result<Self, PluginError> { Ok(P) } \
    fn start(&self, _: &RunStart<'_>) -> Result<X, PluginError> { Ok(X) } }";

#[test]
fn mistakes_are_named_where_they_are_made() {
    let folder = variant::workbench("mistakes");
    let manifest = format!(
        "[package]\nname = \"mistakes\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n\
         [lib]\npath = \"lib.rs\"\n\n\
         [dependencies]\natelier-plugin-api = \"0.1.0\"\n\n[workspace]\n\n{}",
        packages::patch_table()
    );
    variant::write(&folder.join("Cargo.toml"), &manifest);
    variant::write(&folder.join("lib.rs"), "");
    let example = |name: &str, code: &str| {
        let code = code.replace("START", START).replace("PLUGIN ", &format!("{OF_PLUGIN} "));
        let text = format!(
            "#![allow(dead_code)]\nuse atelier_plugin_api::prelude::*;\nstruct X;\n{code}\nfn main() {{}}\n"
        );
        variant::write(&folder.join(format!("examples/{name}.rs")), &text);
    };
    // These are right: otherwise the mistakes might be refused for another reason.
    example("right_run", "#[plugin(id = \"x\", before = [\"y\"])] impl Run for X { START }");
    example("right_plugin", "PLUGIN #[plugin_run] impl Run for X { }");
    for (name, code, _) in MISTAKES {
        example(name, code);
    }
    let output = packages::cargo()
        .current_dir(&folder)
        .args(["check", "--offline", "--examples", "--keep-going", "--message-format=json"])
        .arg("--target-dir")
        .arg(variant::target())
        .output()
        .expect("cargo");
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let (target, message) = (&message["target"]["name"], &message["message"]);
        if message["level"] == "error" {
            let text = message["message"].as_str().unwrap_or_default().to_owned();
            errors.entry(target.as_str().unwrap_or_default().to_owned()).or_default().push(text);
        }
    }
    let whole = String::from_utf8_lossy(&output.stderr);
    for right in ["right_run", "right_plugin"] {
        assert_eq!(errors.get(right), None, "{whole}");
    }
    for (name, _, words) in MISTAKES {
        let told = errors.get(name).unwrap_or_else(|| panic!("{name} is not refused: {whole}"));
        assert!(told.iter().any(|text| text.contains(words)), "{name}: {told:?}");
    }
}
