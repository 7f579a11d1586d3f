//! Whole runs on the fake engine with the real library.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{Finished, InitImages, Inpaint, RunRequest},
};
use atelier_testkit::{TestHost, Wiring, both_ways, build};
use image::{GrayImage, Luma, Rgb, RgbImage};
use serde_json::{Value, json};

fn host(wiring: Wiring) -> TestHost {
    static BUILT: OnceLock<Vec<PathBuf>> = OnceLock::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built =
        || build::cdylibs(here, &["soft-inpainting"], &[]).into_values().collect::<Vec<_>>();
    TestHost::new(BUILT.get_or_init(built), wiring)
}

fn picture(side: u32) -> RgbImage {
    RgbImage::from_fn(side, side, |x, y| Rgb([(x * 2) as u8, (y * 2) as u8, 90]))
}

/// The left half of a picture is drawn anew, the edge between is grey.
fn request(host: &TestHost, args: &Value) -> RunRequest {
    let mask = GrayImage::from_fn(64, 64, |x, _| Luma([u8::from(x < 32) * 255]));
    let mut request = RunRequest {
        init_images: Some(InitImages(vec![picture(64)])),
        inpaint: Some(Inpaint {
            inpaint_full_res: false,
            mask_blur_x: 8,
            mask_blur_y: 8,
            ..Inpaint::new(mask)
        }),
        ..host.request()
    };
    let args = args.as_object().expect("an object").clone();
    let id = PluginId::new("soft-inpainting").expect("an id");
    request.plugin_args.insert(id, GivenArgs::Named(args));
    request
}

/// Draws a request in which no hook may fail.
fn draw(host: &TestHost, request: RunRequest) -> Finished {
    let finished = host.draw(request);
    assert_eq!(finished.record.failures, []);
    finished
}

#[test]
fn it_draws_another_picture_where_it_is_asked_to_and_says_so() {
    both_ways(|wiring| {
        let host = host(wiring);
        let plain = draw(&host, request(&host, &json!({})));
        let soft = draw(&host, request(&host, &json!({ "enabled": true })));
        assert!(plain.pictures[0].image != soft.pictures[0].image);
        assert!(!plain.pictures[0].infotext.contains("Soft inpainting"));
        let infotext = &soft.pictures[0].infotext;
        for told in [
            "Soft inpainting enabled: True",
            "Soft inpainting schedule bias: 1",
            "Soft inpainting preservation strength: 0.5",
            "Soft inpainting transition contrast boost: 4",
            "Soft inpainting mask influence: 0",
            "Soft inpainting difference threshold: 0.5",
            "Soft inpainting difference contrast: 2",
        ] {
            assert!(infotext.contains(told), "{infotext}");
        }
    });
}

/// How far two pictures are apart in a column.
fn apart(one: &RgbImage, other: &RgbImage, x: u32) -> u32 {
    let rows = 0..one.height();
    let differences = rows.map(|y| {
        let (one, other) = (one.get_pixel(x, y).0, other.get_pixel(x, y).0);
        one.into_iter().zip(other).map(|(a, b)| u32::from(a.abs_diff(b))).sum::<u32>()
    });
    differences.sum()
}

#[test]
fn far_from_the_mask_the_picture_stays_and_the_rest_is_drawn_anew() {
    both_ways(|wiring| {
        let host = host(wiring);
        let soft = draw(&host, request(&host, &json!({ "enabled": true })));
        let found = &soft.pictures[0].image;
        assert_eq!(apart(found, &picture(64), 63), 0);
        assert!(apart(found, &picture(64), 2) > 64);
    });
}

#[test]
fn the_masked_part_alone_is_put_into_its_place() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut request = request(&host, &json!({ "enabled": true }));
        request.init_images = Some(InitImages(vec![picture(100)]));
        if let Some(inpaint) = &mut request.inpaint {
            inpaint.mask = GrayImage::from_fn(100, 100, |x, y| {
                Luma([u8::from((30..60).contains(&x) && (30..60).contains(&y)) * 255])
            });
            inpaint.inpaint_full_res = true;
        }
        let soft = draw(&host, request);
        let found = &soft.pictures[0].image;
        assert_eq!(found.dimensions(), (100, 100));
        assert_eq!(apart(found, &picture(100), 5), 0);
        assert!(apart(found, &picture(100), 45) > 64);
    });
}

#[test]
fn several_pictures_have_each_their_own_change() {
    both_ways(|wiring| {
        let host = host(wiring);
        let two =
            RunRequest { batch_size: 2, n_iter: 2, ..request(&host, &json!({ "enabled": true })) };
        let together = draw(&host, two);
        for picture in together.pictures.iter().filter(|picture| !picture.grid) {
            let one =
                RunRequest { seed: picture.seed, ..request(&host, &json!({ "enabled": true })) };
            assert!(draw(&host, one).pictures[0].image == picture.image, "{}", picture.seed);
        }
    });
}

#[test]
fn it_lays_the_picture_over_where_the_host_does_not() {
    both_ways(|wiring| {
        let host = host(wiring);
        let mut request = request(&host, &json!({ "enabled": true }));
        request.override_settings.insert("overlay_inpaint".to_owned(), json!(false));
        let soft = draw(&host, request);
        assert_eq!(apart(&soft.pictures[0].image, &picture(64), 63), 0);
    });
}

#[test]
fn a_run_without_a_mask_is_as_it_was() {
    both_ways(|wiring| {
        let host = host(wiring);
        let drawn = |args| draw(&host, RunRequest { inpaint: None, ..request(&host, &args) });
        let (plain, soft) = (drawn(json!({})), drawn(json!({ "enabled": true })));
        assert!(plain.pictures[0].image == soft.pictures[0].image);
        assert!(!soft.pictures[0].infotext.contains("Soft inpainting"));
    });
}
