//! From the two arguments of an axis to its changes.

use std::hash::{BuildHasher as _, RandomState};

use serde_json::Value as Json;

use super::{Change, Run, Side};
use crate::{
    error::PlotError,
    kinds::{self, Kind, Place},
    values::{self, Item, Problem, ValueError},
};

/// Random seeds are below this, as in A1111 v1.10.1.
const SEED_END: u64 = 4_294_967_294;

/// The label of an axis, and a change for each of its values.
pub(super) fn changes(
    side: Side,
    kind: &str,
    given: &str,
    run: &Run<'_>,
) -> Result<(String, Vec<Change>), PlotError> {
    let argument = side.type_argument;
    let wrong = |source| PlotError::Values { argument: side.values_argument, source };
    if let Some(key) = behind("option:", kind) {
        let now =
            (run.option)(key).map_err(|source| PlotError::UnknownOption { argument, source })?;
        let values = values::split(given).and_then(|items| like(&now, &items, run.most));
        let change = |value| Change::Option(key.to_owned(), value);
        return Ok((key.to_owned(), values.map_err(wrong)?.into_iter().map(change).collect()));
    }
    if let Some(place) = behind("arg:", kind) {
        let Some((plugin, name)) = place.split_once('.') else {
            return Err(PlotError::NoArgument { argument, given: kind.to_owned() });
        };
        let values = values::split(given).and_then(|items| values::anything(&items, run.most));
        let change =
            |value| Change::Argument { plugin: plugin.to_owned(), name: name.to_owned(), value };
        return Ok((place.to_owned(), values.map_err(wrong)?.into_iter().map(change).collect()));
    }
    let Some((label, kind)) = kinds::find(kind) else {
        let (given, known) = (kind.to_owned(), kinds::labels());
        return Err(PlotError::UnknownType { argument, given, known });
    };
    if label == kinds::DENOISING && !run.is_img2img {
        return Err(PlotError::FromAPictureOnly { argument, label });
    }
    // What stands beside no axis is nobody's business.
    let given = if kind == Kind::Nothing { "" } else { given };
    let changes = values::split(given).and_then(|items| of_kind(kind, &items, run));
    let changes = changes.map_err(wrong)?;
    check_words(side, &changes, run)?;
    Ok((label.to_owned(), changes))
}

/// What stands behind a prefix in any case.
fn behind<'a>(prefix: &str, text: &'a str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| text[prefix.len()..].trim())
}

/// Values of the type that the option has now.
fn like(now: &Json, items: &[Item], most: usize) -> Result<Vec<Json>, ValueError> {
    Ok(match now {
        Json::Number(number) if number.is_f64() => all(values::real(items, most)?),
        Json::Number(_) => all(values::whole(items, i64::MIN, most)?),
        Json::Array(_) | Json::Object(_) => values::json(items)?,
        _ => items.iter().map(|item| Json::from(item.text.as_str())).collect(),
    })
}

fn all<T: Into<Json>>(values: Vec<T>) -> Vec<Json> {
    values.into_iter().map(Into::into).collect()
}

fn of_kind(kind: Kind, items: &[Item], run: &Run<'_>) -> Result<Vec<Change>, ValueError> {
    Ok(match kind {
        Kind::Nothing => vec![Change::Nothing],
        Kind::Whole(place, least) => placed(place, all(values::whole(items, least, run.most)?)),
        Kind::Seed(field) => {
            let seeds = values::whole(items, values::RANDOM, run.most)?.into_iter();
            let fixed = |seed| if seed == values::RANDOM { random_seed() } else { seed };
            let seeds = seeds.map(|seed| if run.fixes_seeds { fixed(seed) } else { seed });
            placed(Place::Field(field), all(seeds.collect()))
        }
        Kind::Real(place) => placed(place, all(values::real(items, run.most)?)),
        Kind::Names(place) => placed(place, all(values::names(items)?)),
        Kind::Size => {
            let sizes = values::sizes(items)?.into_iter();
            sizes.map(|(width, height)| Change::Size(width, height)).collect()
        }
        Kind::Prompts => words(items, false)?,
        Kind::NegativePrompt => words(items, true)?,
    })
}

fn placed(place: Place, values: Vec<Json>) -> Vec<Change> {
    let change = |value| match place {
        Place::Field(name) => Change::Field(name, value),
        Place::Override(key) => Change::Option(key.to_owned(), value),
    };
    values.into_iter().map(change).collect()
}

/// The first value is replaced by each of them, by itself too. An empty one takes the words away.
fn words(items: &[Item], negative_only: bool) -> Result<Vec<Change>, ValueError> {
    let Some(first) = items.first() else { return Ok(Vec::new()) };
    if first.text.is_empty() {
        return Err(first.is(Problem::Empty));
    }
    let change = |item: &Item| Change::Words {
        from: first.text.clone(),
        to: item.text.clone(),
        negative_only,
    };
    Ok(items.iter().map(change).collect())
}

/// Words that are nowhere would give the same picture in every cell.
fn check_words(side: Side, changes: &[Change], run: &Run<'_>) -> Result<(), PlotError> {
    let Some(Change::Words { from, negative_only, .. }) = changes.first() else { return Ok(()) };
    let (found, text) = if *negative_only {
        (run.negative_prompt.contains(from), "negative prompt")
    } else {
        let either = run.prompt.contains(from) || run.negative_prompt.contains(from);
        (either, "prompt or the negative prompt")
    };
    if found {
        return Ok(());
    }
    Err(PlotError::NotInPrompt { argument: side.values_argument, words: from.clone(), text })
}

/// `RandomState` is the one source of chance in the standard library.
fn random_seed() -> i64 {
    (RandomState::new().hash_one(()) % SEED_END).cast_signed()
}
