//! The script: what to do in which hook.

use std::{collections::BTreeMap, path::PathBuf};

use atelier_plugin_api::PluginError;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Hooks that a script may name.
pub(crate) const HOOKS: [&str; 27] = [
    "model_loaded",
    "before_process",
    "start",
    "process",
    "before_process_batch",
    "after_extra_networks_activate",
    "process_batch",
    "before_hr",
    "process_before_every_sampling",
    "extra_noise",
    "cfg_denoiser",
    "cfg_denoised",
    "cfg_combine",
    "on_mask_blend",
    "cfg_after_cfg",
    "after_step",
    "post_sample",
    "postprocess_batch",
    "postprocess_batch_list",
    "postprocess_image",
    "postprocess_maskoverlay",
    "postprocess_image_after_composite",
    "before_image_saved",
    "image_saved",
    "image_grid",
    "postprocess",
    "finish",
];

/// Something to do in a hook. The README says what each one does.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Live(String),
    Snapshot(String),
    LiveAll(bool),
    SnapshotAll(bool),
    WantsSnapshot(bool),
    SetLive(String, Value),
    SetRun(String, Value),
    Override(String, Value),
    Overrides(bool),
    Params(bool),
    Args(bool),
    Set(Vec<Value>),
    SetPrompt(Vec<String>),
    SetNegativePrompt(Vec<String>),
    SetSeed(Vec<i64>),
    Look(bool),
    Fill(f32),
    Add(f32),
    Nan(bool),
    Push(u32, u32, usize),
    Remove(usize),
    Replace(usize, u32, u32),
    ReplaceCond(usize),
    ReplaceUncond(usize),
    EncodeText(String),
    Decode(Input),
    Encode(Input),
    SavePicture(String),
    Infotext(String, Value),
    Log(String),
    Cancelled(bool),
    Barrier(PathBuf, PathBuf),
    SleepMs(u64),
    Error(String),
    Stop(String),
    Panic(String),
}

/// What a service works on: the stage's own floats, or zeros of a shape.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Input {
    Own(bool),
    Zeros([usize; 4]),
}

/// Where in a run a hook is called; what its stage does not know is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Place {
    /// Iteration of the run.
    pub iteration: u32,
    /// Picture within the run.
    pub image: u32,
    /// Step of the sampler.
    pub step: u32,
    /// Steps in all.
    pub total_steps: u32,
    /// Call of the model within the step.
    pub model_call: u32,
}

/// An action with what limits or details it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) action: Action,
    /// The action as it was written, for the log.
    pub(crate) written: Value,
    iteration: Option<u32>,
    image: Option<u32>,
    step: Option<u32>,
    model_call: Option<u32>,
    /// Which memory of the stage; the main one where it is empty.
    pub(crate) buffer: String,
    /// Which picture of a list; all where it is not said.
    pub(crate) index: Option<usize>,
    /// The type to read an option as.
    pub(crate) read_as: Option<String>,
}

impl Entry {
    fn parse(hook: &str, written: &Value) -> Result<Self, PluginError> {
        let bad = |reason: String| PluginError::new(format!("script: {hook}: {written}: {reason}"));
        let Some(mut fields) = written.as_object().cloned() else {
            return Err(bad("an action is an object".to_owned()));
        };
        let entry = Self {
            iteration: taken(&mut fields, "iteration").map_err(bad)?,
            image: taken(&mut fields, "image").map_err(bad)?,
            step: taken(&mut fields, "step").map_err(bad)?,
            model_call: taken(&mut fields, "model_call").map_err(bad)?,
            buffer: taken(&mut fields, "buffer").map_err(bad)?.unwrap_or_default(),
            index: taken(&mut fields, "index").map_err(bad)?,
            read_as: taken(&mut fields, "as").map_err(bad)?,
            action: Action::Log(String::new()),
            written: written.clone(),
        };
        let action = serde_json::from_value(Value::Object(fields));
        Ok(Self { action: action.map_err(|error| bad(error.to_string()))?, ..entry })
    }

    /// Whether it is meant for this place of the run.
    pub(crate) fn is_for(&self, place: &Place) -> bool {
        let fits = |wanted: Option<u32>, found: u32| wanted.is_none_or(|wanted| wanted == found);
        fits(self.iteration, place.iteration)
            && fits(self.image, place.image)
            && fits(self.step, place.step)
            && fits(self.model_call, place.model_call)
    }
}

fn taken<T: DeserializeOwned>(
    fields: &mut Map<String, Value>,
    name: &str,
) -> Result<Option<T>, String> {
    let Some(value) = fields.remove(name) else { return Ok(None) };
    serde_json::from_value(value).map(Some).map_err(|error| format!("{name}: {error}"))
}

/// What to do in every hook.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Script(BTreeMap<String, Vec<Entry>>);

impl Script {
    /// Reads a script; an empty text does nothing.
    pub(crate) fn parse(text: &str) -> Result<Self, PluginError> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let hooks: BTreeMap<String, Vec<Value>> = serde_json::from_str(text)
            .map_err(|error| PluginError::new(format!("script: {error}")))?;
        let mut script = Self::default();
        for (hook, actions) in hooks {
            if !HOOKS.contains(&hook.as_str()) {
                return Err(PluginError::new(format!("script: no hook is named {hook}")));
            }
            let entries = actions.iter().map(|action| Entry::parse(&hook, action));
            let entries = entries.collect::<Result<_, _>>()?;
            script.0.insert(hook, entries);
        }
        Ok(script)
    }

    /// The actions for a hook at a place, in the order of the script.
    pub(crate) fn of(&self, hook: &str, place: Place) -> impl Iterator<Item = &Entry> {
        self.0.get(hook).into_iter().flatten().filter(move |entry| entry.is_for(&place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(text: &str, hook: &str, place: Place) -> Vec<Action> {
        let script = Script::parse(text).expect(text);
        script.of(hook, place).map(|entry| entry.action.clone()).collect()
    }

    #[test]
    fn an_empty_script_does_nothing() {
        assert_eq!(Script::parse(" ").expect("no script"), Script::default());
        assert_eq!(actions("{}", "process", Place::default()), []);
    }

    #[test]
    fn actions_come_in_order_and_in_their_hook() {
        let text = r#"{"process":[{"live":"a"},{"set_live":["a",{"b":[1]}]},{"push":[8,9,0]}]}"#;
        let set = Action::SetLive("a".to_owned(), serde_json::json!({ "b": [1] }));
        assert_eq!(
            actions(text, "process", Place::default()),
            [Action::Live("a".to_owned()), set, Action::Push(8, 9, 0)]
        );
        assert_eq!(actions(text, "finish", Place::default()), []);
    }

    #[test]
    fn an_action_may_wait_for_its_place() {
        let text = r#"{"after_step":[{"nan":true,"step":2},{"fill":0.5,"iteration":1,"image":0}]}"#;
        let at = |iteration, step| Place { iteration, step, ..Place::default() };
        assert_eq!(actions(text, "after_step", at(0, 2)), [Action::Nan(true)]);
        assert_eq!(actions(text, "after_step", at(1, 0)), [Action::Fill(0.5)]);
        assert_eq!(actions(text, "after_step", at(0, 0)), []);
    }

    #[test]
    fn services_work_on_their_own_floats_or_on_zeros() {
        let text = r#"{"process":[{"decode":true},{"encode":[1,3,64,64]}]}"#;
        assert_eq!(
            actions(text, "process", Place::default()),
            [Action::Decode(Input::Own(true)), Action::Encode(Input::Zeros([1, 3, 64, 64]))]
        );
    }

    #[test]
    fn a_mistake_in_a_script_is_named() {
        for (text, part) in [
            ("{", "script: EOF"),
            (r#"{"sleep":[]}"#, "no hook is named sleep"),
            (r#"{"process":[1]}"#, "process: 1: an action is an object"),
            (r#"{"process":[{"jump":1}]}"#, "unknown variant `jump`"),
            (r#"{"process":[{"fill":1,"steps":3}]}"#, "expected map with a single key"),
            (r#"{"process":[{"fill":1,"step":"x"}]}"#, "step: invalid type"),
            (r#"{"process":[{"step":1}]}"#, "expected map with a single key"),
        ] {
            let error = Script::parse(text).expect_err(text);
            assert!(error.message().contains(part), "{}", error.message());
        }
    }
}
