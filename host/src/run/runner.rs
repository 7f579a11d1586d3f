//! Runs requests: each is opened, goes through its stages and is closed whatever happens.

use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, Mutex},
};

use image::RgbImage;

use super::{
    active::ActiveRun,
    cancel::CancelToken,
    error::{Ended, Refused, RunError},
    events::{RunEvent, RunObserver, Unobserved},
    pipeline::{ModelProvider, PipelineError},
    record::RunRecord,
    records::RecordStore,
    request::RunRequest,
};
use crate::plugins::{LiveOptions, PluginId};

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels.
    pub image: RgbImage,
    /// How it was made, in A1111's layout.
    pub infotext: String,
    /// Where it was saved; none where it was not.
    pub path: Option<PathBuf>,
    /// Whether it is the grid.
    pub grid: bool,
    /// Seed.
    pub seed: i64,
}

/// A run that is over.
#[derive(Debug)]
pub struct Finished {
    /// What is kept of it.
    pub record: RunRecord,
    /// Its pictures, the grid first where there is one. A run that was cancelled or failed has those
    /// that were finished before.
    pub pictures: Vec<Picture>,
    /// Why it failed, if it did.
    pub error: Option<RunError>,
}

/// Runs requests, several at a time where asked from several threads.
pub struct Runner {
    store: Arc<LiveOptions>,
    provider: Arc<dyn ModelProvider>,
    records: Arc<dyn RecordStore>,
    observer: Arc<dyn RunObserver>,
    data: PathBuf,
    recording: bool,
    /// Plugins that failed under “disable”, until the host is started anew.
    pub(super) disabled: Mutex<BTreeSet<PluginId>>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("provider", &self.provider)
            .field("records", &self.records)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}

/// Makes a [`Runner`].
pub struct RunnerBuilder {
    runner: Runner,
}

impl fmt::Debug for RunnerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.runner.fmt(f)
    }
}

impl RunnerBuilder {
    /// Tells an observer of every run.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn RunObserver>) -> Self {
        self.runner.observer = observer;
        self
    }

    /// Switches recording of snapshots off, for tests that compare with and without. A run then makes
    /// no snapshot object at all; a plugin that asks for one is skipped.
    #[must_use]
    pub fn recording(mut self, recording: bool) -> Self {
        self.runner.recording = recording;
        self
    }

    /// The runner.
    pub fn build(self) -> Runner {
        self.runner
    }
}

impl Runner {
    /// A runner over live options, checkpoints and a place for records. Relative folders in options
    /// are below `data`.
    pub fn builder(
        store: Arc<LiveOptions>,
        provider: Arc<dyn ModelProvider>,
        records: Arc<dyn RecordStore>,
        data: impl Into<PathBuf>,
    ) -> RunnerBuilder {
        RunnerBuilder {
            runner: Self {
                store,
                provider,
                records,
                observer: Arc::new(Unobserved),
                data: data.into(),
                recording: true,
                disabled: Mutex::default(),
            },
        }
    }

    /// The live options.
    pub fn store(&self) -> &Arc<LiveOptions> {
        &self.store
    }

    /// The checkpoints.
    pub fn provider(&self) -> &dyn ModelProvider {
        self.provider.as_ref()
    }

    /// The records.
    pub fn records(&self) -> &dyn RecordStore {
        self.records.as_ref()
    }

    /// Who listens.
    pub fn observer(&self) -> &dyn RunObserver {
        self.observer.as_ref()
    }

    /// Whether snapshots are recorded.
    pub fn recording(&self) -> bool {
        self.recording
    }

    pub(super) fn data(&self) -> &std::path::Path {
        &self.data
    }

    pub(super) fn event(&self, run: &str, event: &RunEvent) {
        self.observer.event(run, event);
    }

    /// Runs a request to its end.
    ///
    /// # Errors
    /// [`Refused`] where the request is no good; nothing has begun then. A run that fails later is a
    /// [`Finished`] run with an error.
    pub fn run(&self, request: RunRequest, cancel: &CancelToken) -> Result<Finished, Refused> {
        self.run_within(None, request, cancel)
    }

    /// Runs a request as the child of another run.
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub fn run_within(
        &self,
        parent: Option<&str>,
        request: RunRequest,
        cancel: &CancelToken,
    ) -> Result<Finished, Refused> {
        let mut run = ActiveRun::open(self, parent, request, cancel)?;
        let started = RunEvent::Started { parent: parent.map(str::to_owned) };
        self.event(&run.record.id, &started);
        let drawn = catch_unwind(AssertUnwindSafe(|| {
            run.prepare()?;
            if run.request.script_name.is_some() { run.script() } else { run.execute() }
        }));
        let outcome = drawn.unwrap_or_else(|payload| {
            // A defect of the host or the engine; the run still has to be closed.
            let message = payload
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                .unwrap_or_else(|| "a panic without a text".to_owned());
            let message = format!("the host panicked: {message}; please report this");
            Err(Ended::Failed(RunError::Pipeline(PipelineError::Engine(message))))
        });
        Ok(run.finalize(outcome))
    }
}
