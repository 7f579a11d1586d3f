//! What the cells of a plot are drawn with.

use atelier_host::{
    plugins::{GivenArgs, PluginId},
    run::{InitImages, RunRequest},
};
use atelier_testkit::both_ways;
use serde_json::json;

use crate::support::{SIDE, alone, bare, cell, children, draw, host, part, plot, request, seed};

#[test]
fn an_option_axis_overrides_it_in_its_cells_only() {
    both_ways(|wiring| {
        let host = host(&["watermark", "latent-noise"], wiring);
        let finished = plot(
            &host,
            &json!({
                "x_type": "option:watermark_text", "x_values": r#""one, two",three"#,
                "y_type": "arg:latent-noise.strength", "y_values": "0, 0.5-1 (+0.5)",
            }),
        );
        let children = children(&host, &finished);
        assert_eq!(children.len(), 6, "{wiring:?}");
        let texts = children.iter().map(|run| run.overrides["watermark_text"].value.to_json());
        let (one, three) = (json!("one, two"), json!("three"));
        assert_eq!(
            texts.collect::<Vec<_>>(),
            [&one, &three, &one, &three, &one, &three].map(Clone::clone)
        );
        let mut asking = RunRequest { steps: 2, ..host.request() };
        asking.override_settings.insert("watermark_text".to_owned(), three);
        let strength = json!({ "strength": 1.0 });
        let strength = strength.as_object().cloned().expect("an object");
        let id = PluginId::new("latent-noise").expect("an id");
        asking.plugin_args.insert(id, GivenArgs::Named(strength));
        assert!(cell(&finished, (2, 3), (1, 2), 0) == alone(&host, asking), "{wiring:?}");
        assert_eq!(host.option("watermark_text"), "Atelier");
    });
}

#[test]
fn both_axes_may_replace_words_of_the_prompts() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({
            "x_type": "Prompt S/R", "x_values": "cat,dog", "y_type": "prompt s/r",
            "y_values": "one, a big",
        });
        let asking = RunRequest { prompt: "one cat".to_owned(), ..request(&host, &bare(&axes)) };
        let finished = draw(&host, asking);
        let prompts = children(&host, &finished)
            .into_iter()
            .map(|run| run.prepared.expect("a prepared run").pictures.all_prompts.remove(0));
        let expected = ["one cat", "one dog", "a big cat", "a big dog"];
        assert_eq!(prompts.collect::<Vec<_>>(), expected.map(str::to_owned), "{wiring:?}");
    });
}

#[test]
fn cells_share_a_random_seed_unless_it_is_to_stay_random() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let seeds = |fixed: bool, asked: i64| -> Vec<i64> {
            let axes = json!({
                "x_type": "Steps", "x_values": "1-4", "no_fixed_seeds": !fixed,
            });
            let finished = draw(&host, RunRequest { seed: asked, ..request(&host, &axes) });
            children(&host, &finished).iter().map(seed).collect()
        };
        let same = |seeds: &[i64]| seeds.iter().all(|seed| *seed == seeds[0]);
        let shared = seeds(true, -1);
        assert!(same(&shared) && shared[0] >= 0, "{wiring:?}: {shared:?}");
        assert!(!same(&seeds(false, -1)), "{wiring:?}");
        assert_eq!(seeds(false, 7), [7; 4], "{wiring:?}");

        let mut asking = request(&host, &json!({ "x_type": "Steps", "x_values": "1,2" }));
        asking.override_settings.insert("x_y_plot_own_seeds".to_owned(), json!(["seed"]));
        let finished = draw(&host, asking);
        let own: Vec<_> = children(&host, &finished).iter().map(seed).collect();
        assert!(!same(&own) && !own.contains(&7), "{wiring:?}: {own:?}");
    });
}

#[test]
fn random_seeds_of_an_axis_are_in_the_infotext() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let finished = plot(&host, &json!({ "x_type": "Seed", "x_values": "5,-1" }));
        let drawn: Vec<_> = children(&host, &finished).iter().map(seed).collect();
        let expected = format!("X Values: \"5,-1\", Fixed X Values: \"5, {}\"", drawn[1]);
        let infotext = &finished.pictures[0].infotext;
        assert!(infotext.contains(&expected), "{wiring:?}: {infotext}");
        let free = json!({ "x_type": "Seed", "x_values": "5,-1", "no_fixed_seeds": true });
        assert!(!plot(&host, &free).pictures[0].infotext.contains("Fixed"), "{wiring:?}");
    });
}

#[test]
fn pictures_of_several_sizes_stand_in_the_middle_of_their_cells() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let finished = plot(&host, &json!({ "x_type": "Size", "x_values": "64x64, 128x96" }));
        let picture = &finished.pictures[0];
        assert_eq!(picture.image.dimensions(), (256, 96), "{wiring:?}");
        let small = alone(&host, RunRequest { steps: 2, ..host.request() });
        assert!(part(picture, (32, 16), (SIDE, SIDE)) == small, "{wiring:?}");
        assert!(part(picture, (0, 0), (32, 96)).iter().all(|byte| *byte == 255));
        let (width, height) = (Some(128), Some(96));
        let large = alone(&host, RunRequest { steps: 2, width, height, ..host.request() });
        assert!(part(picture, (128, 0), (128, 96)) == large, "{wiring:?}");
    });
}

#[test]
fn a_cell_of_several_pictures_shows_their_grid_or_the_first_one() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = bare(&json!({ "x_type": "Steps", "x_values": "1,2" }));
        let asking = || RunRequest { batch_size: 2, n_iter: 2, ..request(&host, &axes) };
        let finished = draw(&host, asking());
        assert_eq!(finished.pictures[0].image.dimensions(), (4 * SIDE, 2 * SIDE), "{wiring:?}");
        let children = children(&host, &finished);
        assert!(children.iter().all(|child| child.outputs.iter().all(|out| out.path.is_none())));

        let mut single = asking();
        single.override_settings.insert("return_grid".to_owned(), json!(false));
        let finished = draw(&host, single);
        assert_eq!(finished.pictures[0].image.dimensions(), (2 * SIDE, SIDE), "{wiring:?}");
    });
}

#[test]
fn a_checkpoint_is_loaded_once_and_not_for_every_cell() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let axes = json!({
            "x_type": "Checkpoint name", "x_values": "fake,other",
            "y_type": "Steps", "y_values": "1,2",
        });
        let finished = plot(&host, &axes);
        let models: Vec<_> = children(&host, &finished)
            .into_iter()
            .map(|run| run.model.expect("a checkpoint").name)
            .collect();
        assert_eq!(models, ["fake", "fake", "other", "other"], "{wiring:?}");
        let steps = RunRequest { steps: 2, ..host.request() };
        assert!(cell(&finished, (2, 2), (0, 1), 0) == alone(&host, steps), "{wiring:?}");
    });
}

#[test]
fn a_plot_may_start_from_a_picture() {
    both_ways(|wiring| {
        let host = host(&[], wiring);
        let start = draw(&host, host.request()).pictures.remove(0).image;
        let from = |request| RunRequest {
            init_images: Some(InitImages(vec![start.clone()])),
            denoising_strength: 1.0,
            ..request
        };
        let axes = bare(&json!({ "x_type": "Denoising", "x_values": "0.25, 1" }));
        let finished = draw(&host, from(request(&host, &axes)));
        let strengths = children(&host, &finished)
            .into_iter()
            .map(|run| run.prepared.expect("a prepared run").params.denoising_strength);
        assert_eq!(strengths.collect::<Vec<_>>(), [0.25, 1.0], "{wiring:?}");
        let last = alone(&host, from(RunRequest { steps: 2, ..host.request() }));
        assert!(cell(&finished, (2, 1), (1, 0), 0) == last, "{wiring:?}");
    });
}
