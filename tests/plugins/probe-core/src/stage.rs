//! A stage of a run as a script sees it: everything a plugin can ask for, refused where the stage
//! does not have it.

use atelier_plugin_api::{
    Image, ImageMut, Live, OwnedConditioning, OwnedTensor, PluginError, RunOptions, Snapshot,
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::script::Place;

/// What a stage answers.
pub(crate) type Answer<T> = Result<T, PluginError>;

/// Facts about a stage by name.
pub(crate) type Facts = Map<String, Value>;

/// Floats of a stage.
#[derive(Debug)]
pub struct Floats<'a> {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Elements.
    pub data: &'a [f32],
}

/// Bytes of a stage that are no picture of a list.
#[derive(Debug)]
pub struct Bytes<'a> {
    /// Width and height.
    pub size: (usize, usize),
    /// One or several for each pixel.
    pub data: &'a [u8],
}

/// A context, whichever it is. Every default is a refusal; `stages.rs` fills in what each one has.
///
/// Names differ from those of the contexts' own methods, so that none calls itself by mistake.
pub trait Stage {
    /// The live options.
    fn live_options(&self) -> Live<'_>;
    /// Whether the run was cancelled.
    fn is_cancelled(&self) -> bool;

    /// Fills in what the stage knows of its place.
    fn locate(&self, _: &mut Place) {}
    /// The noise level, inside sampling.
    fn noise_level(&self) -> Option<f64> {
        None
    }
    /// The run's id.
    fn id_of_run(&self) -> Option<String> {
        None
    }
    /// The run's snapshot.
    fn snapshot_options(&self) -> Answer<Snapshot<'_>> {
        absent("snapshot")
    }
    /// The run's own options.
    fn own_options(&self) -> Answer<RunOptions<'_>> {
        absent("options of the run")
    }
    /// The request's overrides.
    fn read_overrides(&self) -> Answer<Facts> {
        absent("overrides")
    }
    /// Adds an override to the request.
    fn add_override(&self, _key: &str, _value: &Value) -> Answer<()> {
        absent("overrides")
    }
    /// An argument of the plugin.
    fn argument(&self, _name: &str) -> Answer<Value> {
        absent("arguments")
    }
    /// Adds to the infotext of the run's pictures.
    fn add_infotext(&self, _key: &str, _value: &Value) -> Answer<()> {
        absent("infotext to add to")
    }

    /// The run's parameters.
    fn params(&self, _: &mut Facts) {}
    /// Prompts and seeds.
    fn lists(&self, _: &mut Facts) {}
    /// What only this stage has.
    fn own(&self, _: &mut Facts) {}
    /// Sets a parameter; `false` where the stage has none of that name.
    fn set_param(&mut self, _name: &str, _value: &Value) -> Answer<bool> {
        Ok(false)
    }
    /// Sets something that only this stage has; `false` where it has nothing of that name.
    fn set_own(&mut self, _name: &str, _value: &Value) -> Answer<bool> {
        Ok(false)
    }
    /// Sets an element of a list; `false` where the stage has no list of that name.
    fn set_element(&mut self, _list: &str, _index: usize, _value: &Value) -> Answer<bool> {
        Ok(false)
    }

    /// Floats by name; the stage's main ones where the name is empty.
    fn floats(&self, buffer: &str) -> Answer<Floats<'_>> {
        absent_floats(buffer)
    }
    /// The same, to change.
    fn floats_mut(&mut self, buffer: &str) -> Answer<&mut [f32]> {
        absent_floats(buffer)
    }
    /// What is laid over a picture, or its mask; none where there is none.
    fn bytes(&self, _buffer: &str) -> Option<Bytes<'_>> {
        None
    }
    /// The same, to change.
    fn bytes_mut(&mut self, _buffer: &str) -> Option<&mut [u8]> {
        None
    }
    /// How many pictures there are.
    fn pictures(&self) -> usize {
        0
    }
    /// A picture.
    fn picture(&self, index: usize) -> Answer<Image<'_>> {
        absent(&format!("picture {index}"))
    }
    /// The same, to change.
    fn picture_mut(&mut self, index: usize) -> Answer<ImageMut<'_>> {
        absent(&format!("picture {index} to change"))
    }
    /// Adds a picture.
    fn add_picture(&mut self, _width: u32, _height: u32, _like: usize) -> Answer<()> {
        absent("list of pictures to add to")
    }
    /// Removes a picture.
    fn remove_picture(&mut self, _index: usize) -> Answer<()> {
        absent("list of pictures to remove from")
    }
    /// Replaces a picture by a black one.
    fn replace_picture(&mut self, _index: usize, _width: u32, _height: u32) -> Answer<()> {
        absent("picture to replace")
    }
    /// Replaces the prompts' conditioning.
    fn resize_cond(&mut self, _tokens: usize) -> Answer<()> {
        absent("conditioning to replace")
    }
    /// Replaces the negative prompts' conditioning.
    fn resize_uncond(&mut self, _tokens: usize) -> Answer<()> {
        absent("conditioning to replace")
    }

    /// Text to conditioning.
    fn text_to_cond(&self, _text: &str) -> Answer<OwnedConditioning> {
        absent("services")
    }
    /// Latents to pixels.
    fn to_pixels(&self, _shape: [usize; 4], _latents: &[f32]) -> Answer<OwnedTensor> {
        absent("services")
    }
    /// Pixels to latents.
    fn to_latents(&self, _shape: [usize; 4], _pixels: &[f32]) -> Answer<OwnedTensor> {
        absent("services")
    }
    /// Saves a picture.
    fn keep_picture(&self, _suffix: &str, _picture: Image<'_>) -> Answer<Option<String>> {
        absent("services")
    }
}

pub(crate) fn absent<T>(what: &str) -> Answer<T> {
    Err(PluginError::new(format!("this stage has no {what}")))
}

pub(crate) fn absent_floats<T>(buffer: &str) -> Answer<T> {
    match buffer {
        "" => absent("floats"),
        name => absent(&format!("floats named {name}")),
    }
}

/// A value of a script as the type that a setter takes.
pub(crate) fn given<T: DeserializeOwned>(value: &Value) -> Answer<T> {
    T::deserialize(value).map_err(|error| PluginError::new(format!("{value}: {error}")))
}
