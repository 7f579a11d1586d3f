//! Whole runs on the fake engine with the real library.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, RunRequest},
};
use atelier_testkit::{TestHost, Wiring, both_ways, build, script};
use serde_json::{Value, json};

/// A host with the plugin, with a probe that does what a script says, and with one that combines anew.
fn host(wiring: Wiring) -> TestHost {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let plugins = BUILT.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = ["cfg-rescale", "dynamic-thresholding", "probe-a"];
        build::cdylibs(here, &packages, &[]).into_values().collect()
    });
    TestHost::new(plugins, wiring)
}

/// The fake engine's two predictions are equally wide and guiding does not change that, so the
/// probe makes the one with the negative prompt flat. More actions of the probe may come with it.
fn request(host: &TestHost, phi: f64, actions: &Value) -> RunRequest {
    let mut request = host.request();
    request.override_settings.insert("cfg_rescale_phi".to_owned(), json!(phi));
    let mut all = json!({ "cfg_denoised": [{ "fill": 0.0, "buffer": "uncond" }] });
    for (hook, actions) in actions.as_object().expect("hooks and actions") {
        all[hook] = actions.clone();
    }
    script(&mut request, "probe-a", &host.folder().join("log"), &all);
    request
}

/// Draws with that φ.
fn drawn(host: &TestHost, phi: f64) -> Finished {
    draw(host, request(host, phi, &json!({})))
}

/// Draws a request in which no hook may fail.
fn draw(host: &TestHost, request: RunRequest) -> Finished {
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, []);
    finished
}

fn same(one: &Finished, other: &Finished) -> bool {
    one.pictures[0].image == other.pictures[0].image
}

#[test]
fn it_changes_the_picture_as_far_as_it_is_told_to() {
    both_ways(|wiring| {
        let host = host(wiring);
        let [off, some, all] = [0.0, 0.5, 1.0].map(|phi| drawn(&host, phi));
        assert!(!same(&off, &some) && !same(&some, &all) && !same(&off, &all), "{wiring:?}");
        assert!(some.pictures[0].infotext.contains("CFG Rescale: 0.5,"));
        assert!(!off.pictures[0].infotext.contains("CFG Rescale"));
    });
}

#[test]
fn switched_off_it_leaves_the_picture_alone() {
    both_ways(|wiring| {
        let (host, without) = (host(wiring), TestHost::new(&[], wiring));
        let off = draw(&host, host.request());
        assert!(same(&off, &draw(&without, without.request())), "{wiring:?}");
    });
}

#[test]
fn a_combination_as_wide_as_the_prediction_with_the_prompt_stays_as_it_is() {
    both_ways(|wiring| {
        let host = host(wiring);
        let untouched = json!({ "cfg_denoised": [] });
        let [off, all] = [0.0, 1.0].map(|phi| draw(&host, request(&host, phi, &untouched)));
        assert!(same(&off, &all), "{wiring:?}");
    });
}

#[test]
fn the_argument_goes_before_the_option() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut asking = request(&host, 0.2, &json!({}));
        let id = PluginId::new("cfg-rescale").expect("an id");
        asking.plugin_args.insert(id, GivenArgs::Positional(vec![json!(1.0)]));
        let asked = draw(&host, asking);
        assert!(same(&asked, &drawn(&host, 1.0)), "{wiring:?}");
        assert!(asked.record.ledger.iter().all(|row| row.reader != "cfg-rescale"));
    });
}

#[test]
fn it_rescales_what_dynamic_thresholding_combined() {
    both_ways(|wiring| {
        let host = host(wiring);
        let [off, all] = [0.0, 1.0].map(|phi| {
            let mut request = request(&host, phi, &json!({}));
            let enabled = "dynamic_thresholding_enabled".to_owned();
            request.override_settings.insert(enabled, json!(true));
            draw(&host, request)
        });
        assert!(!same(&off, &all), "{wiring:?}");
    });
}

#[test]
fn every_step_reads_the_option_as_it_is_then() {
    both_ways(|wiring| {
        let host = host(wiring);
        let write = json!({ "after_step": [{ "set_live": ["cfg_rescale_phi", 1.0], "step": 1 }] });
        let changed = draw(&host, request(&host, 0.0, &write));
        assert!(!same(&changed, &drawn(&host, 0.0)), "{wiring:?}");
        let mut rows = changed.record.ledger.iter().filter(|row| row.hook == "cfg_combine");
        let row = rows.find(|row| row.option == "cfg_rescale_phi").expect("a row of the ledger");
        assert_eq!((row.live, row.snapshot, row.diverged), (4, 0, 2));
        assert!(!changed.pictures[0].infotext.contains("CFG Rescale"));
    });
}

#[test]
fn a_picture_is_the_same_alone_and_in_a_batch() {
    both_ways(|wiring| {
        let host = host(wiring);
        let request = || request(&host, 1.0, &json!({}));
        let batch = RunRequest { batch_size: 3, do_not_save_grid: true, ..request() };
        for (index, picture) in draw(&host, batch).pictures.iter().enumerate() {
            let mut alone = request();
            alone.seed += index as i64;
            alone.subseed += index as i64;
            assert!(picture.image == draw(&host, alone).pictures[0].image, "picture {index}");
        }
    });
}

#[test]
fn latents_of_any_size_and_without_variation_are_drawn() {
    both_ways(|wiring| {
        let host = host(wiring);
        let flat = |buffer: &str| json!({ "fill": 0.25, "buffer": buffer });
        for flat in [vec![], vec![flat("cond")], vec![flat("cond"), flat("uncond")]] {
            for (width, height) in [(8, 8), (24, 40)] {
                let (width, height) = (Some(width), Some(height));
                let request = request(&host, 1.0, &json!({ "cfg_denoised": flat }));
                draw(&host, RunRequest { width, height, ..request });
            }
        }
    });
}
