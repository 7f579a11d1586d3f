//! A checkpoint that draws the rest of a picture, and one of the second pass's own.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use atelier_host::run::{Hires, Refused, RunRequest};
use atelier_suite::{Log, every_way, host};
use atelier_testkit::{TestHost, Wiring};
use image::RgbImage;
use serde_json::json;

fn request(host: &TestHost, refiner: &str, switch_at: Option<f64>) -> RunRequest {
    RunRequest {
        refiner_checkpoint: Some(refiner.to_owned()),
        refiner_switch_at: switch_at,
        ..host.request()
    }
}

fn draw(host: &TestHost, request: RunRequest) -> (RgbImage, String) {
    let picture = host.draw(request).pictures.remove(0);
    (picture.image, picture.infotext)
}

fn with_checkpoint(host: &TestHost, name: &str) -> RunRequest {
    let mut request = host.request();
    request.override_settings.insert("sd_model_checkpoint".to_owned(), json!(name));
    request
}

#[test]
fn it_draws_from_its_share_on_and_is_told() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let (own, _) = draw(&host, host.request());
        let (other, _) = draw(&host, with_checkpoint(&host, "other"));
        let (rest, infotext) = draw(&host, request(&host, "other", Some(0.5)));
        assert!(rest != own && rest != other);
        assert!(infotext.contains("Refiner: other ["), "{infotext}");
        assert!(infotext.contains("Refiner switch at: 0.5"), "{infotext}");
        let (all, infotext) = draw(&host, request(&host, "other", None));
        assert!(all == other, "without a share it draws everything");
        assert!(!infotext.contains("Refiner switch at"), "{infotext}");
    });
}

#[test]
fn a_refiner_that_has_no_turn_is_not_told_and_changes_nothing() {
    let host = host(&[], Wiring::Direct);
    let (own, _) = draw(&host, host.request());
    // Four steps: the last begins at three quarters.
    for none in [
        request(&host, "other", Some(1.0)),
        request(&host, "fake", Some(0.5)),
        request(&host, "None", Some(0.5)),
        request(&host, "", None),
    ] {
        let (found, infotext) = draw(&host, none);
        assert!(found == own);
        assert!(!infotext.contains("Refiner"), "{infotext}");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_begins() {
    let host = host(&[], Wiring::Direct);
    let refused = |request| match host.run(request) {
        Err(Refused::Parameter { field, reason }) => (field, reason),
        other => panic!("not refused: {}", other.is_ok()),
    };
    let (field, reason) = refused(request(&host, "ghost", Some(0.5)));
    assert!(field == "refiner_checkpoint" && reason.contains("fake, other"), "{field}: {reason}");
    let (field, reason) = refused(request(&host, "other", Some(1.5)));
    assert!(field == "refiner_switch_at" && reason.contains("0 to 1"), "{field}: {reason}");
    let hires = Hires { hr_checkpoint_name: Some("ghost".to_owned()), ..Hires::default() };
    let (field, reason) = refused(RunRequest { hires: Some(hires), ..host.request() });
    assert!(field == "hr_checkpoint_name" && reason.contains("fake, other"), "{field}: {reason}");
}

fn second_pass(name: Option<&str>) -> Hires {
    Hires { hr_scale: 1.0, hr_checkpoint_name: name.map(str::to_owned), ..Hires::default() }
}

#[test]
fn the_second_pass_may_have_a_checkpoint_of_its_own() {
    let host = host(&["probe-a"], Wiring::Direct);
    let hires = |name| RunRequest { hires: Some(second_pass(name)), ..host.request() };
    let (same, infotext) = draw(&host, hires(None));
    assert!(!infotext.contains("Hires checkpoint"), "{infotext}");
    let (own, _) = draw(&host, hires(Some("Use same checkpoint")));
    assert!(own == same);
    let (other, infotext) = draw(&host, hires(Some("other")));
    assert!(other != same);
    assert!(infotext.contains("Hires checkpoint: other ["), "{infotext}");
    // The model of the run stays what it is.
    assert!(infotext.contains("Model: fake"), "{infotext}");
}

#[test]
fn an_option_says_which_passes_it_is_for() {
    let host = host(&["probe-a"], Wiring::Direct);
    let log = Log::new(&host, "log");
    let draw = |passes: &str| {
        let mut request =
            RunRequest { hires: Some(second_pass(None)), ..request(&host, "other", Some(0.5)) };
        request.override_settings.insert("hires_fix_refiner_pass".to_owned(), json!(passes));
        log.script(&mut request, "probe-a", &json!({}));
        draw(&host, request)
    };
    let (second, infotext) = draw("second pass");
    assert!(
        infotext.contains("Refiner: other") && !infotext.contains("Hires refiner"),
        "{infotext}"
    );
    let (first, infotext) = draw("first pass");
    assert!(infotext.contains("Hires refiner: first pass"), "{infotext}");
    let (both, infotext) = draw("both passes");
    assert!(infotext.contains("Hires refiner: both passes"), "{infotext}");
    assert!(first != second && both != first && both != second);
}

/// A small checkpoint built as SDXL, and one as its refiner.
#[cfg(feature = "engine")]
#[test]
fn the_refiner_of_sdxl_is_told_how_well_its_pictures_are_to_please() {
    use atelier_suite::{command, root};

    let data = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| root().join("engine/tests/parity").join(name).display().to_string();
    let (base, refiner) = (folder("xl"), folder("refiner"));
    let draw = |more: &[&str]| {
        let run = ["txt2img", "red heart", "-s", "5", "--steps", "4", "--no-save", "--json", "-m"];
        let run = run.into_iter().chain([base.as_str()]).chain(more.iter().copied());
        let output = command::command(data.path()).args(run).output().expect("a process");
        assert!(output.status.success(), "{}", command::errors(&output));
        let run = command::json(&output);
        let output = &run["outputs"][0];
        (output["pixels"].to_string(), output["infotext"].to_string())
    };
    let refined = ["--refiner", &refiner, "--refiner-switch-at", "0.5"];
    let told = |option| draw(&[&refined[..], &["-o", option]].concat());
    let (own, _) = draw(&[]);
    let (pixels, infotext) = draw(&refined);
    assert!(pixels != own && infotext.contains("Refiner: refiner ["), "{infotext}");
    assert_eq!(told("sdxl_refiner_high_aesthetic_score=6").0, pixels, "the default");
    let (other, _) = told("sdxl_refiner_high_aesthetic_score=1");
    let (negative, _) = told("sdxl_refiner_low_aesthetic_score=9");
    assert!(other != pixels && negative != pixels && negative != other);
}
