//! Values by hand, then values that `NumPy` computes from the formula.

use super::*;

const PLAIN: Threshold = Threshold {
    percentile: 100.0,
    separate_channels: true,
    startpoint: Startpoint::Mean,
    measure: Measure::Ad,
    phi: 1.0,
};

/// Two channels of six values.
const UNCOND: [f32; 12] = [0.5, -1.25, 2.0, 0.75, -0.5, 1.5, -2.0, 0.25, 0.0, 1.0, -0.75, 3.0];
const COND: [f32; 12] = [1.0, -1.0, 2.75, 0.25, -1.5, 1.25, -1.5, 0.5, -0.25, 1.75, -1.0, 2.0];

fn at(cond: &[f32], uncond: &[f32], scale: f32) -> Vec<f32> {
    let mut guided = vec![0.0; cond.len()];
    guide(&mut guided, cond, uncond, scale);
    guided
}

fn thresholded(threshold: Threshold, mut guided: Vec<f32>, mimic: &[f32]) -> Vec<f32> {
    let channel = guided.len() / if guided.len() == 12 { 2 } else { 1 };
    threshold.apply(&mut guided, mimic, channel);
    guided
}

#[test]
fn guidance_goes_from_one_prediction_through_the_other() {
    assert_eq!(at(&[3.0, 1.0], &[1.0, 2.0], 5.0), [11.0, -3.0]);
    assert_eq!(at(&[3.0, 1.0], &[1.0, 2.0], 1.0), [3.0, 1.0]);
}

/// One channel around 2: guided deviates by 30 and 10, the mimic by 15 and 5.
#[test]
fn values_come_into_the_range_of_the_mimic() {
    let (guided, mimic) = (vec![32.0, -8.0, -8.0, -8.0], [17.0, -3.0, -3.0, -3.0]);
    let run = |threshold| thresholded(threshold, guided.clone(), &mimic);
    assert_eq!(run(PLAIN), mimic);
    assert_eq!(run(Threshold { measure: Measure::Std, ..PLAIN }), mimic);
    let zero = Threshold { startpoint: Startpoint::Zero, ..PLAIN };
    assert_eq!(run(zero), [16.0, -4.0, -4.0, -4.0]);
    // The 90th percentile of 10, 10, 10, 30 is 24: 30 is clamped to it, then all shrink by 15/24.
    assert_eq!(run(Threshold { percentile: 90.0, ..PLAIN }), [17.0, -4.25, -4.25, -4.25]);
}

#[test]
fn phi_mixes_the_result_with_what_was_guided() {
    let (guided, mimic) = (vec![32.0, -8.0, -8.0, -8.0], [17.0, -3.0, -3.0, -3.0]);
    let run = |phi| thresholded(Threshold { phi, ..PLAIN }, guided.clone(), &mimic);
    assert_eq!(run(0.5), [24.5, -5.5, -5.5, -5.5]);
    assert_eq!(run(0.0), guided);
}

#[test]
fn absolute_deviation_never_widens() {
    let (guided, mimic) = (at(&COND, &UNCOND, 4.0), at(&COND, &UNCOND, 10.0));
    assert_eq!(thresholded(PLAIN, guided.clone(), &mimic), guided);
}

#[test]
fn equal_scales_change_nothing() {
    let guided = at(&COND, &UNCOND, 7.0);
    for measure in [Measure::Ad, Measure::Std] {
        for startpoint in [Startpoint::Mean, Startpoint::Zero] {
            let threshold = Threshold { startpoint, measure, ..PLAIN };
            assert_eq!(thresholded(threshold, guided.clone(), &guided), guided);
        }
    }
}

#[test]
fn it_computes_what_numpy_does() {
    use {Measure::Std, Startpoint::Zero};
    let together = Threshold { separate_channels: false, ..PLAIN };
    let golden = [
        (
            Threshold { percentile: 90.0, ..PLAIN },
            [
                2.701_389, 0.647_222, 4.634_722, -2.011_111, -4.75, -0.440_278, 1.580_645,
                1.459_677, -1.080_645, 4.0, -1.443_548, -3.258_065,
            ],
        ),
        (
            together,
            [
                2.557_087, 0.616_142, 4.383_858, -1.895_669, -4.75, -0.411_417, 1.505_906,
                1.391_732, -1.005_906, 4.017_717, -1.348_425, -3.061_024,
            ],
        ),
        (
            Threshold { percentile: 90.0, startpoint: Zero, ..together },
            [
                2.858_423, 0.649_642, 4.937_276, -2.208_781, -5.456_989, -0.519_713, 1.559_14,
                1.429_211, -1.299_283, 4.417_563, -1.689_068, -3.637_993,
            ],
        ),
        (
            Threshold { measure: Std, ..PLAIN },
            [
                2.563_876, 0.617_604, 4.395_661, -1.901_101, -4.763_265, -0.412_775, 1.294_444,
                1.199_494, -0.794_444, 3.383_332, -1.079_292, -2.503_534,
            ],
        ),
        (
            Threshold { measure: Std, startpoint: Zero, phi: 0.25, ..together },
            [
                4.716_116, 1.071_845, 8.146_018, -3.644_271, -9.003_494, -0.857_476, 2.572_427,
                2.358_058, -2.143_689, 7.288_543, -2.786_795, -6.002_329,
            ],
        ),
        (
            Threshold { percentile: 95.0, startpoint: Zero, phi: 0.5, ..PLAIN },
            [
                4.041_498, 0.918_522, 6.980_769, -3.122_976, -7.715_588, -0.734_818, 2.203_125,
                2.019_531, -1.835_938, 6.242_188, -2.386_719, -5.140_625,
            ],
        ),
    ];
    let (guided, mimic) = (at(&COND, &UNCOND, 10.0), at(&COND, &UNCOND, 4.0));
    for (threshold, expected) in golden {
        let result = thresholded(threshold, guided.clone(), &mimic);
        for (result, expected) in result.iter().zip(expected) {
            assert!((result - expected).abs() < 2e-6, "{threshold:?}: {result} for {expected}");
        }
    }
}

#[test]
fn values_without_spread_stay_finite() {
    let narrow = f32::from_bits(1);
    for guided in [vec![0.7; 12], vec![0.0; 12], vec![0.7], Vec::new()] {
        for mimic in [vec![0.2; guided.len()], vec![0.7; guided.len()]] {
            for threshold in every() {
                assert_eq!(thresholded(threshold, guided.clone(), &mimic), guided);
            }
        }
    }
    // One value out of twelve: its percentile is 0, and a tiny one has a tiny spread.
    for outlier in [1.0, narrow, f32::MAX] {
        let mut guided = vec![0.0; 12];
        guided[3] = outlier;
        for mimic in [vec![0.0; 12], at(&COND, &UNCOND, 3.0), vec![f32::MIN; 12]] {
            for threshold in every() {
                let result = thresholded(threshold, guided.clone(), &mimic);
                assert!(result.iter().all(|value| value.is_finite()), "{threshold:?}: {result:?}");
            }
        }
    }
}

#[test]
fn guidance_beyond_all_numbers_stays_finite() {
    let guided = at(&[f32::MAX, f32::MIN, f32::MAX], &[f32::MIN, f32::MAX, 0.0], 30.0);
    assert_eq!(guided, [f32::MAX, f32::MIN, f32::MAX]);
    assert_eq!(at(&[f32::MAX], &[f32::MIN], 0.0), [f32::MIN]);
}

/// Every combination of choices, at a percentile that clamps.
fn every() -> impl Iterator<Item = Threshold> {
    let choices = [true, false].into_iter().flat_map(|separate_channels| {
        Startpoint::ALL.iter().flat_map(move |(startpoint, _)| {
            Measure::ALL.iter().map(move |(measure, _)| (separate_channels, *startpoint, *measure))
        })
    });
    choices.map(|(separate_channels, startpoint, measure)| Threshold {
        percentile: 90.0,
        separate_channels,
        startpoint,
        measure,
        phi: 1.0,
    })
}
