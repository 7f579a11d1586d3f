//! The ledgers of several runs, added up.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    options::{Value, Writer},
    run::{
        RunRecord,
        seam::{Divergence, LedgerRow, SeamMode},
    },
};

/// What a plugin's reads say of its migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// It reads, and only the snapshot (or before there is one).
    Ready,
    /// It reads live, and got what the snapshot has.
    Live,
    /// It reads live, and got something else at least once.
    Diverged,
    /// It reads nothing.
    Silent,
}

/// A live answer that was not the snapshot's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Difference {
    pub(super) live: Value,
    pub(super) snapshot: Value,
    /// Who wrote the live value, in words.
    pub(super) by: String,
    pub(super) writer: Writer,
    pub(super) run: String,
}

/// One option of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct OptionSummary {
    pub(super) option: String,
    pub(super) early: u64,
    pub(super) live: u64,
    pub(super) snapshot: u64,
    pub(super) writes: u64,
    pub(super) run_writes: u64,
    pub(super) diverged: u64,
    /// The hooks it happened at, in the order of a run.
    pub(super) hooks: Vec<String>,
    /// The last difference of each writer.
    pub(super) divergences: Vec<Difference>,
    /// For reads of the whole map: what differed in it.
    pub(super) diverged_keys: Vec<String>,
}

/// One plugin.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct PluginSummary {
    pub(super) id: String,
    pub(super) verdict: Verdict,
    /// Whether its live reads were answered from the snapshot in one of the runs.
    pub(super) pinned: bool,
    pub(super) live: u64,
    pub(super) early: u64,
    pub(super) snapshot: u64,
    pub(super) diverged: u64,
    /// Who wrote what it read differently.
    pub(super) writers: Vec<String>,
    pub(super) options: Vec<OptionSummary>,
}

/// The seam of some runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Summary {
    /// Ids, newest first.
    pub(super) runs: Vec<String>,
    pub(super) plugins: Vec<PluginSummary>,
}

impl Summary {
    /// Adds up runs that come newest first. The host's own reads are in it only with `all`.
    pub(super) fn of(runs: &[RunRecord], plugin: Option<&str>, all: bool) -> Self {
        let mut options: BTreeMap<String, BTreeMap<String, OptionSummary>> = BTreeMap::new();
        let mut pinned: BTreeMap<String, bool> = BTreeMap::new();
        let wanted = |id: &str| match plugin {
            Some(only) => id == only,
            None => all || id != "host",
        };
        for run in runs {
            for plugin in run.plugins.iter().filter(|plugin| wanted(&plugin.id)) {
                options.entry(plugin.id.clone()).or_default();
                *pinned.entry(plugin.id.clone()).or_default() |= plugin.seam == SeamMode::Pin;
            }
            for row in run.ledger.iter().filter(|row| wanted(&row.reader)) {
                let of = options.entry(row.reader.clone()).or_default();
                of.entry(row.option.clone()).or_default().add(run, row);
            }
        }
        let mut plugins: Vec<PluginSummary> = options
            .into_iter()
            .map(|(id, options)| {
                let pinned = pinned.get(&id).copied().unwrap_or_default();
                PluginSummary::of(id, pinned, options.into_values().collect())
            })
            .collect();
        plugins.sort_by_key(|plugin| plugin.id == "host");
        Self { runs: runs.iter().map(|run| run.id.clone()).collect(), plugins }
    }
}

impl OptionSummary {
    fn add(&mut self, run: &RunRecord, row: &LedgerRow) {
        row.option.clone_into(&mut self.option);
        self.early += row.early;
        self.live += row.live;
        self.snapshot += row.snapshot;
        self.writes += row.writes;
        self.run_writes += row.run_writes;
        self.diverged += row.diverged;
        if !self.hooks.contains(&row.hook) {
            self.hooks.push(row.hook.clone());
        }
        for key in &row.diverged_keys {
            if !self.diverged_keys.contains(key) {
                self.diverged_keys.push(key.clone());
            }
        }
        if let Some(divergence) = &row.divergence {
            self.note(run, row, divergence);
        }
    }

    /// Keeps the newest difference of each writer.
    fn note(&mut self, run: &RunRecord, row: &LedgerRow, divergence: &Divergence) {
        let by = in_words(&divergence.writer, &row.reader, &run.id);
        if self.divergences.iter().any(|known| known.by == by && known.run != run.id) {
            return;
        }
        self.divergences.retain(|known| known.by != by);
        self.divergences.push(Difference {
            live: divergence.live.clone(),
            snapshot: divergence.snapshot.clone(),
            by,
            writer: divergence.writer.clone(),
            run: run.id.clone(),
        });
    }
}

/// The writer as its reader in that run would name it.
fn in_words(writer: &Writer, reader: &str, run: &str) -> String {
    match writer {
        Writer::Plugin { id, run: Some(by) } if **id == *reader && **by == *run => {
            "itself".to_owned()
        }
        Writer::Plugin { id, run: Some(by) } if **by == *run => id.to_string(),
        Writer::Plugin { id, run: Some(_) } if **id == *reader => {
            "itself in another run".to_owned()
        }
        Writer::Plugin { id, run: Some(_) } => format!("{id} in another run"),
        Writer::Plugin { id, run: None } => id.to_string(),
        Writer::Run { .. } => "another run's overrides".to_owned(),
        Writer::Override { .. } => "the run's overrides".to_owned(),
        other => other.to_string(),
    }
}

impl PluginSummary {
    fn of(id: String, pinned: bool, options: Vec<OptionSummary>) -> Self {
        let sum = |of: fn(&OptionSummary) -> u64| options.iter().map(of).sum::<u64>();
        let (live, early) = (sum(|o| o.live), sum(|o| o.early));
        let (snapshot, diverged) = (sum(|o| o.snapshot), sum(|o| o.diverged));
        let verdict = match (diverged, live, snapshot + early) {
            (1.., ..) => Verdict::Diverged,
            (0, 1.., _) => Verdict::Live,
            (0, 0, 1..) => Verdict::Ready,
            (0, 0, 0) => Verdict::Silent,
        };
        let mut writers: Vec<String> = Vec::new();
        for by in options.iter().flat_map(|option| &option.divergences).map(|d| &d.by) {
            if !writers.contains(by) {
                writers.push(by.clone());
            }
        }
        Self { id, verdict, pinned, live, early, snapshot, diverged, writers, options }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn run(id: &str, rows: &Json) -> RunRecord {
        let plugin =
            |id: &str| json!({"id": id, "version": "1", "hash": "", "path": "", "seam": "record"});
        serde_json::from_value(json!({
            "record_version": 1, "id": id, "parent": null, "state": "done", "error": null,
            "started": "", "finished": null, "process": 1, "host": "", "request": {},
            "on_error": "skip", "prepared": null, "overrides": {}, "snapshot": null,
            "model": null, "engine": null, "order": {}, "hooks": [], "failures": [],
            "plugins": [plugin("drift"), plugin("mark"), plugin("quiet"), plugin("styles")],
            "ledger": rows, "outside_writes": [], "outputs": [], "seconds": 0.0,
            "sampling_seconds": 0.0,
        }))
        .unwrap()
    }

    fn row(reader: &str, hook: &str, counts: &Json) -> Json {
        let mut row = json!({
            "reader": reader, "hook": hook, "option": "o", "early": 0, "live": 0, "snapshot": 0,
            "writes": 0, "run_writes": 0, "diverged": 0,
        });
        row.as_object_mut().unwrap().extend(counts.as_object().unwrap().clone());
        row
    }

    fn diverged(live: i64, writer: &Json) -> Json {
        let divergence = json!({"live": live, "snapshot": 0, "writer": writer});
        json!({"live": 2, "diverged": 1, "divergence": divergence})
    }

    fn plugin<'a>(summary: &'a Summary, id: &str) -> &'a PluginSummary {
        summary.plugins.iter().find(|plugin| plugin.id == id).unwrap()
    }

    #[test]
    fn a_plugin_is_as_far_as_its_worst_read() {
        let rows = json!([
            row("drift", "process", &diverged(1, &json!({"by": "api"}))),
            row("host", "save", &json!({"live": 9})),
            row("mark", "start", &json!({"snapshot": 1})),
            row("mark", "before_process", &json!({"early": 1})),
            row("styles", "process", &json!({"live": 1, "snapshot": 1})),
        ]);
        let summary = Summary::of(&[run("r", &rows)], None, false);
        let verdicts: Vec<_> = summary.plugins.iter().map(|p| (p.id.as_str(), p.verdict)).collect();
        let expected = [
            ("drift", Verdict::Diverged),
            ("mark", Verdict::Ready),
            ("quiet", Verdict::Silent),
            ("styles", Verdict::Live),
        ];
        assert_eq!(verdicts, expected);
        let all = Summary::of(&[run("r", &rows)], None, true);
        assert_eq!(all.plugins.last().unwrap().id, "host");
        assert_eq!(Summary::of(&[run("r", &rows)], Some("mark"), false).plugins.len(), 1);
    }

    #[test]
    fn counts_add_up_over_hooks_and_runs_and_writers_are_named_once() {
        let own = |run: &str| json!({"by": "plugin", "id": "drift", "run": run});
        let new = json!([
            row("drift", "process", &diverged(3, &own("new"))),
            row("drift", "after_step", &diverged(4, &own("new"))),
        ]);
        let old = json!([
            row("drift", "process", &diverged(1, &own("old"))),
            row("drift", "process", &diverged(2, &own("elsewhere"))),
        ]);
        let summary = Summary::of(&[run("new", &new), run("old", &old)], None, false);
        let drift = plugin(&summary, "drift");
        assert_eq!((drift.live, drift.diverged), (8, 4));
        assert_eq!(drift.writers, ["itself", "itself in another run"]);
        let option = &drift.options[0];
        assert_eq!(option.hooks, ["process", "after_step"]);
        // Of each writer the last difference of the newest run.
        let shown: Vec<_> = option.divergences.iter().map(|d| d.live.to_string()).collect();
        assert_eq!(shown, ["4", "2"]);
    }
}
