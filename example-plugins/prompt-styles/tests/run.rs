//! Whole runs with the kit: what the styles do to prompts, and that they are read live.

use atelier_testkit::{TestHost, Wiring, both_ways};
use prompt_styles::PromptStyles;

fn host(wiring: Wiring) -> TestHost {
    TestHost::builder()
        .linked::<PromptStyles>()
        .option("prompt_styles_prefix", "oil painting")
        .option("prompt_styles_suffix", "soft light")
        .wiring(wiring)
        .build()
}

#[test]
fn every_prompt_of_a_run_has_its_style() {
    both_ways(|wiring| {
        let drawn = host(wiring).txt2img("a cat").pictures(2, 2).draw();
        // What a hook changes for one iteration is drawn, and is not in the prompt of the infotext.
        assert_eq!(drawn.prompts(), ["oil painting, a cat"; 4]);
        for picture in 0..4 {
            assert_eq!(drawn.parameter(picture, "Prompt prefix").as_deref(), Some("oil painting"));
            assert_eq!(drawn.parameter(picture, "Prompt suffix").as_deref(), Some("soft light"));
        }
    });
}

#[test]
fn a_styled_prompt_draws_what_the_same_words_draw() {
    let host = host(Wiring::Direct);
    let off = |prompt: &str| host.txt2img(prompt).option("prompt_styles_enabled", false).draw();
    let styled = host.txt2img("a cat").draw();
    styled.assert_same_pixels(&off("oil painting, a cat, soft light"));
    styled.assert_other_pixels(&off("a cat"));
    assert_eq!(off("a cat").parameter(0, "Prompt prefix"), None);
}

#[test]
fn it_reads_live_and_the_ledger_says_so() {
    let drawn = host(Wiring::Direct).txt2img("a cat").pictures(1, 3).draw();
    drawn.assert_reads_live("prompt-styles", "prompt_styles_prefix");
    drawn.assert_reads_live("prompt-styles", "prompt_styles_suffix");
    let rows = drawn.ledger("prompt-styles");
    let suffix = rows.iter().find(|row| row.option == "prompt_styles_suffix");
    assert_eq!(suffix.map(|row| (&*row.hook, row.live)), Some(("before_process_batch", 3)));
}
