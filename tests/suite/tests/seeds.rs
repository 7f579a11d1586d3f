//! Seeds of a run's pictures, as A1111 v1.10.1 counts them.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on panics")]

use atelier_host::run::{Pictures, RunRequest};
use atelier_suite::{Log, every_way, host};
use atelier_testkit::{TestHost, Wiring};
use serde_json::json;

fn prepared(host: &TestHost, request: RunRequest) -> Pictures {
    let finished = host.draw(RunRequest { steps: 1, ..request });
    finished.record.prepared.expect("a prepared run").pictures
}

#[test]
fn without_variation_seeds_and_subseeds_count_up() {
    let host = host(&[], Wiring::Direct);
    let request = RunRequest { seed: 10, subseed: 20, batch_size: 2, ..host.request() };
    let pictures = prepared(&host, request);
    assert_eq!(pictures.all_seeds, [10, 11]);
    assert_eq!(pictures.all_subseeds, [20, 21]);
}

#[test]
fn with_variation_the_seed_stays_and_subseeds_count_up() {
    let host = host(&[], Wiring::Direct);
    let request =
        RunRequest { seed: 5, subseed: 7, subseed_strength: 0.5, n_iter: 3, ..host.request() };
    let pictures = prepared(&host, request);
    assert_eq!(pictures.all_seeds, [5, 5, 5]);
    assert_eq!(pictures.all_subseeds, [7, 8, 9]);
}

#[test]
fn every_list_is_as_long_as_there_are_pictures() {
    let host = host(&[], Wiring::Direct);
    for (batch_size, n_iter) in [(1, 1), (3, 1), (1, 3), (2, 3)] {
        let count = batch_size as usize * n_iter as usize;
        let pictures = prepared(&host, RunRequest { batch_size, n_iter, ..host.request() });
        let lengths = [
            pictures.all_prompts.len(),
            pictures.all_negative_prompts.len(),
            pictures.all_seeds.len(),
            pictures.all_subseeds.len(),
        ];
        assert_eq!(lengths, [count; 4], "{batch_size} × {n_iter}");
    }
}

#[test]
fn random_seeds_differ_from_run_to_run_and_the_record_holds_the_real_ones() {
    let host = host(&[], Wiring::Direct);
    let random = || RunRequest { seed: -1, subseed: -1, steps: 1, ..host.request() };
    let (one, two) = (host.draw(random()), host.draw(random()));
    let seeds = |finished: &atelier_host::run::Finished| {
        let pictures = finished.record.prepared.clone().expect("a prepared run").pictures;
        (pictures.all_seeds[0], pictures.all_subseeds[0])
    };
    let ((seed, subseed), other) = (seeds(&one), seeds(&two));
    assert!(seed != other.0 && subseed != other.1 && seed != subseed);
    assert!((0..4_294_967_294).contains(&seed) && (0..4_294_967_294).contains(&subseed));
    assert_eq!(one.record.request["seed"], -1, "the request stays as it came");
    // The recorded seed draws the same picture again.
    let again = host.draw(RunRequest { seed, subseed, steps: 1, ..host.request() });
    assert_eq!(again.pictures[0].image, one.pictures[0].image);
    assert_eq!(again.pictures[0].seed, one.pictures[0].seed);
}

#[test]
fn seeds_that_a_plugin_sets_for_the_pictures_are_kept_as_they_are() {
    every_way(|wiring| {
        let host = host(&["probe-a"], wiring);
        let log = Log::new(&host, "log");
        let mut request = RunRequest { batch_size: 2, steps: 1, ..host.request() };
        let script = json!({
            "process": [
                { "set": ["seeds", 0, 40] },
                { "set": ["seeds", 1, 2] },
                { "set": ["subseeds", 1, 3] },
            ],
            "process_batch": [{ "params": true }],
        });
        log.script(&mut request, "probe-a", &script);
        let finished = host.draw(request);
        let seen = &log.results("probe-a", "process_batch")[0];
        assert_eq!(seen["seeds"], json!([40, 2]));
        assert_eq!(seen["subseeds"], json!([11, 3]));
        let drawn: Vec<i64> = finished.pictures.iter().skip(1).map(|p| p.seed).collect();
        assert_eq!(drawn, [40, 2]);
        let prepared = finished.record.prepared.expect("a prepared run").pictures;
        assert_eq!(prepared.all_seeds, [7, 8], "the record holds what the run began with");
    });
}
