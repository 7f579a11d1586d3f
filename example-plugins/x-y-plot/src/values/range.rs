//! Numbers and ranges of numbers: `4`, `1-5`, `1-10 (+2)`, `1-10 [4]`.
//!
//! A range has both its ends where its step leads there. Without a step it goes up or down by 1, with
//! a count the values are evenly spaced.

use super::Problem;

/// Beyond this no number makes sense, and none below it overflows.
const LARGEST: f64 = 1e15;

/// A range in pieces.
#[derive(Debug)]
struct Range<'a> {
    start: &'a str,
    end: &'a str,
    spacing: Spacing<'a>,
}

/// How its values are spaced.
#[derive(Debug)]
enum Spacing<'a> {
    Ones,
    Step(&'a str),
    Count(&'a str),
}

pub(super) fn is_range(text: &str) -> bool {
    range(text).is_some()
}

/// A whole number or a range of them; of counted ones that are not whole the part behind the point is
/// dropped. At most `most` values.
pub(super) fn whole(text: &str, most: usize) -> Result<Vec<i64>, Problem> {
    let number = |text: &str| text.parse::<i64>().ok().map(i128::from);
    let not_whole = || Problem::NotWhole { given: text.to_owned() };
    let Some(range) = range(text) else {
        return text.parse().map(|number| vec![number]).map_err(|_| not_whole());
    };
    let start = number(range.start).ok_or_else(not_whole)?;
    let way = number(range.end).ok_or_else(not_whole)? - start;
    // Every value is `start` and a share of the way, as a fraction.
    let (last, by, of) = match range.spacing {
        Spacing::Count(count) => {
            let last = i128::from(count_of(count, text, most)? - 1);
            (last, way, last.max(1))
        }
        Spacing::Ones => (way.abs(), way.signum(), 1),
        Spacing::Step(step) => {
            let step = number(step).ok_or_else(not_whole)?;
            if step == 0 || way * step < 0 {
                return Err(Problem::Step { given: text.to_owned() });
            }
            (way / step, step, 1)
        }
    };
    if last >= most as i128 {
        return Err(Problem::TooMany { given: text.to_owned(), most });
    }
    // They all lie between two numbers of 64 bits.
    Ok((0..=last).map(|at| ((start * of + by * at) / of) as i64).collect())
}

/// A number or a range of them, rounded to eight digits behind the point. At most `most` values.
pub(super) fn real(text: &str, most: usize) -> Result<Vec<f64>, Problem> {
    let number = |text: &str| {
        let number = text.parse().ok().filter(|number: &f64| number.abs() < LARGEST);
        number.ok_or_else(|| Problem::NoNumber { given: text.to_owned() })
    };
    let Some(range) = range(text) else { return Ok(vec![number(text)?]) };
    let start = number(range.start)?;
    let way = number(range.end)? - start;
    let (last, step) = match range.spacing {
        Spacing::Count(count) => {
            let last = f64::from(count_of(count, text, most)? - 1);
            (last, way / last.max(1.0))
        }
        Spacing::Ones => (way.abs(), way.signum()),
        Spacing::Step(step) => {
            let step = number(step)?;
            if step == 0.0 || way * step < 0.0 {
                return Err(Problem::Step { given: text.to_owned() });
            }
            (way / step, step)
        }
    };
    // A little more, and rounded: or 0.1-0.3 (+0.1) would end at 0.2, or at 0.30000000000000004.
    let last = (last + 1e-9).floor();
    if last >= most as f64 {
        return Err(Problem::TooMany { given: text.to_owned(), most });
    }
    let rounded = |value: f64| (value * 1e8).round() / 1e8;
    Ok((0..=last as usize).map(|at| rounded(start + at as f64 * step)).collect())
}

fn count_of(count: &str, given: &str, most: usize) -> Result<u32, Problem> {
    match count.parse::<u32>() {
        Ok(0) => Err(Problem::NoCount { given: given.to_owned() }),
        Ok(count) if count as usize <= most => Ok(count),
        _ => Err(Problem::TooMany { given: given.to_owned(), most }),
    }
}

/// The pieces of a range; none where the text is something else.
fn range(text: &str) -> Option<Range<'_>> {
    let (start, rest) = number(text)?;
    let (end, rest) = number(rest.trim_start().strip_prefix('-')?.trim_start())?;
    let rest = rest.trim_start();
    let within = |open, close| rest.strip_prefix(open)?.strip_suffix(close).map(str::trim);
    let spacing = if rest.is_empty() {
        Spacing::Ones
    } else if let Some(step) = within('(', ')') {
        Spacing::Step(number(step).filter(|(_, rest)| rest.is_empty())?.0)
    } else {
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        Spacing::Count(within('[', ']').filter(digits)?)
    };
    Some(Range { start, end, spacing })
}

/// The number that a text begins with, and the rest.
fn number(text: &str) -> Option<(&str, &str)> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text[sign..].bytes().take_while(|byte| matches!(byte, b'0'..=b'9' | b'.')).count();
    (digits > 0).then(|| text.split_at(sign + digits))
}
