//! The report as one HTML file that needs nothing else.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{Rgb, RgbImage, imageops::FilterType};

use super::{Compat, Drawn, Verdict, against::Against};
use crate::output::png;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--good:#2a7d3f;--care:#b06f00;--bad:#b3261e}\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
.verdict{font-size:1.1rem;font-weight:600}.good{color:var(--good)}.care{color:var(--care)}.bad{color:var(--bad)}\
table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:500;opacity:.7}\
th,td{border-bottom:1px solid var(--line);padding:.25rem .75rem .25rem 0;vertical-align:top}\
td.n,th.n{text-align:right}figure{display:inline-block;vertical-align:top;margin:0 1rem 1rem 0}\
img{image-rendering:pixelated;display:block;border:1px solid var(--line)}figcaption{font-size:.85rem;opacity:.8;max-width:12rem}\
code{font-family:ui-monospace,monospace}";

/// Pictures are shown at least this wide.
const WIDTH: u32 = 192;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A picture as an element; one that cannot be encoded is told in words.
fn figure(image: &RgbImage, caption: &str) -> String {
    let factor = WIDTH.div_ceil(image.width().max(1)).max(1);
    let (width, height) = (image.width() * factor, image.height() * factor);
    let large = image::imageops::resize(image, width, height, FilterType::Nearest);
    let caption = escape(caption);
    match png::write(&large, &[]) {
        Ok(bytes) => format!(
            "<figure><img width=\"{width}\" height=\"{height}\" alt=\"{caption}\" \
             src=\"data:image/png;base64,{}\"><figcaption>{caption}</figcaption></figure>",
            STANDARD.encode(bytes)
        ),
        Err(error) => format!("<p>{caption}: {}</p>", escape(&error.to_string())),
    }
}

/// Where two pictures differ: grey where they do not, from dark red to white where they do.
pub fn difference(one: &RgbImage, two: &RgbImage) -> RgbImage {
    RgbImage::from_fn(one.width(), one.height(), |x, y| {
        let (a, b) = (one.get_pixel(x, y), two.get_pixel_checked(x, y));
        let Some(b) = b else { return Rgb([255, 0, 255]) };
        let most = a.0.iter().zip(b.0).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
        match most {
            0 => Rgb([a.0.iter().map(|v| u16::from(*v)).sum::<u16>() as u8 / 12 + 16; 3]),
            most => Rgb([255, most.saturating_mul(2), most]),
        }
    })
}

/// The first pictures that differ, with their difference.
fn compared(base: &Drawn, other: &Drawn, caption: &str) -> String {
    let pairs = base.0.iter().zip(&other.0);
    match pairs.into_iter().find(|(one, two)| one != two) {
        None => String::new(),
        Some((one, two)) => [
            figure(one, "undisturbed"),
            figure(two, caption),
            figure(&difference(one, two), "where they differ"),
        ]
        .concat(),
    }
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ready | Verdict::NeverDiffers => "good",
        Verdict::Migrate | Verdict::Variable => "care",
        Verdict::NotRepeatable => "bad",
    }
}

/// The whole report.
pub fn report(compat: &Compat, against: Option<&Against>) -> String {
    let mut page = String::new();
    // Writing into a text does not fail.
    let _ = write(&mut page, compat, against);
    page
}

fn write(page: &mut String, compat: &Compat, against: Option<&Against>) -> std::fmt::Result {
    let title = format!("{} {}", escape(&compat.id), escape(&compat.version));
    write!(
        page,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}: compatibility</title><style>{STYLE}</style>\
         <h1>{title}</h1><p class=\"verdict {}\">{}</p><p>{}</p>",
        class(compat.verdict),
        escape(compat.verdict.words()),
        escape(compat.verdict.advice()),
    )?;
    let recording = match compat.without_recording {
        None => "it reads the snapshot, and is skipped where none is recorded".to_owned(),
        Some(0) => "the same pixels with and without recording".to_owned(),
        Some(pixels) => format!("<b class=\"bad\">{pixels} pixels differ without recording</b>"),
    };
    let pinned = match compat.pinned {
        0 => "the same pixels when it is pinned to the snapshot".to_owned(),
        pixels => format!("pinned to the snapshot {pixels} pixels differ"),
    };
    write!(
        page,
        "<p>{} runs; equal runs gave {} pixels; {recording}; {pinned}.</p>",
        compat.runs,
        if compat.repeatable { "equal" } else { "other" },
    )?;
    page.push_str("<h2>Undisturbed</h2>");
    for (at, image) in compat.base.0.iter().enumerate() {
        page.push_str(&figure(image, if at < 2 { "from text" } else { "from a picture" }));
    }
    if compat.pinned > 0 {
        page.push_str("<h2>Pinned to the snapshot</h2>");
        page.push_str(&compared(&compat.base, &compat.pinned_drawn, "pinned"));
    }
    options(page, compat)?;
    ledger(page, compat)?;
    if let Some(against) = against {
        older(page, against)?;
    }
    Ok(())
}

fn options(page: &mut String, compat: &Compat) -> std::fmt::Result {
    page.push_str("<h2>Options</h2>");
    if compat.options.is_empty() {
        page.push_str("<p>It reads no option.</p>");
        return Ok(());
    }
    page.push_str(
        "<table><tr><th>option<th>read live at<th class=n>changes tried<th class=n>most pixels changed<th>verdict</tr>",
    );
    for option in &compat.options {
        let hooks: Vec<_> = option.hooks.keys().map(String::as_str).collect();
        let most = option.shifts.iter().map(|shift| shift.pixels).max().unwrap_or(0);
        write!(
            page,
            "<tr><td><code>{}</code><td>{}<td class=n>{}<td class=n>{most}<td class=\"{}\">{}</tr>",
            escape(&option.key),
            escape(&hooks.join(", ")),
            option.shifts.len(),
            class(option.verdict),
            option.verdict,
        )?;
    }
    page.push_str("</table>");
    for option in &compat.options {
        let worst = option.shifts.iter().max_by_key(|shift| shift.pixels);
        let Some((worst, drawn)) = worst.and_then(|shift| Some((shift, shift.drawn.as_ref()?)))
        else {
            continue;
        };
        write!(page, "<h2><code>{}</code></h2>", escape(&option.key))?;
        let caption =
            format!("changed to {} before {}: {} pixels", worst.value, worst.before, worst.pixels);
        page.push_str(&compared(&compat.base, drawn, &caption));
    }
    Ok(())
}

fn ledger(page: &mut String, compat: &Compat) -> std::fmt::Result {
    if compat.ledger.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<h2>Ledger of the undisturbed runs</h2><table><tr><th>hook<th>option<th class=n>early<th class=n>live\
         <th class=n>snapshot<th class=n>writes<th class=n>diverged</tr>",
    );
    for row in &compat.ledger {
        write!(
            page,
            "<tr><td>{}<td><code>{}</code><td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}</tr>",
            escape(&row.hook),
            escape(&row.option),
            row.early,
            row.live,
            row.snapshot,
            row.writes + row.run_writes,
            row.diverged,
        )?;
    }
    page.push_str("</table>");
    Ok(())
}

fn older(page: &mut String, against: &Against) -> std::fmt::Result {
    write!(
        page,
        "<h2>Against {}</h2><p>{} pixels of the same runs are others; the older build was: {}.</p>",
        escape(&against.version),
        against.pixels,
        against.verdict,
    )?;
    if !against.changes.is_empty() {
        page.push_str("<table><tr><th><th><th>name<th></tr>");
        for change in &against.changes {
            write!(
                page,
                "<tr><td>{}<td>{}<td><code>{}</code><td>{}</tr>",
                change.what,
                change.kind,
                escape(&change.name),
                escape(&change.words),
            )?;
        }
        page.push_str("</table>");
    }
    Ok(())
}
