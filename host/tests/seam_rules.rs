//! What a run may not set, whoever asks and however.

use std::sync::Arc;

use atelier_host::{
    options::{OptionSet, OptionSpec, Owner, Refusal, Rules, SetError, Store, Value, a1111},
    plugins::{LiveOptions, PluginId, PluginSet},
    run::seam::{Reader, Seam, SeamError, SeamMode},
};
use serde_json::json;

const KEY: &str = "outdir_samples";

fn store(rules: Rules) -> Arc<LiveOptions> {
    let options = OptionSet::new(Arc::new(a1111::schema()));
    Arc::new(Store::new(options, Arc::new(PluginSet::default())).with_rules(rules))
}

fn refused() -> SetError {
    SetError::Restricted { key: KEY.to_owned(), refusal: Refusal::Paths }
}

#[test]
fn fixed_paths_cannot_be_overridden() {
    let folder = json!("/elsewhere");
    let open = |fixed_paths| {
        Seam::open("run".into(), store(Rules { fixed_paths }), [(KEY, &folder)]).map(|_| ())
    };
    assert_eq!(open(true), Err(vec![refused()]));
    assert_eq!(open(false), Ok(()));
}

#[test]
fn plugins_cannot_change_fixed_paths_for_a_run_or_for_everybody() {
    let store = store(Rules { fixed_paths: true });
    let mut seam = Seam::open("run".into(), store.clone(), []).unwrap();
    let folder = Value::from("/elsewhere");
    let refused = Err(SeamError::Option(refused()));
    assert_eq!(seam.write_override(KEY, &folder, "p"), refused);
    seam.freeze();
    seam.take_snapshot();
    assert_eq!(seam.write_live(KEY, &folder, "p"), refused);
    assert_eq!(seam.write_run(KEY, &folder, "p"), refused);
    assert!(seam.layer().is_empty());
    assert_eq!(store.load().options.by_key(KEY), Some(&"".into()));
}

#[test]
fn overrides_come_before_the_base_is_frozen() {
    let mut seam = Seam::open("run".into(), store(Rules::default()), []).unwrap();
    let add = |seam: &mut Seam, rows: i64| seam.write_override("n_rows", &rows.into(), "p");
    assert_eq!(add(&mut seam, 2), Ok(()));
    seam.freeze();
    assert!(matches!(add(&mut seam, 3), Err(SeamError::NotNow(_))));
    seam.take_snapshot();
    assert!(matches!(add(&mut seam, 4), Err(SeamError::NotNow(_))));
    let set: Vec<_> = seam.overrides().into_iter().map(|(key, value, _)| (key, value)).collect();
    assert_eq!(set, [("n_rows".to_owned(), 2.into())]);
    assert_eq!(seam.layer().len(), 1);
}

/// Which plugins there are was settled when the host started: a run cannot say otherwise, nor can a plugin
/// for it.
#[test]
fn plugins_cannot_override_what_counts_at_start() {
    let mut seam = Seam::open("run".into(), store(Rules::default()), []).unwrap();
    let none = Value::texts(Vec::<String>::new());
    let at_start = |key: &str| Err(SeamError::Option(SetError::AtStart { key: key.to_owned() }));
    for key in ["disabled_extensions", "disable_all_extensions", "prioritized_callbacks_process"] {
        assert_eq!(seam.write_override(key, &none, "p"), at_start(key));
    }
    seam.freeze();
    seam.take_snapshot();
    let key = "disabled_extensions";
    assert_eq!(seam.write_run(key, &none, "p"), at_start(key));
    assert!(seam.layer().is_empty());
}

/// It has nothing to be compared with, and nothing to be pinned to.
#[test]
fn an_option_that_is_declared_in_mid_run_answers_live_even_pinned() {
    let store = store(Rules::default());
    let mut seam = Seam::open("run".into(), store.clone(), []).unwrap();
    seam.freeze();
    seam.take_snapshot();
    let declared = OptionSpec::int("late_number", 5);
    let _ = store.register(vec![declared], &Owner::Plugin("late".to_owned())).unwrap();
    let caller = seam.caller(Reader::Plugin(PluginId::new("late").unwrap()), "process");
    seam.enter(caller);
    assert_eq!(seam.read_live("late_number", SeamMode::Pin), Ok(5.into()));
    assert!(seam.ledger_rows().iter().all(|row| row.diverged == 0));
}
