//! Minor versions of the boundary: a newer plugin on this host, this host's plugin on a newer one.

use std::{fs, path::PathBuf, process::Command};

use atelier_suite::{
    plugin, root,
    variant::{self, Edit, edit},
};
use atelier_testkit::both_ways;

use crate::loaded;

/// Version 1.2: a function more in both tables, a hook more.
const MINOR: [Edit<'static>; 9] = [
    Edit { file: "Cargo.toml", from: "version = \"1.1.0\"", to: "version = \"1.2.0\"" },
    Edit {
        file: "src/tables.rs",
        from: "    pub fail: unsafe extern \"C\" fn(context: *mut Opaque, message: Str, place: Str) -> u32,\n",
        to: "    pub fail: unsafe extern \"C\" fn(context: *mut Opaque, message: Str, place: Str) -> u32,\n    /// New in 1.2.\n    pub novelty: unsafe extern \"C\" fn(*mut Opaque, u64) -> u32,\n",
    },
    Edit {
        file: "src/tables.rs",
        from: "    pub drop_plugin: Option<unsafe extern \"C\" fn(plugin: *mut Opaque, call: *const Call) -> u32>,\n",
        to: "    pub drop_plugin: Option<unsafe extern \"C\" fn(plugin: *mut Opaque, call: *const Call) -> u32>,\n    /// New in 1.2.\n    pub novelty: extern \"C\" fn() -> u32,\n",
    },
    Edit { file: "src/host/bridge.rs", from: "    fail,\n};", to: "    fail,\n    novelty,\n};" },
    Edit {
        file: "src/host/bridge.rs",
        from: "static CONTEXT: ContextTable",
        to: "unsafe extern \"C\" fn novelty(_: *mut Opaque, number: u64) -> u32 {\n    number as u32\n}\n\nstatic CONTEXT: ContextTable",
    },
    Edit {
        file: "src/plugin/export.rs",
        from: "        drop_plugin: Some(drop_boxed::<P>),\n",
        to: "        drop_plugin: Some(drop_boxed::<P>),\n        novelty,\n",
    },
    Edit {
        file: "src/plugin/export.rs",
        from: "/// Runs a hook and turns",
        to: "extern \"C\" fn novelty() -> u32 {\n    11\n}\n\n/// Runs a hook and turns",
    },
    Edit {
        file: "src/plugin/cx.rs",
        from: "    /// Whether the run was cancelled.\n",
        to: "    /// New in 1.2.\n    #[must_use]\n    pub fn novelty(self, number: u64) -> u32 {\n        // SAFETY: as everywhere here.\n        unsafe { ask!(self, novelty(number)) }\n    }\n\n    /// Whether the run was cancelled.\n",
    },
    Edit {
        file: "src/codes.rs",
        from: "        Finish = 21 => \"finish\",\n",
        to: "        Finish = 21 => \"finish\",\n        /// New in 1.2.\n        Novelty = 1000 => \"novelty\",\n",
    },
];

/// A plugin of version 1.2 that has the new hook and an option of a new kind, and calls the new
/// function in `post_sample`.
fn newer_plugin() -> PathBuf {
    let own = [
        edit(
            "src/export.rs",
            "[\\\"process\\\"]",
            "[\\\"process\\\",\\\"post_sample\\\",\\\"novelty\\\"]",
        ),
        edit(
            "src/export.rs",
            r#"{"options":[],"args":[]}"#,
            r##"{"options":[{"key":"newer_colour","kind":"colour","default":"#ff0000","shades":7}],"args":[{"name":"tint","kind":"colour","default":"#00ff00"}],"novelties":[]}"##,
        ),
        edit(
            "src/export.rs",
            "        let told = ",
            "        if hook == crate::Hook::PostSample {\n            let answer = entry.cx.novelty(3);\n            return Err(Failure::new(format!(\"the host of ABI {} answers {answer}\", entry.cx.host_abi())));\n        }\n        let told = ",
        ),
    ];
    variant::plugin("newer-plugin", &[&MINOR[..], &own].concat())
}

#[test]
fn a_plugin_of_a_newer_minor_version_runs_on_this_host() {
    let library = newer_plugin();
    both_ways(|wiring| {
        let host = loaded(library.clone(), wiring);
        let manifest = host.atelier().plugins()[0].manifest.as_ref().expect("a manifest");
        assert_eq!(manifest.abi, "1.2");
        let state = host.atelier().store().load_full();
        let notices = &state.companion.order().notices;
        assert!(
            notices.iter().any(|notice| notice.contains("hook “novelty”")),
            "no notice of the unknown hook: {notices:?}"
        );
        // An option of an unknown kind is kept as whatever it is.
        assert_eq!(host.option("newer_colour"), "#ff0000");
        let mut request = host.request();
        request.override_settings.insert("newer_colour".to_owned(), "#0000ff".into());
        let finished = host.draw(request);
        assert!(finished.pictures[0].infotext.contains("Variant: process"), "{wiring:?}");
        // The function that this host does not have is the plugin's failure, and nobody's end.
        let [failure] = &finished.record.failures[..] else { panic!("one failure") };
        assert_eq!((&*failure.hook, &*failure.status), ("post_sample", "failed"));
        assert_eq!(failure.message, "the host of ABI 1.1 answers 10");
    });
}

/// A host whose boundary is of version 1.2, as a program that draws with the plugin it is given.
fn newer_host() -> PathBuf {
    const MAIN: &str = r#"
use atelier_testkit::{TestHost, Wiring};

fn main() {
    let library = std::env::args().nth(1).expect("a library");
    for wiring in [Wiring::Direct, Wiring::Loopback] {
        let host = TestHost::new(&[library.clone().into()], wiring);
        for entry in host.atelier().plugins() {
            if let Some(reason) = entry.state.reason() {
                println!("refused: {reason}");
                return;
            }
        }
        let finished = host.draw(host.request());
        println!("failures: {:?}", finished.record.failures);
        println!("infotext: {}", finished.pictures[0].infotext);
        println!("hooks: {:?}", finished.record.hooks);
    }
}
"#;
    const PACKAGE: &str = "[package]\nname = \"newer-host\"\nversion = \"0.1.0\"\nedition.workspace = true\n\n[dependencies]\natelier-testkit = { path = \"../testkit\" }\n";
    let workspace = variant::workbench("newer-host");
    let root = root();
    variant::copy(&root.join("plugin-api/abi"), &workspace.join("abi"), &MINOR);
    // The kit calls plugins that are linked with it: of the same version.
    variant::copy(&root.join("plugin-api"), &workspace.join("api"), &[]);
    variant::copy(&root.join("host"), &workspace.join("host"), &[]);
    variant::copy(&root.join("tests/testkit"), &workspace.join("testkit"), &[]);
    variant::write(&workspace.join("newer/Cargo.toml"), PACKAGE);
    variant::write(&workspace.join("newer/src/main.rs"), MAIN);
    let mut manifest =
        "[workspace]\nresolver = \"3\"\nmembers = [\"abi\", \"api\", \"host\", \"testkit\", \"newer\"]\n\n"
            .to_owned();
    manifest.push_str(&variant::shared_tables());
    for (ours, copy) in [("plugin-api/abi", "abi"), ("plugin-api", "api"), ("host", "host")] {
        let from = format!("\"{}/{ours}\"", root.display());
        assert!(manifest.contains(&from), "{from} is not in the root manifest");
        manifest = manifest.replace(&from, &format!("\"{copy}\""));
    }
    variant::write(&workspace.join("Cargo.toml"), &manifest);
    variant::lock(&workspace);
    let target = variant::target();
    let status = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .current_dir(&workspace)
        .args(["build", "--offline", "--package", "newer-host", "--target-dir"])
        .arg(&target)
        .status()
        .expect("cargo");
    assert!(status.success(), "the newer host does not build");
    target.join("debug/newer-host")
}

#[test]
fn plugins_of_this_version_run_on_a_host_of_a_newer_minor_version() {
    let host = newer_host();
    for (library, words) in [
        (variant::plugin("older-plugin", &[]), "Variant: process"),
        (plugin("watermark"), "infotext: a cat"),
        (newer_plugin(), "the host of ABI 1.2 answers 3"),
    ] {
        let output = Command::new(&host).arg(&library).output().expect("the newer host");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!told.contains("refused"), "{told}");
        assert!(told.contains(words), "{told}");
    }
    let liar = variant::plugin(
        "abi-field-type",
        &[edit("src/frame.rs", "pub model_call: u32", "pub model_call: i32")],
    );
    let output = Command::new(&host).arg(&liar).output().expect("the newer host");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains("refused: its view of the boundary differs"), "{told}");
    fs::metadata(host).expect("the newer host is still there");
}
