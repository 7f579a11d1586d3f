//! In a worker.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use atelier_host::{
    Atelier, Config,
    fake::FakeProvider,
    plugins::{Isolating, Isolation, Needs, PluginId, Workers, trust::Trust},
    run::{CancelToken, Finished, RunState},
};
use atelier_suite::{Kind, atelier, plugin};
use image::RgbImage;

use crate::cell::{Fault, Outcome, kind, request};

/// A host with a well-behaved plugin and, in a worker, one that is not.
fn host(folder: &Path, fault: Option<(&Fault, &str)>, more: Vec<(String, String)>) -> Atelier {
    let mut environment = more;
    let mut plugins = vec![plugin("watermark")];
    if let Some((fault, hook)) = fault {
        environment.push(fault.environment(hook));
        plugins.push(fault.library());
    }
    let workers = Workers {
        program: atelier().to_owned(),
        deadline: Some(Duration::from_secs(1)),
        environment,
    };
    let isolating = Isolating {
        all: Some(Isolation::Worker),
        workers: Some(workers),
        granted_to_all: Needs { memory_mb: Some(512), ..Needs::default() },
        ..Isolating::default()
    };
    let config = Config {
        data: folder.to_owned(),
        plugins,
        trust: Trust::All,
        isolating,
        ..Config::default()
    };
    let atelier = Atelier::open(&config).expect("a host");
    for entry in atelier.plugins() {
        assert_eq!(entry.state.reason(), None, "{}", entry.path.display());
    }
    atelier
}

fn draw(atelier: &Atelier, hook: &str) -> Finished {
    let runner = atelier.runner(Arc::new(FakeProvider::default())).build();
    runner.run(request(hook), &CancelToken::new()).expect("a run")
}

fn pictures(finished: &Finished) -> Vec<RgbImage> {
    finished.pictures.iter().map(|picture| picture.image.clone()).collect()
}

/// What is drawn with the well-behaved plugin alone, in the kind of run that has the hook.
fn expected(hook: &str) -> Vec<RgbImage> {
    static DRAWN: Mutex<BTreeMap<Kind, Vec<RgbImage>>> = Mutex::new(BTreeMap::new());
    let mut drawn = DRAWN.lock().expect("no panic");
    let pictures = drawn.entry(Kind::with(hook)).or_insert_with(|| {
        let folder = tempfile::tempdir().expect("a folder");
        pictures(&draw(&host(folder.path(), None, Vec::new()), hook))
    });
    pictures.clone()
}

/// Processes of a group.
fn group(leader: u32) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let stats = processes.filter_map(|it| std::fs::read_to_string(it.path().join("stat")).ok());
    // Behind the name in brackets: state, parent, group.
    let of_group = |stat: &String| {
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split_whitespace().nth(2)) == Some(&leader.to_string())
    };
    stats.filter(of_group).collect()
}

pub(crate) fn outcome(fault: &Fault, hook: &str) -> Outcome {
    let place = format!("{} at {hook}", fault.name);
    let folder = tempfile::tempdir().expect("a folder");
    let server = TcpListener::bind("127.0.0.1:0").expect("a server");
    server.set_nonblocking(true).expect("a server that is asked");
    let written = folder.path().join("written");
    let more = vec![
        ("ATELIER_MISBEHAVE_FILE".to_owned(), written.display().to_string()),
        (
            "ATELIER_MISBEHAVE_ADDRESS".to_owned(),
            server.local_addr().expect("an address").to_string(),
        ),
    ];
    let atelier = host(folder.path(), Some((fault, hook)), more);
    let id = PluginId::new(fault.plugin()).expect("an id");
    let state = atelier.store().load_full();
    let worker = state.companion.get(&id).and_then(|it| it.handle.process()).expect("a worker");
    drop(state);
    let finished = draw(&atelier, hook);
    assert_eq!(finished.record.state, RunState::Done, "{place}: {:?}", finished.error);
    assert!(!written.exists(), "{place}: it wrote the file");
    assert!(server.accept().is_err(), "{place}: it reached the server");
    // An endless loop that is skipped draws the picture that would have been drawn without it.
    assert!(pictures(&finished) == expected(hook), "{place}");
    drop(atelier);
    assert_eq!(group(worker), Vec::<String>::new(), "{place}: processes are left");
    let failures = &finished.record.failures;
    let hook = if fault.name == "panic-in-drop" { "drop" } else { hook };
    match &failures[..] {
        [] => Outcome::Nothing,
        [failure] => {
            assert_eq!((failure.plugin.as_str(), failure.hook.as_str()), (fault.plugin(), hook));
            Outcome::Failed(kind(&failure.status, &failure.message))
        }
        several => panic!("{place}: {several:?}"),
    }
}
