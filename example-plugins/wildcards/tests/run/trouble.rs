//! Prompts and files that cannot be filled in: the hook fails with words that help, and the run goes
//! on with what was typed.

use atelier_host::run::RunRequest;
use atelier_testkit::{TestHost, both_ways};
use serde_json::{Value, json};

use crate::support::{files, host, prompts, request, shipped, warnings};

/// Draws what cannot be filled in, and returns what the plugin said.
#[track_caller]
fn said(host: &TestHost, prompt: &str, overrides: Value) -> String {
    let finished = host.draw(request(host, prompt, overrides));
    assert_eq!(prompts(&finished), [prompt], "the prompt stays as it was typed");
    let [failure] = finished.record.failures.as_slice() else {
        panic!("{:?}", finished.record.failures)
    };
    assert_eq!((failure.hook.as_str(), failure.status.as_str()), ("process", "failed"));
    failure.message.clone()
}

#[test]
fn a_malformed_prompt_is_an_error_with_its_place() {
    both_ways(|wiring| {
        let host = host(wiring);
        assert_eq!(
            said(&host, "a {red|blue heart", json!({})),
            "the prompt cannot be read: the “{” at character 3 is not closed: add a “}”, or write \
             “\\{” for the brace itself"
        );
    });
}

#[test]
fn a_missing_wildcard_stays_and_is_warned_about_once() {
    both_ways(|wiring| {
        let host = host(wiring);
        let prompt = "__nowhere__ and __nowhere__, {a}";
        let asked = RunRequest { n_iter: 3, ..request(&host, prompt, shipped()) };
        let lines = warnings(|| {
            let finished = host.draw(asked);
            assert_eq!(finished.record.failures, []);
            assert_eq!(prompts(&finished), ["__nowhere__ and __nowhere__, a"; 3]);
        });
        let [line] = lines.as_slice() else { panic!("{lines:#?}") };
        assert!(line.contains("there is no line for “__nowhere__” in "), "{line}");
        assert!(line.contains("plugin=wildcards"), "{line}");
    });
}

#[test]
fn a_missing_wildcard_is_an_error_where_that_is_asked_for() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut overrides = shipped();
        overrides["wildcards_missing_is_error"] = true.into();
        let message = said(&host, "__nowhere__ {a}", overrides);
        assert!(message.starts_with("there is no line for “__nowhere__” in "), "{message}");
    });
}

#[test]
fn names_do_not_lead_out_of_the_folder() {
    both_ways(|wiring| {
        let host = host(wiring);
        let overrides = files(&host, &[("inside/a", "x")]);
        std::fs::write(host.folder().join("secret.txt"), "secret").expect("a file");
        let absolute = format!("__{}/secret__", host.folder().display());
        for prompt in ["__../secret__", "__inside/../../secret__", &absolute] {
            let message = said(&host, prompt, overrides.clone());
            assert!(message.contains("leads out of the wildcard folder"), "{message}");
        }
    });
}

#[test]
fn a_circle_is_an_error_whatever_the_seed() {
    both_ways(|wiring| {
        let host = host(wiring);
        let overrides = files(&host, &[("a", "x\ny\nz\n__b__"), ("b", "x\n{y|__a__}")]);
        let message = said(&host, "__a__", overrides);
        assert!(message.contains("in a circle: a → b → a"), "{message}");
    });
}

#[test]
fn a_malformed_line_is_an_error_with_its_file() {
    both_ways(|wiring| {
        let host = host(wiring);
        let message = said(&host, "__a__", files(&host, &[("a", "x\n}")]));
        assert!(message.contains("a.txt, line 2: the “}” at character 1"), "{message}");
    });
}

#[test]
fn long_prompts_are_filled_in_or_refused() {
    both_ways(|wiring| {
        let host = host(wiring);
        let long = "{red} __no__ [a|b] \\{ ".repeat(100_000 / 22 + 1);
        let finished = host.draw(request(&host, &long, json!({})));
        assert_eq!(finished.record.failures, []);
        let expected = long.replace("{red}", "red").replace('\\', "");
        // Not by assert_eq!: nobody wants to read what differs.
        assert!(prompts(&finished) == [expected], "it is not what it should be");
        let deep = said(&host, &"{".repeat(100_000), json!({}));
        assert!(deep.contains("lies in 32 others"), "{deep}");
    });
}

#[test]
fn prompts_without_end_are_refused() {
    both_ways(|wiring| {
        let host = host(wiring);
        let each = |next: &str| format!("__{next}__").repeat(100);
        let texts = [("a", each("b")), ("b", each("c")), ("c", each("d")), ("d", each("e"))];
        let mut all: Vec<(&str, &str)> =
            texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
        let words = "many words ".repeat(1000);
        all.push(("e", &words));
        let message = said(&host, "__a__", files(&host, &all));
        assert!(message.contains("multiply to more than"), "{message}");
    });
}
