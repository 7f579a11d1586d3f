//! Stable Diffusion XL, and single files of every kind.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::Arc;

use super::{Reference, SEEDS, folder, source};
use crate::checkpoint::single::{TextEncoder, UnetPlan, text_encoders, vae_config, vae_names};
use crate::checkpoint::{Files, TokenizerFiles};
use crate::prompt::TextSettings;
use crate::sampling::Unobserved;
use crate::unet::Unet;
use crate::{
    Embedding, Engine, ImageRng, Lora, LoraUse, NoiseSource, Padding, Pass, Refiner, SampleJob,
    Sampler, SamplerSettings, ScheduledConditioning, Scheduler, Side, Start, Tensor,
};

type Shapes = BTreeMap<String, Vec<usize>>;

/// What the reference was told.
const TOLD: TextSettings = TextSettings {
    clip_skip: 1,
    emphasis: crate::Emphasis::Original,
    comma_backtrack: 20,
    xl_clip_skip: false,
    size: [64, 48],
    crop: [4, 8],
    aesthetic_score: [6.0, 2.5],
};

fn sample(
    engine: &Engine,
    sampler: Sampler,
    steps: u32,
    texts: [ScheduledConditioning; 2],
) -> Tensor {
    sample_with(engine, sampler, steps, texts, None)
}

fn sample_with(
    engine: &Engine,
    sampler: Sampler,
    steps: u32,
    texts: [ScheduledConditioning; 2],
    refiner: Option<Refiner<'_>>,
) -> Tensor {
    let mut rng = ImageRng::new([4, 8, 8], &SEEDS, &[], 0.0, NoiseSource::Cpu, 0);
    let [cond, uncond] = texts;
    let job = SampleJob {
        sampler,
        scheduler: Scheduler::Automatic,
        steps,
        cfg_scale: 3.0,
        cond,
        uncond,
        padding: Padding::default(),
        start: Start::Noise(rng.first()),
        shown: None,
        refiner,
        rng: &mut rng,
        settings: SamplerSettings { eta_ddim: 0.5, ..SamplerSettings::default() },
    };
    engine.sample(job, &mut Unobserved).unwrap()
}

fn twice(engine: &Engine, prompt: &str) -> ScheduledConditioning {
    engine.encode_prompts(&[prompt, prompt], TOLD).unwrap().into()
}

#[test]
fn xl_agrees_with_diffusers_and_transformers() {
    let (reference, engine) = (Reference::of("xl"), Engine::load(&folder("xl")).unwrap());
    let long = vec!["red heart and the smiling dog"; 15].join(" ");
    for (prompt, text, vector) in [
        ("red heart", "text", "vector"),
        ("A photo of the CAT, cafe\u{301} 12?", "text_other", "vector_other"),
        (&long, "text_long", "vector_long"),
    ] {
        let encoded = engine.encode_prompts(&[prompt], TOLD).unwrap();
        reference.compare(text, encoded.data());
        reference.compare(vector, encoded.vectors());
    }
    let unet = Unet::load(&source("xl", "unet")).unwrap();
    let (x, context) = (reference.array("x"), reference.array("context"));
    let answer = unet.forward(x, 481.37, context, Some(reference.array("unet_vector"))).unwrap();
    reference.compare_array("unet_481_37", &answer);
    for (key, sampler, steps) in [
        ("run_dpmpp_2m", Sampler::DpmPp2M, 8),
        ("run_euler_a", Sampler::EulerA, 8),
        ("run_ddim", Sampler::Ddim, 10),
    ] {
        let prompts = ["red heart", "A photo of the CAT, cafe\u{301} 12?"];
        let texts = prompts.map(|prompt| twice(&engine, prompt));
        reference.compare(key, sample(&engine, sampler, steps, texts).data());
    }
}

#[test]
fn xl_is_told_nothing_where_no_negative_prompt_is_written() {
    let engine = Engine::load(&folder("xl")).unwrap();
    let pass = crate::Pass { steps: 1, ..crate::Pass::default() };
    let encode = |prompts: &[&str], side| {
        let text = engine.encode_schedules(prompts, side, TOLD, pass).unwrap();
        text.at(0).clone()
    };
    let nothing = encode(&["", ""], Side::Negative);
    assert!(nothing.data().iter().all(|value| *value == 0.0));
    let pooled = &nothing.vectors()[..20];
    assert!(pooled.iter().all(|value| *value == 0.0));
    let told = encode(&["", "dog"], Side::Negative);
    assert!(told.row(0).unwrap().iter().any(|value| *value != 0.0));
    assert_eq!(told.vectors()[20..1556], nothing.vectors()[20..1556], "it is told of sizes");
    assert_eq!(encode(&["", "dog"], Side::Positive).data(), told.data());
}

#[test]
fn the_refiner_of_xl_agrees_with_diffusers_and_transformers() {
    let (reference, engine) = (Reference::of("refiner"), Engine::load(&folder("refiner")).unwrap());
    let negative = "A photo of the CAT, cafe\u{301} 12?";
    let long = vec!["red heart and the smiling dog"; 15].join(" ");
    let pass = Pass { steps: 8, ..Pass::default() };
    let encode = |engine: &Engine, prompt: &str, side| {
        engine.encode_schedules(&[prompt, prompt], side, TOLD, pass).unwrap()
    };
    for (key, prompt, side) in [
        ("", "red heart", Side::Positive),
        ("_negative", negative, Side::Negative),
        ("_long", &long, Side::Positive),
    ] {
        let text = encode(&engine, prompt, side).at(0).select(0).unwrap();
        reference.compare(&format!("text{key}"), text.data());
        reference.compare(&format!("vector{key}"), text.vectors());
    }
    let texts = |engine: &Engine| {
        [("red heart", Side::Positive), (negative, Side::Negative)]
            .map(|(prompt, side)| encode(engine, prompt, side))
    };
    let alone = sample(&engine, Sampler::Euler, 8, texts(&engine));
    reference.compare("run_euler", alone.data());
    // As it is used: behind a base model, for the second half of the steps.
    let base = Engine::load(&folder("xl")).unwrap();
    let [cond, uncond] = texts(&engine);
    let (switch_at, by_steps, padding) = (Some(0.4), true, Padding::default());
    let refiner = Refiner { engine: &engine, cond, uncond, padding, switch_at, by_steps };
    let both = sample_with(&base, Sampler::Euler, 8, texts(&base), Some(refiner));
    reference.compare("run_euler_base_and_refiner", both.data());
    // No negative prompt: it is told of sizes and of its score alone.
    let nothing = encode(&engine, "", Side::Negative).at(0).clone();
    assert!(nothing.data().iter().chain(&nothing.vectors()[..20]).all(|value| *value == 0.0));
    let told = encode(&engine, negative, Side::Negative).at(0).clone();
    assert_eq!(nothing.vectors()[20..1300], told.vectors()[20..1300]);
}

#[test]
fn clip_skip_reaches_xl_only_where_it_is_wanted() {
    let engine = Engine::load(&folder("xl")).unwrap();
    let encode = |clip_skip, xl_clip_skip| {
        let settings = TextSettings { clip_skip, xl_clip_skip, ..TOLD };
        engine.encode_prompts(&["red heart"], settings).unwrap()
    };
    assert_eq!(encode(1, false), encode(3, false));
    // The last layer but one is what it takes anyway.
    assert_eq!(encode(2, true), encode(1, false));
    assert_ne!(encode(1, true), encode(1, false));
}

#[test]
fn a_single_file_is_what_its_folder_is() {
    for case in ["sd15", "sd2", "xl", "refiner"] {
        let of_folder = Engine::load(&folder(case)).unwrap();
        let path = folder(case).join("single.safetensors");
        let mut files = Files::open(&path).unwrap();
        // The vocabulary of these files is not the one that published files have.
        for (source, tokenizer) in &mut files.texts {
            let wide = source.config.value["projection_dim"].is_u64();
            let name = if wide { "tokenizer_2" } else { "tokenizer" };
            *tokenizer = TokenizerFiles::Folder(folder(case).join(name));
        }
        let of_file = Engine::build(&path, files).unwrap();
        assert_eq!(of_file.info().name, "single");
        let draw = |engine: &Engine| {
            let texts = ["red heart", "dog"].map(|prompt| twice(engine, prompt));
            let latents = sample(engine, Sampler::DpmPp2M, 4, texts);
            let picture = engine.decode(&latents).unwrap();
            (engine.encode_image(&picture, None).unwrap(), picture, latents)
        };
        assert_eq!(draw(&of_file), draw(&of_folder), "{case}");
    }
}

/// A LoRA of the reference with its weights in text encoders and UNet.
fn used(case: &str, text: f64, unet: f64) -> LoraUse {
    let lora = Lora::load(&folder(case).join("lora.safetensors")).unwrap();
    LoraUse { lora: Arc::new(lora), text, unet, ranks: None }
}

#[test]
fn a_lora_is_added_to_text_encoders_and_unet() {
    for (case, t) in [("sd15", 481.0), ("sd2", 481.0), ("xl", 481.37)] {
        let (reference, plain) = (Reference::of(case), Engine::load(&folder(case)).unwrap());
        let encode = |engine: &Engine| engine.encode_prompts(&["red heart"], TOLD).unwrap();
        let answer = |engine: &Engine| {
            let (x, context) = (reference.array("x"), reference.array("context"));
            let vector = (case == "xl").then(|| reference.array("unet_vector"));
            engine.unet.forward(x, t, context, vector).unwrap()
        };
        let before = encode(&plain);
        let (with, fits) = plain.with_loras(&[used(case, 0.5, 0.7)]).unwrap();
        assert!(fits[0].added > 10 && fits[0].left_out == 0, "{case}: {fits:?}");
        reference.compare("lora_text", encode(&with).data());
        reference.compare_array("lora_unet", &answer(&with));
        // Two halves are a whole, and the engine without it is what it was.
        let halves = [used(case, 0.25, 0.3), used(case, 0.25, 0.4)];
        let (halves, _) = plain.with_loras(&halves).unwrap();
        reference.compare("lora_text", encode(&halves).data());
        reference.compare_array("lora_unet", &answer(&halves));
        assert_eq!(encode(&plain), before, "{case}");
        let (without, fits) = plain.with_loras(&[used(case, 0.0, 0.0)]).unwrap();
        assert!(fits[0].added > 10);
        assert_eq!(encode(&without), before, "{case}");
    }
}

#[test]
fn a_lora_of_another_kind_of_model_is_left_out() {
    let engine = Engine::load(&folder("sd15")).unwrap();
    let (_, fits) = engine.with_loras(&[used("xl", 1.0, 1.0)]).unwrap();
    // These are so small that some sizes are equal.
    assert!(fits[0].left_out > 10 * fits[0].added, "{fits:?}");
    let error = Lora::load(&folder("sd15").join("reference.safetensors")).unwrap_err();
    assert!(error.to_string().contains("no LoRA that this engine can read"), "{error}");
}

#[test]
fn fewer_ranks_of_a_lora_are_less_of_it() {
    let engine = Engine::load(&folder("sd15")).unwrap();
    let encode = |ranks| {
        let used = LoraUse { ranks, ..used("sd15", 1.0, 0.0) };
        let (engine, _) = engine.with_loras(&[used]).unwrap();
        engine.encode_prompts(&["red heart"], TOLD).unwrap()
    };
    let all = encode(None);
    assert_eq!(encode(Some(3)), all);
    assert_eq!(encode(Some(30)), all);
    assert!(encode(Some(1)) != all && encode(Some(1)) != encode(Some(2)));
}

/// The tensors of a published checkpoint: its name for each, the shape, and diffusers' name.
fn published(kind: &str) -> (Shapes, Vec<(String, String)>) {
    let file = std::fs::File::open(folder(&format!("{kind}.tsv.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
    let (mut shapes, mut names) = (BTreeMap::new(), Vec::new());
    for line in text.lines() {
        let [key, shape, name] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let shape = shape.split('x').filter(|n| !n.is_empty()).map(|n| n.parse().unwrap());
        shapes.insert(key.to_owned(), shape.collect());
        names.push((name.to_owned(), key.to_owned()));
    }
    (shapes, names)
}

/// Names and sizes of SD 1.5, SD 2.1, SDXL and its refiner, without their weights.
#[test]
fn published_files_are_read_as_what_they_are() {
    for (kind, text_width, heads, depths, linear, encoders) in [
        ("sd1", 768, vec![8, 8, 8, 8], vec![1, 1, 1, 1], false, vec![(768, 12, 12, "quick_gelu")]),
        ("sd2", 1024, vec![5, 10, 20, 20], vec![1, 1, 1, 1], true, vec![(1024, 23, 16, "gelu")]),
        (
            "xl",
            2048,
            vec![5, 10, 20],
            vec![1, 2, 10],
            true,
            vec![(768, 12, 12, "quick_gelu"), (1280, 32, 20, "gelu")],
        ),
        (
            "refiner",
            1280,
            vec![6, 12, 24, 24],
            vec![1, 4, 4, 4],
            true,
            vec![(1280, 32, 20, "gelu")],
        ),
    ] {
        let (shapes, names) = published(kind);
        let plan = UnetPlan::of(&shapes, "model.diffusion_model.").unwrap();
        let config = plan.config();
        assert_eq!(config["cross_attention_dim"], text_width, "{kind}");
        assert_eq!(config["attention_head_dim"], serde_json::json!(heads), "{kind}");
        assert_eq!(config["transformer_layers_per_block"], serde_json::json!(depths), "{kind}");
        assert_eq!(config["use_linear_projection"], linear, "{kind}");
        assert_eq!(config["layers_per_block"], serde_json::json!(vec![2; heads.len()]));
        let coder = vae_config(&shapes, "first_stage_model.", 0.18215).unwrap();
        assert_eq!(coder["block_out_channels"], serde_json::json!([128, 256, 512, 512]));
        assert_eq!((&coder["layers_per_block"], &coder["latent_channels"]), (&2.into(), &4.into()));
        let mut reached = BTreeSet::new();
        let (unet, vae) = (plan.names(), vae_names(&shapes, "first_stage_model."));
        for (name, key) in &names {
            let place = match name.split_once(' ') {
                Some(("unet", name)) => unet(name),
                Some((_, name)) => vae(name),
                None => continue,
            };
            assert_eq!(&place.key, key, "{kind} {name}");
            reached.insert(place.key);
        }
        let found = text_encoders(&shapes);
        let sizes: Vec<_> = found.iter().map(|encoder| sizes(encoder, &shapes)).collect();
        let expected: Vec<_> =
            encoders.into_iter().map(|(w, l, h, act)| (w, l, h, act.to_owned())).collect();
        assert_eq!(sizes, expected, "{kind}");
        for (encoder, (_, layers, ..)) in found.iter().zip(&sizes) {
            let place = encoder.names();
            for name in text_names(*layers) {
                let place = place(&name);
                if name != "text_projection.weight" || shapes.contains_key(&place.key) {
                    assert!(shapes.contains_key(&place.key), "{kind} {name}: {}", place.key);
                    reached.insert(place.key);
                }
            }
        }
        // SD 2's last layer is in the file for nothing, and so is what only training needs.
        let left = shapes.keys().filter(|key| !reached.contains(*key));
        let left: Vec<_> = left
            .filter(|key| !key.ends_with("logit_scale") && !key.contains("resblocks.23."))
            .collect();
        assert!(left.is_empty(), "{kind}: {left:?}");
    }
}

fn sizes(encoder: &TextEncoder, shapes: &Shapes) -> (u64, u64, u64, String) {
    let config = encoder.config(shapes).unwrap();
    let number = |key: &str| config[key].as_u64().unwrap();
    let act = config["hidden_act"].as_str().unwrap().to_owned();
    (number("hidden_size"), number("num_hidden_layers"), number("num_attention_heads"), act)
}

/// What transformers calls the tensors of a text encoder.
fn text_names(layers: u64) -> Vec<String> {
    let mut names = vec![
        "text_projection.weight".to_owned(),
        "text_model.embeddings.token_embedding.weight".to_owned(),
        "text_model.embeddings.position_embedding.weight".to_owned(),
    ];
    let both = |name: String| ["weight", "bias"].map(|kind| format!("{name}.{kind}"));
    names.extend(both("text_model.final_layer_norm".to_owned()));
    for layer in 0..layers {
        for part in [
            "self_attn.q_proj",
            "self_attn.k_proj",
            "self_attn.v_proj",
            "self_attn.out_proj",
            "layer_norm1",
            "layer_norm2",
            "mlp.fc1",
            "mlp.fc2",
        ] {
            names.extend(both(format!("text_model.encoder.layers.{layer}.{part}")));
        }
    }
    names
}

#[test]
fn an_embedding_stands_for_its_name_in_prompts() {
    for (case, vectors) in [("sd15", 3), ("sd2", 1), ("xl", 2)] {
        let (reference, plain) = (Reference::of(case), Engine::load(&folder(case)).unwrap());
        let embedding = Embedding::load(&folder(case).join("red-thing.safetensors")).unwrap();
        assert_eq!((embedding.name(), embedding.vectors()), ("red-thing", vectors));
        assert_eq!(embedding.width(), plain.info().text_width, "{case}");
        let with = plain.with_embeddings(&[Arc::new(embedding)]);
        let text = "a photo of Red-Thing, and a dog";
        let encode = |engine: &Engine| engine.encode_prompts(&[text], TOLD).unwrap();
        let encoded = encode(&with);
        reference.compare("text_learnt", encoded.data());
        if case == "xl" {
            reference.compare("vector_learnt", encoded.vectors());
        }
        assert_ne!(encode(&plain), encoded, "{case}: an engine without it does not know it");
        let tokens = |engine: &Engine, text| engine.count_tokens(text, TOLD).unwrap().0;
        let name = tokens(&plain, "red-thing");
        assert_eq!(tokens(&with, text), tokens(&plain, text) - name + vectors, "{case}");

        let pass = Pass { steps: 8, second: None, old: false };
        let used = |prompt: &str| {
            let used = with.embeddings_in(&[prompt, prompt], Side::Positive, TOLD, pass).unwrap();
            used.iter().map(|it| it.name().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(used("a (red-thing:1.2) AND dog"), ["red-thing"]);
        assert_eq!(used("[dog:RED-THING:4]"), ["red-thing"]);
        assert_eq!(used("red thing, red-things"), [""; 0]);
    }
}

#[test]
fn an_embedding_for_other_text_encoders_is_left_out() {
    let engine = Engine::load(&folder("sd15")).unwrap();
    let load = |case: &str| Embedding::load(&folder(case).join("red-thing.safetensors"));
    let all = ["sd2", "xl", "sd15"].map(|case| Arc::new(load(case).unwrap()));
    let with = engine.with_embeddings(&all);
    let widths: Vec<_> = with.embeddings().iter().map(|it| it.width()).collect();
    assert_eq!(widths, [engine.info().text_width]);
    let error = Embedding::load(&folder("xl").join("lora.safetensors")).unwrap_err();
    assert!(error.to_string().contains("it is no embedding"), "{error}");
}

/// The checkpoint with a UNet that takes five channels more: they answer with `weight` for the mask, and
/// for the picture with as much of the latents' own answers.
fn inpainting(folder: &std::path::Path, weight: f64) -> Engine {
    let from = super::folder("sd15");
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
        std::fs::create_dir_all(folder.join(part)).unwrap();
        for entry in std::fs::read_dir(from.join(part)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.join(part).join(path.file_name().unwrap())).unwrap();
        }
    }
    let weights = folder.join("unet/diffusion_pytorch_model.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &candle_core::Device::Cpu).unwrap();
    let own = &tensors["conv_in.weight"];
    let mask = (own.ones_like().unwrap().narrow(1, 0, 1).unwrap() * weight).unwrap();
    let picture = (own * weight).unwrap();
    let wide = candle_core::Tensor::cat(&[own, &mask, &picture], 1).unwrap();
    tensors.insert("conv_in.weight".to_owned(), wide);
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    let config = folder.join("unet/config.json");
    let mut told: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    told["in_channels"] = 9.into();
    std::fs::write(&config, told.to_string()).unwrap();
    Engine::load(folder).unwrap()
}

#[test]
fn a_checkpoint_for_inpainting_is_shown_mask_and_picture() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Engine::load(&super::folder("sd15")).unwrap();
    let deaf = inpainting(&folder.path().join("deaf"), 0.0);
    let engine = inpainting(&folder.path().join("hears"), 0.3);
    assert!(engine.info().inpaints && !plain.info().inpaints);

    // Grey, and what is masked becomes grey.
    let picture =
        Tensor::new([1, 3, 16, 16], (0..768).map(|i| i as f32 / 768.0).collect()).unwrap();
    let left: Vec<f32> = (0..256).map(|at| if at % 16 < 8 { 1.0 } else { 0.0 }).collect();
    let mask = Tensor::new([1, 1, 16, 16], left).unwrap();
    let shown = engine.image_conditioning(&picture, Some(&mask), 1.0).unwrap();
    assert_eq!(shown.shape(), [1, 5, 8, 8]);
    let (shown_mask, latents) = shown.data().split_at(64);
    assert!(shown_mask.chunks(8).all(|row| row == [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
    let mut grey = picture.clone();
    for (at, value) in grey.data_mut().iter_mut().enumerate() {
        *value = if at % 16 < 8 { 0.5 } else { *value };
    }
    assert_eq!(latents, engine.encode_image(&grey, None).unwrap().data());
    let none_taken = engine.image_conditioning(&picture, Some(&mask), 0.0).unwrap();
    assert_eq!(&none_taken.data()[64..], engine.encode_image(&picture, None).unwrap().data());

    let draw = |engine: &Engine, shown: Option<Tensor>| {
        let mut rng = ImageRng::new([4, 8, 8], &SEEDS, &[], 0.0, NoiseSource::Cpu, 0);
        let text = |prompt: &str| engine.encode_prompts(&[prompt; 2], TOLD).unwrap().into();
        let job = SampleJob {
            sampler: Sampler::Euler,
            scheduler: Scheduler::Automatic,
            steps: 2,
            cfg_scale: 3.0,
            cond: text("red heart"),
            uncond: text(""),
            padding: Padding::default(),
            start: Start::Noise(rng.first()),
            shown,
            refiner: None,
            rng: &mut rng,
            settings: SamplerSettings::default(),
        };
        engine.sample(job, &mut Unobserved)
    };
    let rows = |value: f32, at: usize| {
        let data = (0..2 * 5 * 64).map(|i| if i / 64 % 5 == at { value } else { 0.0 }).collect();
        Some(Tensor::new([2, 5, 8, 8], data).unwrap())
    };
    let base = draw(&plain, None).unwrap();
    assert_eq!(draw(&deaf, rows(1.0, 0)).unwrap(), base);
    assert_eq!(draw(&engine, rows(0.0, 0)).unwrap(), base);
    let with = [0, 1, 4].map(|at| draw(&engine, rows(1.0, at)).unwrap());
    assert!(with.iter().all(|it| *it != base) && with[0] != with[1] && with[1] != with[2]);

    let error = draw(&engine, None).unwrap_err().to_string();
    assert!(error.contains("shown is [2, 0, 8, 8]") && error.contains("[2, 5, 8, 8]"), "{error}");
    let error = draw(&plain, rows(1.0, 0)).unwrap_err().to_string();
    assert!(error.contains("not one for inpainting"), "{error}");
}
