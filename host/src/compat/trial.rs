//! The runs from which a verdict follows.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use atelier_plugin_abi::{Hook, frame::Frame};
use image::RgbImage;
use serde::Serialize;

use super::verdict::{self, Verdict};
use crate::{
    options::{Value, Writer},
    run::{
        Finished, InitImages, RunRequest,
        seam::{LedgerRow, SeamMode},
    },
    validate::{
        subject::{Rig, Setup, Subject},
        values,
    },
};

/// How a plugin is examined.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The prompt of its runs.
    pub prompt: String,
    /// The seed of its runs.
    pub seed: i64,
    /// Steps of its runs.
    pub steps: u32,
    /// Draws on the default checkpoint; on the fake engine without.
    pub real: bool,
    /// Overrides for all runs: a plugin that is switched off by an option has nothing to show.
    pub overrides: serde_json::Map<String, serde_json::Value>,
}

/// Why a plugin cannot be examined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompatError {
    /// It cannot be loaded, or a run is refused.
    #[error("{0}")]
    Unusable(String),
    /// Its hooks fail in ordinary runs.
    #[error("it fails in an ordinary run: {0}; `atelier plugins validate` says more")]
    Fails(String),
}

/// The pictures of one pair of runs, from text and from a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawn(pub Vec<RgbImage>);

impl Drawn {
    /// How many pixels differ; a picture that is missing or has another size differs in all of its
    /// pixels.
    pub fn differing(&self, other: &Self) -> u64 {
        let longest = self.0.len().max(other.0.len());
        let count = |at: usize| match (self.0.get(at), other.0.get(at)) {
            (Some(one), Some(two)) if one.dimensions() == two.dimensions() => {
                one.pixels().zip(two.pixels()).filter(|(a, b)| a != b).count() as u64
            }
            (one, two) => {
                let size = |image: Option<&RgbImage>| {
                    image.map_or(0, |image| u64::from(image.width()) * u64::from(image.height()))
                };
                size(one).max(size(two))
            }
        };
        (0..longest).map(count).sum()
    }
}

/// What came of changing an option once, behind the plugin's back.
#[derive(Clone, Debug, Serialize)]
pub struct Shift {
    /// What it was changed to.
    pub value: Value,
    /// Before which call: `start`, or `hook` or `hook, call 7`.
    pub before: String,
    /// How many pixels were others.
    pub pixels: u64,
    /// What was drawn, where it differs.
    #[serde(skip)]
    pub drawn: Option<Drawn>,
}

/// An option that a plugin reads.
#[derive(Clone, Debug, Serialize)]
pub struct OptionTrial {
    /// Its key.
    pub key: String,
    /// Hooks that read it live, and how often.
    pub hooks: BTreeMap<String, u64>,
    /// Live reads, those before the snapshot not counted.
    pub live: u64,
    /// Reads of the snapshot.
    pub snapshot: u64,
    /// Live writes.
    pub writes: u64,
    /// Live reads that were not the snapshot's answer.
    pub diverged: u64,
    /// What came of changing it.
    pub shifts: Vec<Shift>,
    /// What follows.
    pub verdict: Verdict,
}

/// Everything about one plugin.
#[derive(Clone, Debug, Serialize)]
pub struct Compat {
    /// Its library.
    pub library: PathBuf,
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// What follows.
    pub verdict: Verdict,
    /// Whether equal runs gave equal pixels.
    pub repeatable: bool,
    /// Pixels that differ between a host that records snapshots and one that does not; none where the
    /// plugin reads the snapshot, and so cannot do without.
    pub without_recording: Option<u64>,
    /// Pixels that differ between live reads that are answered live and from the snapshot.
    pub pinned: u64,
    /// The options that it reads or writes.
    pub options: Vec<OptionTrial>,
    /// How many runs were drawn.
    pub runs: u32,
    /// The ledger of the undisturbed runs, the plugin's rows.
    pub ledger: Vec<LedgerRow>,
    /// The undisturbed pictures.
    #[serde(skip)]
    pub base: Drawn,
    /// The pinned ones.
    #[serde(skip)]
    pub pinned_drawn: Drawn,
}

/// A host for one plugin, and the requests that are drawn in it.
struct Examiner<'s> {
    subject: &'s Subject,
    settings: &'s Settings,
    runs: u32,
    /// An option that every run has to begin with as it was.
    put_back: Option<(String, Value)>,
    told: &'s dyn Fn(&str),
}

/// Runs a plugin and says what follows. `told` hears what is being done.
///
/// # Errors
/// [`CompatError`].
pub fn examine(
    subject: &Subject,
    settings: &Settings,
    told: &dyn Fn(&str),
) -> Result<Compat, CompatError> {
    Examiner { subject, settings, runs: 0, put_back: None, told }.examine()
}

impl Examiner<'_> {
    fn examine(mut self) -> Result<Compat, CompatError> {
        let manifest =
            self.subject.manifest().map_err(|verdict| CompatError::Unusable(verdict.words))?;
        let rig = self.rig(false)?;
        (self.told)("drawing twice");
        let (base, ledger) = self.draw(&rig, SeamMode::Record)?;
        let (again, _) = self.draw(&rig, SeamMode::Record)?;
        // A plugin that counts its runs shows it in a process of its own only.
        let fresh = self.rig(false)?;
        let (elsewhere, _) = self.draw(&fresh, SeamMode::Record)?;
        let repeatable = base == again && base == elsewhere;
        let own = |row: &&LedgerRow| row.reader == manifest.id.as_str();
        let ledger: Vec<LedgerRow> = ledger.iter().filter(own).cloned().collect();

        (self.told)("without recording");
        let uses_snapshot = ledger.iter().any(|row| row.snapshot > 0);
        let without_recording = if uses_snapshot {
            None
        } else {
            let bare = self.rig(true)?;
            let (drawn, _) = self.draw(&bare, SeamMode::Record)?;
            Some(base.differing(&drawn))
        };
        (self.told)("pinned");
        let (pinned_drawn, _) = self.draw(&rig, SeamMode::Pin)?;

        let mut options = Vec::new();
        for mut option in read_options(&rig, &ledger) {
            if repeatable && option.live > 0 && option.writes == 0 {
                option.shifts = self.shift(&rig, &option, &base)?;
            }
            option.verdict = verdict::of_option(&option);
            options.push(option);
        }
        Ok(Compat {
            library: self.subject.library.clone(),
            id: manifest.id.to_string(),
            version: manifest.version,
            verdict: verdict::of_plugin(&options, repeatable),
            repeatable,
            without_recording,
            pinned: base.differing(&pinned_drawn),
            options,
            runs: self.runs,
            ledger,
            base,
            pinned_drawn,
        })
    }

    fn rig(&self, without_recording: bool) -> Result<Rig, CompatError> {
        let setup = Setup { real: self.settings.real, without_recording, ..Setup::default() };
        self.subject.rig(setup).map_err(|verdict| CompatError::Unusable(verdict.words))
    }

    /// Draws from text, twice in one run, and from a picture.
    fn draw(&mut self, rig: &Rig, seam: SeamMode) -> Result<(Drawn, Vec<LedgerRow>), CompatError> {
        let base = RunRequest {
            prompt: self.settings.prompt.clone(),
            seed: self.settings.seed,
            steps: self.settings.steps,
            sampler_name: "DPM++ 2M".to_owned(),
            cfg_scale: 5.0,
            override_settings: self.settings.overrides.clone(),
            do_not_save_grid: true,
            seam,
            ..rig.request()
        };
        let picture = RgbImage::from_fn(64, 64, |x, y| {
            image::Rgb([(x * 4) as u8, (y * 4) as u8, (255 - x * 2 - y) as u8])
        });
        let from_picture = RunRequest {
            init_images: Some(InitImages(vec![picture])),
            denoising_strength: 0.7,
            ..base.clone()
        };
        let (mut drawn, mut ledger) = (Drawn::default(), Vec::new());
        for request in [RunRequest { n_iter: 2, ..base }, from_picture] {
            if let Some((key, value)) = &self.put_back {
                // It was there before, so it fits.
                let _ = rig.atelier.store().set(key, value.clone(), Writer::Api);
            }
            let finished = rig.run(request).map_err(|it| CompatError::Unusable(it.words))?;
            self.runs += 1;
            check(rig, &finished)?;
            drawn.0.extend(finished.pictures.into_iter().map(|picture| picture.image));
            add_up(&mut ledger, finished.record.ledger);
        }
        Ok((drawn, ledger))
    }

    /// Changes an option behind the plugin's back: to every other legal value, right after the snapshot
    /// before `start`, and before each hook that reads it, the first time and in the middle.
    fn shift(
        &mut self,
        rig: &Rig,
        option: &OptionTrial,
        base: &Drawn,
    ) -> Result<Vec<Shift>, CompatError> {
        let state = rig.atelier.store().load_full();
        let schema = state.options.schema();
        let Some(id) = schema.id(&option.key) else { return Ok(Vec::new()) };
        let now = state.options.get(id).clone();
        let spec = schema.spec(id).clone();
        let mut shifts = Vec::new();
        for value in values::others(&spec, &now) {
            let mut places: Vec<(Hook, u64)> = vec![(Hook::Start, 0)];
            for (hook, reads) in &option.hooks {
                let Some(hook) = Hook::from_name(hook).filter(|hook| *hook != Hook::Start) else {
                    continue;
                };
                places.push((hook, 0));
                // Two runs share the count: half of it is the middle of the first one.
                if *reads > 3 {
                    places.push((hook, reads / 4));
                }
            }
            for (hook, call) in places {
                let before = match call {
                    0 => hook.name().to_owned(),
                    call => format!("{hook}, call {}", call + 1),
                };
                (self.told)(&format!("{} = {value} before {before}", option.key));
                let drawn = self.draw_shifted(rig, option, &value, (hook, call), &now)?;
                let pixels = base.differing(&drawn);
                shifts.push(Shift {
                    value: value.clone(),
                    before,
                    pixels,
                    drawn: (pixels > 0).then_some(drawn),
                });
            }
        }
        Ok(shifts)
    }

    fn draw_shifted(
        &mut self,
        rig: &Rig,
        option: &OptionTrial,
        value: &Value,
        (hook, call): (Hook, u64),
        now: &Value,
    ) -> Result<Drawn, CompatError> {
        let store = rig.atelier.store().clone();
        let (key, value) = (option.key.clone(), value.clone());
        let mut seen = 0;
        rig.recorder.before_call(move |frame: &Frame| {
            // Each run is disturbed once.
            if frame.hook == Hook::Start.code() {
                seen = 0;
            }
            if frame.hook == hook.code() {
                if seen == call {
                    let _ = store.set(&key, value.clone(), Writer::Api);
                }
                seen += 1;
            }
        });
        self.put_back = Some((option.key.clone(), now.clone()));
        let drawn = self.draw(rig, SeamMode::Record);
        rig.recorder.clear_before_call();
        self.put_back = None;
        let _ = rig.atelier.store().set(&option.key, now.clone(), Writer::Api);
        drawn.map(|(drawn, _)| drawn)
    }
}

fn check(rig: &Rig, finished: &Finished) -> Result<(), CompatError> {
    if let Some(failure) = rig.failures(finished).first() {
        // Without recording a hook that asks for the snapshot is skipped, as it should be.
        if failure.status != "no_snapshot" {
            return Err(CompatError::Fails(format!("{}: {}", failure.hook, failure.message)));
        }
    }
    match &finished.error {
        None => Ok(()),
        Some(error) => Err(CompatError::Fails(error.to_string())),
    }
}

/// The options in a plugin's rows. A read of everything is a read of all its own options.
/// One row for each place, whichever run it was in.
fn add_up(ledger: &mut Vec<LedgerRow>, rows: Vec<LedgerRow>) {
    for row in rows {
        let same = |known: &&mut LedgerRow| {
            (&known.reader, &known.hook, &known.option) == (&row.reader, &row.hook, &row.option)
        };
        match ledger.iter_mut().find(same) {
            Some(known) => known.add(row),
            None => ledger.push(row),
        }
    }
}

fn read_options(rig: &Rig, ledger: &[LedgerRow]) -> Vec<OptionTrial> {
    let own: BTreeSet<String> = rig.options().into_iter().map(|spec| spec.key).collect();
    let mut options: BTreeMap<String, OptionTrial> = BTreeMap::new();
    for row in ledger {
        let keys: Vec<String> = match row.option.as_str() {
            "*" => own.iter().cloned().collect(),
            key => vec![key.to_owned()],
        };
        for key in keys {
            let option = options.entry(key.clone()).or_insert_with(|| OptionTrial {
                key,
                hooks: BTreeMap::new(),
                live: 0,
                snapshot: 0,
                writes: 0,
                diverged: 0,
                shifts: Vec::new(),
                verdict: Verdict::Ready,
            });
            option.live += row.live;
            option.snapshot += row.snapshot;
            option.writes += row.writes;
            option.diverged += row.diverged;
            if row.live > 0 {
                *option.hooks.entry(row.hook.clone()).or_insert(0) += row.live;
            }
        }
    }
    options.into_values().collect()
}
