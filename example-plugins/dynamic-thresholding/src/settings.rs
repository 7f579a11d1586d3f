//! What the settings are at a moment.

use atelier_plugin_api::{FromOption, prelude::*};

use crate::{
    declared::key,
    named::Named,
    schedule::{Schedule, Scheduled},
    threshold::Threshold,
};

/// All settings, as they are read for one step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) mimic_scale: f64,
    pub(crate) mimic: Scheduled,
    pub(crate) cfg: Scheduled,
    /// The power, or the number of repeats, of both schedules.
    pub(crate) value: f64,
    pub(crate) threshold: Threshold,
}

impl Settings {
    /// Reads them, options *live*; `None` where thresholding is off.
    pub(crate) fn read(asked: &Args, options: Live<'_>) -> Result<Option<Self>, PluginError> {
        let source = Source { asked, options };
        if !source.get("enabled")? {
            return Ok(None);
        }
        Ok(Some(Self {
            mimic_scale: source.get("mimic_scale")?,
            mimic: Scheduled {
                schedule: source.choice("mimic_mode")?,
                least: source.get("mimic_scale_min")?,
            },
            cfg: Scheduled {
                schedule: source.choice("cfg_mode")?,
                least: source.get("cfg_scale_min")?,
            },
            value: source.get("sched_val")?,
            threshold: Threshold {
                percentile: source.get("threshold_percentile")?,
                separate_channels: source.get("separate_feature_channels")?,
                startpoint: source.choice("scaling_startpoint")?,
                measure: source.choice("variability_measure")?,
                phi: source.get("interpolate_phi")?,
            },
        }))
    }
}

/// Where a setting is looked for: what the request asks for goes before the option.
struct Source<'a> {
    asked: &'a Args,
    options: Live<'a>,
}

impl Source<'_> {
    fn get<T: FromOption>(&self, name: &str) -> Result<T, OptionError> {
        match self.asked.get(name)? {
            Some(asked) => Ok(asked),
            None => self.options.get(&key(name)),
        }
    }

    fn choice<T: Named>(&self, name: &str) -> Result<T, PluginError> {
        T::from_name(&self.get::<String>(name)?)
    }
}

/// Writes the settings into the infotext, by the extension's keys and where it does; takes them off
/// where thresholding is off.
pub(crate) fn tell(cx: &BatchCx<'_>, settings: Option<&Settings>) -> HookResult {
    let scheduled = |of: fn(&Settings) -> Scheduled| {
        settings.map(of).filter(|scheduled| scheduled.schedule != Schedule::Constant)
    };
    let (mimic, cfg) = (scheduled(|settings| settings.mimic), scheduled(|settings| settings.cfg));
    let valued = [mimic, cfg].into_iter().flatten().any(|by| by.schedule.has_value());
    let threshold = settings.map(|settings| settings.threshold);

    cx.infotext("Dynamic thresholding enabled", settings.map(|_| true))?;
    cx.infotext("Mimic scale", settings.map(|settings| settings.mimic_scale))?;
    cx.infotext("Separate Feature Channels", threshold.map(|by| by.separate_channels))?;
    cx.infotext("Scaling Startpoint", threshold.map(|by| by.startpoint.name()))?;
    cx.infotext("Variability Measure", threshold.map(|by| by.measure.name()))?;
    cx.infotext("Interpolate Phi", threshold.map(|by| by.phi))?;
    cx.infotext("Threshold percentile", threshold.map(|by| by.percentile))?;
    cx.infotext("Mimic mode", mimic.map(|by| by.schedule.name()))?;
    cx.infotext("Mimic scale minimum", mimic.map(|by| by.least))?;
    cx.infotext("CFG mode", cfg.map(|by| by.schedule.name()))?;
    cx.infotext("CFG scale minimum", cfg.map(|by| by.least))?;
    cx.infotext("Scheduler value", settings.filter(|_| valued).map(|settings| settings.value))
}
