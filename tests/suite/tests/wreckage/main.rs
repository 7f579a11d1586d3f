//! What plugins can do to the process that they are in, at every hook, in the host's process and in a
//! worker: the table of docs/isolation.md.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

mod cell;
mod here;
mod worker;

use std::{collections::BTreeMap, sync::Mutex, thread};

use atelier_suite::root;
use cell::{Fault, HOOKS, Outcome, faults};

/// Tries every fault at every hook; what came of it, with the hooks at which it did.
fn tried(try_one: impl Fn(&Fault, &str) -> Outcome + Sync) -> BTreeMap<&'static str, Vec<String>> {
    let cells: Vec<(usize, Fault, &str)> = faults()
        .into_iter()
        .enumerate()
        .flat_map(|(row, fault)| {
            let hooks = HOOKS.iter().filter(move |hook| fault.reaches(hook));
            hooks.map(move |hook| (row, fault, *hook)).collect::<Vec<_>>()
        })
        .collect();
    let (cells, outcomes) = (Mutex::new(cells.into_iter()), Mutex::new(Vec::new()));
    let work = || {
        while let Some((row, fault, hook)) = { cells.lock().expect("no panic").next() } {
            let outcome = try_one(&fault, hook);
            outcomes.lock().expect("no panic").push((row, fault.name, hook, outcome));
        }
    };
    thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        for worker in workers {
            worker.join().expect("every cell is as it should be");
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no panic");
    let place = |hook: &str| HOOKS.iter().position(|known| *known == hook);
    outcomes.sort_by_key(|(row, _, hook, _)| (*row, place(hook)));
    let mut rows: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
    let mut kinds: BTreeMap<(&'static str, Outcome), Vec<&str>> = BTreeMap::new();
    for (_, name, hook, outcome) in outcomes {
        kinds.entry((name, outcome)).or_default().push(hook);
    }
    for ((name, outcome), hooks) in kinds {
        let told = match hooks.len() {
            1..=4 => format!("{outcome}: at {}", hooks.join(", ")),
            many => format!("{outcome}: at {many} hooks"),
        };
        rows.entry(name).or_default().push(told);
    }
    rows
}

#[test]
fn the_table_of_what_plugins_can_do_is_as_the_page_has_it() {
    let (here, worker) = (tried(here::outcome), tried(worker::outcome));
    let row = |fault: Fault| {
        let cell = |rows: &BTreeMap<&str, Vec<String>>| {
            rows.get(fault.name).map(|told| told.join("; ")).unwrap_or_default()
        };
        format!("| {} | {} | {} |", fault.words, cell(&here), cell(&worker))
    };
    let heading = ["| fault | in the host's process | in a worker |", "|---|---|---|"];
    let lines = heading.map(str::to_owned).into_iter().chain(faults().into_iter().map(row));
    let table: String = lines.flat_map(|line| [line, "\n".to_owned()]).collect();
    let path = root().join("docs/isolation.md");
    let page = std::fs::read_to_string(&path).expect("the page");
    let (begin, end) = ("<!-- the table -->\n", "<!-- its end -->\n");
    let (before, rest) = page.split_once(begin).expect("where the table begins");
    let (there, after) = rest.split_once(end).expect("where it ends");
    if std::env::var_os("ATELIER_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).expect("the page");
        return;
    }
    assert_eq!(there, table, "ATELIER_BLESS=1 writes the table anew");
}
