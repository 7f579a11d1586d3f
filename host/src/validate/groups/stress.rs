//! Much of everything.

use crate::{
    options::Value,
    run::RunRequest,
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        random,
        recorder::Withhold,
        subject::{Setup, Subject, pixels, told},
        values,
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Stress, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "sixteen-at-a-time",
        9,
        "sixteen runs at a time, ten times over, draw what they draw alone",
        sixteen,
    ),
    check(
        "many-generations",
        9,
        "thirty copies of it can be loaded one after another",
        generations,
    ),
    check(
        "fuzz",
        10,
        "five hundred random requests to a host that refuses at random make it neither panic nor draw twice differently",
        fuzz,
    ),
];

fn sixteen(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let alone = pixels(&rig.run(rig.request())?);
    for _ in 0..10 {
        let all: Vec<_> = std::thread::scope(|scope| {
            let runs: Vec<_> = (0..16).map(|_| scope.spawn(|| rig.run(rig.request()))).collect();
            runs.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        for finished in all {
            let finished = finished.map_err(|_| Verdict::fail("a run panicked"))??;
            ensure(pixels(&finished) == alone, || {
                "a run beside fifteen others draws something else".to_owned()
            })?;
        }
    }
    Ok(())
}

fn generations(subject: &Subject) -> Found {
    let bytes = subject.bytes()?;
    let folder = subject.folder("generations")?;
    for number in 0..30_u32 {
        let copy = folder.join(format!("{number}{}", std::env::consts::DLL_SUFFIX));
        let mut bytes = bytes.clone();
        bytes.extend_from_slice(&number.to_le_bytes());
        std::fs::write(&copy, bytes).map_err(|error| Verdict::skip(error.to_string()))?;
        let rig = subject.rig(Setup { library: Some(copy), ..Setup::default() })?;
        rig.run(rig.request())?;
    }
    Ok(())
}

fn fuzz(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let mut bits = subject.seed;
    for number in 0..500 {
        let mut next = |below: u64| random(&mut bits) % below.max(1);
        let mut request = RunRequest {
            seed: next(1 << 31) as i64,
            steps: 1 + next(5) as u32,
            batch_size: 1 + next(3) as u32,
            n_iter: 1 + next(2) as u32,
            cfg_scale: next(20) as f64 - 4.0,
            width: Some(8 * (1 + next(9) as u32)),
            height: Some(8 * (1 + next(9) as u32)),
            do_not_save_samples: true,
            do_not_save_grid: true,
            ..rig.request()
        };
        for spec in rig.options() {
            let values: Vec<Value> = values::limits(&spec);
            if let Some(value) = values.get(next(values.len() as u64 + 1) as usize) {
                request.override_settings.insert(spec.key.clone(), value.to_json());
            }
        }
        let withhold =
            if next(2) == 0 { Withhold::Nothing } else { Withhold::Some(next(u64::MAX)) };
        rig.recorder.withhold(withhold.clone());
        let first = rig.run(request.clone())?;
        rig.recorder.withhold(withhold);
        let second = rig.run(request)?;
        rig.facts();
        let panicked = rig
            .failures(&first)
            .into_iter()
            .find(|it| it.status == "panicked" && !it.message.starts_with("the host does not"));
        if let Some(failure) = panicked {
            return Err(Verdict::fail(format!("request {number}: {}", told(&failure))));
        }
        ensure(pixels(&first) == pixels(&second), || {
            format!("request {number} draws something else the second time")
        })?;
    }
    Ok(())
}
