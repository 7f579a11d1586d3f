//! Whole runs with the kit: what a live write in mid-run does, and what a write to the run does not.

use atelier_testkit::{TestHost, Wiring, both_ways};
use option_drift::OptionDrift;

const LEVEL: &str = "option_drift_level";

fn host(wiring: Wiring) -> TestHost {
    TestHost::builder().linked::<OptionDrift>().wiring(wiring).build()
}

#[test]
fn runs_with_the_same_settings_draw_different_pictures() {
    both_ways(|wiring| {
        let host = host(wiring);
        let one = host.txt2img("a cat").draw();
        let two = host.txt2img("a cat").draw();
        one.assert_other_pixels(&two);
        let told = one.parameter(0, "Option drift").expect("what the steps saw");
        assert!(told.contains("picture 0.2"), "{told}");
        assert!(two.parameter(0, "Option drift").is_some_and(|it| it.contains("picture 0.4")));
        assert_eq!(host.option(LEVEL), 0.0, "put back");
    });
}

#[test]
fn the_ledger_shows_where_live_and_snapshot_went_apart() {
    let drawn = host(Wiring::Direct).txt2img("a cat").draw();
    let rows = drawn.ledger("option-drift");
    let read = |hook: &str| rows.iter().find(|row| row.hook == hook && row.option == LEVEL);
    assert_eq!(read("postprocess_image").map(|row| (row.live, row.diverged)), Some((1, 1)));
    assert!(read("after_step").is_some_and(|row| row.live > row.diverged && row.diverged > 0));
}

#[test]
fn what_is_not_put_back_stays_for_everybody() {
    let host = host(Wiring::Direct);
    host.txt2img("a cat").option("option_drift_restore", false).draw();
    assert_eq!(host.option(LEVEL), 0.2);
}

#[test]
fn a_write_to_the_run_is_seen_by_it_and_by_nobody_else() {
    let host = host(Wiring::Direct);
    let drawn = host.txt2img("a cat").arg("option-drift", "write", "run").draw();
    assert!(drawn.parameter(0, "Option drift").is_some_and(|it| it.contains("picture 0.2")));
    assert_eq!(host.option(LEVEL), 0.0);
}
