//! Loading it.

use std::{path::Path, time::Instant};

use crate::{
    plugins::Manifest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        process::{ProcessState, captured, files},
        subject::{Setup, Subject},
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Load, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check("loads", 2, "it can be opened with every symbol found, and makes its plugin", loads),
    check(
        "manifest-matches-code",
        2,
        "the manifest in the file is the one that its code tells",
        manifest_matches,
    ),
    check(
        "declares-the-same-twice",
        2,
        "it declares the same options and arguments each time it is asked",
        declares_twice,
    ),
    check("loads-twice", 2, "a second copy can be loaded beside the first", loads_twice),
    check("loads-beside-another", 2, "it can be loaded beside another plugin", loads_beside),
    check(
        "loads-from-any-path",
        2,
        "it does not depend on its file's name or place",
        loads_anywhere,
    ),
    check(
        "loads-without-data-folder",
        2,
        "it is made where its data folder is not there",
        loads_without_data,
    ),
    check("loads-quickly", 2, "it is loaded in less than 100 ms", loads_quickly),
    check("quiet-on-load", 2, "it prints nothing while it is loaded", quiet_on_load),
    check("no-threads-on-load", 2, "it starts no threads while it is loaded", no_threads),
    check("no-files-on-load", 2, "it writes no files while it is loaded", no_files),
    check("no-descriptors-on-load", 2, "it leaves no files open when it is loaded", no_descriptors),
    check(
        "changes-nothing-on-load",
        2,
        "it leaves folder, environment, signals and umask alone while it is loaded",
        changes_nothing,
    ),
];

fn loads(subject: &Subject) -> Found {
    subject.plain().map(|_| ())
}

fn manifest_matches(subject: &Subject) -> Found {
    let file = subject.manifest()?;
    let module = subject.open().map_err(|error| Verdict::skip(error.to_string()))?;
    let code = Manifest::parse(&module.manifest())
        .map_err(|error| Verdict::fail(format!("the code tells no manifest: {error}")))?;
    ensure(file == code, || "the code tells another manifest than the file".to_owned())
}

fn declares_twice(subject: &Subject) -> Found {
    let module = subject.open().map_err(|error| Verdict::skip(error.to_string()))?;
    let first = module.describe().map_err(|failure| Verdict::fail(failure.to_string()))?;
    let second = module.describe().map_err(|failure| Verdict::fail(failure.to_string()))?;
    ensure(first == second, || format!("first {first}, then {second}"))
}

fn loads_twice(subject: &Subject) -> Found {
    let first = subject.plain()?;
    let copy = subject.copy("second")?;
    // Another file is another module to the loader only if its bytes differ: the cache goes by hash.
    let mut bytes = std::fs::read(&copy).map_err(|error| Verdict::skip(error.to_string()))?;
    bytes.extend_from_slice(b"\0second");
    std::fs::write(&copy, bytes).map_err(|error| Verdict::skip(error.to_string()))?;
    let second = subject.rig(Setup { library: Some(copy), ..Setup::default() })?;
    for rig in [&first, &second] {
        rig.draw(rig.request())?;
    }
    Ok(())
}

fn loads_beside(subject: &Subject) -> Found {
    let rig = subject.rig(Setup { companion: true, ..Setup::default() })?;
    rig.draw(rig.request()).map(|_| ())
}

fn loads_anywhere(subject: &Subject) -> Found {
    for name in ["a name with spaces", "Größe-ñ-名", "libsomething-else"] {
        let copy = subject.copy(name)?;
        let rig = subject.rig(Setup { library: Some(copy), ..Setup::default() })?;
        rig.draw(rig.request())?;
    }
    Ok(())
}

fn loads_without_data(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let folder = rig.atelier.data().join("plugins").join(rig.id.as_str());
    // A host never makes it; a plugin that needs it may.
    let _ = std::fs::remove_dir_all(&folder);
    rig.draw(rig.request()).map(|_| ())
}

fn loads_quickly(subject: &Subject) -> Found {
    // The first time pays for the disk.
    subject.plain()?;
    let copy = subject.copy("again")?;
    let begin = Instant::now();
    subject.rig(Setup { library: Some(copy), ..Setup::default() })?;
    let time = begin.elapsed();
    match time.as_millis() {
        ..100 => Ok(()),
        millis @ ..2000 => Err(Verdict::warn(format!("it takes {millis} ms to load"))),
        _ => Err(Verdict::fail(format!("it takes {:.1} s to load", time.as_secs_f64()))),
    }
}

fn quiet_on_load(subject: &Subject) -> Found {
    let (rig, said) =
        captured(|| subject.plain()).map_err(|error| Verdict::skip(error.to_string()))?;
    rig?;
    ensure(said.is_empty(), || format!("it prints: {}", said.trim_end()))
}

/// The process before and after loading.
fn around_loading(subject: &Subject) -> Result<(ProcessState, ProcessState), Verdict> {
    let before = ProcessState::now();
    let rig = subject.plain()?;
    let after = ProcessState::now();
    drop(rig);
    Ok((before, after))
}

fn no_threads(subject: &Subject) -> Found {
    let (before, after) = around_loading(subject)?;
    let more = after.threads.difference(&before.threads).count();
    ensure(more == 0, || {
        format!("{more} more threads after loading; start them when a run needs them")
    })
}

fn no_files(subject: &Subject) -> Found {
    let folder = std::env::current_dir().unwrap_or_default();
    let before = files(&folder);
    let rig = subject.plain()?;
    // Its own folder counts too: what it needs it makes when a run needs it.
    let own = files(&rig.atelier.data().join("plugins")).into_keys();
    let more: Vec<_> =
        files(&folder).into_keys().filter(|path| !before.contains_key(path)).chain(own).collect();
    match more.first() {
        None => Ok(()),
        Some(path) => {
            Err(Verdict::fail(format!("{} was written while it was loaded", path.display())))
        }
    }
}

fn no_descriptors(subject: &Subject) -> Found {
    let (before, after) = around_loading(subject)?;
    // The host's own page for crashes is no work of the plugin.
    let own = |path: &Path| path.extension().is_some_and(|ending| ending == "crumbs");
    let new =
        after.descriptors.iter().filter(|(number, _)| !before.descriptors.contains_key(number));
    let more = new.into_iter().find(|(_, target)| !own(target));
    match more {
        None => Ok(()),
        Some((_, target)) => {
            Err(Verdict::fail(format!("{} stays open after loading", target.display())))
        }
    }
}

fn changes_nothing(subject: &Subject) -> Found {
    let (before, after) = around_loading(subject)?;
    match after.changed_since(&before).first() {
        None => Ok(()),
        Some(change) => Err(Verdict::fail(change.clone())),
    }
}
