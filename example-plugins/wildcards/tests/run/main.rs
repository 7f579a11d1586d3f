//! Whole runs with the real library, on the fake engine.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod support;
mod trouble;

use std::collections::BTreeSet;

use atelier_host::run::RunRequest;
use atelier_testkit::{TestHost, Wiring, both_ways};
use serde_json::json;
use support::{host, negative, pixels, prompts, request, shipped};

#[test]
fn equal_seeds_give_equal_prompts_in_any_batch() {
    both_ways(|wiring| {
        let host = host(wiring);
        let asked = request(&host, "a __colours__ {heart|circle|square}", shipped());
        let four = RunRequest { n_iter: 2, batch_size: 2, ..asked.clone() };
        let first = host.draw(four.clone());
        let again = host.draw(four);
        assert_eq!(first.record.failures, []);
        assert_eq!(prompts(&first), prompts(&again));
        assert_eq!(pixels(&first), pixels(&again));
        let alone = host.draw(RunRequest { seed: 9, ..asked });
        assert_eq!(prompts(&alone)[0], prompts(&first)[2]);
        let different: BTreeSet<_> = prompts(&first).into_iter().collect();
        assert!(different.len() > 1, "{different:?}");
        assert!(different.iter().all(|prompt| !prompt.contains(['_', '{'])), "{different:?}");
    });
}

#[test]
fn a_filled_in_prompt_draws_what_the_typed_one_draws() {
    both_ways(|wiring| {
        let host = host(wiring);
        let filled = host.draw(request(&host, "a __colours__ heart", shipped()));
        let typed = host.draw(request(&host, &prompts(&filled)[0], json!({})));
        assert_eq!(pixels(&filled), pixels(&typed));
    });
}

#[test]
fn all_pictures_may_have_the_choices_of_the_first_seed() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut overrides = shipped();
        overrides["wildcards_same_seed"] = true.into();
        let asked = request(&host, "__anything__ __anything__ __anything__", overrides);
        let finished = host.draw(RunRequest { n_iter: 4, ..asked });
        let prompts = prompts(&finished);
        assert_eq!(prompts, vec![prompts[0].as_str(); 4]);
        assert_ne!(pixels(&finished)[0], pixels(&finished)[1], "the noise is each picture's own");
    });
}

#[test]
fn the_negative_prompt_is_filled_in_too() {
    both_ways(|wiring| {
        let host = host(wiring);
        let asked = request(&host, "a heart", shipped());
        let negative_prompt = "{2$$__colours__}".to_owned();
        let finished = host.draw(RunRequest { negative_prompt, ..asked });
        let (first, second) = negative(&finished).split_once(", ").expect("two colours");
        assert_ne!(first, second);
        assert!(!first.contains('_') && !second.contains('_'), "{first}, {second}");
    });
}

#[test]
fn combinatorial_runs_take_all_combinations_in_order() {
    both_ways(|wiring| {
        let host = host(wiring);
        let draw = |overrides, argument: Option<bool>| {
            let mut asked = request(&host, "{a|b} {2$$+$$x|y}", overrides);
            if let Some(on) = argument {
                asked = support::with_args(asked, &json!({ "combinatorial": on }));
            }
            prompts(&host.draw(RunRequest { n_iter: 6, ..asked }))
        };
        let all = ["a x+y", "a y+x", "b x+y", "b y+x", "a x+y", "a y+x"];
        let option = json!({ "wildcards_combinatorial": true });
        assert_eq!(draw(option.clone(), None), all);
        assert_eq!(draw(json!({}), Some(true)), all);
        assert_ne!(draw(option, Some(false)), all);
        let bounded = json!({ "wildcards_combinatorial": true, "wildcards_max_combinations": 3 });
        assert_eq!(draw(bounded, None), [&all[..3], &all[..3]].concat());
    });
}

#[test]
fn wildcards_lie_in_one_another_and_in_variants() {
    both_ways(|wiring| {
        let host = host(wiring);
        let files = support::files(
            &host,
            &[
                ("pet", "{small|large} __kind/*__"),
                ("kind/cat", "cat"),
                ("kind/dog", "dog named __name__"),
                ("name", "# one only\n\nRex\n0::Fido"),
            ],
        );
        let mut overrides = files;
        overrides["wildcards_combinatorial"] = true.into();
        let asked = request(&host, "{my __pet__|no pet}", overrides);
        let finished = host.draw(RunRequest { n_iter: 5, ..asked });
        assert_eq!(
            prompts(&finished),
            [
                "my small cat",
                "my small dog named Rex",
                "my large cat",
                "my large dog named Rex",
                "no pet"
            ]
        );
    });
}

#[test]
fn every_wildcard_that_is_shipped_can_be_filled_in() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut overrides = shipped();
        overrides["wildcards_missing_is_error"] = true.into();
        overrides["wildcards_combinatorial"] = true.into();
        let asked = request(&host, "__**__", overrides);
        let finished = host.draw(RunRequest { n_iter: 100, ..asked });
        assert_eq!(finished.record.failures, []);
        let prompts = prompts(&finished);
        assert!(prompts.iter().all(|prompt| !prompt.contains(['_', '{', '#'])), "{prompts:?}");
        assert!(prompts.contains(&"cat face".to_owned()), "{prompts:?}");
    });
}

#[test]
fn escaped_signs_and_a1111s_syntax_go_through() {
    both_ways(|wiring| {
        let host = host(wiring);
        let finished = host.draw(request(&host, r"\{a|b\} \__colours__ [c|d]", shipped()));
        assert_eq!(prompts(&finished), ["{a|b} __colours__ [c|d]"]);
        let text = r"(a:1.2) [b:c:0.5] <lora:x_y:1> \(d\) [e|f]";
        assert_eq!(prompts(&host.draw(request(&host, text, json!({})))), [text]);
    });
}

#[test]
fn without_an_option_the_folder_is_the_plugins_own() {
    both_ways(|wiring| {
        let host = host(wiring);
        let own = host.folder().join("plugins/wildcards/wildcards");
        std::fs::create_dir_all(&own).expect("a folder");
        std::fs::write(own.join("only.txt"), "red heart").expect("a file");
        assert_eq!(prompts(&host.draw(request(&host, "__only__", json!({})))), ["red heart"]);
    });
}

#[test]
fn the_infotext_has_the_template_where_it_differs() {
    both_ways(|wiring| {
        let host = host(wiring);
        let infotext = |prompt, overrides| {
            let asked = request(&host, prompt, overrides);
            let negative_prompt = "{grey}".to_owned();
            host.draw(RunRequest { negative_prompt, ..asked }).pictures[0].infotext.clone()
        };
        let both = infotext("{red} heart", json!({}));
        assert!(both.starts_with("red heart\nNegative prompt: grey\n"), "{both}");
        assert!(both.contains("Wildcard prompt: {red} heart, "), "{both}");
        assert!(both.contains("Wildcard negative prompt: {grey}, "), "{both}");
        let one = infotext("red heart", json!({}));
        assert!(!one.contains("Wildcard prompt"), "{one}");
        let off = infotext("{red} heart", json!({ "wildcards_write_infotext": false }));
        assert!(!off.contains("Wildcard"), "{off}");
    });
}

#[test]
fn it_can_be_switched_off_for_all_and_for_one_request() {
    both_ways(|wiring| {
        let host = host(wiring);
        let drawn = |overrides, args| {
            let asked = support::with_args(request(&host, "{red}", overrides), &args);
            prompts(&host.draw(asked))[0].clone()
        };
        let off = json!({ "wildcards_enabled": false });
        assert_eq!(drawn(off.clone(), json!({})), "{red}");
        assert_eq!(drawn(off, json!({ "enabled": true })), "red");
        assert_eq!(drawn(json!({}), json!({ "enabled": false })), "{red}");
        assert_eq!(drawn(json!({}), json!({})), "red");
    });
}

/// Options that the plugin read in a run, all of them live.
fn read_live(host: &TestHost, prompt: &str) -> Vec<String> {
    let finished = host.draw(request(host, prompt, json!({})));
    let rows = finished.record.ledger.iter().filter(|row| row.reader == "wildcards");
    let rows = rows.inspect(|row| assert_eq!((row.live, row.snapshot), (1, 0), "{row:?}"));
    rows.map(|row| row.option.clone()).collect()
}

#[test]
fn it_reads_live_and_no_more_than_it_needs() {
    both_ways(|wiring| {
        let host = host(wiring);
        assert_eq!(read_live(&host, "red heart"), ["wildcards_enabled"]);
        assert_eq!(
            read_live(&host, "{red} heart"),
            [
                "wildcards_combinatorial",
                "wildcards_enabled",
                "wildcards_folder",
                "wildcards_missing_is_error",
                "wildcards_same_seed",
                "wildcards_write_infotext"
            ]
        );
    });
}

#[test]
fn where_folders_are_fixed_its_folder_is_too() {
    let host = host(Wiring::Direct);
    let options = host.atelier().store().load().options.clone();
    let own = options.schema().iter().filter(|(_, spec)| spec.key.starts_with("wildcards_"));
    let fixed: Vec<&str> =
        own.filter(|(_, spec)| spec.restricted).map(|(_, spec)| spec.key.as_str()).collect();
    assert_eq!(fixed, ["wildcards_folder"]);
}
