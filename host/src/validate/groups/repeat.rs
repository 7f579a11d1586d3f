//! The same again: equal runs give equal pictures, whatever went before or goes on beside.

use std::sync::Arc;

use crate::{
    plugins::ThroughBytes,
    run::RunRequest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        subject::{Rig, Setup, Subject, pixels},
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Repeat, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check("same-twice", 5, "the same request draws the same picture twice", same_twice),
    check(
        "same-anywhere",
        5,
        "the same request draws the same picture in another process, later, elsewhere",
        same_anywhere,
    ),
    check(
        "same-in-any-order",
        5,
        "what was drawn before does not change a picture",
        same_in_any_order,
    ),
    check(
        "same-side-by-side",
        5,
        "what is drawn at the same time does not change a picture",
        same_side_by_side,
    ),
    check(
        "same-in-company",
        5,
        "another plugin that changes nothing changes nothing",
        same_in_company,
    ),
    check(
        "same-through-bytes",
        5,
        "it draws the same where it shares no memory with its host",
        same_through_bytes,
    ),
    check(
        "same-after-failure",
        5,
        "a run that fails or is cancelled changes nothing of the next",
        same_after_failure,
    ),
    check(
        "batch-is-its-pictures",
        5,
        "a picture is the same alone and in a run of several",
        batch_is_its_pictures,
    ),
];

/// Draws, without minding failures: whether hooks succeed is another check.
fn drawn(rig: &Rig, request: RunRequest) -> Result<String, Verdict> {
    Ok(pixels(&rig.run(request)?))
}

fn differs(what: &str) -> String {
    format!("{what}, and the pixels differ; draw chance from cx.seeds(), keep state in the run")
}

fn same_twice(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let first = drawn(&rig, rig.request())?;
    ensure(first == drawn(&rig, rig.request())?, || differs("the same request twice"))
}

/// The name of the variable that says which half of `same-anywhere` a process is.
const ELSEWHERE: &str = "ATELIER_VALIDATE_ELSEWHERE";

/// Another process, another time zone and language, another folder, another moment.
fn same_anywhere(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let here = drawn(&rig, rig.request())?;
    if std::env::var_os(ELSEWHERE).is_some() {
        // This is the other process: its answer is all that is wanted.
        return Err(Verdict::warn(here));
    }
    let other = subject.folder("elsewhere")?;
    let elsewhere = crate::validate::child::Child {
        environment: vec![
            (ELSEWHERE.to_owned(), "1".to_owned()),
            ("TZ".to_owned(), "Pacific/Auckland".to_owned()),
            ("LANG".to_owned(), "de_DE.UTF-8".to_owned()),
            ("LC_ALL".to_owned(), "de_DE.UTF-8".to_owned()),
        ],
        folder: Some(other),
        ..crate::validate::child::Child::default()
    };
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let there = elsewhere.run("same-anywhere", subject);
    ensure(there.verdict.words == here, || differs("the same request in another process"))
}

fn same_in_any_order(subject: &Subject) -> Found {
    let (forth, back) = (subject.plain()?, subject.plain()?);
    let seeded = |rig: &Rig, seed: i64| drawn(rig, RunRequest { seed, ..rig.request() });
    let (first, second) = (seeded(&forth, 1)?, seeded(&forth, 2)?);
    let (other, one) = (seeded(&back, 2)?, seeded(&back, 1)?);
    ensure(first == one && second == other, || differs("the same two requests in another order"))
}

fn same_side_by_side(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let seeds: Vec<i64> = (1..=8).collect();
    let seeded = |seed: i64| drawn(&rig, RunRequest { seed, steps: 12, ..rig.request() });
    let alone: Vec<String> = seeds.iter().map(|seed| seeded(*seed)).collect::<Result<_, _>>()?;
    let together: Vec<Result<String, Verdict>> = std::thread::scope(|scope| {
        let runs: Vec<_> = seeds.iter().map(|seed| scope.spawn(|| seeded(*seed))).collect();
        let lost = || Err(Verdict::fail("a run panicked"));
        runs.into_iter().map(|run| run.join().unwrap_or_else(|_| lost())).collect()
    });
    for (alone, together) in alone.iter().zip(together) {
        ensure(*alone == together?, || {
            differs("eight runs at a time instead of one after another")
        })?;
    }
    Ok(())
}

fn same_in_company(subject: &Subject) -> Found {
    let alone = subject.plain()?;
    let company = subject.rig(Setup { companion: true, ..Setup::default() })?;
    let (one, two) = (drawn(&alone, alone.request())?, drawn(&company, company.request())?);
    ensure(one == two, || differs("another plugin beside it"))
}

fn same_through_bytes(subject: &Subject) -> Found {
    let direct = subject.plain()?;
    let bytes =
        subject.rig(Setup { decorators: vec![Arc::new(ThroughBytes)], ..Setup::default() })?;
    let request = |rig: &Rig| RunRequest { batch_size: 2, ..rig.request() };
    let (one, two) = (drawn(&direct, request(&direct))?, drawn(&bytes, request(&bytes))?);
    ensure(one == two, || differs("every call put through bytes"))
}

fn same_after_failure(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let alone = drawn(&rig, rig.request())?;
    // Refused in the middle: whatever the plugin does about it, the run is over then.
    rig.recorder.withhold(crate::validate::recorder::Withhold::Some(subject.seed));
    rig.run(RunRequest { on_error: crate::run::OnError::FailRun, ..rig.request() })?;
    rig.recorder.withhold(crate::validate::recorder::Withhold::Nothing);
    let cancelled = crate::run::CancelToken::new();
    cancelled.cancel();
    let _ = rig.runner.run(rig.request(), &cancelled);
    let again = subject.plain()?;
    let fresh = drawn(&again, again.request())?;
    let after = drawn(&rig, rig.request());
    // A panic above is another check's affair; the host does not call that instance again.
    ensure(after? == alone && fresh == alone, || differs("a run that failed in between"))
}

fn batch_is_its_pictures(subject: &Subject) -> Found {
    let manifest = subject.manifest()?;
    if manifest.hooks.iter().any(|hook| hook == "run") {
        return Err(Verdict::skip("what it draws is made of several pictures"));
    }
    let rig = subject.plain()?;
    let batch = rig.run(RunRequest { batch_size: 3, do_not_save_grid: true, ..rig.request() })?;
    for (index, picture) in batch.pictures.iter().enumerate() {
        let seed = rig.request().seed + index as i64;
        let subseed = rig.request().subseed + index as i64;
        let alone = rig.run(RunRequest { seed, subseed, ..rig.request() })?;
        let same = alone.pictures.first().is_some_and(|alone| alone.image == picture.image);
        if !same {
            return Err(Verdict::warn(format!(
                "picture {index} of three is another one when it is drawn alone with its seed"
            )));
        }
    }
    Ok(())
}
