//! A run that a selected plugin makes out of child runs.

use atelier_plugin_abi::{
    Buffer, Field, ValueRef,
    codes::{COUNT, ListOp},
    host::{ServiceReply, ServiceRequest},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{context, list};
use crate::{Image, PluginError};

context! {
    /// The request selected this plugin. There are no pictures yet: child runs make some, and what the
    /// plugin pushes is the run's answer.
    ScriptCx: prepared args infotext params services
}

/// What differs in a child run from the request of its parent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChildRequest(Map<String, Value>);

macro_rules! differs {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $key:literal;)*) => { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(self, value: $type) -> Self {
            self.field($key, value)
        }
    )* };
}

impl ChildRequest {
    /// The parent's own request: same prompt, same seed.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Any field of a request, by A1111's name. One that does not exist is refused when the child is
    /// asked for.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    differs! {
        /// Prompt.
        prompt: &str => "prompt";
        /// Negative prompt.
        negative_prompt: &str => "negative_prompt";
        /// Seed.
        seed: i64 => "seed";
        /// Sampling steps.
        steps: u32 => "steps";
        /// Guidance scale.
        cfg_scale: f64 => "cfg_scale";
        /// Sampler, by A1111's name.
        sampler: &str => "sampler_name";
        /// Scheduler, by A1111's name.
        scheduler: &str => "scheduler";
        /// Pictures per iteration.
        batch_size: u32 => "batch_size";
        /// Iterations.
        n_iter: u32 => "n_iter";
        /// For img2img: how far the picture is left, 0 to 1.
        denoising_strength: f64 => "denoising_strength";
    }

    /// Size in pixels.
    #[must_use]
    pub fn size(self, width: u32, height: u32) -> Self {
        self.field("width", width).field("height", height)
    }

    /// Whether the child saves its pictures and grid, where the options say so.
    #[must_use]
    pub fn save(self, save: bool) -> Self {
        self.field("do_not_save_samples", !save).field("do_not_save_grid", !save)
    }

    /// An option for the child only.
    #[must_use]
    pub fn option(mut self, key: &str, value: impl Into<Value>) -> Self {
        let options = self.0.entry("override_settings").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert(key.to_owned(), value.into());
        }
        self
    }

    /// An argument of another plugin for the child only.
    #[must_use]
    pub fn arg(mut self, plugin: &str, name: &str, value: impl Into<Value>) -> Self {
        let plugins = self.0.entry("plugin_args").or_insert_with(|| json!({}));
        if let Some(plugins) = plugins.as_object_mut() {
            let args = plugins.entry(plugin).or_insert_with(|| json!({}));
            if let Some(args) = args.as_object_mut() {
                args.insert(name.to_owned(), value.into());
            }
        }
        self
    }
}

/// A child run that is over.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Child {
    /// Its id: it has a record of its own.
    pub run: String,
    /// `done`, `failed` or `cancelled`.
    pub state: String,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Its pictures, the grid first where there is one; [`ScriptCx::child_image`] has their pixels.
    pub pictures: Vec<ChildPicture>,
    /// What went wrong in hooks of other plugins while it went on.
    #[serde(default)]
    pub failures: Vec<ChildFailure>,
}

/// A hook that failed in a child run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ChildFailure {
    /// The plugin.
    pub plugin: String,
    /// The hook.
    pub hook: String,
    /// Its words.
    pub message: String,
}

/// A picture of a child run.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ChildPicture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Seed.
    pub seed: i64,
    /// Infotext.
    pub infotext: String,
    /// Where it was saved.
    pub path: Option<String>,
    /// Whether it is the child's grid.
    pub grid: bool,
}

impl ScriptCx<'_> {
    /// Prompts of all pictures that the request asks for.
    #[must_use]
    pub fn all_prompts(&self) -> Vec<String> {
        list(self.cx, Field::AllPrompts)
    }

    /// Negative prompts of all pictures.
    #[must_use]
    pub fn all_negative_prompts(&self) -> Vec<String> {
        list(self.cx, Field::AllNegativePrompts)
    }

    /// The seed as the request has it, −1 for random.
    #[must_use]
    pub fn seed(&self) -> i64 {
        super::field(self.cx, Field::Seed)
    }

    /// The variation seed as the request has it, −1 for random.
    #[must_use]
    pub fn subseed(&self) -> i64 {
        super::field(self.cx, Field::Subseed)
    }

    /// Variation seeds of all pictures.
    #[must_use]
    pub fn all_subseeds(&self) -> Vec<i64> {
        list(self.cx, Field::AllSubseeds)
    }

    /// Seeds of all pictures.
    #[must_use]
    pub fn all_seeds(&self) -> Vec<i64> {
        list(self.cx, Field::AllSeeds)
    }

    /// Makes a child run and waits for its end. The other plugins take part in it, this one does not;
    /// it has a snapshot and a record of its own. Where it fails by itself that is in the answer.
    ///
    /// # Errors
    /// A request that is refused. A run that was cancelled has no more children.
    pub fn child(&mut self, request: &ChildRequest) -> Result<Child, PluginError> {
        if self.cancelled() {
            return Err(PluginError::new("the run was cancelled"));
        }
        let patch = Value::Object(request.0.clone()).to_string();
        match self.cx.service(&ServiceRequest::Child(&patch))? {
            ServiceReply::Json(answer) => Ok(serde_json::from_str(&answer)?),
            _ => Err(PluginError::new("the host sent no answer of a child run")),
        }
    }

    /// Pixels of a picture of the last child.
    ///
    /// # Errors
    /// No such picture.
    pub fn child_image(&self, index: usize) -> Result<Image<'_>, PluginError> {
        Ok(self.buffers.view(Buffer::ChildImage, index as u64)?.into())
    }

    super::image::picture_list!();

    /// Adds a black picture to the answer.
    ///
    /// # Errors
    /// A size of 0 or beyond 16,384.
    pub fn push(&mut self, width: u32, height: u32) -> Result<(), PluginError> {
        let size = (u64::from(width), u64::from(height));
        Ok(self.buffers.resize(Buffer::Image, ListOp::Push, COUNT, size)?)
    }

    /// Sets the infotext of a picture of the answer; without one it gets the run's own.
    ///
    /// # Errors
    /// No such picture.
    pub fn set_infotext(&mut self, index: usize, text: &str) -> Result<(), PluginError> {
        super::set(self.cx, Field::Infotexts, index as u64, ValueRef::Text(text))
    }
}
