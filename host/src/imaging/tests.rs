use std::path::Path;

use image::{GrayImage, Luma, Rgb, RgbImage, imageops};

use super::*;

const SIZE: (u32, u32) = (40, 28);

fn picture() -> RgbImage {
    RgbImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        Rgb([x * 7 + y * 3, x * x + 5 * y, x * y + 40].map(|value| (value % 256) as u8))
    })
}

fn mask() -> GrayImage {
    GrayImage::from_fn(SIZE.0, SIZE.1, |x, y| {
        let inside = (12..27).contains(&x) && (8..20).contains(&y);
        Luma([if inside { 255 - (x * 5 % 60) as u8 } else { 0 }])
    })
}

fn golden(name: &str) -> image::DynamicImage {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/imaging");
    image::open(folder.join(format!("{name}.png"))).unwrap()
}

/// As Pillow has it, to the last bit.
fn same(name: &str, found: &RgbImage) {
    close(name, found, 0);
}

/// As Pillow has it, or off by so many steps of 256.
fn close(name: &str, found: &RgbImage, off: u8) {
    let expected = golden(name).to_rgb8();
    assert_eq!(found.dimensions(), expected.dimensions(), "{name}");
    for (x, y, pixel) in found.enumerate_pixels() {
        let expected = expected.get_pixel(x, y);
        let pairs = pixel.0.iter().zip(expected.0);
        let far = pairs.map(|(a, b)| a.abs_diff(b)).max();
        assert!(far <= Some(off), "{name} at {x}, {y}: {pixel:?}, not {expected:?}");
    }
}

fn same_mask(name: &str, found: &GrayImage, off: u8) {
    let expected = golden(name).to_luma8();
    assert_eq!(found.dimensions(), expected.dimensions(), "{name}");
    for (x, y, pixel) in found.enumerate_pixels() {
        let expected = expected.get_pixel(x, y).0[0];
        assert!(pixel.0[0].abs_diff(expected) <= off, "{name} at {x}, {y}: {expected} {pixel:?}");
    }
}

#[test]
fn sizes_are_changed_as_pillow_does_it() {
    same("picture", &picture());
    close("up", &resized(&picture(), 64, 48, ResizeMode::JustResize), 2);
    close("down", &resized(&picture(), 16, 24, ResizeMode::JustResize), 2);
    close("crop-wide", &resized(&picture(), 64, 32, ResizeMode::CropAndResize), 2);
    close("crop-tall", &resized(&picture(), 24, 48, ResizeMode::CropAndResize), 2);
    close("fill-wide", &resized(&picture(), 64, 32, ResizeMode::ResizeAndFill), 2);
    close("fill-tall", &resized(&picture(), 24, 48, ResizeMode::ResizeAndFill), 2);
}

#[test]
fn masks_are_softened_filled_and_laid_over_as_pillow_does_it() {
    same_mask("mask", &mask(), 0);
    same_mask("soft", &blurred(&mask(), 4, 2), 0);
    let soft = golden("soft").to_luma8();
    same_mask("mask-small", &bicubic(&soft, 8, 6), 1);
    same("filled", &filled(&picture(), &soft));
    let mut drawn = picture();
    imageops::invert(&mut drawn);
    same("over", &laid_over(&drawn, &overlay(&picture(), &soft)));
}

#[test]
fn the_part_to_draw_is_found_and_made_as_wide_as_the_frame() {
    let region = |x, y, width, height| Region { x, y, width, height };
    assert_eq!(crop_region(&mask(), 0), Some(region(12, 8, 15, 12)));
    assert_eq!(crop_region(&mask(), 10), Some(region(2, 0, 35, 28)));
    assert_eq!(crop_region(&GrayImage::new(4, 4), 10), None);
    let expand = |part, frame| expanded(part, frame, SIZE);
    // Made higher around its middle, moved where it would stand out, cut where it does not fit.
    assert_eq!(expand(region(12, 8, 15, 12), (64, 64)), region(12, 7, 15, 15));
    assert_eq!(expand(region(12, 0, 15, 12), (64, 64)), region(12, 0, 15, 15));
    assert_eq!(expand(region(12, 16, 15, 12), (64, 64)), region(12, 13, 15, 15));
    assert_eq!(expand(region(0, 8, 40, 4), (64, 64)), region(0, 0, 40, 28));
    assert_eq!(expand(region(30, 4, 10, 20), (64, 64)), region(20, 4, 20, 20));
}

#[test]
fn a_part_goes_back_to_its_place() {
    let part = Region { x: 5, y: 6, width: 10, height: 10 };
    let white = RgbImage::from_pixel(20, 20, Rgb([255; 3]));
    let whole = uncropped(&white, SIZE, part);
    for (x, y, pixel) in whole.enumerate_pixels() {
        let inside = (5..15).contains(&x) && (6..16).contains(&y);
        assert_eq!(pixel.0[0] == 255, inside, "{x}, {y}");
    }
}

#[test]
fn what_is_opaque_is_a_mask_and_else_what_is_bright() {
    let clear = |alpha| {
        image::DynamicImage::from(image::RgbaImage::from_pixel(2, 2, image::Rgba([9, 9, 9, alpha])))
    };
    let value = |picture, round| binary_mask(&picture, round).get_pixel(0, 0).0[0];
    assert_eq!(value(clear(200), true), 255);
    assert_eq!(value(clear(128), true), 0);
    assert_eq!(value(clear(200), false), 200);
    assert_eq!(value(clear(255), true), 9);
    assert_eq!(value(RgbImage::from_pixel(2, 2, Rgb([255, 0, 0])).into(), true), 76);
}

#[test]
fn a_picture_like_a_thread_is_stretched() {
    let thread = GrayImage::new(1, 1 << 20);
    let found = resized(&thread, 1024, 8, ResizeMode::CropAndResize);
    assert_eq!(found.dimensions(), (1024, 8));
}
