//! File and folder names from patterns such as `[seed]-[prompt_spaces]`.
//!
//! The patterns are those of A1111 v1.10.1: `[token]`, with arguments as `[token<argument>]`, in
//! any case of letters. An unknown token stays in the name as it is (without its arguments).
//!
//! | token | becomes |
//! |---|---|
//! | `basename` | the file's base name, `img` if it has none |
//! | `seed`, `seed_first`, `seed_last` | seeds; the last one is left out for a batch of one |
//! | `steps`, `cfg`, `width`, `height`, `clip_skip`, `batch_size`, `model_hash`, `user` | as they are |
//! | `sampler`, `scheduler`, `sampler_scheduler`, `model_name`, `vae_filename`, `styles` | names |
//! | `date` | `2024-07-14` |
//! | `datetime<format><time zone>` | Python's strftime format; `%Y%m%d%H%M%S` in local time without |
//! | `job_timestamp` | when the run began |
//! | `prompt`, `prompt_spaces` | the prompt, with blanks as `_` or as they are |
//! | `prompt_no_styles`, `prompt_words` | without the styles' texts; its first words |
//! | `prompt_hash<n>`, `negative_prompt_hash<n>`, `full_prompt_hash<n>` | first n (8) hex digits of SHA-256 |
//! | `image_hash<n>` | first n (all) hex digits of the SHA-256 of the RGB bytes |
//! | `hasprompt<text\|default><…>` | each text the prompt contains, the default of each it does not |
//! | `batch_number` | place in the batch from 1; left out for a batch of one |
//! | `generation_number` | place in the run from 1; left out for a single picture |
//! | `denoising` | the strength; left out when there is none |
//! | `none` | nothing |
//!
//! "Left out" takes the literal text before the token with it, so that `[seed]-[batch_number]`
//! does not end in a dash.

use std::fmt::Write as _;
use std::path::PathBuf;

use image::RgbImage;
use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::python_text;
use super::safe_name::{MAX_NAME_BYTES, component, part};

/// Default of the option `directories_filename_pattern`.
pub const DEFAULT_FOLDER_PATTERN: &str = "[date]";

const DEFAULT_TIME_FORMAT: &str = "%Y%m%d%H%M%S";

/// The file pattern that an empty `samples_filename_pattern` stands for. `in_folders` is the
/// option `save_to_dirs`.
pub fn default_file_pattern(in_folders: bool) -> &'static str {
    if in_folders { "[seed]" } else { "[seed]-[prompt_spaces]" }
}

/// What tokens are made of. A token whose value is `None` stays in the name as it is, except
/// where a field says otherwise.
#[derive(Debug, Clone)]
pub struct NameParts<'a> {
    /// The picture: its size and its hash.
    pub image: &'a RgbImage,
    /// The moment of saving, in the user's time zone.
    pub now: &'a Zoned,
    /// When the run began, e.g. `20240714173159`.
    pub job_timestamp: &'a str,
    /// Base name of the file, e.g. `grid`; usually empty.
    pub basename: &'a str,
    /// The picture's seed; nothing if `None`.
    pub seed: Option<i64>,
    /// Seeds of all pictures of the run.
    pub all_seeds: &'a [i64],
    /// The picture's prompt.
    pub prompt: &'a str,
    /// The picture's negative prompt.
    pub negative_prompt: &'a str,
    /// Names of the styles in use.
    pub styles: &'a [String],
    /// Prompt texts of the styles in use, with `{prompt}` where the prompt goes.
    pub style_prompts: &'a [String],
    /// How many words `[prompt_words]` takes: the option `directories_max_prompt_words`.
    pub max_prompt_words: usize,
    /// Sampling steps.
    pub steps: Option<u32>,
    /// Guidance scale.
    pub cfg: Option<f64>,
    /// Sampler label.
    pub sampler: Option<&'a str>,
    /// Scheduler name, `Automatic` resolved where the sampler has a default of its own.
    pub scheduler: Option<&'a str>,
    /// Short hash of the checkpoint.
    pub model_hash: Option<&'a str>,
    /// Checkpoint name without folder and extension.
    pub model_name: Option<&'a str>,
    /// File name of the VAE, without folder.
    pub vae: Option<&'a str>,
    /// Text encoder layers counted from the end.
    pub clip_skip: Option<i64>,
    /// Denoising strength; the token is left out if `None` or 0.
    pub denoising: Option<f64>,
    /// Name of the user.
    pub user: Option<&'a str>,
    /// Place in the batch, from 0.
    pub batch_index: u32,
    /// Pictures per batch.
    pub batch_size: u32,
    /// Which batch of the run this is, from 0.
    pub iteration: u32,
    /// Batches in the run.
    pub iterations: u32,
}

/// The name of a file, without number and extension, as one component of a path: whatever stands
/// in pattern and prompt, separators become `_`, and the result is never `..` or a device. It may
/// be empty.
pub fn file_stem(pattern: &str, parts: &NameParts<'_>) -> String {
    component(&expand(pattern, parts), MAX_NAME_BYTES)
}

/// The sub-folder a file goes into, relative to the output folder. Separators of the pattern
/// itself (not those of a prompt) divide folders; `.`, `..`, roots and drives are dropped, so that
/// the result stays below the output folder. An empty pattern means `[prompt_words]`.
pub fn folder(pattern: &str, parts: &NameParts<'_>) -> PathBuf {
    let pattern = if pattern.is_empty() { "[prompt_words]" } else { pattern };
    expand(pattern, parts)
        .split(['/', '\\'])
        .map(|name| component(name, MAX_NAME_BYTES))
        .filter(|name| !name.is_empty())
        .collect()
}

/// What becomes of one token.
enum Replacement {
    Text(String),
    /// The token goes, and the literal text before it.
    LeaveOut,
    /// The token stays.
    Unknown,
}

/// A pattern with its tokens replaced. The tokens' values are clean, its literal text is not.
fn expand(pattern: &str, parts: &NameParts<'_>) -> String {
    let mut out = String::new();
    let mut rest = pattern;
    while let Some((text, token, after)) = next_token(rest) {
        let (name, arguments) = split_arguments(token);
        match replacement(&name.to_lowercase(), &arguments, parts) {
            Replacement::Text(value) => {
                out.push_str(text);
                out.push_str(&value);
            }
            Replacement::LeaveOut => {}
            Replacement::Unknown => {
                out.push_str(text);
                let _ = write!(out, "[{name}]");
            }
        }
        rest = after;
    }
    out + rest
}

/// Text before the first token, the token without its brackets, text behind it.
fn next_token(text: &str) -> Option<(&str, &str, &str)> {
    let mut open = None;
    for (at, c) in text.char_indices() {
        match (c, open) {
            ('[', _) => open = Some(at),
            (']', Some(start)) if at > start + 1 => {
                return Some((&text[..start], &text[start + 1..at], &text[at + 1..]));
            }
            (']', _) => open = None,
            _ => {}
        }
    }
    None
}

/// `name<a><b>` as name and arguments.
fn split_arguments(token: &str) -> (&str, Vec<&str>) {
    let mut name = token;
    let mut arguments = Vec::new();
    while let Some(inner) = name.strip_suffix('>') {
        match inner.rsplit_once('<') {
            Some((before, argument)) if !argument.contains('>') => {
                arguments.insert(0, argument);
                name = before;
            }
            _ => break,
        }
    }
    (name, arguments)
}

fn replacement(name: &str, arguments: &[&str], parts: &NameParts<'_>) -> Replacement {
    let single = parts.batch_size <= 1;
    let seed = || parts.seed.map(|seed| seed.to_string()).unwrap_or_default();
    let text = match name {
        "none" => Some(String::new()),
        "basename" => Some(if parts.basename.is_empty() { "img" } else { parts.basename }.into()),
        "seed" => Some(seed()),
        "seed_first" if single => Some(seed()),
        "seed_first" => parts.all_seeds.first().map(i64::to_string),
        "seed_last" | "batch_number" if single => return Replacement::LeaveOut,
        "seed_last" => parts.all_seeds.last().map(i64::to_string),
        "steps" => parts.steps.map(|steps| steps.to_string()),
        "cfg" => parts.cfg.map(python_text::float),
        "width" => Some(parts.image.width().to_string()),
        "height" => Some(parts.image.height().to_string()),
        "styles" => Some(style_names(parts.styles)),
        "sampler" => parts.sampler.map(str::to_owned),
        "scheduler" => parts.scheduler.map(capitalized),
        "sampler_scheduler" => parts
            .sampler
            .zip(parts.scheduler)
            .map(|(sampler, scheduler)| format!("{sampler} {}", capitalized(scheduler))),
        "model_hash" => parts.model_hash.map(str::to_owned),
        "model_name" => parts.model_name.map(str::to_owned),
        "vae_filename" => Some(parts.vae.unwrap_or("NoneType").to_owned()),
        "date" => Some(parts.now.date().to_string()),
        "datetime" => Some(datetime(parts.now, arguments)),
        "job_timestamp" => Some(parts.job_timestamp.to_owned()),
        "prompt_hash" => hash(parts.prompt.as_bytes(), arguments, 8),
        "negative_prompt_hash" => hash(parts.negative_prompt.as_bytes(), arguments, 8),
        "full_prompt_hash" => {
            hash(format!("{} {}", parts.prompt, parts.negative_prompt).as_bytes(), arguments, 8)
        }
        "image_hash" => hash(parts.image.as_raw(), arguments, usize::MAX),
        "prompt" => Some(parts.prompt.replace(' ', "_")),
        "prompt_spaces" => Some(parts.prompt.to_owned()),
        "prompt_no_styles" => Some(without_styles(parts.prompt, parts.style_prompts)),
        "prompt_words" => Some(words(parts.prompt, parts.max_prompt_words)),
        "hasprompt" => Some(contained(parts.prompt, arguments).replace(' ', "_")),
        "batch_number" => Some((u64::from(parts.batch_index) + 1).to_string()),
        "batch_size" => Some(parts.batch_size.to_string()),
        "generation_number" if single && parts.iterations <= 1 => return Replacement::LeaveOut,
        "generation_number" => {
            let before = u64::from(parts.iteration) * u64::from(parts.batch_size);
            Some((before + u64::from(parts.batch_index) + 1).to_string())
        }
        "clip_skip" => parts.clip_skip.map(|skip| skip.to_string()),
        "denoising" => match parts.denoising {
            Some(strength) if strength != 0.0 => Some(python_text::float(strength)),
            _ => return Replacement::LeaveOut,
        },
        "user" => parts.user.map(str::to_owned),
        _ => None,
    };
    text.map_or(Replacement::Unknown, |text| Replacement::Text(part(&text, false)))
}

fn style_names(styles: &[String]) -> String {
    let names: Vec<_> = styles.iter().map(String::as_str).filter(|name| *name != "None").collect();
    if names.is_empty() { "None".into() } else { names.join(", ") }
}

/// Python's `str.capitalize()`.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

/// The moment in a format and a time zone; an unknown zone is the user's own.
fn datetime(now: &Zoned, arguments: &[&str]) -> String {
    let format = arguments.first().copied().filter(|format| !format.is_empty());
    let zone = arguments.get(1).and_then(|name| match *name {
        // Known even where the system has no table of zones.
        "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    });
    let now = zone.map_or_else(|| now.clone(), |zone| now.with_time_zone(zone));
    // Directives are Python's (the C locale), whose %f always has six digits; what it does not
    // know stays in the text, so the lenient formatter cannot fail.
    let config = Config::new().custom(PosixCustom::new()).lenient(true);
    BrokenDownTime::from(&now)
        .to_string_with_config(&config, python_directives(format.unwrap_or(DEFAULT_TIME_FORMAT)))
        .unwrap_or_else(|_| now.strftime(DEFAULT_TIME_FORMAT).to_string())
}

/// `%f` as `%6f`, with `%%f` left alone.
fn python_directives(format: &str) -> String {
    let mut out = String::with_capacity(format.len() + 4);
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        out.push(c);
        if c == '%' {
            match chars.next() {
                Some('f') => out.push_str("6f"),
                Some(directive) => out.push(directive),
                None => {}
            }
        }
    }
    out
}

/// The first digits of a SHA-256; `None` for an argument that is no number.
fn hash(bytes: &[u8], arguments: &[&str], default: usize) -> Option<String> {
    let digits = match arguments.first() {
        Some(number) if !number.is_empty() => number.trim().parse().ok()?,
        _ => default,
    };
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    Some(hex)
}

fn without_styles(prompt: &str, styles: &[String]) -> String {
    let mut prompt = prompt.to_owned();
    for style in styles.iter().filter(|style| !style.is_empty()) {
        for piece in style.split("{prompt}") {
            let without = remove(&prompt, piece).replace(", ,", ",");
            prompt = String::from(python_text::strip(&without).trim_matches(','));
        }
        let without = remove(&prompt, style);
        let stripped = python_text::strip(&without).trim_matches(',');
        prompt = String::from(python_text::strip(stripped));
    }
    prompt
}

fn remove(text: &str, piece: &str) -> String {
    if piece.is_empty() { text.to_owned() } else { text.replace(piece, "") }
}

fn words(prompt: &str, most: usize) -> String {
    let words: Vec<_> = prompt
        .split(|c: char| python_text::is_space(c) || c.is_ascii_punctuation())
        .filter(|word| !word.is_empty())
        .take(most)
        .collect();
    if words.is_empty() { "empty".into() } else { words.join(" ") }
}

/// For each argument `text|default`: the text, in lower case, if the prompt contains it (in any
/// case), else the default.
fn contained(prompt: &str, arguments: &[&str]) -> String {
    let prompt = prompt.to_lowercase();
    let mut out = String::new();
    for argument in arguments.iter().filter(|argument| !argument.is_empty()) {
        let mut choices = argument.split('|');
        let expected = choices.next().unwrap_or_default().to_lowercase();
        if prompt.contains(&expected) {
            out.push_str(&expected);
        } else {
            out.push_str(choices.next().unwrap_or_default());
        }
    }
    out
}

#[cfg(test)]
mod tests;
