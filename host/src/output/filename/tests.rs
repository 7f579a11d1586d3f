//! What patterns become, and what they can never become.

use std::path::{Component, Path};
use std::sync::LazyLock;

use super::*;

static IMAGE: LazyLock<RgbImage> =
    LazyLock::new(|| RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8, y as u8, 0])));

static NOW: LazyLock<Zoned> =
    LazyLock::new(|| "2024-07-14T17:31:59.001234+02:00[+02:00]".parse().unwrap());

fn parts() -> NameParts<'static> {
    NameParts {
        image: &IMAGE,
        now: &NOW,
        job_timestamp: "20240714173100",
        basename: "",
        seed: Some(42),
        all_seeds: &[42, 43, 44, 45],
        prompt: "A cat, on/in the (mat:1.2)",
        negative_prompt: "dog",
        styles: &[],
        style_prompts: &[],
        max_prompt_words: 3,
        steps: Some(20),
        cfg: Some(7.0),
        sampler: Some("DPM++ 2M"),
        scheduler: Some("sgm_Uniform"),
        model_hash: Some("6ce0161689"),
        model_name: Some("v1:5"),
        vae: None,
        clip_skip: Some(1),
        denoising: None,
        user: None,
        batch_index: 1,
        batch_size: 2,
        iteration: 1,
        iterations: 2,
    }
}

fn stem(pattern: &str) -> String {
    file_stem(pattern, &parts())
}

#[test]
fn every_token_is_replaced() {
    for (pattern, name) in [
        ("[seed]", "42"),
        ("[SEED]-[Seed_First]-[seed_last]", "42-42-45"),
        ("[steps] [cfg] [width]x[height]", "20 7.0 4x2"),
        ("[sampler]", "DPM++ 2M"),
        ("[scheduler]", "Sgm_uniform"),
        ("[sampler_scheduler]", "DPM++ 2M Sgm_uniform"),
        ("[model_hash]-[model_name]", "6ce0161689-v1_5"),
        ("[vae_filename]", "NoneType"),
        ("[styles]", "None"),
        ("[basename]", "img"),
        ("[date]", "2024-07-14"),
        ("[job_timestamp]", "20240714173100"),
        ("[prompt]", "A_cat,_on_in_the_(mat_1.2)"),
        ("[prompt_spaces]", "A cat, on_in the (mat_1.2)"),
        ("[prompt_no_styles]", "A cat, on_in the (mat_1.2)"),
        ("[prompt_words]", "A cat on"),
        ("[batch_number] of [batch_size], [generation_number]", "2 of 2, 4"),
        ("[clip_skip]", "1"),
        ("[hasprompt<CAT|none><dog|no dog><bird>]", "catno_dog"),
        ("a[none]b", "ab"),
        ("no tokens", "no tokens"),
    ] {
        assert_eq!(stem(pattern), name, "{pattern}");
    }
}

#[test]
fn hashes_have_as_many_digits_as_asked_for() {
    // sha256("dog") and sha256 of the picture's 24 RGB bytes, by Python's hashlib.
    assert_eq!(stem("[negative_prompt_hash]"), "cd6357ef");
    assert_eq!(stem("[negative_prompt_hash<4>]"), "cd63");
    assert_eq!(stem("[negative_prompt_hash<>]"), "cd6357ef");
    assert_eq!(stem("[negative_prompt_hash<999>]").len(), 64);
    assert_eq!(stem("[negative_prompt_hash<x>]"), "[negative_prompt_hash]");
    assert_eq!(stem("[image_hash<12>]"), "ab73197f5656");
    assert_eq!(stem("[image_hash]").len(), 64);
    assert_eq!(stem("[full_prompt_hash]"), "ac1b23c0");
    assert_ne!(stem("[prompt_hash]"), stem("[full_prompt_hash]"));
}

#[test]
fn times_are_formatted_as_python_formats_them() {
    for (pattern, name) in [
        ("[datetime]", "20240714173159"),
        ("[datetime<>]", "20240714173159"),
        ("[datetime<%Y_%m_%d %H-%M-%S>]", "2024_07_14 17-31-59"),
        ("[datetime<%f>]", "001234"),
        ("[datetime<%%f %y %b %j %p>]", "%f 24 Jul 196 PM"),
        ("[datetime<%H:%M><UTC>]", "15_31"),
        ("[datetime<%H><No/Such_Zone>]", "17"),
        ("[datetime<%x>]", "07_14_24"),
        ("[datetime<%c>]", "Sun Jul 14 17_31_59 2024"),
        ("[datetime<../%>]", ".._%"),
    ] {
        assert_eq!(stem(pattern), name, "{pattern}");
    }
}

#[test]
fn a_token_that_is_left_out_takes_the_text_before_it_along() {
    let single = NameParts { batch_size: 1, iterations: 1, ..parts() };
    let pattern = "[seed]-[seed_last]-[batch_number]_[generation_number] d[denoising]";
    assert_eq!(file_stem(pattern, &single), "42");
    let denoised = NameParts { denoising: Some(0.75), ..parts() };
    assert_eq!(file_stem("[seed] d[denoising]", &denoised), "42 d0.75");
}

#[test]
fn unknown_and_unfinished_tokens_stay() {
    assert_eq!(stem("a [what] [user] [[seed]] [] [seed"), "a [what] [user] [42] [] [seed");
    assert_eq!(stem("[what<x>]"), "[what]");
}

#[test]
fn a_token_in_a_prompt_is_text() {
    let parts = NameParts { prompt: "[seed] [model_hash]", ..parts() };
    assert_eq!(file_stem("[prompt_spaces]", &parts), "[seed] [model_hash]");
}

#[test]
fn styles_are_named_and_taken_out_of_the_prompt() {
    let names = ["None".to_owned(), "Fine".to_owned(), "Old".to_owned()];
    let texts = ["masterpiece, {prompt}, 8k".to_owned(), "oil".to_owned()];
    let parts = NameParts {
        prompt: "masterpiece, cat, 8k, oil",
        styles: &names,
        style_prompts: &texts,
        ..parts()
    };
    assert_eq!(file_stem("[styles]: [prompt_no_styles]", &parts), "Fine, Old_ cat");
}

#[test]
fn separators_of_the_pattern_make_folders_and_those_of_the_prompt_do_not() {
    for (pattern, path) in [
        ("[date]/[prompt]", "2024-07-14/A_cat,_on_in_the_(mat_1.2)"),
        ("[model_name]\\[seed]", "v1_5/42"),
        ("", "A cat on"),
        ("[none]", ""),
    ] {
        assert_eq!(folder(pattern, &parts()), Path::new(path));
    }
}

#[test]
fn hostile_patterns_and_prompts_never_leave_the_folder() {
    let hostile = [
        "..",
        "../..",
        "/etc/passwd",
        "\\\\server\\share",
        "C:\\Windows",
        "a/../../b",
        ". . /x",
        "..\\..",
        "\0",
        "x\0/../y",
        "~/.ssh",
        "con",
        "NUL.png",
        "....//....//",
        "/",
        "\n/..\n",
        " .. /..",
        "．．/",
        "..%2f",
        "[none]../[none]..",
    ];
    let long = "/..".repeat(500) + &"猫".repeat(500);
    for text in hostile.into_iter().chain([long.as_str()]) {
        let parts = NameParts {
            prompt: text,
            job_timestamp: text,
            model_name: Some(text),
            user: Some(text),
            basename: text,
            ..parts()
        };
        for pattern in [
            text,
            "[prompt]",
            "[prompt_spaces]",
            "[prompt_words]",
            "[prompt_no_styles]",
            "[job_timestamp]",
            "[model_name]",
            "[user]",
            "[basename]",
            "[prompt]/[user]",
            "[hasprompt<zzz|../..>]",
            "[datetime<../../%Y>]",
            "../[prompt]",
        ] {
            let folder = folder(pattern, &parts);
            assert!(
                folder.components().all(|part| matches!(part, Component::Normal(_))),
                "{pattern:?} with {text:?}: {folder:?}"
            );
            let stem = file_stem(pattern, &parts);
            for name in folder.iter().map(|name| name.to_str().unwrap()).chain([&*stem]) {
                assert!(!name.contains(['/', '\\', '\0', ':', '\n']), "{name:?}");
                assert!(name.len() <= MAX_NAME_BYTES && name != ".." && name != ".");
            }
        }
    }
}

#[test]
fn the_default_pattern_is_short_where_folders_sort_pictures() {
    assert_eq!(default_file_pattern(true), "[seed]");
    assert_eq!(stem(default_file_pattern(false)), "42-A cat, on_in the (mat_1.2)");
}
