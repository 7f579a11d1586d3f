//! Runs that wait for their test.

use std::{
    fs,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use atelier_host::run::{CancelToken, Finished, RunRequest};
use atelier_testkit::TestHost;
use serde_json::{Value, json};

/// How long a test waits for a run before it gives up: the patience of the probes' own barrier.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place in a probe's script where its run waits until the test lets it go on.
#[derive(Clone, Debug)]
pub struct Gate {
    reached: PathBuf,
    open: PathBuf,
}

impl Gate {
    /// A gate with a name of its own in the host's folder.
    pub fn new(host: &TestHost, name: &str) -> Self {
        let file = |what: &str| host.folder().join(format!("gate-{name}-{what}"));
        Self { reached: file("reached"), open: file("open") }
    }

    /// The probe's action.
    pub fn action(&self) -> Value {
        json!({ "barrier": [self.reached, self.open] })
    }

    /// Waits until a run is here.
    pub fn wait(&self) {
        let since = Instant::now();
        while !self.reached.exists() {
            assert!(since.elapsed() < PATIENCE, "no run came to {}", self.reached.display());
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Lets the run go on.
    pub fn open(&self) {
        fs::write(&self.open, "").expect("the file that lets the run go on");
    }
}

/// Runs a request and, whenever it comes to the next gate, does what is given with it.
pub fn run_through(
    host: &TestHost,
    request: RunRequest,
    cancel: &CancelToken,
    gates: &[(&Gate, &dyn Fn())],
) -> Finished {
    thread::scope(|threads| {
        let run = threads.spawn(|| host.runner().run(request, cancel));
        for (gate, act) in gates {
            gate.wait();
            act();
            gate.open();
        }
        run.join().expect("no panic").unwrap_or_else(|refused| panic!("refused: {refused}"))
    })
}

/// [`run_through`] with one gate, for a run that must succeed.
pub fn draw_through(host: &TestHost, request: RunRequest, gate: &Gate, act: impl Fn()) -> Finished {
    let finished = run_through(host, request, &CancelToken::new(), &[(gate, &act)]);
    assert!(finished.error.is_none(), "failed: {:?}", finished.error);
    finished
}
