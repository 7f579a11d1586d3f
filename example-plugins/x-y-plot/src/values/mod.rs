//! The values of an axis, as A1111 v1.10.1 has them written: separated by commas, with ranges of
//! numbers.

mod csv;
mod error;
mod range;

use serde_json::Value as Json;

pub(crate) use csv::{Item, split};
pub(crate) use error::{Problem, ValueError};

/// The seed that stands for a random one.
pub(crate) const RANDOM: i64 = -1;

/// Whole numbers from `least`; at most `most` of them.
pub(crate) fn whole(items: &[Item], least: i64, most: usize) -> Result<Vec<i64>, ValueError> {
    let numbers = each(items, |text| range::whole(text, most))?;
    match numbers.iter().find(|(_, number)| *number < least) {
        None => Ok(numbers.into_iter().map(|(_, number)| number).collect()),
        Some((item, number)) => Err(item.is(Problem::TooSmall { given: *number, least })),
    }
}

/// Numbers; at most `most` of them.
pub(crate) fn real(items: &[Item], most: usize) -> Result<Vec<f64>, ValueError> {
    let numbers = each(items, |text| range::real(text, most))?;
    Ok(numbers.into_iter().map(|(_, number)| number).collect())
}

/// Widths and heights.
pub(crate) fn sizes(items: &[Item]) -> Result<Vec<(u32, u32)>, ValueError> {
    let size = |text: &str| {
        let (width, height) = text.split_once(['x', 'X', '×'])?;
        Some(vec![(width.trim().parse().ok()?, height.trim().parse().ok()?)])
    };
    let sizes =
        each(items, |text| size(text).ok_or_else(|| Problem::NoSize { given: text.to_owned() }))?;
    Ok(sizes.into_iter().map(|(_, size)| size).collect())
}

/// Names: anything but nothing.
pub(crate) fn names(items: &[Item]) -> Result<Vec<&str>, ValueError> {
    let empty = items.iter().find(|item| item.text.is_empty());
    let names = items.iter().map(|item| item.text.as_str()).collect();
    empty.map_or(Ok(names), |item| Err(item.is(Problem::Empty)))
}

/// JSON, for options that hold lists and objects.
pub(crate) fn json(items: &[Item]) -> Result<Vec<Json>, ValueError> {
    let value = |text: &str| {
        let value = serde_json::from_str(text).map(|value| vec![value]);
        value.map_err(|_| Problem::NoJson { given: text.to_owned() })
    };
    Ok(each(items, value)?.into_iter().map(|(_, value)| value).collect())
}

/// Values whose type is not known here: ranges become numbers, everything else is a text, which the
/// host casts. A range in quotes is a text too.
pub(crate) fn anything(items: &[Item], most: usize) -> Result<Vec<Json>, ValueError> {
    let mut values = Vec::new();
    for item in items {
        if item.quoted || !range::is_range(&item.text) {
            values.push(Json::from(item.text.as_str()));
        } else if let Ok(numbers) = range::whole(&item.text, most) {
            values.extend(numbers.into_iter().map(Json::from));
        } else {
            let numbers = range::real(&item.text, most).map_err(|problem| item.is(problem))?;
            values.extend(numbers.into_iter().map(Json::from));
        }
    }
    Ok(values)
}

/// What every item stands for, beside the item.
fn each<T>(
    items: &[Item],
    read: impl Fn(&str) -> Result<Vec<T>, Problem>,
) -> Result<Vec<(&Item, T)>, ValueError> {
    let mut all = Vec::new();
    for item in items {
        let values = match item.text.as_str() {
            "" => Err(Problem::Empty),
            text => read(text),
        };
        let values = values.map_err(|problem| item.is(problem))?;
        all.extend(values.into_iter().map(|value| (item, value)));
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
