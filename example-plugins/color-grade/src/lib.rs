//! Grades brightness, contrast, saturation and colours while a picture is drawn: the model goes on
//! from what it finds, and draws a picture that is dark or blue instead of one that was tinted.
//!
//! It has the settings of A1111's extension Vectorscope CC (2.4.0, commit `ff384b6f`), which patches
//! the sampler's callback. Here it takes the hooks of a step. The options are read *live*, at every
//! step: an unmigrated plugin.

#![deny(missing_docs, unsafe_code)]

mod grade;
mod method;
mod named;
mod scaling;
mod settings;
mod space;

use atelier_plugin_api::prelude::*;
use grade::{Amounts, grade};
use method::Method;
use settings::{Settings, tell};
use space::{CHANNELS, Space};

/// One run of it.
#[derive(Debug)]
pub struct ColorGrade {
    asked: Args,
    /// Name of the checkpoint.
    model: String,
    /// The settings of this step; none while grading is off.
    now: Option<Settings>,
    /// The latents of this step that are not graded, where they weigh.
    other: Vec<f32>,
    /// Whether it was said that these latents cannot be graded.
    warned: bool,
}

#[plugin(id = "color-grade", name = "Color grade")]
impl Run for ColorGrade {
    fn options() -> Vec<OptionSpec> {
        settings::options()
    }

    fn args() -> Vec<ArgSpec> {
        settings::args()
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        let (model, other) = (String::new(), Vec::new());
        Ok(Self { asked: cx.args(), model, now: None, other, warned: false })
    }

    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        self.model = cx.model_name();
        Ok(())
    }

    /// The infotext says what holds when an iteration begins.
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        tell(cx, Settings::read(&self.asked, cx.live())?)
    }

    /// The first hook of a step: here the options are read. The hooks below want the same ones.
    fn cfg_combine(&mut self, cx: &mut CombineCx<'_>) -> HookResult {
        self.now = Settings::read(&self.asked, cx.live())?;
        if self.now.is_some_and(|now| now.method.is_cross() && !now.alt) {
            self.other = cx.x().data.to_vec();
        }
        Ok(())
    }

    /// Grades the prediction. It is here and not in `cfg_combine`: there a plugin that comes later
    /// may combine anew.
    fn cfg_after_cfg(&mut self, cx: &mut AfterCfgCx<'_>) -> HookResult {
        let Some(now) = self.now else { return Ok(()) };
        if now.alt {
            if now.method.is_cross() {
                self.other = cx.denoised().data.to_vec();
            }
            return Ok(());
        }
        let channels = cx.denoised().shape[1];
        let Some(space) = self.space(now, channels, |words| cx.log(Level::Warn, words)) else {
            return Ok(());
        };
        let amounts = now.amounts_at(cx.step(), cx.total_steps());
        self.grade(cx.denoised_mut(), space, now.method, &amounts);
        Ok(())
    }

    /// Grades the sampler's latents, where the settings say so.
    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        let Some(now) = self.now.filter(|now| now.alt) else { return Ok(()) };
        let channels = cx.x().shape[1];
        let Some(space) = self.space(now, channels, |words| cx.log(Level::Warn, words)) else {
            return Ok(());
        };
        let amounts = now.amounts_at(cx.step(), cx.total_steps());
        self.grade(cx.x_mut(), space, now.method, &amounts);
        Ok(())
    }
}

impl ColorGrade {
    /// The space of the latents. Where there is none it says so, once in a run.
    fn space(
        &mut self,
        now: Settings,
        channels: usize,
        warn: impl FnOnce(&str),
    ) -> Option<&'static Space> {
        let space = now.space.space(&self.model, channels);
        if space.is_none() && !self.warned {
            self.warned = true;
            let model = &self.model;
            warn(&format!(
                "latents of {model} have {channels} channels; colours are known for {CHANNELS}, so \
                 this picture is not graded: set color_grade_enabled to false"
            ));
        }
        space
    }

    /// Grades every picture of a batch on its own.
    fn grade(
        &self,
        TensorMut { shape, data }: TensorMut<'_>,
        space: &Space,
        method: Method,
        amounts: &Amounts,
    ) {
        let picture = shape[1..].iter().product::<usize>().max(1);
        let mut others = self.other.chunks_exact(picture);
        for latents in data.chunks_exact_mut(picture) {
            let other = if method.is_cross() { others.next() } else { None };
            grade(latents, other, space, method, amounts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scaling::Scaling, space::Choice};

    #[test]
    fn latents_of_another_kind_are_warned_of_once() {
        let amounts = Amounts { brightness: 1.0, contrast: 0.0, saturation: 1.0, colour: [0.0; 3] };
        let (method, scaling, space) = (Method::Ones, Scaling::Flat, Choice::Auto);
        let now = Settings { alt: false, amounts, method, scaling, space };
        let mut plugin = ColorGrade {
            asked: Args::default(),
            model: "flux".to_owned(),
            now: Some(now),
            other: Vec::new(),
            warned: false,
        };
        let mut warnings = Vec::new();
        for channels in [16, 16, 3] {
            assert_eq!(plugin.space(now, channels, |words| warnings.push(words.to_owned())), None);
        }
        assert!(plugin.space(now, 4, |words| warnings.push(words.to_owned())).is_some());
        assert_eq!(
            warnings,
            ["latents of flux have 16 channels; colours are known for 4, so this picture is not \
              graded: set color_grade_enabled to false"]
        );
    }
}
