//! What is seen of a picture while it is drawn.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::sync::{Arc, Mutex};

use atelier_host::{
    fake::FakeProvider,
    run::{
        CancelToken, RunRequest,
        events::{RunEvent, RunObserver},
    },
};
use atelier_suite::host;
use atelier_testkit::{TestHost, Wiring};
use image::RgbImage;
use serde_json::{Value, json};

/// Keeps previews with their iterations and steps.
#[derive(Debug, Default)]
struct Watcher {
    seen: Mutex<Vec<(u32, u32, Arc<RgbImage>)>>,
    looks_away: bool,
}

impl RunObserver for Watcher {
    fn event(&self, _: &str, event: &RunEvent) {
        if let RunEvent::Preview { iteration, step, picture } = event {
            self.seen.lock().expect("previews").push((*iteration, *step, picture.clone()));
        }
    }

    fn wants_previews(&self) -> bool {
        !self.looks_away
    }
}

/// The previews of a run with these options, and its first picture.
fn watched(
    host: &TestHost,
    request: RunRequest,
    options: &[(&str, Value)],
    looks_away: bool,
) -> (Vec<(u32, u32, Arc<RgbImage>)>, RgbImage) {
    let watcher = Arc::new(Watcher { looks_away, ..Watcher::default() });
    let provider = Arc::new(FakeProvider::default());
    let runner = host.atelier().runner(provider).observer(watcher.clone()).build();
    let overrides = options.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    let request = RunRequest { override_settings: overrides.collect(), ..request };
    let finished = runner.run(request, &CancelToken::new()).expect("a run");
    assert!(finished.error.is_none(), "{:?}", finished.error);
    let seen = watcher.seen.lock().expect("previews").clone();
    (seen, finished.pictures[0].image.clone())
}

fn steps(previews: &[(u32, u32, Arc<RgbImage>)]) -> Vec<(u32, u32)> {
    previews.iter().map(|(iteration, step, _)| (*iteration, *step)).collect()
}

#[test]
fn previews_come_at_the_steps_that_the_options_ask_for() {
    let host = host(&[], Wiring::Direct);
    let request = || RunRequest { steps: 5, n_iter: 2, ..host.request() };
    let every = |steps: i64| ("show_progress_every_n_steps", json!(steps));
    let (previews, picture) = watched(&host, request(), &[every(2)], false);
    assert_eq!(steps(&previews), [(0, 1), (0, 3), (0, 5), (1, 1), (1, 3), (1, 5)]);
    assert_eq!(previews[0].2.dimensions(), (8, 8), "a pixel for each latent value");
    assert_ne!(previews[0].2, previews[3].2, "each iteration has its own");

    let none: &[&[(&str, Value)]] =
        &[&[every(-1)], &[every(0)], &[every(1), ("live_previews_enable", json!(false))]];
    for options in none {
        assert_eq!(steps(&watched(&host, request(), options, false).0), [], "{options:?}");
    }
    let (previews, unseen) = watched(&host, request(), &[every(1)], true);
    assert_eq!(steps(&previews), [], "nobody watches");
    assert_eq!(picture, unseen, "who watches changes nothing");
}

#[test]
fn previews_show_what_the_options_ask_for() {
    let host = host(&[], Wiring::Direct);
    let last = |batch_size: u32, options: &[(&str, Value)]| {
        let mut options = options.to_vec();
        options.push(("show_progress_every_n_steps", json!(1)));
        let request = RunRequest { batch_size, ..host.request() };
        let (previews, _) = watched(&host, request, &options, false);
        previews.last().expect("a preview").2.clone()
    };
    let content = |name: &str| ("live_preview_content", json!(name));
    let [prompt, negative, combined] =
        ["Prompt", "Negative prompt", "Combined"].map(|name| last(1, &[content(name)]));
    assert_ne!(prompt, negative);
    assert_ne!(prompt, combined);
    let full = ("show_progress_type", json!("Full"));
    assert_eq!(last(1, std::slice::from_ref(&full)).dimensions(), (64, 64));
    assert_eq!(last(4, &[]).dimensions(), (16, 16), "a batch is a grid");
    let first = last(4, &[("show_progress_grid", json!(false))]);
    assert_eq!(first.dimensions(), (8, 8), "or its first picture");
}

#[cfg(all(feature = "engine", target_os = "linux"))]
#[test]
fn the_picture_grows_on_a_terminal() {
    use atelier_suite::command::{at_a_terminal, command};

    let data = tempfile::tempdir().expect("a folder");
    let seen = |words: &[&str]| {
        let mut command = command(data.path());
        command.env("COLORTERM", "truecolor").env("TERM", "xterm").env_remove("NO_COLOR");
        command.args(["txt2img", "red heart", "--steps", "3", "--seed", "1"]);
        command.args(["-o", "show_progress_every_n_steps=1", "--no-save"]).args(words);
        at_a_terminal(command, "")
    };
    // A preview is 16 lines of 32 upper half blocks; the finished picture is of lower ones.
    let blocks = |text: &str| text.matches('▀').count();
    let shown = blocks(&seen(&[]));
    assert!(shown >= 16 * 32, "{shown} half blocks");
    for words in [["--no-preview"].as_slice(), &["--quiet"], &["--color", "never"]] {
        assert_eq!(blocks(&seen(words)), 0, "{words:?}");
    }
}
