//! On the checkpoint that comes with Atelier.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{path::Path, sync::Arc};

use atelier_host::{engine::EngineProvider, run::RunRequest};
use atelier_testkit::{TestHost, Wiring, build};
use serde_json::{Value, json};

/// Draws a heart in a few steps.
fn draw(host: &TestHost, settings: &Value) -> image::RgbImage {
    let prompt = "blue heart".to_owned();
    let mut request = RunRequest { prompt, seed: 5, cfg_scale: 5.0, ..host.request() };
    for (name, value) in settings.as_object().expect("settings by name") {
        request.override_settings.insert(format!("color_grade_{name}"), value.clone());
    }
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, []);
    finished.pictures[0].image.clone()
}

fn light(image: &image::RgbImage) -> u64 {
    image.iter().map(|byte| u64::from(*byte)).sum()
}

#[test]
fn its_latents_are_known_by_its_name() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = build::cdylibs(here, &["color-grade"], &[]);
    let models = tempfile::tempdir().expect("a temporary folder");
    let provider = Arc::new(EngineProvider::new(models.path()));
    let plugins = [built["color-grade"].clone()];
    let host = TestHost::with(&plugins, Wiring::Direct, &json!({}), true, provider);

    let bright =
        |space: &str| draw(&host, &json!({ "enabled": true, "brightness": 3.0, "space": space }));
    let plain = draw(&host, &json!({}));
    let auto = bright("auto");
    assert!(auto == bright("atelier-emoji"));
    assert!(light(&auto) > light(&plain), "{} and {}", light(&auto), light(&plain));
    assert!(auto != bright("sd1"));
}
