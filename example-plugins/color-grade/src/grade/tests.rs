use super::*;
use crate::named::Named;
use crate::space::{Choice, PLAIN};

const NEUTRAL: Amounts =
    Amounts { brightness: 0.0, contrast: 0.0, saturation: 1.0, colour: [0.0; 3] };

/// Two positions: a colour of lightness 0 and one of lightness 0.6; the last channel is no colour.
const LATENTS: [f32; 8] = [0.6, 0.9, 0.0, 0.6, -0.6, 0.3, 7.0, -7.0];

fn graded_by(other: Option<&[f32]>, method: Method, amounts: &Amounts) -> Vec<f32> {
    let mut latents = LATENTS;
    grade(&mut latents, other, &PLAIN, method, amounts);
    latents.to_vec()
}

fn graded(method: Method, amounts: &Amounts) -> Vec<f32> {
    graded_by(None, method, amounts)
}

fn assert_close(found: &[f32], expected: [f32; 8]) {
    let apart = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-6, "{found:?}, not {expected:?}");
}

#[test]
fn neutral_amounts_leave_latents_alone_to_the_bit() {
    let odd = [0.1, -0.7, 1.3, 2.9, -4.4, 0.0, 1e-30, -3e5];
    for (method, _) in Method::ALL {
        for space in [&PLAIN, Choice::Sd1.space("", 4).expect("a space")] {
            let mut latents = odd;
            grade(&mut latents, None, space, *method, &NEUTRAL);
            assert_eq!(latents.map(f32::to_bits), odd.map(f32::to_bits));
        }
    }
}

#[test]
fn brightness_adds_to_all_colours_by_weight() {
    let amounts = Amounts { brightness: 0.5, ..NEUTRAL };
    assert_close(&graded(Method::Ones, &amounts), [1.1, 1.4, 0.5, 1.1, -0.1, 0.8, 7.0, -7.0]);
    // Lightness is 0 and 0.6.
    let straight = [0.6, 1.2, 0.0, 0.9, -0.6, 0.6, 7.0, -7.0];
    assert_close(&graded(Method::Straight, &amounts), straight);
    assert_close(&graded(Method::StraightAbs, &amounts), straight);
}

#[test]
fn contrast_moves_lightness_away_from_its_mean() {
    let amounts = Amounts { contrast: 1.0, ..NEUTRAL };
    assert_close(&graded(Method::Ones, &amounts), [0.3, 1.2, -0.3, 0.9, -0.9, 0.6, 7.0, -7.0]);
}

#[test]
fn saturation_scales_the_distance_from_grey() {
    let amounts = Amounts { saturation: 2.0, ..NEUTRAL };
    assert_close(&graded(Method::Ones, &amounts), [1.2, 1.2, 0.0, 0.6, -1.2, 0.0, 7.0, -7.0]);
    let amounts = Amounts { saturation: 0.0, ..NEUTRAL };
    assert_close(&graded(Method::Ones, &amounts), [0.0, 0.6, 0.0, 0.6, 0.0, 0.6, 7.0, -7.0]);
}

#[test]
fn colours_are_added_one_by_one() {
    let amounts = Amounts { colour: [0.5, 0.0, -1.0], ..NEUTRAL };
    assert_close(&graded(Method::Ones, &amounts), [1.1, 1.4, 0.0, 0.6, -1.6, -0.7, 7.0, -7.0]);
    let straight = [0.9, 1.35, 0.0, 0.6, 0.0, 0.0, 7.0, -7.0];
    assert_close(&graded(Method::Straight, &amounts), straight);
    let absolute = [0.9, 1.35, 0.0, 0.6, -1.2, 0.0, 7.0, -7.0];
    assert_close(&graded(Method::StraightAbs, &amounts), absolute);
}

#[test]
fn other_latents_can_weigh() {
    let amounts = Amounts { colour: [0.5, 0.0, 0.0], ..NEUTRAL };
    let other = [-2.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let crossed = graded_by(Some(&other), Method::Cross, &amounts);
    assert_close(&crossed, [-0.4, 2.9, 0.0, 0.6, -0.6, 0.3, 7.0, -7.0]);
    let absolute = graded_by(Some(&other), Method::CrossAbs, &amounts);
    assert_close(&absolute, [1.6, 2.9, 0.0, 0.6, -0.6, 0.3, 7.0, -7.0]);
}

/// Brightness first, then contrast, colours, and saturation of what came of them.
#[test]
fn amounts_work_one_after_the_other() {
    let amounts =
        Amounts { brightness: 1.0, contrast: 1.0, saturation: 0.0, colour: [0.3, 0.0, 0.0] };
    // Lightness 0 and 0.6 becomes 1 and 1.6, then 0.7 and 1.9, then 0.1 more.
    let found = graded(Method::Ones, &amounts);
    assert_close(&found, [0.8, 2.0, 0.8, 2.0, 0.8, 2.0, 7.0, -7.0]);
}

#[test]
fn a_step_gets_its_share_of_the_amounts() {
    let amounts =
        Amounts { brightness: 4.0, contrast: -2.0, saturation: 0.25, colour: [1.0, 2.0, 0.0] };
    let half = amounts.of_step(2, 0.5);
    let expected =
        Amounts { brightness: 1.0, contrast: -0.5, saturation: 0.75, colour: [0.25, 0.5, 0.0] };
    assert_eq!(half, expected);
    assert_eq!(amounts.of_step(1, 1.0), amounts);
    assert_eq!(NEUTRAL.of_step(20, 0.3), NEUTRAL);
}

#[test]
fn the_smallest_latents_and_the_widest_numbers_stay_finite() {
    let amounts =
        Amounts { brightness: 5.0, contrast: 5.0, saturation: 1.75, colour: [-4.0, 4.0, 4.0] };
    for (method, _) in Method::ALL {
        for values in [[0.0; 4], [1.0; 4], [f32::MAX, f32::MIN, f32::MAX, f32::MIN]] {
            let mut latents = values;
            grade(&mut latents, None, &PLAIN, *method, &amounts);
            assert!(latents.iter().all(|value| value.is_finite()), "{latents:?}");
        }
    }
    grade(&mut [], None, &PLAIN, Method::Ones, &amounts);
}
