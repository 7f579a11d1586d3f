//! Checkpoints in one file, as A1111 v1.10.1 and the original training code have them ("LDM").
//!
//! Such a file has no configuration: sizes are read off its tensors, and the rest is what the kind of
//! model that it is always has. A file of another kind than those that were published may say in its
//! metadata, under [`METADATA`], what else holds: an object with `unet`, `vae`, `text_encoder`,
//! `text_encoder_2` and `scheduler`, each with keys of diffusers' configuration of that name.

mod text;
mod unet;
mod vae;

#[cfg(test)]
pub(crate) use self::{
    text::{Encoder as TextEncoder, encoders as text_encoders},
    unet::Plan as UnetPlan,
    vae::{config as vae_config, names as vae_names},
};

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
pub(crate) use unet::original_names;

use super::{Config, Files, LoadError, ModelFile, Part, Source, TokenizerFiles};
use crate::weights::Weights;

/// The key of the metadata with what the tensors do not tell.
const METADATA: &str = "atelier.config";

const UNET: &str = "model.diffusion_model.";
const VAE: &str = "first_stage_model.";

/// The tensors of a file with their shapes.
type Shapes = BTreeMap<String, Vec<usize>>;

/// Finds the parts of a single-file checkpoint.
///
/// # Errors
/// [`LoadError::NoCheckpoint`] for a file of something else, or a reading error.
pub(super) fn open(file: &Path) -> Result<Files, LoadError> {
    refuse_pickles(file)?;
    let weights = Weights::open(file)?;
    let shapes = weights.shapes();
    let foreign = |what: String| LoadError::NoCheckpoint { file: file.to_owned(), what };
    if let Some(what) = stranger(&shapes) {
        return Err(foreign(what.to_owned()));
    }
    for (prefix, what) in [(UNET, "denoising network"), (VAE, "autoencoder")] {
        if !shapes.keys().any(|key| key.starts_with(prefix)) {
            return Err(foreign(format!("it has no {what}, no tensor begins with {prefix}")));
        }
    }
    let said = said(&weights)?;
    let said = |part: &str| said.get(part).cloned().unwrap_or(Value::Null);
    let config = |mut value: Value, part: &str| {
        if let (Some(value), Value::Object(said)) = (value.as_object_mut(), said(part)) {
            value.extend(said);
        }
        Config { file: file.to_owned(), value }
    };
    let unet = unet::Plan::of(&shapes, UNET).map_err(foreign)?;
    let text_width = unet.text_width();
    let mut texts = Vec::new();
    let encoders = text::encoders(&shapes);
    if encoders.is_empty() {
        let what = "it has no text encoder, no tensor begins with cond_stage_model or conditioner";
        return Err(foreign(what.to_owned()));
    }
    for encoder in encoders {
        let source = Source {
            config: config(encoder.config(&shapes).map_err(foreign)?, encoder.part()),
            weights: weights.named(encoder.names()),
        };
        let standard = TokenizerFiles::Standard { pad_with_end: !encoder.is_open_clip() };
        texts.push((source, standard));
    }
    let velocity = shapes.contains_key("v_pred");
    let scheduler = json!({
        "num_train_timesteps": 1000,
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": if velocity { "v_prediction" } else { "epsilon" },
        "rescale_betas_zero_snr": shapes.contains_key("ztsnr"),
    });
    let scheduler = config(scheduler, "scheduler");
    let told = said("scheduler").get("prediction_type").is_some() || velocity;
    let scaling = if unet.is_xl() { 0.13025 } else { 0.18215 };
    Ok(Files {
        vae: Source {
            config: config(vae::config(&shapes, VAE, scaling).map_err(foreign)?, "vae"),
            weights: weights.named(vae::names(&shapes, VAE)),
        },
        unet: Source {
            config: config(unet.config(), "unet"),
            weights: weights.named(unet.names()),
        },
        ask_prediction: !told && text_width == text::SD2_WIDTH,
        texts,
        scheduler,
        on_disk: vec![ModelFile::new(Part::Unet, file.to_owned())],
    })
}

/// The autoencoder in a file of its own, in the original layout or diffusers'. What its tensors do not
/// tell is as in `base`, the configuration of the checkpoint that it is for.
///
/// # Errors
/// [`LoadError::NoCheckpoint`] if there is no autoencoder in it, or a reading error.
pub(crate) fn autoencoder(file: &Path, base: &Config) -> Result<Source, LoadError> {
    refuse_pickles(file)?;
    let weights = Weights::open(file)?;
    let shapes = weights.shapes();
    if shapes.keys().any(|key| key.starts_with("encoder.down_blocks.")) {
        let config = Config { file: file.to_owned(), value: base.value.clone() };
        return Ok(Source { config, weights });
    }
    let inside = shapes.keys().any(|key| key.starts_with(VAE));
    let prefix = if inside { VAE } else { "" };
    let foreign = |what: String| LoadError::NoCheckpoint { file: file.to_owned(), what };
    let mut value = vae::config(&shapes, prefix, 1.0)
        .map_err(|what| foreign(format!("it has no autoencoder: {what}")))?;
    for key in ["scaling_factor", "shift_factor", "norm_num_groups"] {
        if let Some(known) = base.value.get(key) {
            value[key] = known.clone();
        }
    }
    let names = vae::names(&shapes, prefix);
    Ok(Source { config: Config { file: file.to_owned(), value }, weights: weights.named(names) })
}

/// Pickles are refused before anything of them is read.
fn refuse_pickles(file: &Path) -> Result<(), LoadError> {
    let extension = file.extension().unwrap_or_default().to_ascii_lowercase();
    if ["ckpt", "pt", "pth", "bin"].iter().any(|pickle| extension == *pickle) {
        return Err(LoadError::Pickle { file: file.to_owned() });
    }
    Ok(())
}

/// What else a file is, where that can be told.
fn stranger(shapes: &Shapes) -> Option<&'static str> {
    let has = |part: &str| shapes.keys().any(|key| key.contains(part));
    let begins = |part: &str| shapes.keys().any(|key| key.starts_with(part));
    if has("double_blocks.") {
        Some("it is a Flux model; this engine runs Stable Diffusion 1, 2 and XL")
    } else if has("joint_blocks.") {
        Some("it is a Stable Diffusion 3 model; this engine runs Stable Diffusion 1, 2 and XL")
    } else if begins("lora_unet_") || begins("lora_te") || has(".lora_down.") || has(".lora_A.") {
        Some("it is a LoRA; put it into models/Lora and name it in the prompt: <lora:name:1>")
    } else if begins("control_model.") || begins("controlnet_") {
        Some("it is a ControlNet, which belongs to a plugin")
    } else if shapes.len() < 10 && (begins("emb_params") || begins("clip_l") || begins("clip_g")) {
        Some("it is a textual inversion embedding; put it into embeddings")
    } else if begins("decoder.conv_in") && begins("encoder.conv_in") {
        Some("it is an autoencoder alone; put it into models/VAE and choose it with sd_vae")
    } else if begins("down_blocks.") || begins("conv_in.") {
        Some("it is the denoising network of a diffusers folder; name the folder instead")
    } else {
        None
    }
}

/// What the file's metadata says of its configuration.
fn said(weights: &Weights) -> Result<Map<String, Value>, LoadError> {
    let json = |source| LoadError::Json { file: weights.file().to_owned(), source };
    let mut said: Map<String, Value> = match weights.told(METADATA) {
        Some(text) => serde_json::from_str(text).map_err(json)?,
        None => Map::new(),
    };
    // https://github.com/Stability-AI/ModelSpec
    let prediction = match weights.told("modelspec.prediction_type") {
        Some("v") => Some("v_prediction"),
        Some("epsilon") => Some("epsilon"),
        _ => None,
    };
    if let (Some(prediction), false) = (prediction, said.contains_key("scheduler")) {
        said.insert("scheduler".to_owned(), json!({ "prediction_type": prediction }));
    }
    Ok(said)
}

/// The number in `prefix<number>…` of all keys: how many there are, counted from 0.
fn count(shapes: &Shapes, prefix: &str) -> usize {
    let numbers = shapes.keys().filter_map(|key| {
        let rest = key.strip_prefix(prefix)?;
        rest.split('.').next()?.parse::<usize>().ok()
    });
    numbers.max().map_or(0, |last| last.min(10_000) + 1)
}

/// One size of a tensor.
fn size(shapes: &Shapes, key: &str, dimension: usize) -> Result<usize, String> {
    let size = shapes.get(key).and_then(|shape| shape.get(dimension));
    size.copied().ok_or_else(|| format!("{key} is missing"))
}
