//! What is kept of a run: one JSON document.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    params::{Params, Pictures},
    pipeline::{ModelInfo, SamplerSettings},
    request::{Hires, Inpaint, OnError},
    seam::{LedgerRow, OutsideWrite, SeamMode},
};
use crate::{
    imaging::ResizeMode,
    options::{Digest, Value, Writer},
    plugins::Isolation,
};

/// The version of [`RunRecord`]; grows when a field changes its meaning.
pub const RECORD_VERSION: u32 = 1;

/// How far a run is, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Hooks, overrides, prompts, seeds, snapshot.
    Preparing,
    /// Sampling, decoding, saving.
    Executing,
    /// Closing.
    Finalizing,
    /// Ended with its pictures.
    Done,
    /// Ended with an error.
    Failed,
    /// Ended by somebody.
    Cancelled,
    /// Its process ended before it did.
    Interrupted,
}

impl RunState {
    /// Whether it is over.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Preparing | Self::Executing | Self::Finalizing)
    }

    /// The word in records and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Preparing => "preparing",
            Self::Executing => "executing",
            Self::Finalizing => "finalizing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What was done about a failed hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureAction {
    /// The run went on as if the hook had not run.
    Skipped,
    /// As skipped, and the plugin is not called again in this process.
    Disabled,
    /// The run failed with it.
    RunFailed,
    /// The plugin stopped the run on purpose.
    RunStopped,
}

/// A hook that did not succeed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookFailure {
    /// The plugin.
    pub plugin: String,
    /// The hook; `drop` for the end of an instance.
    pub hook: String,
    /// Iteration, from 0.
    pub iteration: u32,
    /// Picture within the run, from 0.
    pub image: u32,
    /// Step, from 0.
    pub step: u32,
    /// `failed`, `panicked` or `stop_run`.
    pub status: String,
    /// The plugin's words.
    pub message: String,
    /// File and line of a panic.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What was done about it.
    pub action: FailureAction,
    /// How often it failed like this; place and step are the first time's.
    pub times: u64,
}

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} at {}: {}", self.plugin, self.status, self.hook, self.message)
    }
}

/// How often and how long a plugin's hook was called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookTiming {
    /// The plugin.
    pub plugin: String,
    /// The hook.
    pub hook: String,
    /// Calls.
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were left out because the plugin had panicked, failed to start or was disabled.
    pub not_run: u64,
    /// Time in it, in microseconds.
    pub total_us: f64,
    /// The longest call, in microseconds.
    pub max_us: f64,
}

/// A plugin of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedPlugin {
    /// Id.
    pub id: String,
    /// Version.
    pub version: String,
    /// BLAKE3 of its library, as hex.
    pub hash: String,
    /// Where it was loaded from.
    pub path: PathBuf,
    /// How its live reads were answered.
    pub seam: SeamMode,
    /// Where it ran.
    #[serde(default)]
    pub isolation: Isolation,
}

/// An override of a run, with who made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedOverride {
    /// Value.
    pub value: Value,
    /// Who.
    pub writer: Writer,
}

/// A written picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordedOutput {
    /// The file; none where it was not saved.
    pub path: Option<PathBuf>,
    /// Whether it is the grid.
    pub grid: bool,
    /// Seed.
    pub seed: i64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// BLAKE3 of the RGB bytes, row by row, as hex: equal pixels have equal hashes.
    pub pixels: String,
    /// Infotext.
    pub infotext: String,
}

/// Everything needed to draw the pictures again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PreparedRun {
    /// Parameters.
    pub params: Params,
    /// Prompts and seeds, as they were when the snapshot was taken.
    pub pictures: Pictures,
    /// Sampler settings that came from the options.
    pub settings: SamplerSettings,
    /// The pictures an img2img run starts from: BLAKE3 of their PNG blobs.
    pub init_images: Vec<String>,
    /// The second pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hires: Option<Hires>,
    /// What was done where they had another size.
    #[serde(default)]
    pub resize_mode: ResizeMode,
    /// How parts of them are drawn anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inpaint: Option<Inpaint>,
    /// Which parts: BLAKE3 of the mask's PNG blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<String>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// [`RECORD_VERSION`].
    pub record_version: u32,
    /// Id: a UUID whose order is time's.
    pub id: String,
    /// The run whose child this is.
    pub parent: Option<String>,
    /// The child runs that a selected plugin made it out of, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// How far it is, or how it ended.
    pub state: RunState,
    /// Why it failed.
    pub error: Option<String>,
    /// When it left the queue, RFC 3339.
    pub started: String,
    /// When it was closed, RFC 3339.
    pub finished: Option<String>,
    /// The process that ran it.
    pub process: u32,
    /// Atelier's version.
    pub host: String,
    /// The request as it came.
    pub request: serde_json::Value,
    /// What a failed hook does.
    pub on_error: OnError,
    /// The prepared run.
    pub prepared: Option<PreparedRun>,
    /// The layer of overrides at the snapshot.
    pub overrides: BTreeMap<String, RecordedOverride>,
    /// Digest of the snapshot; its canonical JSON is stored once under that name.
    pub snapshot: Option<Digest>,
    /// The checkpoint.
    pub model: Option<ModelInfo>,
    /// Build of the engine and its kernels.
    pub engine: Option<String>,
    /// The plugins.
    pub plugins: Vec<RecordedPlugin>,
    /// The order of hooks.
    pub order: BTreeMap<String, Vec<String>>,
    /// Calls and times of hooks.
    pub hooks: Vec<HookTiming>,
    /// Hooks that failed.
    pub failures: Vec<HookFailure>,
    /// Who read which option.
    pub ledger: Vec<LedgerRow>,
    /// Writes from outside that live readers of the run saw.
    pub outside_writes: Vec<OutsideWrite>,
    /// The pictures.
    pub outputs: Vec<RecordedOutput>,
    /// Pictures that plugins saved beside them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub saved_by_plugins: Vec<PathBuf>,
    /// Seconds from the queue to the end.
    pub seconds: f64,
    /// Seconds of these in sampling.
    pub sampling_seconds: f64,
}

/// Why a record cannot be kept or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A file cannot be written.
    #[error("{} cannot be written ({source}); check free space and rights there", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be read.
    #[error("{} cannot be read ({source})", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record that is no record.
    #[error("{} is no run record ({reason}); it may come from a newer version", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No run of that name.
    #[error("there is no run “{0}”; `atelier runs list` shows what there is")]
    Unknown(String),
    /// Several runs of that name.
    #[error("“{0}” begins the names of several runs; give more of it")]
    Ambiguous(String),
}

/// The JSON schema of records.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(RunRecord).to_value()
}

#[cfg(test)]
mod tests {
    /// Other programs read records by this schema: a change of it is a change of the format.
    #[test]
    fn the_published_schema_is_the_one_that_records_follow() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/run-record.schema.json");
        let now = serde_json::to_string_pretty(&super::json_schema()).unwrap() + "\n";
        if std::env::var_os("ATELIER_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        let published = std::fs::read_to_string(path).unwrap();
        assert!(
            published == now,
            "docs/run-record.schema.json is not what records follow; if the change is meant, run \
             the test once with ATELIER_WRITE_SCHEMA=1 and think of RECORD_VERSION"
        );
    }
}
