//! The options, and the arguments that go before them.

use atelier_plugin_api::prelude::*;

use crate::{
    named::Named,
    schedule::Schedule,
    threshold::{Measure, Startpoint},
};

const MIMIC_SCALE: (f64, f64) = (1.0, 30.0);
const PERCENTILE: (f64, f64) = (90.0, 100.0);
const LEAST: (f64, f64) = (0.0, 30.0);
const VALUE: (f64, f64) = (0.0, 40.0);
const PHI: (f64, f64) = (0.0, 1.0);

/// The key of the option that an argument goes before.
pub(crate) fn key(name: &str) -> String {
    format!("dynamic_thresholding_{name}")
}

pub(crate) fn options() -> Vec<OptionSpec> {
    let switch = |name, default| OptionSpec::bool(&key(name), default);
    let number = |name, default, (min, max)| OptionSpec::float(&key(name), default).range(min, max);
    let specs = vec![
        switch("enabled", false)
            .label("Enable dynamic thresholding")
            .infotext("Dynamic thresholding enabled"),
        number("mimic_scale", 7.0, MIMIC_SCALE)
            .label("Mimic CFG scale")
            .doc("The scale whose range of values is kept.")
            .infotext("Mimic scale"),
        number("threshold_percentile", 100.0, PERCENTILE)
            .label("Threshold percentile")
            .doc("Values beyond this percentile are clamped to it.")
            .infotext("Threshold percentile"),
        choice::<Schedule>("mimic_mode").label("Mimic scale scheduler").infotext("Mimic mode"),
        number("mimic_scale_min", 0.0, LEAST)
            .label("Minimum of the mimic scale scheduler")
            .infotext("Mimic scale minimum"),
        choice::<Schedule>("cfg_mode").label("CFG scale scheduler").infotext("CFG mode"),
        number("cfg_scale_min", 0.0, LEAST)
            .label("Minimum of the CFG scale scheduler")
            .infotext("CFG scale minimum"),
        number("sched_val", 4.0, VALUE)
            .label("Scheduler value")
            .doc("The power of Power Up and Down, the number of repeats of Repeating and Sawtooth.")
            .infotext("Scheduler value"),
        switch("separate_feature_channels", true)
            .label("Separate feature channels")
            .doc("Each latent channel has a range of its own.")
            .infotext("Separate Feature Channels"),
        choice::<Startpoint>("scaling_startpoint")
            .label("Scaling startpoint")
            .doc("What values are scaled around: the mean of their channel, or zero.")
            .infotext("Scaling Startpoint"),
        choice::<Measure>("variability_measure")
            .label("Variability measure")
            .doc("How wide values are: their largest absolute deviation, or the standard one.")
            .infotext("Variability Measure"),
        number("interpolate_phi", 1.0, PHI)
            .label("Interpolate phi")
            .doc("How much of the result is mixed in; the rest stays guided.")
            .infotext("Interpolate Phi"),
    ];
    specs.into_iter().map(|spec| spec.section("Guidance")).collect()
}

/// In the order of the extension's arguments, so that requests made for it mean the same here.
pub(crate) fn args() -> Vec<ArgSpec> {
    let switch = |name| ArgSpec::bool(name, false).optional();
    let number = |name, (min, max)| ArgSpec::float(name, 0.0).optional().range(min, max);
    vec![
        switch("enabled"),
        number("mimic_scale", MIMIC_SCALE),
        number("threshold_percentile", PERCENTILE),
        chosen::<Schedule>("mimic_mode"),
        number("mimic_scale_min", LEAST),
        chosen::<Schedule>("cfg_mode"),
        number("cfg_scale_min", LEAST),
        number("sched_val", VALUE),
        switch("separate_feature_channels"),
        chosen::<Startpoint>("scaling_startpoint"),
        chosen::<Measure>("variability_measure"),
        number("interpolate_phi", PHI),
    ]
}

fn choice<T: Named>(name: &str) -> OptionSpec {
    OptionSpec::text(&key(name), T::names().next().unwrap_or_default()).choices(T::names())
}

fn chosen<T: Named>(name: &str) -> ArgSpec {
    ArgSpec::text(name, "").optional().choices(T::names())
}
