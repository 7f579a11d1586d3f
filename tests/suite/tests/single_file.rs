//! Checkpoints in one file, in A1111's layout: the default one, rewritten, draws what its folder draws.

#![cfg(feature = "engine")]
#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    collections::HashMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use atelier_suite::{command, root};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};

/// What the tensors of this small checkpoint do not tell; published ones need nothing of the kind.
fn told() -> Value {
    json!({
        "unet": { "sample_size": 16, "attention_head_dim": 8 },
        "vae": { "norm_num_groups": 8, "scaling_factor": 0.431_992_704_652_01 },
        "text_encoder": { "num_attention_heads": 4 },
    })
}

fn folder() -> PathBuf {
    root().join("models/atelier-emoji-64")
}

/// The default checkpoint's three files in one. Names and shapes are those that Python wrote down, and
/// that diffusers reads back.
fn write_single(file: &Path) {
    let read = |name: &str| fs::read(folder().join(name)).expect("the default checkpoint");
    let unet = read("unet/diffusion_pytorch_model.safetensors");
    let vae = read("vae/diffusion_pytorch_model.safetensors");
    let text = read("text_encoder/model.safetensors");
    let [unet, vae, text] =
        [&unet, &vae, &text].map(|bytes| SafeTensors::deserialize(bytes).expect("safetensors"));
    let list = root().join("engine/tests/parity/emoji.tsv.gz");
    let mut lines = String::new();
    flate2::read::GzDecoder::new(fs::File::open(list).expect("a list of names"))
        .read_to_string(&mut lines)
        .expect("text");
    let mut views = Vec::new();
    for line in lines.lines() {
        let [key, shape, name] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let shape = shape.split('x').map(|n| n.parse().expect("a number")).collect();
        let view = match name.split_once(' ') {
            Some(("unet", name)) => unet.tensor(name),
            Some((_, name)) => vae.tensor(name),
            None => text.tensor(key.trim_start_matches("cond_stage_model.transformer.text_model.")),
        };
        let view = view.expect(key);
        views.push((key, TensorView::new(view.dtype(), shape, view.data()).expect(key)));
    }
    let metadata = HashMap::from([("atelier.config".to_owned(), told().to_string())]);
    safetensors::serialize_to_file(views, Some(metadata), file).expect("a file");
}

/// The default checkpoint's autoencoder in a file of its own, in the original layout; a bright one
/// adds more in its last layer.
fn write_vae(file: &Path, bright: bool) {
    let whole = tempfile::NamedTempFile::new().expect("a file");
    write_single(whole.path());
    let bytes = fs::read(whole.path()).expect("the file");
    let tensors = SafeTensors::deserialize(&bytes).expect("safetensors");
    let last = "decoder.conv_out.bias";
    let bytes: Vec<u8> = [0.5_f32; 3].into_iter().flat_map(f32::to_le_bytes).collect();
    let bias = TensorView::new(Dtype::F32, vec![3], &bytes).expect("a tensor");
    let all = tensors.tensors().into_iter();
    let own = all.filter_map(|(key, view)| {
        let key = key.strip_prefix("first_stage_model.")?.to_owned();
        Some(if bright && key == last { (key, bias.clone()) } else { (key, view) })
    });
    safetensors::serialize_to_file(own.collect::<Vec<_>>(), None, file).expect("a file");
}

#[test]
fn sd_vae_draws_with_the_autoencoder_of_another_file() {
    let data = tempfile::tempdir().expect("a folder");
    let vaes = data.path().join("models/VAE");
    fs::create_dir_all(&vaes).expect("a folder");
    write_vae(&vaes.join("same.safetensors"), false);
    write_vae(&vaes.join("bright.vae.safetensors"), true);
    fs::write(vaes.join("broken.safetensors"), "no VAE").expect("a file");
    let draw = |vae: &str| {
        let option = format!("sd_vae={vae}");
        let args = ["txt2img", "red heart", "-s", "5", "--steps", "2", "--no-save", "-o", &option];
        let run = atelier(data.path(), &args)?;
        let model = run["model"]["vae"]["name"].clone();
        Ok::<_, String>((run["outputs"][0]["pixels"].clone(), model))
    };
    let (own, model) = draw("Automatic").expect("a run");
    assert_eq!(model, Value::Null);
    let none = draw("None").expect("a run");
    assert_eq!(none, (own.clone(), Value::Null));
    let same = draw("same.safetensors").expect("a run");
    assert_eq!(same, (own.clone(), json!("same.safetensors")));
    let (bright, model) = draw("bright.vae").expect("a run");
    assert_eq!(model, "bright.vae.safetensors");
    assert_ne!(bright, own);
    assert_eq!(draw("missing").expect("a run"), (own, Value::Null));
    let error = draw("broken").expect_err("no run");
    assert!(error.contains("broken.safetensors is not a whole safetensors file"), "{error}");
    // One whose name begins as the checkpoint's is taken by itself.
    write_vae(&vaes.join("atelier-emoji-64.vae.safetensors"), true);
    assert_eq!(draw("Automatic").expect("a run").0, bright);
    let listed = atelier(data.path(), &["models", "vaes"]).expect("a list");
    assert_eq!(listed.as_array().map(Vec::len), Some(4));
}

/// Runs `atelier` and gives the answer, or its words where it refuses.
fn atelier(data: &Path, args: &[&str]) -> Result<Value, String> {
    let output = command::command(data).args(args).args(["--json"]).output().expect("a process");
    if output.status.success() { Ok(command::json(&output)) } else { Err(command::errors(&output)) }
}

fn pixels(data: &Path, model: &str) -> Value {
    let args = ["txt2img", "red heart", "--seed", "5", "--steps", "4", "--no-save", "-m", model];
    let run = atelier(data, &args).expect("a run");
    run["outputs"][0]["pixels"].clone()
}

#[test]
fn a_file_draws_what_its_folder_draws() {
    let data = tempfile::tempdir().expect("a folder");
    let models = data.path().join("models/Stable-diffusion");
    fs::create_dir_all(&models).expect("a folder");
    let file = models.join("hearts.v1.safetensors");
    write_single(&file);
    let of_folder = pixels(data.path(), folder().to_str().expect("a path"));
    assert!(of_folder.is_string());
    for model in [file.to_str().expect("a path"), "hearts.v1", "hearts.v1.safetensors"] {
        assert_eq!(pixels(data.path(), model), of_folder, "{model}");
    }
    let listed = atelier(data.path(), &["models", "list"]).expect("a list");
    assert_eq!(listed[0]["name"], "hearts.v1");
}

#[test]
fn a_file_that_is_no_whole_checkpoint_is_refused_with_what_is_missing() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("x.safetensors");
    write_single(&file);
    let whole = fs::read(&file).expect("the file");
    let refused = |file: &Path, bytes: &[u8]| {
        fs::write(file, bytes).expect("a file");
        let model = file.to_str().expect("a path").to_owned();
        atelier(data.path(), &["txt2img", "x", "--no-save", "-m", &model]).expect_err("no picture")
    };
    assert!(refused(&file, &whole[..whole.len() / 2]).contains("not a whole safetensors file"));
    let tensors = SafeTensors::deserialize(&whole).expect("safetensors");
    let some = |keep: &dyn Fn(&str) -> bool| {
        let views: Vec<_> = tensors.tensors().into_iter().filter(|(key, _)| keep(key)).collect();
        safetensors::serialize(views, None).expect("bytes")
    };
    let lacking = "model.diffusion_model.middle_block.0.in_layers.2.weight";
    assert!(refused(&file, &some(&|key| key != lacking)).contains(lacking));
    let without = |part: &str| some(&|key| !key.starts_with(part));
    assert!(refused(&file, &without("first_stage_model")).contains("no autoencoder"));
    assert!(refused(&file, &without("cond_stage_model")).contains("no text encoder"));
    assert!(refused(&file, &some(&|_| false)).contains("no denoising network"));
    let lora = [("lora_unet_mid.lora_down.weight", &tensors.tensors()[0].1)];
    let lora = safetensors::serialize(lora, None).expect("bytes");
    assert!(refused(&file, &lora).contains("it is a LoRA"));
    let pickle = data.path().join("old.ckpt");
    let words = refused(&pickle, b"\x80\x02}q\x00.");
    assert!(words.contains("is a Python pickle") && words.contains(".safetensors"), "{words}");
}
