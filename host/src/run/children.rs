//! Child runs: what a selected plugin makes its run out of.

use std::collections::BTreeMap;

use atelier_plugin_abi::{
    codes::Status,
    host::{BufferView, Elements, Refusal},
};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::{
    cancel::CancelToken,
    request::RunRequest,
    runner::{Finished, Picture, Runner},
    stage::{not_here, read_only},
};
use crate::plugins::{GivenArgs, PluginId};

/// Makes child runs of one run, one after another.
#[derive(Debug)]
pub(super) struct Children<'r> {
    runner: &'r Runner,
    parent: String,
    /// The parent's request, without what selects the plugin.
    request: RunRequest,
    cancel: CancelToken,
    /// The pictures of the last child.
    pictures: Vec<Picture>,
    /// The ids of all children so far.
    made: Vec<String>,
}

/// What differs from the parent's request, by the names of its fields. Options and arguments are added
/// to the parent's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Patch {
    prompt: Option<String>,
    negative_prompt: Option<String>,
    seed: Option<i64>,
    subseed: Option<i64>,
    subseed_strength: Option<f64>,
    steps: Option<u32>,
    cfg_scale: Option<f64>,
    width: Option<u32>,
    height: Option<u32>,
    sampler_name: Option<String>,
    scheduler: Option<String>,
    batch_size: Option<u32>,
    n_iter: Option<u32>,
    denoising_strength: Option<f64>,
    do_not_save_samples: Option<bool>,
    do_not_save_grid: Option<bool>,
    override_settings: Map<String, Json>,
    plugin_args: BTreeMap<PluginId, Map<String, Json>>,
}

impl Patch {
    fn apply(self, request: &mut RunRequest) -> Result<(), String> {
        fn put<T>(to: &mut T, from: Option<T>) {
            if let Some(value) = from {
                *to = value;
            }
        }
        put(&mut request.prompt, self.prompt);
        put(&mut request.negative_prompt, self.negative_prompt);
        put(&mut request.seed, self.seed);
        put(&mut request.subseed, self.subseed);
        put(&mut request.subseed_strength, self.subseed_strength);
        put(&mut request.steps, self.steps);
        put(&mut request.cfg_scale, self.cfg_scale);
        request.width = self.width.or(request.width);
        request.height = self.height.or(request.height);
        put(&mut request.sampler_name, self.sampler_name);
        put(&mut request.scheduler, self.scheduler);
        put(&mut request.batch_size, self.batch_size);
        put(&mut request.n_iter, self.n_iter);
        put(&mut request.denoising_strength, self.denoising_strength);
        put(&mut request.do_not_save_samples, self.do_not_save_samples);
        put(&mut request.do_not_save_grid, self.do_not_save_grid);
        request.override_settings.extend(self.override_settings);
        for (plugin, args) in self.plugin_args {
            match request.plugin_args.entry(plugin).or_insert_with(|| GivenArgs::Named(Map::new()))
            {
                GivenArgs::Named(named) => named.extend(args),
                GivenArgs::Positional(_) => {
                    return Err("the request gives this plugin's arguments by position; a child \
                                can add to named ones only"
                        .to_owned());
                }
            }
        }
        Ok(())
    }
}

impl<'r> Children<'r> {
    /// Children of the run `parent`, whose request is `request`.
    pub(super) fn of(
        runner: &'r Runner,
        parent: &str,
        request: &RunRequest,
        cancel: CancelToken,
    ) -> Self {
        let mut request = RunRequest { script_name: None, ..request.clone() };
        // What a run leaves behind is the parent's to say, once.
        request.override_settings_restore_afterwards = true;
        Self {
            runner,
            parent: parent.to_owned(),
            request,
            cancel,
            pictures: Vec::new(),
            made: Vec::new(),
        }
    }

    /// Runs a child to its end and says what came of it.
    pub(super) fn run(&mut self, patch: &str) -> Result<String, Refusal> {
        self.pictures.clear();
        let bad = |message: String| Refusal::new(Status::BadValue, message);
        let patch: Patch = serde_json::from_str(patch)
            .map_err(|error| bad(format!("this is no request of a child run: {error}")))?;
        let mut request = self.request.clone();
        patch.apply(&mut request).map_err(bad)?;
        let finished = self
            .runner
            .run_within(Some(&self.parent), request, &self.cancel)
            .map_err(|refused| bad(refused.to_string()))?;
        self.made.push(finished.record.id.clone());
        let answer = answer(&finished);
        self.pictures = finished.pictures;
        Ok(answer)
    }

    /// The ids of the children, in their order.
    pub(super) fn made(self) -> Vec<String> {
        self.made
    }

    /// Lends a picture of the last child.
    pub(super) fn picture(&self, index: u64, write: bool) -> Result<BufferView<'_>, Refusal> {
        if write {
            return Err(read_only("a child's picture"));
        }
        let count = self.pictures.len();
        let picture = usize::try_from(index).ok().and_then(|index| self.pictures.get(index));
        let image = &picture
            .ok_or_else(|| not_here(format!("picture {index} of the last child: it has {count}")))?
            .image;
        let shape = [image.height() as usize, image.width() as usize, 3, 1];
        Ok(BufferView { shape, rank: 3, elements: Elements::U8(image) })
    }
}

fn answer(finished: &Finished) -> String {
    let pictures = finished.pictures.iter().map(|picture| {
        json!({
            "width": picture.image.width(),
            "height": picture.image.height(),
            "seed": picture.seed,
            "infotext": picture.infotext,
            "path": picture.path,
            "grid": picture.grid,
        })
    });
    json!({
        "run": finished.record.id,
        "state": finished.record.state.word(),
        "error": finished.record.error,
        "pictures": pictures.collect::<Vec<_>>(),
        "failures": finished.record.failures.iter().map(|failure| json!({
            "plugin": failure.plugin,
            "hook": failure.hook,
            "message": failure.message,
        })).collect::<Vec<_>>(),
    })
    .to_string()
}
