//! A thousand libraries made from a good one by mutation: looking at them is safe, and what looks sound
//! enough to be opened is opened in a worker first.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{fs, path::Path, time::Duration};

use atelier_host::{
    Atelier, Config,
    plugins::{Isolating, Isolation, LoadError, PluginState, Workers, trust::Trust},
};
use atelier_suite::{atelier, root, variant};
use atelier_testkit::build;

const MUTANTS: usize = 1000;

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % end.max(1)
    }
}

/// One of four ways: some bits, a cut, a piece over another one, a header field.
fn mutated(whole: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    match numbers.below(4) {
        0 => {
            for _ in 0..=numbers.below(8) {
                let at = numbers.below(bytes.len());
                bytes[at] ^= 1 << numbers.below(8);
            }
        }
        1 => bytes.truncate(numbers.below(whole.len())),
        2 => {
            let (from, to) = (numbers.below(whole.len()), numbers.below(whole.len()));
            let len = numbers.below(whole.len() - from.max(to)).min(4096);
            bytes.copy_within(from..from + len, to);
        }
        _ => {
            // The ELF header, or the section table at the end.
            let at = match numbers.below(2) {
                0 => numbers.below(64 + 10 * 56),
                _ => whole.len() - 1 - numbers.below(30 * 64),
            };
            bytes[at] = numbers.below(256) as u8;
        }
    }
    bytes
}

/// Opens a library in a worker; the host is there afterwards to say what came of it.
fn tried(folder: &Path, library: &Path) -> PluginState {
    let workers = Workers {
        program: atelier().to_owned(),
        deadline: Some(Duration::from_secs(5)),
        environment: Vec::new(),
    };
    let config = Config {
        data: folder.join("data"),
        plugins: vec![library.to_owned()],
        trust: Trust::All,
        isolating: Isolating {
            all: Some(Isolation::Worker),
            workers: Some(workers),
            ..Isolating::default()
        },
        ..Config::default()
    };
    let atelier = Atelier::open(&config).expect("a host");
    let state = &atelier.plugins()[0].state;
    match state {
        PluginState::Active => PluginState::Active,
        other => PluginState::Failed(LoadError::Worker { reason: other.reason().expect("why") }),
    }
}

#[test]
fn looking_at_a_thousand_mutants_is_safe_and_what_remains_is_opened_in_a_worker() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = variant::workbench("wrecker");
    fs::create_dir_all(&made).expect("a folder");
    let source = root().join("tests/plugins/wrecker/wrecker.c");
    let good = build::with_cc(&source, &root().join("plugin-api/include"), &made);
    let whole = fs::read(good).expect("a library");
    let host = Atelier::open(&Config { data: folder.path().join("data"), ..Config::default() });
    let loader = host.expect("a host").loader();
    let library = folder.path().join("libmutant.so");
    let mut numbers = Numbers(17);
    let (mut refused, mut active, mut died) = (0, 0, 0);
    for _ in 0..MUTANTS {
        fs::write(&library, mutated(&whole, &mut numbers)).expect("a library");
        if loader.inspect(&library).is_err() {
            refused += 1;
            continue;
        }
        match tried(folder.path(), &library) {
            PluginState::Active => active += 1,
            _ => died += 1,
        }
    }
    assert_eq!(refused + active + died, MUTANTS);
    // The mutations are such that there are some of each.
    assert!(refused > 100 && active > 100 && died > 10, "{refused}, {active}, {died}");
}
