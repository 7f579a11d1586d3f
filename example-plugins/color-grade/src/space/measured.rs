//! The measured space, against the autoencoder that it was measured of.

use atelier_host::{
    engine::EngineProvider,
    run::pipeline::{ModelProvider, Pipeline, Tensor},
};
use image::{GenericImageView, RgbImage};

use super::*;

/// Side of a picture, and of its cell on the sheet.
const SIDE: u32 = 64;
const CELL: u32 = 66;
const PIXELS: usize = (SIDE * SIDE) as usize;

/// Every fifth of the forty pictures on the sheet, four rows of ten, as `[n, 3, 64, 64]` in 0..1.
fn pictures() -> Tensor {
    let sheet = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/images/emoji-sheet.png");
    let sheet = image::open(sheet).expect("the sheet").into_rgb8();
    let cells: Vec<RgbImage> = (0..40)
        .step_by(5)
        .map(|at| sheet.view(at % 10 * CELL, at / 10 * CELL, SIDE, SIDE).to_image())
        .collect();
    let channel = |cell: &RgbImage, channel: usize| -> Vec<f32> {
        cell.pixels().map(|pixel| f32::from(pixel.0[channel]) / 255.0).collect()
    };
    let data = cells.iter().flat_map(|cell| (0..3).flat_map(|index| channel(cell, index)));
    Tensor { shape: [cells.len(), 3, SIDE as usize, SIDE as usize], data: data.collect() }
}

/// The pixels of latents that this much of a colour was added to.
fn with(pipeline: &dyn Pipeline, latents: &Tensor, colour: Rgb) -> Vec<f32> {
    let change = ATELIER_EMOJI.latent(colour);
    let mut latents = latents.clone();
    let positions = latents.shape[2] * latents.shape[3];
    for (at, values) in latents.data.chunks_mut(positions).enumerate() {
        for value in values {
            *value += change[at % CHANNELS] as f32;
        }
    }
    pipeline.decode(&latents).expect("pixels").data
}

/// Where a position's red value lies, for those where no colour is nearly black or nearly full: there
/// is room for more and for less.
fn with_room(pixels: &[f32]) -> Vec<usize> {
    let red = (0..pixels.len()).filter(|at| (at / PIXELS).is_multiple_of(3));
    let room = |at: usize| (0..3).all(|index| (0.05..0.95).contains(&pixels[at + index * PIXELS]));
    red.filter(|at| room(*at)).collect()
}

#[test]
fn the_decoder_makes_of_a_colour_that_colour() {
    let models = tempfile::tempdir().expect("a temporary folder");
    let provider = EngineProvider::new(models.path());
    let (pipeline, _) = provider.get(None).expect("the default checkpoint");
    let latents = pipeline.encode(&pictures()).expect("latents");
    let room = with_room(&pipeline.decode(&latents).expect("pixels").data);
    assert!(room.len() > PIXELS, "{} positions", room.len());
    for colour in 0..3 {
        let added = |amount: f64| {
            let mut rgb = [0.0; 3];
            rgb[colour] = amount;
            with(&*pipeline, &latents, rgb)
        };
        let (more, less) = (added(0.2), added(-0.2));
        for answer in 0..3 {
            let at = room.iter().map(|at| at + answer * PIXELS);
            let apart: f64 = at.map(|at| f64::from(more[at] - less[at])).sum();
            // Pixels go from 0 to 1, colours from −1 to 1.
            let found = apart / room.len() as f64 * 2.0 / 0.4;
            let expected = if answer == colour { 1.0 } else { 0.0 };
            assert!((found - expected).abs() < 0.3, "{answer} of {colour}: {found}");
        }
    }
}
