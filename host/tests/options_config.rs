//! `config.json`: what lasts, what does not, and that nothing is ever lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atelier_host::options::{
    ConfigFile, Loaded, OptionSet, OptionSpec, Owner, Schema, SetError, Store, Value, Watch, Writer,
};
use serde_json::{Map, Value as Json, json};

fn schema() -> Arc<Schema> {
    let specs = [
        OptionSpec::int("steps", 20),
        OptionSpec::float("cfg", 7.0),
        OptionSpec::text("model", "a"),
    ];
    Arc::new(Schema::default().with(specs, &Owner::Host).unwrap())
}

/// A folder with this `config.json`.
fn folder(content: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn open(path: &Path) -> (Store<()>, ConfigFile, Vec<SetError>) {
    let Loaded { file, values, .. } = ConfigFile::load(path).unwrap();
    let (options, stale) = OptionSet::stored(schema(), &values, &Writer::File);
    (Store::new(options, ()), file, stale)
}

fn on_disk(path: &Path) -> Json {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn one(key: impl Into<String>, value: impl Into<Json>) -> Map<String, Json> {
    Map::from_iter([(key.into(), value.into())])
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_missing_file_holds_nothing_and_loading_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = ConfigFile::load(folder.path().join("config.json")).unwrap();
    assert!(loaded.values.is_empty() && names(folder.path()).is_empty());
}

#[test]
fn the_file_looks_as_a1111_writes_it_and_holds_only_what_was_set() {
    let (_folder, path) = folder("{}");
    let (store, file, _) = open(&path);
    store.set("model", "größe", Writer::Cli).unwrap();
    store.set("cfg", 8, Writer::Api).unwrap();
    assert_eq!(store.save(&file).unwrap(), 2);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{\n    \"cfg\": 8.0,\n    \"model\": \"größe\"\n}");
}

#[test]
fn what_a_plugin_or_a_run_writes_is_not_saved_and_does_not_hide_what_was() {
    let (_folder, path) = folder("{}");
    let (store, file, _) = open(&path);
    store.set("steps", 30, Writer::Api).unwrap();
    store.set("steps", 99, Writer::plugin("p", Some("r"))).unwrap();
    store.set("cfg", 3.0, Writer::Run { run: "r".into() }).unwrap();
    assert_eq!(store.save(&file).unwrap(), 1);
    assert_eq!(on_disk(&path), json!({"steps": 30}));
    assert_eq!(store.load().options.by_key("steps"), Some(&Value::Int(99)));

    // Somebody who means it says the same: now it lasts.
    store.set("steps", 99, Writer::Cli).unwrap();
    assert_eq!(store.save(&file).unwrap(), 1);
    assert_eq!(on_disk(&path), json!({"steps": 99}));
    assert_eq!(store.save(&file).unwrap(), 0);
}

#[test]
fn a_refused_value_is_not_saved() {
    let (_folder, path) = folder("{}");
    let (store, file, _) = open(&path);
    store.on_change("nobody", Watch::All, |_| Err("no".into()));
    assert!(store.set("steps", 30, Writer::Api).is_err());
    assert_eq!(store.save(&file).unwrap(), 0);
    assert_eq!(on_disk(&path), json!({}));
}

#[test]
fn keys_that_are_unknown_or_no_longer_fit_stay_in_the_file() {
    let before = json!({"gone_extension": {"a": [1, 2.5]}, "steps": "many", "huge": u64::MAX});
    let (_folder, path) = folder(&before.to_string());
    let (store, file, stale) = open(&path);
    assert_eq!(stale.iter().map(SetError::key).collect::<Vec<_>>(), ["huge", "steps"]);
    assert_eq!(store.load().options.by_key("steps"), Some(&Value::Int(20)));
    assert!(store.load().options.by_key("gone_extension").is_some());
    store.set("cfg", 8, Writer::Cli).unwrap();
    store.save(&file).unwrap();
    let mut expected = before;
    expected["cfg"] = json!(8.0);
    assert_eq!(on_disk(&path), expected);
}

#[test]
fn a_broken_file_is_kept_under_another_name_and_reported() {
    for broken in ["{\"steps\": 3", "[1]", "", "{\"steps\": NaN}"] {
        let (folder, path) = folder(broken);
        for _ in 0..2 {
            fs::write(&path, broken).unwrap();
            let loaded = ConfigFile::load(&path).unwrap();
            let aside = loaded.report.set_aside.unwrap();
            assert!(loaded.values.is_empty() && !aside.reason.is_empty());
            assert_eq!(fs::read_to_string(&aside.path).unwrap(), broken);
        }
        let kept = names(folder.path());
        let kept = kept.iter().filter(|name| name.starts_with("config.json.broken-"));
        assert_eq!(kept.count(), 2, "the second must not replace the first");
    }
}

#[test]
fn a_file_that_breaks_while_the_host_runs_loses_no_setting() {
    let (_folder, path) = folder("{\"foreign\": 1, \"steps\": 30}");
    let (store, file, _) = open(&path);
    fs::write(&path, "{ half").unwrap();
    store.set("cfg", 8, Writer::Cli).unwrap();
    store.save(&file).unwrap();
    assert_eq!(on_disk(&path), json!({"foreign": 1, "steps": 30, "cfg": 8.0}));
}

#[test]
fn two_hosts_that_save_keep_each_others_keys() {
    let (folder, path) = folder("{}");
    std::thread::scope(|scope| {
        for host in 0..2 {
            let path = &path;
            scope.spawn(move || {
                let file = ConfigFile::load(path).unwrap().file;
                for n in 0..50 {
                    file.save(one(format!("key_{host}_{n}"), n)).unwrap();
                }
            });
        }
    });
    assert_eq!(on_disk(&path).as_object().unwrap().len(), 100);
    assert_eq!(names(folder.path()), ["config.json", "config.json.lock"]);
}

#[test]
fn our_keys_win_and_foreign_changes_since_the_load_are_kept() {
    let (_folder, path) = folder("{\"steps\": 1, \"model\": \"b\"}");
    let (store, file, _) = open(&path);
    store.set("steps", 2, Writer::Api).unwrap();
    fs::write(&path, "{\"steps\": 3, \"model\": \"c\", \"new\": true}").unwrap();
    store.save(&file).unwrap();
    assert_eq!(on_disk(&path), json!({"steps": 2, "model": "c", "new": true}));
}

#[test]
fn settings_of_older_a1111_versions_are_carried_over() {
    let old = json!({
        "sd_vae_as_default": true,
        "quicksettings": "sd_model_checkpoint, sd_vae",
        "ui_reorder": "sampler,seed",
        "ui_reorder_list": ["seed"],
    });
    let (_folder, path) = folder(&old.to_string());
    let Loaded { values, report, .. } = ConfigFile::load(&path).unwrap();
    assert_eq!(values["sd_vae_overrides_per_model_preferences"], json!(false));
    assert_eq!(values["quicksettings_list"], json!(["sd_model_checkpoint", "sd_vae"]));
    assert_eq!(values["ui_reorder_list"], json!(["seed"]));
    assert_eq!(values["quicksettings"], old["quicksettings"]);
    assert_eq!(report.migrated.len(), 2);
}

#[test]
fn floats_come_back_from_the_file_to_the_last_bit() {
    let (_folder, path) = folder("{}");
    let (store, file, _) = open(&path);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..50 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let Some(cfg) = Some(f64::from_bits(random)).filter(|cfg| cfg.is_finite()) else {
            continue;
        };
        store.set("cfg", cfg, Writer::Api).unwrap();
        store.save(&file).unwrap();
        assert_eq!(open(&path).0.load().options.by_key("cfg"), Some(&Value::Float(cfg)));
    }
}

#[cfg(unix)]
#[test]
fn a_link_stays_a_link_and_permissions_stay_as_they_are() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (folder, path) = folder("{}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("link.json");
    symlink(&path, &link).unwrap();
    ConfigFile::load(&link).unwrap().file.save(one("a", 1)).unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(on_disk(&path), json!({"a": 1}));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
}
