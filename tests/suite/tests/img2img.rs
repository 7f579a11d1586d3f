//! From pictures to pictures on the default checkpoint: other sizes, and parts that are drawn anew.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{fs, path::Path, sync::Arc};

use atelier_host::{
    engine::EngineProvider,
    imaging::ResizeMode,
    run::{Hires, InitImages, Inpaint, InpaintingFill, RunRequest},
};
use atelier_suite::{command, engine_host, root};
use atelier_testkit::{TestHost, Wiring};
use image::{GrayImage, Luma, Rgb, RgbImage};
use safetensors::{SafeTensors, tensor::TensorView};
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
    engine_host(&[], Wiring::Direct)
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
fn more_or_less_noise_is_told() {
    let host = host();
    let draw = |multiplier: f64| {
        let mut request = request(&host, start(64, 64));
        request.override_settings.insert("initial_noise_multiplier".to_owned(), json!(multiplier));
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let ((plain, untold), (other, told)) = (draw(1.0), draw(0.8));
    assert!(plain != other);
    assert!(told.contains("Noise multiplier: 0.8") && !untold.contains("Noise"), "{told}");
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
    assert!(draw(only(0), json!(true)).0 != picture);
    // Without the first picture over it, it is what was drawn.
    assert_eq!(draw(only(8), json!(false)).0.dimensions(), (64, 64));
    // Nothing to draw: A1111 draws the whole picture then.
    let black = Inpaint { mask: GrayImage::new(120, 80), ..only(8) };
    let (picture, infotext) = draw(black, json!(true));
    assert_eq!(picture.dimensions(), (64, 64));
    assert!(!infotext.contains("Inpaint area"), "{infotext}");
}

#[test]
fn each_picture_is_laid_over_in_its_own_size() {
    let host = host();
    let firsts = [start(120, 80), start(90, 100)];
    let all = GrayImage::from_pixel(120, 80, image::Luma([255]));
    for mask in [mask(120, 80), all] {
        let only = Inpaint { inpaint_full_res: true, ..inpaint(mask) };
        let request = RunRequest {
            init_images: Some(InitImages(firsts.to_vec())),
            batch_size: 2,
            inpaint: Some(only),
            do_not_save_grid: true,
            ..request(&host, firsts[0].clone())
        };
        let pictures = host.draw(request).pictures;
        for (picture, first) in pictures.iter().zip(&firsts) {
            assert_eq!(picture.image.dimensions(), first.dimensions());
        }
    }
}

#[test]
fn the_mask_is_saved_and_answered_where_options_say_so() {
    let host = host();
    let mut request = RunRequest {
        inpaint: Some(inpaint(mask(64, 64))),
        // Two pictures would make one, as in A1111.
        do_not_save_grid: true,
        ..request(&host, start(64, 64))
    };
    let options = json!({ "save_mask": true, "return_mask": true });
    request.override_settings = options.as_object().cloned().unwrap_or_default();
    let finished = host.draw(request);
    let [picture, answered] = &finished.pictures[..] else { panic!("two pictures") };
    let name = |path: &Option<std::path::PathBuf>| {
        let path = path.as_ref().expect("a file");
        path.file_stem().expect("a name").to_string_lossy().into_owned()
    };
    let (own, beside) = (name(&picture.path), name(&answered.path));
    assert!(beside.ends_with("-mask") && !own.ends_with("-mask"), "{own} {beside}");
    let white = |x: u32, y: u32| answered.image.get_pixel(x, y).0 == [255; 3];
    assert!(white(32, 32) && !white(2, 2));
}

#[test]
fn what_would_take_for_ever_is_refused_or_stretched() {
    let host = host();
    let soft = Inpaint { mask_blur_y: u32::MAX, ..inpaint(mask(64, 64)) };
    let soft = RunRequest { inpaint: Some(soft), ..request(&host, start(64, 64)) };
    let refused = host.run(soft).expect_err("refused").to_string();
    assert!(refused.contains("mask_blur_y") && refused.contains("0 to 256"), "{refused}");
    let thread =
        RunRequest { resize_mode: ResizeMode::CropAndResize, ..request(&host, start(1, 60_000)) };
    assert_eq!(host.draw(thread).pictures[0].image.dimensions(), (64, 64));
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

/// The default checkpoint with a UNet that takes five channels more, which it hardly hears.
fn write_inpainting(folder: &Path) {
    let from = root().join("models/atelier-emoji-64");
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
        fs::create_dir_all(folder.join(part)).expect("a folder");
        for entry in fs::read_dir(from.join(part)).expect("the default checkpoint") {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name");
            fs::copy(&path, folder.join(part).join(name)).expect("a copy");
        }
    }
    fs::write(folder.join("model_index.json"), "{}").expect("a file");
    let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
    let bytes = fs::read(&weights).expect("weights");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let narrow = tensors.tensor("conv_in.weight").expect("a tensor");
    let [outputs, inputs, rows, columns] = narrow.shape()[..] else { panic!("a convolution") };
    let row = narrow.data().len() / outputs;
    let mut wide = Vec::new();
    for output in narrow.data().chunks_exact(row) {
        wide.extend_from_slice(output);
        // The first values of the row again: something, and the same in any type of number.
        wide.extend(output.iter().cycle().take(row * (inputs + 1) / inputs));
    }
    let shape = vec![outputs, 2 * inputs + 1, rows, columns];
    let wide = TensorView::new(narrow.dtype(), shape, &wide).expect("a tensor");
    let all = tensors.tensors().into_iter().map(|(name, view)| match name.as_str() {
        "conv_in.weight" => (name, wide.clone()),
        _ => (name, view),
    });
    let written = folder.join("wide.safetensors");
    safetensors::serialize_to_file(all, None, &written).expect("a file");
    fs::rename(written, &weights).expect("weights");
    let config = folder.join("unet/config.json");
    let told = fs::read_to_string(&config).expect("a file");
    let mut told: Value = serde_json::from_str(&told).expect("JSON");
    told["in_channels"] = (2 * inputs + 1).into();
    fs::write(&config, told.to_string()).expect("a file");
}

#[test]
fn a_checkpoint_for_inpainting_sees_what_is_around_the_mask() {
    let models = tempfile::tempdir().expect("a folder");
    write_inpainting(&models.path().join("models/inpainting"));
    let provider = EngineProvider::new(models.path());
    let host = TestHost::with(&[], Wiring::Direct, &json!({}), true, Arc::new(provider));
    let draw = |first: RgbImage, mask: Option<GrayImage>, weight: f64| {
        let masked_content = InpaintingFill::LatentNothing;
        let inpaint = mask.map(|mask| Inpaint { inpainting_fill: masked_content, ..inpaint(mask) });
        let mut request = RunRequest { inpaint, ..request(&host, first) };
        request.override_settings = json!({
            "sd_model_checkpoint": "inpainting", "inpainting_mask_weight": weight,
        })
        .as_object()
        .cloned()
        .unwrap_or_default();
        let picture = host.draw(request).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (picture, infotext) = draw(start(64, 64), Some(mask(64, 64)), 1.0);
    assert!(infotext.contains("Conditional mask weight: 1.0"), "{infotext}");
    assert_eq!(odd_ones(&picture, &start(64, 64)).0, 0);
    // The picture is shown, as far as the option lets it.
    assert!(draw(start(64, 64), Some(mask(64, 64)), 0.2).0 != picture);
    assert!(draw(start(64, 64), None, 1.0).0 != picture);
    // From noise and in a second pass there is nothing to be shown.
    let hires = Some(Hires::default());
    let request = RunRequest { init_images: None, hires, ..request(&host, start(64, 64)) };
    let picture = host.draw(RunRequest { width: Some(32), height: Some(32), ..request });
    assert_eq!(picture.pictures[0].image.dimensions(), (64, 64));
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
