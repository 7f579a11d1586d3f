//! What runs is a private copy.

use std::fs;

use atelier_suite::{Log, plugin};
use atelier_testkit::{TestHost, Wiring, both_ways};
use serde_json::json;

use crate::loaded;

#[test]
fn two_plugins_are_two_modules() {
    both_ways(|wiring| {
        let host = atelier_suite::host(&["probe-a", "probe-b"], wiring);
        let log = Log::new(&host, "log");
        let mut request = host.request();
        for probe in ["probe-a", "probe-b"] {
            log.script(
                &mut request,
                probe,
                &json!({ "process": [{ "infotext": [probe, "called"] }] }),
            );
        }
        let finished = host.draw(request);
        for probe in ["probe-a", "probe-b"] {
            assert!(log.hooks(probe).contains(&"process".to_owned()), "{wiring:?}");
            let infotext = &finished.pictures[0].infotext;
            assert!(infotext.contains(&format!("{probe}: called")), "{infotext}");
        }
        let hashes: Vec<_> = finished.record.plugins.iter().map(|plugin| &plugin.hash).collect();
        assert_ne!(hashes[0], hashes[1]);
    });
}

#[test]
fn overwriting_a_loaded_library_in_place_does_not_touch_the_host() {
    both_ways(|wiring| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(format!("plugin{}", std::env::consts::DLL_SUFFIX));
        fs::copy(plugin("probe-a"), &path).expect("a copy");
        let host = loaded(path.clone(), wiring);
        let expected = host.draw(host.request()).pictures[0].image.clone();
        // In place: the same inode, as a linker writes it.
        let length = fs::metadata(&path).expect("the file").len();
        fs::write(&path, vec![0; length as usize]).expect("an overwritten file");
        let log = Log::new(&host, "log");
        let mut request = host.request();
        log.script(&mut request, "probe-a", &json!({}));
        let finished = host.draw(request);
        assert_eq!(finished.pictures[0].image, expected);
        assert_eq!(finished.record.failures, []);
        assert!(log.hooks("probe-a").contains(&"finish".to_owned()));
        fs::remove_file(&path).expect("a removed file");
        host.draw(host.request());
    });
}

/// A rebuilt library has the same path and other bytes: who is running keeps the old code, who comes
/// gets the new one.
#[test]
fn a_rebuilt_library_is_new_to_new_hosts_only() {
    both_ways(|wiring| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(format!("plugin{}", std::env::consts::DLL_SUFFIX));
        fs::copy(plugin("probe-a"), &path).expect("a copy");
        let old = loaded(path.clone(), wiring);
        // Another plugin with the same id stands for the next build of it.
        fs::copy(plugin("same-id"), &path).expect("a copy in place");
        let new = loaded(path, wiring);
        let probe = |host: &TestHost| {
            let log = Log::new(host, "log");
            let mut request = host.request();
            log.script(&mut request, "probe-a", &json!({}));
            host.run(request).map(|finished| (finished.record.plugins[0].hash.clone(), log))
        };
        let (hash, log) = probe(&old).expect("the old code takes a script");
        assert!(log.hooks("probe-a").contains(&"process".to_owned()), "{wiring:?}");
        // The new code has no such arguments.
        assert!(probe(&new).is_err());
        assert_ne!(new.atelier().plugins()[0].hash.as_ref(), Some(&hash));
    });
}

#[cfg(unix)]
#[test]
fn the_copy_is_nobody_elses() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = loaded(plugin("probe-a"), Wiring::Direct);
    let mode = |path: &std::path::Path| {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    let folder = atelier_host::plugins::cache::folder(host.folder());
    assert_eq!(mode(&folder), 0o700);
    let hash = host.atelier().plugins()[0].hash.clone().expect("a hash");
    let copies: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
    let [copy] = &copies[..] else { panic!("one copy, no temporary file: {copies:?}") };
    assert_eq!(mode(&copy.path()), 0o400);
    assert!(copy.file_name().to_string_lossy().starts_with(&hash));
    let bytes = fs::read(copy.path()).expect("the copy");
    assert_eq!(bytes, fs::read(plugin("probe-a")).expect("the original"));
}

/// A folder that others may enter, or a copy that somebody changed, is put right before it is used.
#[cfg(unix)]
#[test]
fn an_open_folder_is_closed_and_a_changed_copy_is_made_again() {
    use std::os::unix::fs::PermissionsExt as _;

    use atelier_host::plugins::cache;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let library = plugin("order-first");
    let copy = cache::copy(&library, folder.path()).expect("a copy");
    let mode = |mode| fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode));
    mode(0o777).expect("a mode");
    let again = cache::copy(&library, folder.path()).expect("a copy");
    assert_eq!(again.path, copy.path);
    let found = fs::metadata(folder.path()).expect("the folder").permissions().mode() & 0o777;
    assert_eq!(found, 0o700);

    fs::set_permissions(&copy.path, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::write(&copy.path, "changed").expect("a changed copy");
    cache::copy(&library, folder.path()).expect("a copy");
    let there = fs::read(&copy.path).expect("the copy");
    assert_eq!(there, fs::read(&library).expect("the original"));
}
