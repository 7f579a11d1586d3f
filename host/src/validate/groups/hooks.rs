//! Its hooks, on an engine that draws in microseconds; a few on the default checkpoint.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use atelier_plugin_abi::{Hook, codes::Status};
use image::{GrayImage, RgbImage};

use crate::{
    output::infotext_parse::ParsedInfotext,
    run::{CancelToken, Finished, Hires, InitImages, Inpaint, RunRequest},
    validate::{
        check::{Check, Found, Group, Verdict, ensure},
        recorder::Facts,
        subject::{Rig, Setup, Subject},
    },
};

const fn check(
    id: &'static str,
    level: u8,
    about: &'static str,
    run: fn(&Subject) -> Found,
) -> Check {
    Check { id, group: Group::Hooks, level, about, run }
}

pub(in crate::validate) const CHECKS: &[Check] = &[
    check(
        "hooks-succeed",
        4,
        "every hook that it names is called in runs of all kinds, and succeeds",
        hooks_succeed,
    ),
    check(
        "only-its-hooks",
        4,
        "no hook that it does not name is answered with a failure",
        only_its_hooks,
    ),
    check(
        "draws-from-text",
        4,
        "it draws a picture from a prompt with the default checkpoint",
        draws_from_text,
    ),
    check(
        "draws-from-picture",
        4,
        "it draws a picture from a picture with the default checkpoint",
        draws_from_picture,
    ),
    check("smallest-pictures", 4, "it draws pictures of 8×8 pixels, one latent", smallest),
    check("odd-sizes", 4, "it draws pictures that are long, high, and no square", odd_sizes),
    check("large-pictures", 4, "it draws a picture of 1024×1024 pixels", large),
    check("batches", 4, "it draws several pictures at once and one after another", batches),
    check("few-and-many-steps", 4, "it draws in one step and in sixty", steps),
    check("all-samplers", 4, "it draws with every sampler and scheduler", samplers),
    check(
        "guidance",
        4,
        "it draws without guidance, with much, and with negative guidance",
        guidance,
    ),
    check("no-prompt", 4, "it draws without a prompt", no_prompt),
    check("long-prompt", 4, "it does not panic on a prompt of 100 kB", long_prompt),
    check(
        "odd-prompts",
        4,
        "it does not panic on signs, brackets and scripts of all kinds in a prompt",
        odd_prompts,
    ),
    check("finite", 4, "it leaves no number that is not finite", finite),
    check(
        "keeps-to-its-memory",
        4,
        "it writes nowhere but into memory that it was lent for writing",
        keeps_to_memory,
    ),
    check(
        "infotext-readable",
        4,
        "what it adds to the infotext is read back as it was written",
        infotext,
    ),
    check("does-not-stop-runs", 4, "it stops no ordinary run", does_not_stop),
    check(
        "answers-cancel",
        5,
        "every hook returns within 250 ms when the run is cancelled",
        answers_cancel,
    ),
];

fn img2img(rig: &Rig) -> RunRequest {
    let picture = RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8 * 4, y as u8 * 4, 128]));
    RunRequest { init_images: Some(InitImages(vec![picture])), ..rig.request() }
}

/// Half of a picture is drawn anew, with extra noise.
fn masked(rig: &Rig) -> RunRequest {
    let mask = GrayImage::from_fn(64, 64, |x, _| image::Luma([u8::from(x < 32) * 255]));
    let inpaint = Inpaint { inpaint_full_res: false, ..Inpaint::new(mask) };
    let mut request = RunRequest { inpaint: Some(inpaint), ..img2img(rig) };
    request.override_settings.insert("img2img_extra_noise".to_owned(), 0.1.into());
    request
}

fn second_pass(rig: &Rig) -> RunRequest {
    RunRequest { hires: Some(Hires { hr_scale: 1.0, ..Hires::default() }), ..rig.request() }
}

/// Runs of all kinds: between them they reach every hook.
fn kinds(rig: &Rig) -> Vec<RunRequest> {
    let several = RunRequest { batch_size: 2, n_iter: 2, ..rig.request() };
    vec![rig.request(), img2img(rig), several, masked(rig), second_pass(rig)]
}

fn hooks_succeed(subject: &Subject) -> Found {
    let manifest = subject.manifest()?;
    let rig = subject.plain()?;
    for request in kinds(&rig) {
        rig.draw(request)?;
    }
    let called: BTreeSet<&str> = rig.facts().calls.iter().map(|call| call.hook).collect();
    // Where it is selected there is nothing to draw, and its other hooks rest.
    let (known, _) = manifest.known_hooks();
    let selected = known.contains(&Hook::Run);
    let at_rest =
        |hook: &Hook| selected && !hook.of_plugin() && !matches!(hook, Hook::Run | Hook::Finish);
    let missed: Vec<_> =
        known.into_iter().filter(|hook| !at_rest(hook) && !called.contains(hook.name())).collect();
    ensure(missed.is_empty(), || {
        let names = missed.iter().map(|hook| hook.name()).collect::<Vec<_>>().join(", ");
        format!("never called: {names}")
    })
}

fn only_its_hooks(subject: &Subject) -> Found {
    let manifest = subject.manifest()?;
    let rig = subject.plain()?;
    for request in kinds(&rig) {
        rig.run(request)?;
    }
    let facts = rig.facts();
    let stray = facts.calls.iter().find(|call| {
        let known = manifest.hooks.iter().any(|hook| hook == call.hook) || call.hook == "start";
        call.status == Status::NotHere || !known
    });
    match stray {
        None => Ok(()),
        Some(call) => Err(Verdict::fail(format!(
            "{} is named in the manifest, and its code does not know it",
            call.hook
        ))),
    }
}

fn real(subject: &Subject, request: impl FnOnce(&Rig) -> RunRequest) -> Result<Finished, Verdict> {
    let rig = subject.rig(Setup { real: true, ..Setup::default() })?;
    let request = RunRequest { prompt: "red heart".to_owned(), steps: 4, ..request(&rig) };
    rig.draw(request)
}

fn no_flat_picture(finished: &Finished) -> Found {
    let flat = |image: &RgbImage| {
        let first = image.pixels().next();
        image.pixels().all(|pixel| Some(pixel) == first)
    };
    let picture = finished.pictures.first();
    match picture {
        None => Err(Verdict::fail("there is no picture")),
        Some(picture) if flat(&picture.image) => {
            Err(Verdict::fail("the picture is one colour all over"))
        }
        Some(_) => Ok(()),
    }
}

fn draws_from_text(subject: &Subject) -> Found {
    no_flat_picture(&real(subject, Rig::request)?)
}

fn draws_from_picture(subject: &Subject) -> Found {
    no_flat_picture(&real(subject, img2img)?)
}

fn sized(rig: &Rig, width: u32, height: u32) -> RunRequest {
    RunRequest { width: Some(width), height: Some(height), ..rig.request() }
}

/// Each size in both kinds of runs.
fn sizes(subject: &Subject, sizes: &[(u32, u32)]) -> Found {
    let rig = subject.plain()?;
    for &(width, height) in sizes {
        let about = |verdict: Verdict| Verdict {
            words: format!("at {width}×{height}: {}", verdict.words),
            ..verdict
        };
        rig.draw(sized(&rig, width, height)).map_err(about)?;
        let picture = RunRequest { width: Some(width), height: Some(height), ..img2img(&rig) };
        rig.draw(picture).map_err(about)?;
    }
    Ok(())
}

fn smallest(subject: &Subject) -> Found {
    sizes(subject, &[(8, 8)])
}

fn odd_sizes(subject: &Subject) -> Found {
    sizes(subject, &[(8, 256), (256, 8), (72, 40), (24, 136)])
}

fn large(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    rig.draw(RunRequest { steps: 1, ..sized(&rig, 1024, 1024) }).map(|_| ())
}

fn batches(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for batch_size in 1..=4 {
        for n_iter in 1..=3 {
            let about = |verdict: Verdict| Verdict {
                words: format!("{batch_size} at once, {n_iter} times: {}", verdict.words),
                ..verdict
            };
            rig.draw(RunRequest { batch_size, n_iter, steps: 2, ..rig.request() })
                .map_err(about)?;
        }
    }
    Ok(())
}

fn steps(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for steps in [1, 2, 3, 60] {
        let about = |verdict: Verdict| Verdict {
            words: format!("{steps} steps: {}", verdict.words),
            ..verdict
        };
        rig.draw(RunRequest { steps, ..rig.request() }).map_err(about)?;
        rig.draw(RunRequest { steps, denoising_strength: 0.1, ..img2img(&rig) }).map_err(about)?;
    }
    Ok(())
}

fn samplers(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let catalogue = rig.runner.provider().catalogue();
    for sampler in (catalogue.samplers)() {
        for scheduler in (catalogue.schedulers)() {
            let request = RunRequest {
                sampler_name: sampler.to_owned(),
                scheduler: scheduler.to_owned(),
                ..rig.request()
            };
            rig.draw(request)?;
        }
    }
    Ok(())
}

fn guidance(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for cfg_scale in [0.0, 1.0, 30.0, -3.0] {
        let about = |verdict: Verdict| Verdict {
            words: format!("cfg_scale {cfg_scale}: {}", verdict.words),
            ..verdict
        };
        rig.draw(RunRequest { cfg_scale, ..rig.request() }).map_err(about)?;
    }
    Ok(())
}

fn no_prompt(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    let request =
        RunRequest { prompt: String::new(), negative_prompt: String::new(), ..rig.request() };
    rig.draw(request).map(|_| ())
}

fn prompted(rig: &Rig, prompt: String) -> Result<Finished, Verdict> {
    rig.endure(RunRequest { negative_prompt: prompt.clone(), prompt, ..rig.request() })
}

fn long_prompt(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for word in ["word, ", "((", "{a|", "__x__ "] {
        prompted(&rig, word.repeat(100_000 / word.len()))?;
    }
    Ok(())
}

fn odd_prompts(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for prompt in [
        "\0",
        "\n\n",
        "{a|b",
        "}{",
        "__../../etc/passwd__",
        "(a:1.2.3)",
        "[from:to:0.5",
        "<lora:none:1>",
        "a AND b :1.2 AND",
        "ß中文🦀\u{202e}\u{0301}",
        "%s %n $(x) \\",
    ] {
        prompted(&rig, prompt.to_owned())?;
    }
    Ok(())
}

fn all(subject: &Subject) -> Result<(Rig, Facts), Verdict> {
    let rig = subject.plain()?;
    for request in kinds(&rig) {
        rig.run(request)?;
    }
    let facts = rig.facts();
    Ok((rig, facts))
}

fn finite(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    for request in kinds(&rig) {
        let finished = rig.run(request)?;
        let failure =
            rig.failures(&finished).into_iter().find(|it| it.message.contains("not finite"));
        if let Some(failure) = failure {
            return Err(Verdict::fail(format!("{}: {}", failure.hook, failure.message)));
        }
    }
    Ok(())
}

fn keeps_to_memory(subject: &Subject) -> Found {
    let (_, facts) = all(subject)?;
    match facts.trespasses.first() {
        None => Ok(()),
        Some(trespass) => Err(Verdict::fail(trespass.clone())),
    }
}

fn infotext(subject: &Subject) -> Found {
    let rig = subject.plain()?;
    kinds(&rig).into_iter().try_for_each(|request| infotext_of(&rig, request))
}

fn infotext_of(rig: &Rig, request: RunRequest) -> Found {
    let finished = rig.run(request)?;
    let told = rig.facts().infotext;
    let Some(picture) = finished.pictures.last() else { return Ok(()) };
    let read = ParsedInfotext::parse(&picture.infotext);
    ensure(read.params.get("Steps").is_some(), || {
        format!("the infotext cannot be read any more: {}", picture.infotext)
    })?;
    for (key, text) in told {
        let back = read.params.text(&key);
        ensure(back == Some(text.trim()), || {
            let back = back.unwrap_or_default();
            format!("{key} was written as “{text}” and is read back as “{back}”")
        })?;
    }
    Ok(())
}

fn does_not_stop(subject: &Subject) -> Found {
    let (_, facts) = all(subject)?;
    match facts.calls.iter().find(|call| call.status == Status::StopRun) {
        None => Ok(()),
        Some(call) => Err(Verdict::fail(format!("{} stopped the run: {}", call.hook, call.words))),
    }
}

/// How long a hook goes on that is called just when its run is cancelled, in the kinds of runs that call it.
fn time_to_answer(subject: &Subject, hook: Hook) -> Result<Duration, Verdict> {
    let rig = subject.plain()?;
    let mut longest = Duration::ZERO;
    for request in kinds(&rig) {
        longest = longest.max(time_in(subject, hook, request)?);
    }
    Ok(longest)
}

/// None where the run does not call it.
fn time_in(subject: &Subject, hook: Hook, request: RunRequest) -> Result<Duration, Verdict> {
    let rig = subject.plain()?;
    let cancel = CancelToken::new();
    let (asked, told) = (Arc::new(OnceLock::new()), cancel.clone());
    let noted = asked.clone();
    rig.recorder.before_call(move |frame| {
        if frame.hook == hook.code() && noted.set(Instant::now()).is_ok() {
            told.cancel();
        }
    });
    let _ = rig.runner.run(request, &cancel);
    let calls = rig.facts().calls;
    let call = calls.iter().find(|call| call.hook == hook.name());
    Ok(match (asked.get(), call) {
        (Some(asked), Some(call)) => call.ended.saturating_duration_since(*asked),
        _ => Duration::ZERO,
    })
}

fn answers_cancel(subject: &Subject) -> Found {
    const PATIENCE: Duration = Duration::from_millis(250);
    for hook in subject.manifest()?.known_hooks().0 {
        // A busy computer may be late once.
        let mut best = Duration::MAX;
        for _ in 0..3 {
            best = best.min(time_to_answer(subject, hook)?);
            if best <= PATIENCE {
                break;
            }
        }
        ensure(best <= PATIENCE, || {
            let millis = best.as_millis();
            format!("{hook} went on for {millis} ms; ask cx.cancelled() in long work")
        })?;
    }
    Ok(())
}
