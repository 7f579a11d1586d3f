//! From pictures to pictures on the default checkpoint: other sizes, and parts that are drawn anew.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{fs, sync::Arc};

use atelier_host::{
    engine::EngineProvider,
    imaging::ResizeMode,
    run::{InitImages, Inpaint, InpaintingFill, RunRequest},
};
use atelier_suite::command;
use atelier_testkit::{TestHost, Wiring};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::{Value, json};

/// Colours that change from place to place.
fn start(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| Rgb([(x * 3) as u8, (y * 4) as u8, 120]))
}

/// White in the middle.
fn mask(width: u32, height: u32) -> GrayImage {
    GrayImage::from_fn(width, height, |x, y| Luma([u8::from(is_inside(x, y, width, height)) * 255]))
}

fn is_inside(x: u32, y: u32, width: u32, height: u32) -> bool {
    (width / 4..width * 3 / 4).contains(&x) && (height / 4..height * 3 / 4).contains(&y)
}

fn host() -> TestHost {
    let models = tempfile::tempdir().expect("a folder");
    let provider = EngineProvider::new(models.path());
    TestHost::with(&[], Wiring::Direct, &json!({}), true, Arc::new(provider))
}

fn request(host: &TestHost, picture: RgbImage) -> RunRequest {
    RunRequest {
        prompt: "red heart".to_owned(),
        steps: 2,
        width: Some(64),
        height: Some(64),
        denoising_strength: 0.9,
        init_images: Some(InitImages(vec![picture])),
        ..host.request()
    }
}

fn inpaint(mask: GrayImage) -> Inpaint {
    Inpaint {
        mask_blur_x: 0,
        mask_blur_y: 0,
        inpainting_fill: InpaintingFill::Original,
        inpaint_full_res: false,
        ..Inpaint::new(mask)
    }
}

/// Pixels outside the mask that changed, and pixels inside that did not.
fn odd_ones(found: &RgbImage, first: &RgbImage) -> (usize, usize) {
    assert_eq!(found.dimensions(), first.dimensions());
    let (width, height) = first.dimensions();
    let (mut outside, mut inside) = (0, 0);
    for (x, y, pixel) in found.enumerate_pixels() {
        let same = pixel == first.get_pixel(x, y);
        match is_inside(x, y, width, height) {
            false if !same => outside += 1,
            true if same => inside += 1,
            _ => {}
        }
    }
    (outside, inside)
}

#[test]
fn a_picture_of_another_size_is_made_to_fit() {
    let host = host();
    let draw = |resize_mode| {
        let request = RunRequest { resize_mode, ..request(&host, start(100, 40)) };
        host.draw(request).pictures.remove(0).image
    };
    let pictures = [
        ResizeMode::JustResize,
        ResizeMode::CropAndResize,
        ResizeMode::ResizeAndFill,
        ResizeMode::LatentUpscale,
    ]
    .map(draw);
    for (at, picture) in pictures.iter().enumerate() {
        assert_eq!(picture.dimensions(), (64, 64));
        assert!(pictures[..at].iter().all(|other| other != picture), "{at}");
    }
}

#[test]
fn what_the_mask_leaves_is_the_first_picture_to_the_pixel() {
    let host = host();
    let first = start(64, 64);
    let draw = |inpaint: Inpaint| {
        let request = RunRequest { inpaint: Some(inpaint), ..request(&host, first.clone()) };
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (plain, infotext) = draw(inpaint(mask(64, 64)));
    let (outside, inside) = odd_ones(&plain, &first);
    assert!(outside == 0 && inside < 100, "{outside} {inside}");
    assert!(!infotext.contains("Mask"), "{infotext}");

    let inverted = Inpaint { inpainting_mask_invert: true, ..inpaint(mask(64, 64)) };
    let (picture, infotext) = draw(inverted);
    let (outside, inside) = odd_ones(&picture, &first);
    assert!(outside > 2500 && inside == 32 * 32, "{outside} {inside}");
    assert!(infotext.contains("Mask mode: Inpaint not masked"), "{infotext}");

    let soft = Inpaint { mask_blur_x: 4, mask_blur_y: 4, ..inpaint(mask(64, 64)) };
    let (picture, infotext) = draw(soft);
    let (outside, _) = odd_ones(&picture, &first);
    assert!((1..2000).contains(&outside), "its edge is soft: {outside}");
    assert!(infotext.contains("Mask blur: 4"), "{infotext}");

    let mut pictures = vec![plain];
    for (fill, told) in [
        (InpaintingFill::Fill, "fill"),
        (InpaintingFill::LatentNoise, "latent noise"),
        (InpaintingFill::LatentNothing, "latent nothing"),
    ] {
        let (picture, infotext) = draw(Inpaint { inpainting_fill: fill, ..inpaint(mask(64, 64)) });
        assert!(infotext.contains(&format!("Masked content: {told}")), "{infotext}");
        assert!(!pictures.contains(&picture), "{told}");
        assert_eq!(odd_ones(&picture, &first).0, 0, "{told}");
        pictures.push(picture);
    }
}

#[test]
fn the_masked_part_alone_is_drawn_and_put_back() {
    let host = host();
    let first = start(120, 80);
    let only = |inpaint_full_res_padding| Inpaint {
        inpaint_full_res: true,
        inpaint_full_res_padding,
        ..inpaint(mask(120, 80))
    };
    let draw = |inpaint, option: Value| {
        let mut request = RunRequest { inpaint: Some(inpaint), ..request(&host, first.clone()) };
        request.override_settings.insert("overlay_inpaint".to_owned(), option);
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (picture, infotext) = draw(only(8), json!(true));
    let (outside, inside) = odd_ones(&picture, &first);
    assert!(outside == 0 && inside < 200, "{outside} {inside}");
    for told in ["Inpaint area: Only masked", "Masked area padding: 8", "Size: 64x64"] {
        assert!(infotext.contains(told), "{infotext}");
    }
    assert_ne!(draw(only(0), json!(true)).0, picture);
    // Without the first picture over it, it is what was drawn.
    assert_eq!(draw(only(8), json!(false)).0.dimensions(), (64, 64));
    // Nothing to draw: A1111 draws the whole picture then.
    let black = Inpaint { mask: GrayImage::new(120, 80), ..only(8) };
    let (picture, infotext) = draw(black, json!(true));
    assert_eq!(picture.dimensions(), (64, 64));
    assert!(!infotext.contains("Inpaint area"), "{infotext}");
}

#[test]
fn the_record_names_the_pictures_as_they_came() {
    let host = host();
    let request =
        RunRequest { inpaint: Some(inpaint(mask(100, 40))), ..request(&host, start(100, 40)) };
    let record = host.draw(request).record;
    let prepared = record.prepared.expect("prepared");
    let blob = |hash: &str| {
        let bytes = fs::read(host.folder().join("blobs").join(hash)).expect("a blob");
        image::load_from_memory(&bytes).expect("a picture")
    };
    assert_eq!(blob(&prepared.init_images[0]).to_rgb8(), start(100, 40));
    assert_eq!(blob(&prepared.mask.expect("a mask")).to_luma8(), mask(100, 40));
}

#[test]
fn the_command_takes_a_mask() {
    let data = tempfile::tempdir().expect("a folder");
    let (picture, white) = (data.path().join("start.png"), data.path().join("mask.png"));
    start(120, 80).save(&picture).expect("a picture");
    mask(120, 80).save(&white).expect("a mask");
    let out = data.path().join("out.png");
    let run = |more: &[&str]| {
        let mut command = command::command(data.path());
        command.arg("img2img").arg(&picture).args(["red heart", "--steps", "2", "--seed", "1"]);
        command.args(["--width", "64", "--height", "64", "--out"]).arg(&out);
        command.args(more).output().expect("a process")
    };
    let white = white.to_str().expect("a path");
    let output = run(&["--mask", white, "--only-masked", "--mask-blur", "0"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let drawn = image::open(&out).expect("a picture").to_rgb8();
    assert_eq!(odd_ones(&drawn, &start(120, 80)).0, 0);
    let output = run(&["--invert-mask"]);
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("--mask <PICTURE>"), "{told}");
}
