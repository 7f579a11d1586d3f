//! The options, and the arguments that go before them.

use atelier_plugin_api::{FromOption, prelude::*};

use crate::{
    grade::Amounts,
    method::Method,
    named::Named,
    scaling::Scaling,
    space::{Choice, Rgb},
};

const OFFSET: (f64, f64) = (-5.0, 5.0);
const SATURATION: (f64, f64) = (0.25, 1.75);
const COLOUR: (f64, f64) = (-4.0, 4.0);

/// All settings, as they are read for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Settings {
    /// Whether the sampler's latents are graded instead of the prediction.
    pub(crate) alt: bool,
    pub(crate) amounts: Amounts,
    pub(crate) method: Method,
    pub(crate) scaling: Scaling,
    pub(crate) space: Choice,
}

impl Settings {
    /// Reads them, options *live*; `None` where grading is off.
    pub(crate) fn read(asked: &Args, options: Live<'_>) -> Result<Option<Self>, PluginError> {
        let source = Source { asked, options };
        if !source.asked_or_set("enabled")? {
            return Ok(None);
        }
        let colour: Rgb = [
            source.asked_or_set("red")?,
            source.asked_or_set("green")?,
            source.asked_or_set("blue")?,
        ];
        Ok(Some(Self {
            alt: source.set("alt")?,
            amounts: Amounts {
                brightness: source.asked_or_set("brightness")?,
                contrast: source.asked_or_set("contrast")?,
                saturation: source.asked_or_set("saturation")?,
                colour,
            },
            method: source.choice("method")?,
            scaling: source.choice("scaling")?,
            space: source.choice("space")?,
        }))
    }

    /// What one step gets of the amounts.
    pub(crate) fn amounts_at(&self, step: u32, steps: u32) -> Amounts {
        self.amounts.of_step(steps, self.scaling.strength(step, steps))
    }
}

struct Source<'a> {
    asked: &'a Args,
    options: Live<'a>,
}

impl Source<'_> {
    /// What the option is set to.
    fn set<T: FromOption>(&self, name: &str) -> Result<T, OptionError> {
        self.options.get(&key(name))
    }

    /// What the request asks for, else what the option is set to.
    fn asked_or_set<T: FromOption>(&self, name: &str) -> Result<T, OptionError> {
        self.asked.get::<Option<T>>(name)?.map_or_else(|| self.set(name), Ok)
    }

    fn choice<T: Named>(&self, name: &str) -> Result<T, PluginError> {
        T::from_name(&self.set::<String>(name)?)
    }
}

fn key(name: &str) -> String {
    format!("color_grade_{name}")
}

/// Ranges, defaults and names are Vectorscope CC's.
pub(crate) fn options() -> Vec<OptionSpec> {
    let number = |name, default, (min, max)| OptionSpec::float(&key(name), default).range(min, max);
    let specs = vec![
        OptionSpec::bool(&key("enabled"), false).label("Grade colours").infotext("Color grade"),
        OptionSpec::bool(&key("alt"), false)
            .label("Alt. (stronger effects)")
            .doc("Grades the sampler's latents after each step instead of the prediction in it.")
            .infotext("Color grade alt"),
        number("brightness", 0.0, OFFSET).label("Brightness").infotext("Color grade brightness"),
        number("contrast", 0.0, OFFSET).label("Contrast").infotext("Color grade contrast"),
        number("saturation", 1.0, SATURATION)
            .label("Saturation")
            .infotext("Color grade saturation"),
        number("red", 0.0, COLOUR).label("Cyan to red").infotext("Color grade red"),
        number("green", 0.0, COLOUR).label("Magenta to green").infotext("Color grade green"),
        number("blue", 0.0, COLOUR).label("Yellow to blue").infotext("Color grade blue"),
        choice("method", Method::StraightAbs)
            .label("Method")
            .doc("What brightness and colours are weighed by at each position.")
            .infotext("Color grade method"),
        choice("scaling", Scaling::Flat)
            .label("Scaling")
            .doc("How the strength goes over the steps.")
            .infotext("Color grade scaling"),
        choice("space", Choice::Auto)
            .label("Latent space")
            .doc("How colours are read from latents; auto goes by the name of the checkpoint.")
            .infotext("Color grade space"),
    ];
    specs.into_iter().map(|spec| spec.section("Color")).collect()
}

fn choice<T: Named>(name: &str, default: T) -> OptionSpec {
    OptionSpec::text(&key(name), default.name()).choices(T::ALL.iter().map(|(_, name)| *name))
}

pub(crate) fn args() -> Vec<ArgSpec> {
    let number = |name, (min, max)| ArgSpec::float(name, 0.0).optional().range(min, max);
    vec![
        ArgSpec::bool("enabled", false).optional(),
        number("brightness", OFFSET),
        number("contrast", OFFSET),
        number("saturation", SATURATION),
        number("red", COLOUR),
        number("green", COLOUR),
        number("blue", COLOUR),
    ]
}

/// Writes the settings into the infotext; takes them off where grading is off.
pub(crate) fn tell(cx: &BatchCx<'_>, settings: Option<Settings>) -> HookResult {
    let amounts = settings.map(|settings| settings.amounts);
    let colour = |index: usize| amounts.and_then(|amounts| amounts.colour.get(index).copied());
    cx.infotext("Color grade", settings.map(|_| true))?;
    cx.infotext("Color grade alt", settings.map(|settings| settings.alt))?;
    cx.infotext("Color grade brightness", amounts.map(|amounts| amounts.brightness))?;
    cx.infotext("Color grade contrast", amounts.map(|amounts| amounts.contrast))?;
    cx.infotext("Color grade saturation", amounts.map(|amounts| amounts.saturation))?;
    cx.infotext("Color grade red", colour(0))?;
    cx.infotext("Color grade green", colour(1))?;
    cx.infotext("Color grade blue", colour(2))?;
    cx.infotext("Color grade method", settings.map(|settings| settings.method.name()))?;
    cx.infotext("Color grade scaling", settings.map(|settings| settings.scaling.name()))?;
    cx.infotext("Color grade space", settings.map(|settings| settings.space.name()))
}
