//! Folders that are no checkpoint, or broken ones.

#![allow(clippy::unwrap_used, reason = "tests may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use atelier_engine::{Engine, LoadError};
use common::tiny;
use tempfile::TempDir;

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// A copy of the tiny checkpoint that a test may break.
struct Copy(TempDir);

impl Copy {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
            fs::create_dir(folder.path().join(part)).unwrap();
            for entry in fs::read_dir(tiny().join(part)).unwrap() {
                let entry = entry.unwrap();
                let to = folder.path().join(part).join(entry.file_name());
                fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
            }
        }
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn edit(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.file(name)).unwrap();
        assert!(text.contains(from), "{from} is not in {name}");
        fs::write(self.file(name), text.replace(from, to)).unwrap();
    }

    fn load(&self) -> Result<Engine, LoadError> {
        Engine::load(self.0.path())
    }

    /// The message of the failure, which names `name`.
    #[track_caller]
    fn failure(&self, name: &str) -> String {
        let message = self.load().unwrap_err().to_string();
        assert!(message.contains(name), "{message}");
        message
    }
}

#[test]
fn a_whole_copy_loads() {
    let copy = Copy::new();
    let engine = copy.load().unwrap();
    assert_eq!(engine.info().native_width, 16);
}

#[test]
fn a_folder_that_is_no_checkpoint_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let error = Engine::load(empty.path()).unwrap_err();
    assert!(matches!(&error, LoadError::Missing { file } if file.ends_with("unet/config.json")));
    assert!(Engine::load(Path::new("/nowhere/at/all")).is_err());
}

#[test]
fn every_missing_file_is_named() {
    for name in [
        "unet/config.json",
        UNET,
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
    ] {
        let copy = Copy::new();
        fs::remove_file(copy.file(name)).unwrap();
        let error = copy.load().unwrap_err();
        assert!(matches!(&error, LoadError::Missing { file } if file.ends_with(name)), "{error}");
    }
}

#[test]
fn a_half_precision_name_is_found() {
    let copy = Copy::new();
    let name = "unet/diffusion_pytorch_model.fp16.safetensors";
    fs::rename(copy.file(UNET), copy.file(name)).unwrap();
    assert!(copy.load().unwrap().info().files[0].path.ends_with(name));
}

#[test]
fn a_cut_file_is_named() {
    let copy = Copy::new();
    let bytes = fs::read(copy.file(UNET)).unwrap();
    for length in [0, 4, 100, bytes.len() / 2, bytes.len() - 1] {
        fs::write(copy.file(UNET), &bytes[..length]).unwrap();
        let message = copy.failure(UNET);
        assert!(message.contains("not a whole safetensors file"), "{message}");
    }
}

#[test]
fn a_missing_tensor_is_named_with_its_key() {
    let copy = Copy::new();
    copy.edit("unet/config.json", "\"layers_per_block\": 1", "\"layers_per_block\": 2");
    let message = copy.failure(UNET);
    assert!(message.contains("no tensor down_blocks.0.resnets.1.norm1.weight"), "{message}");
}

#[test]
fn a_tensor_of_another_shape_is_named_with_both() {
    let copy = Copy::new();
    copy.edit("vae/config.json", "\"latent_channels\": 4", "\"latent_channels\": 3");
    let message = copy.failure("vae/diffusion_pytorch_model.safetensors");
    assert!(message.contains("encoder.conv_out.weight has shape [8, 16, 3, 3]"), "{message}");
    assert!(message.contains("[6, 16, 3, 3]"), "{message}");
}

#[test]
fn another_kind_of_model_is_refused_by_its_key() {
    for (name, from, to, key) in [
        ("unet/config.json", "UNet2DConditionModel", "FluxTransformer2DModel", "_class_name"),
        (
            "unet/config.json",
            "\"addition_embed_type\": null",
            "\"addition_embed_type\": \"image\"",
            "addition_embed_type",
        ),
        (
            "unet/config.json",
            "\"norm_num_groups\": 16",
            "\"norm_num_groups\": 5",
            "norm_num_groups",
        ),
        (
            "unet/config.json",
            "\"attention_head_dim\": 4",
            "\"attention_head_dim\": [4, 4, 4]",
            "attention_head_dim",
        ),
        (
            "unet/config.json",
            "\"attention_head_dim\": 4",
            "\"attention_head_dim\": 0",
            "attention_head_dim",
        ),
        ("vae/config.json", "AutoencoderKL", "VQModel", "_class_name"),
        ("text_encoder/config.json", "quick_gelu", "relu", "hidden_act"),
        ("scheduler/scheduler_config.json", "scaled_linear", "sigmoid", "beta_schedule"),
        ("scheduler/scheduler_config.json", "epsilon", "sample", "prediction_type"),
    ] {
        let copy = Copy::new();
        copy.edit(name, from, to);
        let message = copy.failure(name);
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn broken_configuration_and_tokenizers_are_named() {
    let copy = Copy::new();
    fs::write(copy.file("unet/config.json"), "{\"in_channels\": 4").unwrap();
    copy.failure("unet/config.json");

    let copy = Copy::new();
    fs::write(copy.file("tokenizer/merges.txt"), "#version: 0.2\nnot a rule\n").unwrap();
    copy.failure("tokenizer/merges.txt");

    let copy = Copy::new();
    copy.edit("tokenizer/vocab.json", "<|startoftext|>", "<|begin|>");
    copy.failure("tokenizer/vocab.json");
}
