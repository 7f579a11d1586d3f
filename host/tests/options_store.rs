//! The live store, as the rest of the host sees it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use atelier_host::options::{
    Layer, OptionSet, OptionSpec, Owner, Rules, Schema, SchemaError, SetError, Store, Value, Watch,
    Writer,
};

fn store() -> Arc<Store<usize>> {
    let specs = [
        OptionSpec::int("steps", 20).range(1, 150),
        OptionSpec::float("cfg", 7.0),
        OptionSpec::text("model", "a"),
        OptionSpec::text("outdir", "outputs").restricted(),
    ];
    let schema = Schema::default().with(specs, &Owner::Host).unwrap();
    Arc::new(Store::new(OptionSet::new(Arc::new(schema)), 0))
}

fn read(store: &Store<usize>, key: &str) -> Value {
    store.load().options.by_key(key).unwrap().clone()
}

fn writer(store: &Store<usize>, key: &str) -> Writer {
    let state = store.load_full();
    state.options.writer(state.options.schema().id(key).unwrap()).clone()
}

#[test]
fn a_write_is_cast_and_says_what_it_changed() {
    let store = store();
    let change = store.set("cfg", "8", Writer::Cli).unwrap();
    assert_eq!((change.key(), change.is_change()), ("cfg", true));
    assert_eq!((change.old(), change.value()), (&Value::Float(7.0), &Value::Float(8.0)));
    assert_eq!(change.version(), store.load().options.version());
    assert_eq!((read(&store, "cfg"), writer(&store, "cfg")), (Value::Float(8.0), Writer::Cli));
}

#[test]
fn a_state_that_was_loaded_does_not_change() {
    let store = store();
    let before = store.load_full();
    store.set("steps", 30, Writer::Api).unwrap();
    assert_eq!(before.options.by_key("steps"), Some(&Value::Int(20)));
}

#[test]
fn an_equal_value_changes_nothing() {
    let store = store();
    let version = store.load().options.version();
    assert!(!store.set("steps", "20", Writer::Api).unwrap().is_change());
    assert_eq!(store.load().options.version(), version);
    assert_eq!(writer(&store, "steps"), Writer::Default);
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let error = store().set("step", 1, Writer::Api).unwrap_err();
    assert_eq!(error.to_string(), "there is no option \"step\"; did you mean \"steps\"?");
}

#[test]
fn several_writes_are_all_done_or_none_with_an_error_for_each_bad_key() {
    let store = store();
    let mixed =
        [("steps", Value::Int(30)), ("model", 1.into()), ("cfg", "x".into()), ("no", 1.into())];
    let errors = store.set_many(mixed, &Writer::Api).unwrap_err();
    assert_eq!(errors.iter().map(SetError::key).collect::<Vec<_>>(), ["model", "cfg", "no"]);
    assert_eq!((read(&store, "steps"), store.load().options.version()), (Value::Int(20), 0));

    let changes = store.set_many([("steps", 30), ("cfg", 8)], &Writer::Api).unwrap();
    assert_eq!(changes.len(), 2);
    assert_eq!((read(&store, "steps"), read(&store, "cfg")), (30.into(), 8.0.into()));
}

#[test]
fn fixed_paths_are_refused_to_clients() {
    let store = Arc::into_inner(store()).unwrap().with_rules(Rules { fixed_paths: true });
    let error = store.set("outdir", "/", Writer::Api).unwrap_err();
    assert!(matches!(error, SetError::Restricted { .. }), "{error}");
    assert_eq!(read(&store, "outdir"), "outputs".into());
    store.set("outdir", "elsewhere", Writer::Cli).unwrap();
}

/// Refuses the model `broken`.
fn picky(change: &atelier_host::options::Change) -> Result<(), String> {
    match change.value().as_str() {
        Some("broken") => Err("the file is damaged".into()),
        _ => Ok(()),
    }
}

#[test]
fn a_listener_that_cannot_follow_puts_the_old_value_back() {
    let store = store();
    store.on_change("loader", Watch::key("model"), picky);
    store.set("model", "b", Writer::Cli).unwrap();
    let error = store.set("model", "broken", Writer::Api).unwrap_err();
    assert_eq!(
        error.to_string(),
        "option \"model\" keeps its old value, loader cannot follow: the file is damaged"
    );
    assert_eq!((read(&store, "model"), writer(&store, "model")), ("b".into(), Writer::Cli));

    let values = [("steps", Value::Int(5)), ("model", "broken".into())];
    assert_eq!(store.set_many(values, &Writer::Api).unwrap_err().len(), 1);
    assert_eq!((read(&store, "steps"), read(&store, "model")), (Value::Int(20), "b".into()));
}

#[test]
fn listeners_that_had_followed_hear_of_the_way_back() {
    let store = store();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (log, live) = (heard.clone(), Arc::downgrade(&store));
    store.on_change("log", Watch::All, move |change| {
        // Whoever hears of a value finds it in the store.
        assert_eq!(&read(&live.upgrade().unwrap(), change.key()), change.value());
        log.lock().unwrap().push(format!("{}={}", change.key(), change.value()));
        Ok(())
    });
    store.on_change("loader", Watch::key("model"), picky);
    store.set("model", "broken", Writer::Api).unwrap_err();
    assert_eq!(*heard.lock().unwrap(), ["model=\"broken\"", "model=\"a\""]);
}

#[test]
fn a_listener_may_read_and_write_and_hears_nothing_once_removed() {
    let store = store();
    let inner = Arc::downgrade(&store);
    let id = store.on_change("counter", Watch::key("model"), move |change| {
        let store = inner.upgrade().ok_or("gone")?;
        let steps = read(&store, "steps").as_int().unwrap_or(0);
        let set = store.set("steps", steps + 1, change.writer().clone());
        set.map(|_| ()).map_err(|error| error.to_string())
    });
    store.set("model", "b", Writer::Api).unwrap();
    assert_eq!(read(&store, "steps"), Value::Int(21));
    assert!(store.remove_listener(id) && !store.remove_listener(id));
    store.set("model", "c", Writer::Api).unwrap();
    assert_eq!(read(&store, "steps"), Value::Int(21));
}

#[test]
fn a_newer_write_survives_the_refusal_of_an_older_one() {
    let store = store();
    let inner = Arc::downgrade(&store);
    store.on_change("loader", Watch::key("model"), move |change| {
        if change.value().as_str() != Some("broken") {
            return Ok(());
        }
        let store = inner.upgrade().ok_or("gone")?;
        store.set("model", "newer", Writer::Cli).map_err(|error| error.to_string())?;
        Err("not this one".into())
    });
    assert!(store.set("model", "broken", Writer::Api).is_err());
    assert_eq!((read(&store, "model"), writer(&store, "model")), ("newer".into(), Writer::Cli));
}

#[test]
fn a_run_that_leaves_its_overrides_behind_writes_them_all_at_once() {
    let store = store();
    let run = Writer::Run { run: "r1".into() };
    let base = store.load_full().options.clone();
    let mut layer = Layer::default();
    for (key, value) in [("steps", "50"), ("model", "b")] {
        let asked = Writer::Override { run: "r1".into() };
        let admitted = store.rules().admit(base.schema(), key, &value.into(), &asked);
        let (id, value) = admitted.unwrap();
        layer.insert(id, value, asked);
    }
    assert_eq!(read(&store, "steps"), Value::Int(20), "an override is nobody else's business");

    let finals = layer.iter().map(|over| (&base.schema().spec(over.id).key, &over.value));
    store.set_many(finals, &run).unwrap();
    assert_eq!((read(&store, "steps"), read(&store, "model")), (50.into(), "b".into()));
    assert_eq!(writer(&store, "model"), run);
}

#[test]
fn options_of_a_plugin_can_be_set_once_declared_and_foreign_ones_not_redeclared() {
    let store = store();
    let blur = Owner::Plugin("blur".into());
    assert!(store.set("blur_radius", 2, Writer::Api).is_err());
    let done = store.register([OptionSpec::int("blur_radius", 3)], &blur).unwrap();
    assert_eq!((done.added, done.stale), (1, Vec::new()));
    store.set("blur_radius", 2, Writer::Api).unwrap();
    let again = store.register([OptionSpec::int("blur_radius", 3)], &blur).unwrap();
    assert_eq!((again.added, read(&store, "blur_radius")), (0, Value::Int(2)));
    let refused = store.register([OptionSpec::text("steps", "")], &blur).unwrap_err();
    assert!(matches!(refused, SchemaError::Redeclared { ref key, .. } if key == "steps"));
}

#[test]
fn readers_never_see_options_without_their_companion() {
    let store = store();
    let first = store.load().options.schema().len();
    store.update_companion(|_| first);
    let done = AtomicBool::new(false);
    let watch = || {
        let (mut last, mut changes) = (0, 0);
        while !done.load(Ordering::Relaxed) {
            let state = store.load();
            assert_eq!(state.options.schema().len(), state.companion);
            assert_eq!(state.options.iter().count(), state.companion);
            let version = state.options.version();
            assert!(version >= last, "a reader went back in time");
            changes += usize::from(version > last);
            last = version;
        }
        changes
    };
    let changes: Vec<usize> = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..3).map(|_| scope.spawn(watch)).collect();
        for n in 0..500 {
            let spec = OptionSpec::int(format!("o{n}"), n);
            let owner = Owner::Plugin("p".into());
            let registered = store.register_with([spec], &owner, |count| count + 1);
            assert_eq!(registered.unwrap().added, 1);
            store.set("steps", n % 150 + 1, Writer::Api).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert_eq!(store.load().companion, first + 500);
    assert!(changes.iter().any(|changes| *changes > 1), "nobody saw a change: {changes:?}");
}

#[test]
fn writers_side_by_side_lose_no_write() {
    let store = store();
    let keys = [0, 1, 2, 3].map(|n| format!("o{n}"));
    let specs = keys.iter().map(|key| OptionSpec::int(key, -1));
    assert_eq!(store.register(specs, &Owner::Plugin("p".into())).unwrap().added, 4);
    let before = store.load().options.version();
    std::thread::scope(|scope| {
        for key in &keys {
            scope.spawn(|| {
                for value in 0..250 {
                    store.set(key, value, Writer::Api).unwrap();
                }
            });
        }
    });
    assert_eq!(store.load().options.version(), before + 1000);
    assert!(keys.iter().all(|key| read(&store, key) == Value::Int(249)));
}

#[test]
fn a_thousand_random_writes_leave_what_a_plain_map_holds() {
    let keys: Vec<_> = (0..100).map(|n| format!("option_{n:02}")).collect();
    let specs = keys.iter().map(|key| OptionSpec::int(key, 0));
    let schema = Arc::new(Schema::default().with(specs, &Owner::Host).unwrap());
    let mut set = OptionSet::new(schema.clone());
    let mut model: BTreeMap<&str, Value> =
        keys.iter().map(|key| (key.as_str(), Value::Int(0))).collect();
    let mut history = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..1000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let key = &keys[random as usize % keys.len()];
        let value = Value::Int((random >> 32) as i64);
        set = set.with(schema.id(key).unwrap(), value.clone(), Writer::Cli);
        model.insert(key, value);
        history.push((set.clone(), model.clone()));
    }
    // Every state of the past is still what it was.
    for (set, model) in history {
        assert!(set.iter().eq(model.iter().map(|(key, value)| (*key, value))));
    }
}
