//! In the host's process: a process of the test's own for every cell.

use std::{
    net::TcpListener,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use atelier_host::{
    Atelier, Config,
    fake::FakeProvider,
    plugins::{crumbs::Culprit, trust::Trust},
    run::{CancelToken, RunState},
};

use crate::cell::{Fault, Outcome, kind, request};

/// What the child is told: the data folder, and the plugin's library.
const FOLDER: &str = "ATELIER_WRECKAGE_FOLDER";
const LIBRARY: &str = "ATELIER_WRECKAGE_LIBRARY";
/// And the hook at which it fails, for a run that has it.
const HOOK: &str = "ATELIER_WRECKAGE_HOOK";
/// How long a run may take that is not an endless loop.
const PATIENCE: Duration = Duration::from_secs(20);

fn host(folder: &Path, plugins: Vec<PathBuf>) -> Atelier {
    let config =
        Config { data: folder.to_owned(), plugins, trust: Trust::All, ..Config::default() };
    Atelier::open(&config).expect("a host")
}

/// The child's part: it draws, and leaves what came of it.
#[test]
fn draws_where_it_is_told_to() {
    let (Some(folder), Some(library)) = (std::env::var_os(FOLDER), std::env::var_os(LIBRARY))
    else {
        return;
    };
    let folder = PathBuf::from(folder);
    let hook = std::env::var(HOOK).expect("a hook");
    let atelier = host(&folder, vec![library.into()]);
    let runner = atelier.runner(Arc::new(FakeProvider::default())).build();
    let finished = runner.run(request(&hook), &CancelToken::new()).expect("a run");
    assert_eq!(finished.record.state, RunState::Done);
    let failures = serde_json::to_vec(&finished.record.failures).expect("JSON");
    std::fs::write(folder.join("failures.json"), failures).expect("a file");
}

pub(crate) fn outcome(fault: &Fault, hook: &str) -> Outcome {
    let place = format!("{} at {hook}", fault.name);
    let folder = tempfile::tempdir().expect("a folder");
    let server = TcpListener::bind("127.0.0.1:0").expect("a server");
    server.set_nonblocking(true).expect("a server that is asked");
    let written = folder.path().join("written");
    let (name, value) = fault.environment(hook);
    // A limit of the shell's, lest the machine's memory be eaten.
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this test"))
        .args(["here::draws_where_it_is_told_to", "--exact"])
        .env(FOLDER, folder.path())
        .env(LIBRARY, fault.library())
        .env(HOOK, hook)
        .env("RUST_BACKTRACE", "0")
        .env("ATELIER_MISBEHAVE_FILE", &written)
        .env("ATELIER_MISBEHAVE_ADDRESS", server.local_addr().expect("an address").to_string())
        .env(name, value)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().expect("a process");
    let patience = if fault.name == "endless-loop" { Duration::from_secs(1) } else { PATIENCE };
    let begin = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a status") {
            break Some(status);
        }
        if begin.elapsed() > patience {
            break None;
        }
        thread::sleep(Duration::from_millis(5));
    };
    // What it has started, and itself where it does not end.
    let _ = Command::new("kill")
        .args(["-9", "--", &format!("-{}", child.id())])
        .stderr(Stdio::null())
        .status();
    let _ = child.wait();
    let how = match status {
        Some(status) if status.success() => {
            let failures = std::fs::read(folder.path().join("failures.json")).expect("failures");
            let failures: Vec<serde_json::Value> = serde_json::from_slice(&failures).expect("JSON");
            let Some(failure) = failures.first() else {
                // Without a worker around it, or without a buffer, there is nothing to do it to.
                let nothing = ["kill-parent", "starve-parent", "past-buffer"].contains(&fault.name);
                return if nothing { Outcome::Nothing } else { Outcome::Done };
            };
            let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
            return Outcome::Failed(kind(&text("status"), &text("message")));
        }
        Some(status) => match (status.signal(), status.code()) {
            (Some(signal), _) => format!("signal {signal}"),
            (None, code) => format!("exit code {}", code.unwrap_or_default()),
        },
        None => "it hangs".to_owned(),
    };
    let next = host(folder.path(), Vec::new());
    let [Culprit { plugin, hook: named, in_charge, .. }] = next.culprits() else {
        panic!("{place}: {how}, and nobody is named: {:?}", next.culprits());
    };
    assert_eq!(plugin, fault.plugin(), "{place}: {how}");
    if !in_charge {
        return Outcome::GoneLater(how);
    }
    assert_eq!(named, hook, "{place}: {how}");
    Outcome::HostGone(how)
}
