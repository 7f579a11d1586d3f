//! Workers as their users have them: granted what they ask for, started again when they died, gone when
//! their host is.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::Path,
    process::Stdio,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use atelier_host::{
    Atelier, Config,
    fake::FakeProvider,
    plugins::{Isolating, Isolation, Needs, PluginId, Workers, trust::Trust},
    run::{CancelToken, RunRequest, record::HookFailure},
};
use atelier_suite::{
    atelier,
    command::{command, errors, json},
    plugin, root,
};
use atelier_testkit::build;

/// A host with the misbehaving plugin in a worker.
fn host(folder: &Path, fault: &str, more: &[(&str, String)], granted: Needs) -> Atelier {
    let mut environment = vec![("ATELIER_MISBEHAVE".to_owned(), fault.to_owned())];
    environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let workers = Workers {
        program: atelier().to_owned(),
        deadline: Some(Duration::from_secs(10)),
        environment,
    };
    let id = PluginId::new("misbehaving").expect("an id");
    let config = Config {
        data: folder.to_owned(),
        plugins: vec![plugin("misbehaving")],
        trust: Trust::All,
        isolating: Isolating {
            all: Some(Isolation::Worker),
            workers: Some(workers),
            granted: BTreeMap::from([(id, granted)]),
            ..Isolating::default()
        },
        ..Config::default()
    };
    Atelier::open(&config).expect("a host")
}

fn failures(atelier: &Atelier) -> Vec<HookFailure> {
    let runner = atelier.runner(Arc::new(FakeProvider::default())).build();
    let request = RunRequest { steps: 1, seed: 1, ..RunRequest::default() };
    let record = runner.run(request, &CancelToken::new()).expect("a run").record;
    assert_eq!(record.plugins[0].isolation, Isolation::Worker);
    record.failures
}

#[test]
fn what_is_granted_is_possible_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = TcpListener::bind("127.0.0.1:0").expect("a server");
    server.set_nonblocking(true).expect("a server that is asked");
    let granted_folder = folder.path().join("granted");
    fs::create_dir(&granted_folder).expect("a folder");
    let file = granted_folder.join("file");
    let variables = [
        ("ATELIER_MISBEHAVE_FILE", file.display().to_string()),
        ("ATELIER_MISBEHAVE_ADDRESS", server.local_addr().expect("an address").to_string()),
    ];
    let network = Needs { network: true, ..Needs::default() };
    let write = Needs { write: vec![granted_folder], ..Needs::default() };
    // Fault, grant, whether it then is possible.
    let cases = [
        ("connect:process", &network, true),
        ("write-file:process", &network, false),
        ("write-file:process", &write, true),
        ("connect:process", &write, false),
    ];
    for (fault, granted, possible) in cases {
        let data = folder.path().join("data");
        let failed = failures(&host(&data, fault, &variables, granted.clone()));
        let done = if fault.starts_with("connect") {
            server.accept().is_ok()
        } else {
            fs::remove_file(&file).is_ok()
        };
        assert_eq!(done, possible, "{fault} with {granted}: {failed:?}");
        assert_eq!(failed.is_empty(), possible, "{fault} with {granted}: {failed:?}");
    }
}

#[test]
fn a_worker_that_dies_is_started_again_and_waits_after_the_second_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let atelier = host(folder.path(), "abort:process", &[], Needs::default());
    let words = || {
        let mut failures = failures(&atelier);
        assert_eq!(failures.len(), 1, "{failures:?}");
        failures.remove(0).message
    };
    let waits = |words: &str| words.contains("died 2 times in a row") && words.contains("again in");
    let first = words();
    assert!(first.contains("ended with signal 6"), "{first}");
    // The first death may have been an accident.
    let second = words();
    assert!(second.contains("ended with signal 6"), "{second}");
    let third = words();
    assert!(waits(&third), "{third}");
    let patience = Instant::now() + Duration::from_secs(20);
    let again = loop {
        let told = words();
        if !waits(&told) || Instant::now() > patience {
            break told;
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert!(again.contains("ended with signal 6"), "{again}");
}

/// Processes whose command line is that of a plugin's worker, started by a process.
fn workers_of(host: u32, id: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("processes").flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse() else { continue };
        let of = |name: &str| fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let parent: Option<u32> = of("stat")
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if parent == Some(host) && of("cmdline").contains(&format!("worker\0{id}")) {
            found.push(number);
        }
    }
    found
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < patience, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_host_that_is_killed_takes_its_workers_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for fault in ["", "endless-loop:process"] {
        let mut host = command(folder.path())
            .args(["--isolation", "worker", "--plugins"])
            .arg(plugin("misbehaving"))
            .args(["txt2img", "red heart", "--steps", "150", "--no-save"])
            .env("ATELIER_MISBEHAVE", fault)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the atelier command");
        let worker = wait_for("there is a worker", || {
            assert!(host.try_wait().expect("a process").is_none(), "the run is over");
            workers_of(host.id(), "misbehaving").first().copied()
        });
        thread::sleep(Duration::from_millis(300));
        // With SIGKILL: it can do nothing about it.
        host.kill().expect("a process to kill");
        host.wait().expect("its end");
        wait_for("the worker is gone", || {
            (!Path::new(&format!("/proc/{worker}")).exists()).then_some(())
        });
    }
}

#[test]
fn what_a_plugin_asks_for_is_shown_and_not_had() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = root().join("tests/plugins/eager/eager.c");
    let source = fs::read_to_string(source).expect("a source").replace(
        r#"ATELIER_MANIFEST("eager", "Eager", "1.0.0","#,
        r#"ATELIER_MANIFEST_WITH("eager", "Eager", "1.0.0",
            "\"isolation\":\"worker\",\"needs\":{\"network\":true,\"memory_mb\":8192},","#,
    );
    assert!(source.contains("MANIFEST_WITH"));
    let copy = folder.path().join("eager.c");
    fs::write(&copy, source).expect("a file");
    let library = build::with_cc(&copy, &root().join("plugin-api/include"), folder.path());
    let done = |words: &[&str]| {
        let mut command = command(&folder.path().join("data"));
        let output = command.arg("--plugins").arg(&library).args(words).output();
        let output = output.expect("the atelier command");
        assert!(output.status.success(), "{}", errors(&output));
        output
    };
    let inspected = || json(&done(&["--json", "plugins", "inspect", "eager"]));
    let report = inspected();
    assert_eq!(report["isolation"], "worker");
    assert_eq!(report["manifest"]["needs"]["memory_mb"], 8192);
    assert_eq!(report["granted"], serde_json::json!({}));
    done(&["plugins", "grant", "eager", "--network"]);
    assert_eq!(inspected()["granted"], serde_json::json!({"network": true}));
    done(&["plugins", "grant", "eager", "--revoke"]);
    assert_eq!(inspected()["granted"], serde_json::json!({}));
}
