//! Plugins that were built when a version of the ABI was frozen: they load for ever, go through every
//! hook, and are told what they were told then.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, InitImages, RunRequest, RunState},
};
use atelier_plugin_abi::Hook;
use atelier_suite::{Kind, Log, every_way, masked, plugin, root, variant};
use atelier_testkit::{TestHost, Wiring, build, logs};
use image::RgbImage;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The folders of all frozen versions.
fn versions() -> Vec<PathBuf> {
    let folder = fs::read_dir(root().join("tests/golden")).expect("a folder");
    let mut versions: Vec<PathBuf> =
        folder.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty(), "no version is frozen");
    versions
}

/// The minor version that a folder is of.
fn minor(version: &Path) -> u32 {
    let name = version.file_name().expect("a name").to_string_lossy().into_owned();
    name.strip_prefix("abi-1.").and_then(|minor| minor.parse().ok()).expect("abi-1.x")
}

/// The hooks that a version has: those that its frozen header names.
fn hooks_of(version: &Path) -> Vec<Hook> {
    let header = format!("plugin-api/abi/frozen/1.{}.h", minor(version));
    let header = fs::read_to_string(root().join(header)).expect("a frozen header");
    let named = |hook: &Hook| {
        header.contains(&format!("ATELIER_HOOK_{} = {}", hook.name().to_uppercase(), hook.code()))
    };
    Hook::ALL.iter().copied().filter(named).collect()
}

/// The runs in which a version's hooks are called.
fn runs(version: &Path, host: &TestHost) -> Vec<(&'static str, RunRequest)> {
    let mut runs = vec![("text", from_text(host)), ("picture", from_picture(host))];
    if minor(version) >= 1 {
        let one = || RunRequest { n_iter: 1, ..from_text(host) };
        runs.push(("masked", masked(one())));
        runs.push(("hires", Kind::Hires.of(one())));
    }
    runs
}

/// A run of two pictures and their grid.
fn from_text(host: &TestHost) -> RunRequest {
    let settings = json!({"return_grid": true, "grid_save": true, "save_to_dirs": false, "grid_save_to_dirs": false});
    RunRequest {
        steps: 2,
        n_iter: 2,
        override_settings: settings.as_object().expect("an object").clone(),
        ..host.request()
    }
}

fn from_picture(host: &TestHost) -> RunRequest {
    RunRequest {
        init_images: Some(InitImages(vec![RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([x as u8 * 3, y as u8 * 3, 90])
        })])),
        denoising_strength: 0.6,
        n_iter: 1,
        ..from_text(host)
    }
}

fn selecting(host: &TestHost, id: &str, args: &Value) -> RunRequest {
    let id = PluginId::new(id).expect("an id");
    let mut request = RunRequest { script_name: Some(id.clone()), n_iter: 1, ..from_text(host) };
    let args = args.as_object().expect("an object").clone();
    request.plugin_args.insert(id, GivenArgs::Named(args));
    request
}

/// Text without what differs from run to run.
fn plain(text: &str, host: &TestHost, finished: &Finished) -> String {
    let folder = host.folder().display().to_string();
    text.replace(&folder, "FOLDER").replace(&finished.record.id, "RUN").replace('\n', "\\n")
}

/// Text without what another version of the host may say otherwise: the digest of all its options, its
/// own version, its words for a refusal.
fn without_the_host(text: &str) -> String {
    let mut text = text.to_owned();
    for name in ["Options snapshot: ", "Version: "] {
        let pieces: Vec<&str> = text.split(name).collect();
        let rest = |piece: &&str| {
            let end = piece.find([',', '\\', '"', '}']).unwrap_or(piece.len());
            format!("{name}-{}", &piece[end..])
        };
        text = pieces[..1]
            .iter()
            .map(|first| (*first).to_owned())
            .chain(pieces[1..].iter().map(rest))
            .collect();
    }
    // `hook: what: status text words`, with a status that is not 0.
    match text.split_once(" text ") {
        Some((before, _))
            if before
                .rsplit(' ')
                .next()
                .is_some_and(|it| it != "0" && it.parse::<u32>().is_ok()) =>
        {
            before.to_owned()
        }
        _ => text,
    }
}

/// Without numbers that another processor or mathematics library may round otherwise.
fn without_hashes(lines: &[String]) -> Vec<String> {
    let json = |line: &str| {
        let mut line: Value = serde_json::from_str(line).ok()?;
        forget(&mut line);
        Some(line.to_string())
    };
    let plain = |line: &String| line.split(", hash ").next().unwrap_or_default().to_owned();
    let lines = lines.iter().map(|line| json(line).unwrap_or_else(|| plain(line)));
    lines.map(|line| without_the_host(&line)).collect()
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["hash", "mean", "min", "max", "sigma", "time", "thread"] {
                fields.remove(name);
            }
            fields.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// Compares lines with those that were seen when the version was frozen.
fn as_then(version: &Path, name: &str, wiring: Wiring, lines: &[String]) {
    let path = version.join(name);
    let now = without_hashes(lines).join("\n") + "\n";
    // What holds for one way of calling holds for all.
    if std::env::var_os("ATELIER_BLESS").is_some() && matches!(wiring, Wiring::Direct) {
        fs::write(&path, &now).expect("a file");
    }
    let then = fs::read_to_string(&path).expect("what was seen then");
    for (at, (now, then)) in now.lines().zip(then.lines()).enumerate() {
        assert_eq!(now, then, "{}: line {}, {wiring:?}", path.display(), at + 1);
    }
    assert_eq!(now.lines().count(), then.lines().count(), "{}: lines", path.display());
}

fn host(library: &Path, wiring: Wiring) -> TestHost {
    let host = TestHost::builder().library(library).wiring(wiring).build();
    for entry in host.atelier().plugins() {
        assert_eq!(entry.state.reason(), None, "{}", entry.path.display());
    }
    host
}

/// They fail at one hook on purpose.
fn only_the_grid_fails(run: &Finished) {
    let failures = &run.record.failures;
    let on_purpose = |hook: &str, words: &str| hook == "image_grid" && words == "golden fails here";
    assert!(failures.iter().all(|it| on_purpose(&it.hook, &it.message)), "{failures:?}");
}

fn pixels(finished: &Finished) -> Vec<Vec<u8>> {
    finished.pictures.iter().map(|picture| picture.image.as_raw().clone()).collect()
}

#[test]
fn they_are_the_files_that_were_made() {
    for version in versions() {
        let sums = fs::read_to_string(version.join("SHA256SUMS")).expect("sums");
        assert_eq!(sums.lines().count(), 4);
        for line in sums.lines() {
            let (sum, name) = line.split_once("  ").expect("a sum and a name");
            let bytes = fs::read(version.join(name)).expect("a library");
            let found = format!("{:x}", Sha256::digest(&bytes));
            assert_eq!(found, sum, "{name} in {}", version.display());
        }
    }
}

/// What a plugin in C logged in its runs, and what they drew.
fn in_c(
    version: &Path,
    library: &Path,
    script: bool,
    wiring: Wiring,
) -> (Vec<String>, Vec<Vec<u8>>) {
    let mut told = Vec::new();
    let mut drawn = Vec::new();
    let ((host, finished), lines) = logs::of(|| {
        let host = host(library, wiring);
        let requests = if script {
            vec![selecting(&host, "golden-script", &json!({"word": "script"}))]
        } else {
            runs(version, &host).into_iter().map(|(_, request)| request).collect()
        };
        let mut finished = Vec::new();
        for request in requests {
            let run = host.draw(request);
            assert_eq!(run.record.state, RunState::Done, "{:?}", run.error);
            only_the_grid_fails(&run);
            drawn.extend(pixels(&run));
            finished.push(run);
        }
        (host, finished)
    });
    for line in lines.iter().filter(|line| line.plugin.starts_with("golden")) {
        let text = finished.iter().fold(line.message.clone(), |text, run| plain(&text, &host, run));
        told.push(format!("{}: {text}", line.hook.as_deref().unwrap_or("-")));
    }
    (told, drawn)
}

#[test]
fn the_one_in_c_is_told_what_it_was_told_then_and_what_todays_build_is_told() {
    let folder = variant::workbench("golden-today");
    fs::create_dir_all(&folder).expect("a folder");
    let (source, include) =
        (root().join("tests/golden/golden.c"), root().join("plugin-api/include"));
    for (name, flag) in [("golden", "-DGOLDEN"), ("golden_script", "-DGOLDEN_SCRIPT")] {
        let file = format!("lib{name}.so");
        let script = name == "golden_script";
        for version in versions() {
            // Today's asks for what there was then.
            let asked = format!("-DGOLDEN_MINOR={}", minor(&version));
            let today = folder.join(format!("lib{name}_{}.so", minor(&version)));
            build::with_cc_as(&source, &include, &today, &[flag, &asked]);
            every_way(|wiring| {
                let (told, drawn) = in_c(&version, &version.join(&file), script, wiring);
                as_then(&version, &format!("{name}.told"), wiring, &told);
                let (told_today, drawn_today) = in_c(&version, &today, script, wiring);
                assert_eq!(told, told_today, "{wiring:?}");
                assert!(drawn == drawn_today, "{wiring:?}: other pictures");
            });
        }
    }
}

#[test]
fn together_they_had_every_hook() {
    let all = ["golden.told", "golden_script.told"];
    for version in versions() {
        let told = all.map(|name| fs::read_to_string(version.join(name)).expect("what was told"));
        let lines: Vec<&str> = told.iter().flat_map(|text| text.lines()).collect();
        for hook in hooks_of(&version) {
            let begin = format!("{}: ", hook.name());
            assert!(lines.iter().any(|line| line.starts_with(&begin)), "{hook}");
        }
    }
}

/// What the probe does at every hook of a version: it looks, changes, asks for work.
fn probe_script(version: &Path) -> Value {
    let look = json!({"look": true});
    let ask =
        json!([{"params": true}, {"live": "samples_format"}, {"snapshot": "probe_a_text"}, look]);
    let mut script = serde_json::Map::new();
    let hooks = hooks_of(version).into_iter().map(Hook::name);
    // A probe cannot be selected, and before a run nobody gives it arguments.
    for hook in hooks.filter(|hook| !matches!(*hook, "run" | "model_loaded")) {
        let mut actions = ask.as_array().cloned().unwrap_or_default();
        let more = match hook {
            "before_process" => json!([{"override": ["probe_a_number", 2.5]}, {"overrides": true}]),
            "process" => json!([
                {"args": true},
                {"set": ["cfg_scale", 4.5]},
                {"set_run": ["probe_a_flag", true]},
                {"set_live": ["probe_a_text", "live"]},
                {"set_prompt": ["a dog"]},
                {"infotext": ["Golden", "yes"]},
            ]),
            "process_batch" => json!([{"encode_text": "a cat"}, {"cancelled": true}]),
            "process_before_every_sampling" => json!([{"add": 0.125}, {"replace_uncond": 77}]),
            "extra_noise" | "on_mask_blend" => json!([{"add": 0.125}]),
            "before_hr" => json!([{"set": ["cfg_scale", 3.5]}]),
            "postprocess_maskoverlay" => json!([{"add": 0.1, "buffer": "mask"}, {"add": 0.1}]),
            "post_sample" => json!([{"decode": true}, {"add": -0.125}]),
            "postprocess_batch_list" => json!([{"push": [32, 16, 0]}]),
            "postprocess_image" => json!([{"add": 0.1}, {"save_picture": "-golden"}]),
            "image_grid" => json!([{"error": "golden fails here"}]),
            _ => json!([{"log": "here"}]),
        };
        actions.extend(more.as_array().cloned().unwrap_or_default());
        script.insert(hook.to_owned(), Value::Array(actions));
    }
    Value::Object(script)
}

/// What the probe logged in two runs, and what they drew.
fn in_rust(version: &Path, library: &Path, wiring: Wiring) -> (Vec<String>, Vec<Vec<u8>>) {
    let host = host(library, wiring);
    let (mut told, mut drawn) = (Vec::new(), Vec::new());
    for (name, request) in runs(version, &host) {
        let log = Log::new(&host, name);
        let mut request = request;
        log.script(&mut request, "probe-a", &probe_script(version));
        let run = host.draw(request);
        assert_eq!(run.record.state, RunState::Done, "{:?}", run.error);
        only_the_grid_fails(&run);
        let lines = log.lines();
        told.extend(lines.iter().map(|line| plain(&line.to_string(), &host, &run)));
        drawn.extend(pixels(&run));
    }
    (told, drawn)
}

#[test]
fn the_one_in_rust_is_told_what_it_was_told_then_and_draws_as_todays_build() {
    for version in versions() {
        let library = version.join("libprobe_a.so");
        every_way(|wiring| {
            let (told, drawn) = in_rust(&version, &library, wiring);
            as_then(&version, "probe_a.told", wiring, &told);
            let (_, today) = in_rust(&version, &plugin("probe-a"), wiring);
            assert!(drawn == today, "{wiring:?}: other pictures");
        });
    }
}

#[test]
fn the_selectable_one_makes_its_child_runs() {
    let children = json!([{"seed": 3, "steps": 2}, {"prompt": "a dog"}]).to_string();
    for version in versions() {
        every_way(|wiring| {
            let draw = |library: &Path| {
                let host = host(library, wiring);
                let run = host.draw(selecting(&host, "selectable", &json!({"children": children})));
                assert_eq!((run.record.state, run.record.children.len()), (RunState::Done, 2));
                pixels(&run)
            };
            let drawn = draw(&version.join("libselectable.so"));
            assert_eq!(drawn.len(), 2);
            assert!(drawn == draw(&plugin("selectable")), "{wiring:?}: other pictures");
        });
    }
}
