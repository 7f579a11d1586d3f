//! The rows and what can come of them.

use std::{fmt, path::PathBuf, sync::OnceLock};

use atelier_host::run::RunRequest;
use atelier_suite::{Kind, plugin, root, variant};
use atelier_testkit::build;
use serde_json::json;

/// Every hook of a run that is not made out of child runs.
pub(crate) const HOOKS: [&str; 26] = [
    "model_loaded",
    "before_process",
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

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Its name in the plugin.
    pub(crate) name: &'static str,
    /// What it is, for the table.
    pub(crate) words: &'static str,
    /// Whether the plugin in C has it, and not `misbehaving`.
    pub(crate) in_c: bool,
}

impl Fault {
    /// The id of its plugin.
    pub(crate) fn plugin(&self) -> &'static str {
        if self.in_c { "wrecker" } else { "misbehaving" }
    }

    /// Whether the plugin has the fault at a hook.
    pub(crate) fn reaches(&self, hook: &str) -> bool {
        match self.name {
            // It has one place.
            "panic-in-drop" => hook == "finish",
            _ => !(self.in_c && hook == "model_loaded"),
        }
    }

    /// The library that has it.
    pub(crate) fn library(&self) -> PathBuf {
        static WRECKER: OnceLock<PathBuf> = OnceLock::new();
        if !self.in_c {
            return plugin("misbehaving");
        }
        let built = || {
            let folder = variant::workbench("wrecker");
            std::fs::create_dir_all(&folder).expect("a folder");
            let source = root().join("tests/plugins/wrecker/wrecker.c");
            build::with_cc(&source, &root().join("plugin-api/include"), &folder)
        };
        WRECKER.get_or_init(built).clone()
    }

    /// The environment that makes it happen at a hook.
    pub(crate) fn environment(&self, hook: &str) -> (String, String) {
        let at = match self.name {
            "panic-in-drop" => self.name.to_owned(),
            name => format!("{name}:{hook}"),
        };
        (if self.in_c { "ATELIER_WRECK" } else { "ATELIER_MISBEHAVE" }.to_owned(), at)
    }
}

pub(crate) fn faults() -> Vec<Fault> {
    let rust = |name, words| Fault { name, words, in_c: false };
    let c = |name, words| Fault { name, words, in_c: true };
    vec![
        rust("panic", "panic"),
        rust("panic-in-drop", "panic in Drop"),
        rust("double-panic", "panic while another unwinds"),
        rust("abort", "abort"),
        rust("exit", "exit"),
        c("segfault", "writes to an address that is not its own"),
        c("past-buffer", "writes past its buffer"),
        rust("stack-overflow", "stack overflow"),
        rust("endless-loop", "endless loop"),
        rust("eat-memory", "takes all memory"),
        c("fork-bomb", "forks fifty times"),
        rust("spawn", "starts programs"),
        rust("write-file", "writes a file outside of its folder"),
        rust("connect", "connects to a server"),
        c("close-descriptors", "closes every descriptor"),
        c("kill-parent", "kills the host"),
        c("starve-parent", "takes the host's files away"),
    ]
}

/// What came of a fault at a hook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Nothing: there is nothing to do it to.
    Nothing,
    /// The plugin did it, and nobody noticed.
    Done,
    /// A failed hook, which is told with its reason; the run goes on.
    Failed(String),
    /// The host is gone; the next start says who was in charge.
    HostGone(String),
    /// The host is gone, later than the hook; the next start says whose hook was the last.
    GoneLater(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing to do it to"),
            Self::Done => f.write_str("**it is done**"),
            Self::Failed(reason) => write!(f, "failed hook ({reason})"),
            Self::GoneLater(how) => {
                write!(f, "**the host ends** ({how}) later on, suspected at the next start")
            }
            Self::HostGone(how) => write!(f, "**the host ends** ({how}), named at the next start"),
        }
    }
}

/// A run that has the hook: two pictures, saved, and their grid.
pub(crate) fn request(hook: &str) -> RunRequest {
    Kind::with(hook).of(RunRequest {
        prompt: "a cat".to_owned(),
        seed: 7,
        subseed: 11,
        steps: 2,
        n_iter: 2,
        sampler_name: "Euler".to_owned(),
        override_settings: json!({"return_grid": true, "grid_save": true})
            .as_object()
            .expect("an object")
            .clone(),
        width: Some(64),
        height: Some(64),
        ..RunRequest::default()
    })
}

/// The kind of a failure, without what differs from run to run.
pub(crate) fn kind(status: &str, message: &str) -> String {
    let known = [
        ("signal 6", "signal 6"),
        ("signal 11", "signal 11"),
        ("signal 7", "signal 7"),
        ("exit code 7", "exit code 7"),
        ("gave no answer in time", "no answer in time"),
        ("hung up", "hung up"),
        ("not permitted", "not permitted"),
        ("no more processes", "not permitted"),
        ("may not kill", "not permitted"),
        ("may not limit", "not permitted"),
        ("ermission denied", "not permitted"),
    ];
    let found = known.iter().find(|(piece, _)| message.contains(piece));
    found.map_or_else(|| status.to_owned(), |(_, kind)| (*kind).to_owned())
}
