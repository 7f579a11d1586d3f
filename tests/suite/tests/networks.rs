//! LoRAs and embeddings that prompts name, on the default checkpoint.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use atelier_host::{engine::EngineProvider, run::RunRequest};
use atelier_suite::{Log, command, plugin};
use atelier_testkit::{TestHost, Wiring, both_ways};
use safetensors::{Dtype, tensor::TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A LoRA of one rank for the text encoder's first value projection and for one of the UNet's, and a
/// part that fits nothing.
fn write_lora(file: &Path, size: f32, alias: Option<&str>) {
    let text = "lora_te_text_model_encoder_layers_0_self_attn_v_proj";
    let unet = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v";
    let tensors = [
        (format!("{text}.lora_up.weight"), vec![128, 1]),
        (format!("{text}.lora_down.weight"), vec![1, 128]),
        (format!("{unet}.lora_up.weight"), vec![192, 1]),
        (format!("{unet}.lora_down.weight"), vec![1, 128]),
        ("lora_unet_nowhere.lora_up.weight".to_owned(), vec![4, 1]),
        ("lora_unet_nowhere.lora_down.weight".to_owned(), vec![1, 4]),
    ];
    let told = alias.map(|alias| HashMap::from([("ss_output_name".to_owned(), alias.to_owned())]));
    write(file, &tensors, size, told);
}

/// An embedding of two vectors.
fn write_embedding(file: &Path, size: f32, width: usize) {
    write(file, &[("emb_params".to_owned(), vec![2, width])], size, None);
}

fn write(
    file: &Path,
    tensors: &[(String, Vec<usize>)],
    size: f32,
    told: Option<HashMap<String, String>>,
) {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let count: usize = shape.iter().product();
            (0..count).flat_map(|i| (size * (i as f32 * 0.7).sin()).to_le_bytes()).collect()
        })
        .collect();
    let views = tensors.iter().zip(&bytes).map(|((name, shape), bytes)| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("a tensor"))
    });
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    safetensors::serialize_to_file(views, told, file).expect("a file");
}

/// A host, and the folder that its models are in.
fn host(plugins: &[&str], wiring: Wiring) -> (TestHost, TempDir) {
    let plugins: Vec<_> = plugins.iter().map(|name| plugin(name)).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let models = folder.path();
    write_lora(&models.join("models/Lora/red.safetensors"), 0.6, None);
    write_lora(&models.join("models/Lora/style/deep.safetensors"), 0.3, Some("other name"));
    fs::write(models.join("models/Lora/broken.safetensors"), "no LoRA").expect("a file");
    let provider = EngineProvider::new(models);
    (TestHost::with(&plugins, wiring, &json!({}), true, Arc::new(provider)), folder)
}

fn request(host: &TestHost, prompt: &str) -> RunRequest {
    RunRequest {
        prompt: prompt.to_owned(),
        steps: 2,
        width: Some(64),
        height: Some(64),
        ..host.request()
    }
}

#[test]
fn a_tag_adds_its_network_for_its_run_alone() {
    let (host, _models) = host(&[], Wiring::Direct);
    let draw = |prompt: &str| {
        let picture = host.draw(request(&host, prompt)).pictures.remove(0);
        (picture.image, picture.infotext)
    };
    let (plain, infotext) = draw("red heart");
    assert!(!infotext.contains("Lora hashes"));
    let (with, infotext) = draw("red heart<lora:red:1>");
    assert!(with != plain);
    assert!(infotext.starts_with("red heart<lora:red:1>\n"), "{infotext}");
    let hash = infotext.split("Lora hashes: \"red: ").nth(1).expect(&infotext);
    assert!(hash.split('"').next().is_some_and(|hash| hash.len() == 12), "{infotext}");
    assert_eq!(draw("red heart").0, plain, "nothing is left of it");
    assert_eq!(draw("red heart<lora:red:0>").0, plain);
    let (text, unet) = (draw("red heart<lora:red:1:0>").0, draw("red heart<lora:red:0:1>").0);
    assert!(text != unet && text != with && unet != with && text != plain && unet != plain);
    // By the name that the file says it has, and in a folder of its own.
    let (deep, infotext) = draw("red heart<lora:other name:1>");
    assert!(deep != plain && deep != with);
    assert!(infotext.contains("Lora hashes: \"deep: "), "{infotext}");
    let (both, infotext) = draw("red heart<lora:red:1><lora:deep:1>");
    assert!(both != deep && both != with);
    assert!(infotext.contains(", deep: "), "{infotext}");
}

#[test]
fn what_cannot_be_added_is_left_out_and_the_picture_drawn() {
    let (host, _models) = host(&[], Wiring::Direct);
    let draw = |prompt: &str| host.draw(request(&host, prompt)).pictures.remove(0);
    let plain = draw("red heart").image;
    let tags = ["<lora:nobody:1>", "<lora:broken:1>", "<lora:red:much>", "<hypernet:x:1>"];
    for tag in tags {
        let picture = draw(&format!("red heart{tag}"));
        assert_eq!(picture.image, plain, "{tag}");
        assert!(picture.infotext.contains(tag) && !picture.infotext.contains("Lora hashes"));
    }
    let with = draw("red heart<lora:red:1>").image;
    assert_eq!(draw("red heart<lora:broken:1><lora:red:1>").image, with);
}

#[test]
fn hooks_encode_with_what_the_batch_is_drawn_with() {
    both_ways(|wiring| {
        let (host, _models) = host(&["probe-a"], wiring);
        let encode = json!({ "process_batch": [{ "encode_text": "red heart" }] });
        let encoded = |prompt: &str, name: &str| {
            let log = Log::new(&host, name);
            let mut request = request(&host, prompt);
            log.script(&mut request, "probe-a", &encode);
            host.draw(request);
            log.results("probe-a", "process_batch")[0]["hash"].clone()
        };
        let plain = encoded("red heart", "plain");
        assert_ne!(encoded("red heart<lora:red:1>", "with"), plain, "{wiring:?}");
        assert_eq!(encoded("red heart", "again"), plain);
    });
}

#[test]
fn an_embedding_is_a_word_of_prompts() {
    let (host, models) = host(&[], Wiring::Direct);
    let folder = models.path().join("embeddings");
    write_embedding(&folder.join("glow.safetensors"), 0.2, 128);
    write_embedding(&folder.join("more/Dark-Art.safetensors"), 0.9, 128);
    write_embedding(&folder.join("wide.safetensors"), 0.2, 130);
    fs::write(folder.join("broken.safetensors"), "no embedding").expect("a file");
    let draw = |prompt: &str, negative: &str| {
        let mut request = request(&host, prompt);
        negative.clone_into(&mut request.negative_prompt);
        let picture = host.draw(request).pictures.remove(0);
        let told = picture.infotext.split("TI hashes: ").nth(1).map(|told| {
            told.split(": ").map(|part| part.rsplit([' ', '"']).next().unwrap_or("")).collect()
        });
        let names: Vec<&str> = told.unwrap_or_default();
        (picture.image, names.join(" "))
    };
    let (glow, told) = draw("red heart, glow", "");
    assert!(told.starts_with("glow"), "{told}");
    let (both, told) = draw("red heart, (GLOW:1.0)", "dark-art, glow");
    assert!(told.starts_with("glow Dark-Art"), "{told}");
    assert!(both != glow);
    // A word that is none, and one for another kind of model.
    for prompt in ["red heart, wide", "red heart, broken"] {
        assert_eq!(draw(prompt, "").1, "");
    }
    let mut quiet = request(&host, "red heart, glow");
    let option = "textual_inversion_add_hashes_to_infotext".to_owned();
    quiet.override_settings.insert(option, json!(false));
    let picture = host.draw(quiet).pictures.remove(0);
    assert!(picture.image == glow && !picture.infotext.contains("TI hashes"));

    // One that is trained further is read again; one that is gone is words as others are.
    write_embedding(&folder.join("glow.safetensors"), 0.4, 128);
    let (trained, _) = draw("red heart, glow", "");
    fs::remove_dir_all(&folder).expect("a folder");
    let (gone, told) = draw("red heart, glow", "");
    assert_eq!(told, "");
    assert!(trained != glow && gone != glow && gone != trained);
}

#[test]
fn loras_and_embeddings_are_listed() {
    let data = tempfile::tempdir().expect("a folder");
    write_lora(&data.path().join("models/Lora/b.safetensors"), 1.0, None);
    write_lora(&data.path().join("models/Lora/x/a.safetensors"), 1.0, None);
    write_embedding(&data.path().join("embeddings/glow.safetensors"), 1.0, 8);
    for (kind, expected) in [("loras", vec!["a", "b"]), ("embeddings", vec!["glow"])] {
        let output = command::command(data.path()).args(["models", kind, "--json"]).output();
        let listed: Value = command::json(&output.expect("a process"));
        let listed = listed.as_array().expect("a list").iter();
        assert_eq!(listed.map(|it| &it["name"]).collect::<Vec<_>>(), expected);
    }
}
