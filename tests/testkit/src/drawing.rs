//! A request, written down in one line of a test.

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{InitImages, OnError, RunRequest, seam::SeamMode},
};
use image::RgbImage;
use serde_json::{Map, Value};

use crate::{Drawn, TestHost};

/// A request to a [`TestHost`]: small and quick unless the test says otherwise.
#[derive(Clone, Debug)]
#[must_use = "nothing is drawn before `draw` or `run`"]
pub struct Drawing<'h> {
    host: &'h TestHost,
    request: RunRequest,
}

impl<'h> Drawing<'h> {
    pub(crate) fn new(host: &'h TestHost, request: RunRequest) -> Self {
        Self { host, request }
    }

    /// Negative prompt.
    pub fn negative(mut self, prompt: &str) -> Self {
        prompt.clone_into(&mut self.request.negative_prompt);
        self
    }

    /// Seed of the first picture.
    pub fn seed(mut self, seed: i64) -> Self {
        self.request.seed = seed;
        self
    }

    /// Sampling steps.
    pub fn steps(mut self, steps: u32) -> Self {
        self.request.steps = steps;
        self
    }

    /// Size in pixels, multiples of 8.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        (self.request.width, self.request.height) = (Some(width), Some(height));
        self
    }

    /// Guidance scale.
    pub fn cfg_scale(mut self, scale: f64) -> Self {
        self.request.cfg_scale = scale;
        self
    }

    /// Pictures at once, and how many times that many.
    pub fn pictures(mut self, batch_size: u32, n_iter: u32) -> Self {
        (self.request.batch_size, self.request.n_iter) = (batch_size, n_iter);
        self
    }

    /// The picture that the run starts from, and how far it is left.
    pub fn from_picture(mut self, picture: RgbImage, denoising_strength: f64) -> Self {
        self.request.init_images = Some(InitImages(vec![picture]));
        self.request.denoising_strength = denoising_strength;
        self
    }

    /// An option for this run.
    pub fn option(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.request.override_settings.insert(key.to_owned(), value.into());
        self
    }

    /// An argument of a plugin.
    ///
    /// # Panics
    /// If the plugin's arguments were given by position, or the id is none.
    pub fn arg(mut self, plugin: &str, name: &str, value: impl Into<Value>) -> Self {
        let id = PluginId::new(plugin).expect("a plugin's id");
        let args = self.request.plugin_args.entry(id);
        match args.or_insert_with(|| GivenArgs::Named(Map::new())) {
            GivenArgs::Named(named) => _ = named.insert(name.to_owned(), value.into()),
            GivenArgs::Positional(_) => panic!("{plugin} has its arguments by position"),
        }
        self
    }

    /// Lets a plugin make the run out of child runs.
    ///
    /// # Panics
    /// If the id is none.
    pub fn script(mut self, plugin: &str) -> Self {
        self.request.script_name = Some(PluginId::new(plugin).expect("a plugin's id"));
        self
    }

    /// How live reads are answered.
    pub fn seam(mut self, mode: SeamMode) -> Self {
        self.request.seam = mode;
        self
    }

    /// What a failing hook does to the run.
    pub fn on_error(mut self, policy: OnError) -> Self {
        self.request.on_error = policy;
        self
    }

    /// Changes whatever has no method of its own.
    pub fn with(mut self, change: impl FnOnce(&mut RunRequest)) -> Self {
        change(&mut self.request);
        self
    }

    /// Draws. The run has to succeed, and so has every hook.
    ///
    /// # Panics
    /// Where it is refused or fails, or a hook fails: with the reason.
    pub fn draw(self) -> Drawn {
        let drawn = self.run();
        drawn.assert_done();
        drawn.assert_no_failures();
        drawn
    }

    /// Draws, whatever comes of it.
    ///
    /// # Panics
    /// Where the request is refused: with the reason.
    pub fn run(self) -> Drawn {
        let finished = self.host.run(self.request);
        Drawn::new(finished.unwrap_or_else(|refused| panic!("refused: {refused}")))
    }

    /// The words with which the request is refused.
    ///
    /// # Panics
    /// Where it is not.
    pub fn refused(self) -> String {
        match self.host.run(self.request) {
            Err(refused) => refused.to_string(),
            Ok(_) => panic!("the request is not refused"),
        }
    }
}
