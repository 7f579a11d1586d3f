//! Hosts that are not like this one.

use crate::{
    run::RunRequest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        random,
        recorder::{Ability, Withhold},
        subject::{Setup, Subject, pixels, told},
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Hosts, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "without-snapshot",
        7,
        "in a host that records no snapshot it does not panic, and what reads live draws the same",
        without_snapshot,
    ),
    check("without-services", 7, "in a host without services it does not panic", without_services),
    check(
        "with-gaps",
        7,
        "where the host refuses a request now and then it does not panic",
        with_gaps,
    ),
    check(
        "recovers-from-gaps",
        7,
        "when the host refuses nothing any more it draws as before",
        recovers,
    ),
    check(
        "ignores-reserve",
        7,
        "it does not look at what is reserved for later versions",
        ignores_reserve,
    ),
    check(
        "another-checkpoint",
        7,
        "it draws with another checkpoint than the first",
        another_checkpoint,
    ),
];

fn without_snapshot(subject: &Subject) -> Found {
    let with = subject.plain()?;
    let plain = with.endure(with.request())?;
    let bare = subject.rig(Setup { without_recording: true, ..Setup::default() })?;
    let finished = bare.endure(bare.request())?;
    let rows = &plain.record.ledger;
    let uses_it = rows.iter().any(|row| row.reader == with.id.as_str() && row.snapshot > 0);
    ensure(uses_it || pixels(&plain) == pixels(&finished), || {
        "it reads no snapshot, and draws something else where none is recorded".to_owned()
    })
}

fn without_services(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    rig.recorder.withhold(Withhold::One(Ability::Services));
    rig.endure(rig.request()).map(|_| ())
}

fn with_gaps(subject: &Subject) -> Found {
    let mut bits = subject.seed;
    let rig = subject.plain()?;
    for _ in 0..30 {
        let seed = random(&mut bits);
        rig.recorder.withhold(Withhold::Some(seed));
        let finished = rig.run(RunRequest { batch_size: 2, ..rig.request() })?;
        let panicked = rig
            .failures(&finished)
            .into_iter()
            .find(|it| it.status == "panicked" && !it.message.starts_with("the host does not"));
        if let Some(failure) = panicked {
            return Err(Verdict::fail(told(&failure)));
        }
    }
    Ok(())
}

fn recovers(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let before = rig.run(rig.request())?;
    rig.recorder.withhold(Withhold::Some(subject.seed));
    for _ in 0..5 {
        rig.run(rig.request())?;
    }
    rig.recorder.withhold(Withhold::Nothing);
    let after = rig.run(rig.request())?;
    ensure(pixels(&before) == pixels(&after), || {
        "after runs in which the host refused something it draws something else".to_owned()
    })
}

fn ignores_reserve(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let before = rig.run(rig.request())?;
    let mut bits = subject.seed;
    rig.recorder.reserved([0; 4].map(|_: u64| random(&mut bits)));
    let after = rig.run(rig.request())?;
    ensure(pixels(&before) == pixels(&after), || {
        "what it draws depends on words that have no meaning yet".to_owned()
    })
}

fn another_checkpoint(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for name in ["fake", "other", "fake"] {
        let mut request = rig.request();
        request.override_settings.insert("sd_model_checkpoint".to_owned(), name.into());
        rig.draw(request)?;
    }
    Ok(())
}
