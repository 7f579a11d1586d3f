//! `atelier plugins new`: what it makes builds, passes its test, is valid and draws.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    os::unix::fs::symlink,
    path::Path,
    process::{Command, Output},
};

use atelier_suite::{atelier, packages, root, variant};
use tempfile::TempDir;

fn new(folder: &Path, flags: &[&str]) -> Output {
    let mut command = Command::new(atelier());
    command.args(["plugins", "new"]).args(flags).arg("--dir").arg(folder);
    command.env("ATELIER_DATA", folder.join("data")).output().expect("the atelier command")
}

fn passes(command: &mut Command) {
    let output = command.output().expect("a command");
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
}

fn validated_and_drawn(folder: &Path, library: &Path) {
    let told = |words: &[&str]| {
        let mut command = Command::new(atelier());
        command.env("ATELIER_DATA", folder.join("data")).args(words).arg(library);
        command
    };
    passes(&mut told(&["plugins", "trust"]));
    passes(&mut told(&["plugins", "validate", "--level", "5"]));
    let mut draw = Command::new(atelier());
    draw.env("ATELIER_DATA", folder.join("data")).arg("--plugins").arg(library);
    passes(draw.args(["txt2img", "red heart", "--steps", "2", "--on-error", "fail-run"]));
}

/// Every hook at once: what is written for each compiles without a warning.
#[test]
fn a_new_plugin_in_rust_with_every_hook_builds_is_valid_and_draws() {
    let folder = TempDir::new().expect("a folder");
    let hooks = "model_loaded,before_process,process,before_process_batch,\
                 after_extra_networks_activate,process_batch,before_hr,process_before_every_sampling,extra_noise,\
                 cfg_denoiser,cfg_denoised,cfg_combine,on_mask_blend,cfg_after_cfg,after_step,post_sample,\
                 postprocess_batch,postprocess_batch_list,postprocess_image,postprocess_maskoverlay,\
                 postprocess_image_after_composite,before_image_saved,image_saved,image_grid,postprocess,finish";
    let root = root();
    let checkout = root.to_str().expect("a path");
    let output = new(folder.path(), &["all-hooks", "--api-path", checkout, "--hooks", hooks]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = folder.path().join("all-hooks");
    for file in
        ["Cargo.toml", "README.md", ".github/workflows/ci.yml", ".gitignore", "tests/run.rs"]
    {
        assert!(made.join(file).is_file(), "{file}");
    }
    symlink(variant::target(), made.join("target")).expect("a link");
    variant::lock(&made);
    for task in ["build", "test"] {
        let mut cargo = packages::cargo();
        cargo
            .current_dir(&made)
            .args([task, "--offline"])
            .env("RUSTFLAGS", "")
            .env_remove("CARGO_TARGET_DIR");
        let output = cargo.output().expect("cargo");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}{errors}", String::from_utf8_lossy(&output.stdout));
        assert!(!errors.contains("warning"), "{errors}");
    }
    validated_and_drawn(folder.path(), &variant::target().join("debug/liball_hooks.so"));
}

#[test]
fn a_new_plugin_in_c_builds_is_valid_and_draws() {
    let folder = TempDir::new().expect("a folder");
    let hooks = "before_process,model_loaded,process,after_step,postprocess_image,finish";
    let output = new(folder.path(), &["grainy", "--lang", "c", "--hooks", hooks]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let made = folder.path().join("grainy");
    passes(Command::new("make").current_dir(&made).env("CFLAGS", "-O2 -Werror"));
    validated_and_drawn(folder.path(), &made.join("libgrainy.so"));
}

#[test]
fn names_hooks_and_folders_that_will_not_do_are_refused() {
    let folder = TempDir::new().expect("a folder");
    for (flags, words) in [
        (&["Bad Name"][..], "Bad Name"),
        (&["good", "--hooks", "postproces_image"], "did you mean “postprocess_image”?"),
        (&["good", "--hooks", "start"], "there is no hook “start”"),
        (&["good", "--api-path", "/no/checkout"], "--api-path takes a checkout"),
        (&["data"], "is there already"),
    ] {
        std::fs::create_dir_all(folder.path().join("data")).expect("a folder");
        let output = new(folder.path(), flags);
        assert_eq!(output.status.code(), Some(2), "{flags:?}");
        let errors = String::from_utf8_lossy(&output.stderr).replace("\nhint: ", "; ");
        assert!(errors.contains(words), "{flags:?}: {errors}");
    }
}
