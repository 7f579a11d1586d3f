//! The text encoders of a single file.

use serde_json::{Value, json};

use super::{Shapes, count, size};
use crate::weights::Place;

/// Values per token of SD 1's text encoder.
pub(super) const SD1_WIDTH: usize = 768;
/// Values per token of SD 2's text encoder.
pub(super) const SD2_WIDTH: usize = 1024;

/// What transformers calls the parts of a layer, and what OpenCLIP does; `0`, `1` and `2` are thirds.
const OPEN_CLIP: [(&str, &str); 8] = [
    ("self_attn.q_proj.", "attn.in_proj_0"),
    ("self_attn.k_proj.", "attn.in_proj_1"),
    ("self_attn.v_proj.", "attn.in_proj_2"),
    ("self_attn.out_proj.", "attn.out_proj."),
    ("layer_norm1.", "ln_1."),
    ("layer_norm2.", "ln_2."),
    ("mlp.fc1.", "mlp.c_fc."),
    ("mlp.fc2.", "mlp.c_proj."),
];

/// A text encoder in a file.
#[derive(Clone, Debug)]
pub(crate) enum Encoder {
    /// As transformers names it.
    Clip { prefix: String },
    /// As OpenCLIP names it. SD 2 leaves out the last layer; with SDXL it is still there: the second
    /// encoder of the base model, the only one of the refiner.
    OpenClip { prefix: String, whole: bool },
}

/// The encoders of a file, in their order.
pub(crate) fn encoders(shapes: &Shapes) -> Vec<Encoder> {
    let has = |prefix: &str, name: &str| shapes.contains_key(&format!("{prefix}{name}"));
    let clip = |stem: &str| {
        let prefixes = [format!("{stem}transformer.text_model."), format!("{stem}transformer.")];
        let prefix = prefixes.into_iter().find(|it| has(it, "final_layer_norm.weight"));
        prefix.map(|prefix| Encoder::Clip { prefix })
    };
    let open_clip = |stem: &str, whole| {
        let prefix = format!("{stem}model.");
        has(&prefix, "ln_final.weight").then_some(Encoder::OpenClip { prefix, whole })
    };
    let single = clip("cond_stage_model.").or_else(|| open_clip("cond_stage_model.", false));
    let first = single.or_else(|| clip("conditioner.embedders.0."));
    let [refiner, second] =
        [0, 1].map(|number| open_clip(&format!("conditioner.embedders.{number}."), true));
    first.or(refiner).into_iter().chain(second).collect()
}

impl Encoder {
    pub(crate) fn is_open_clip(&self) -> bool {
        matches!(self, Self::OpenClip { .. })
    }

    /// What diffusers calls it.
    pub(crate) fn part(&self) -> &'static str {
        match self {
            Self::OpenClip { whole: true, .. } => "text_encoder_2",
            Self::Clip { .. } | Self::OpenClip { .. } => "text_encoder",
        }
    }

    /// As transformers would write it; the error is what is missing.
    pub(crate) fn config(&self, shapes: &Shapes) -> Result<Value, String> {
        let (prefix, tokens, layers, inner) = match self {
            Self::Clip { prefix } => (
                prefix,
                "embeddings.token_embedding.weight",
                count(shapes, &format!("{prefix}encoder.layers.")),
                "encoder.layers.0.mlp.fc1.weight",
            ),
            Self::OpenClip { prefix, whole } => (
                prefix,
                "token_embedding.weight",
                count(shapes, &format!("{prefix}transformer.resblocks."))
                    .saturating_sub(usize::from(!whole)),
                "transformer.resblocks.0.mlp.c_fc.weight",
            ),
        };
        let width = size(shapes, &format!("{prefix}{tokens}"), 1)?;
        let projection = match self {
            Self::Clip { .. } => None,
            Self::OpenClip { prefix, whole } => {
                size(shapes, &format!("{prefix}text_projection"), 1).ok().filter(|_| *whole)
            }
        };
        Ok(json!({
            "hidden_size": width,
            "projection_dim": projection,
            "intermediate_size": size(shapes, &format!("{prefix}{inner}"), 0)?,
            "num_hidden_layers": layers,
            "num_attention_heads": (width / 64).max(1),
            "max_position_embeddings": 77,
            "vocab_size": size(shapes, &format!("{prefix}{tokens}"), 0)?,
            "hidden_act": if self.is_open_clip() { "gelu" } else { "quick_gelu" },
        }))
    }

    /// Where the file has what transformers has under a name.
    pub(crate) fn names(&self) -> impl Fn(&str) -> Place + Send + Sync + use<> {
        let this = self.clone();
        move |name| {
            let name = name.strip_prefix("text_model.").unwrap_or(name);
            match &this {
                Self::Clip { prefix } => format!("{prefix}{name}").into(),
                Self::OpenClip { prefix, .. } => open_clip_place(prefix, name),
            }
        }
    }
}

fn open_clip_place(prefix: &str, name: &str) -> Place {
    let plain = |name: &str| Place::from(format!("{prefix}{name}"));
    match name {
        "embeddings.token_embedding.weight" => return plain("token_embedding.weight"),
        "embeddings.position_embedding.weight" => return plain("positional_embedding"),
        // Rows are inputs there: the text is multiplied from the left.
        "text_projection.weight" => {
            return Place { transposed: true, ..plain("text_projection") };
        }
        _ => {}
    }
    if let Some(rest) = name.strip_prefix("final_layer_norm.") {
        return plain(&format!("ln_final.{rest}"));
    }
    let Some((layer, rest)) =
        name.strip_prefix("encoder.layers.").and_then(|rest| rest.split_once('.'))
    else {
        return plain(name);
    };
    let renamed = OPEN_CLIP.iter().find_map(|(d, l)| Some((l, rest.strip_prefix(d)?)));
    let Some((part, kind)) = renamed else {
        return plain(&format!("transformer.resblocks.{layer}.{rest}"));
    };
    match part.strip_suffix(['0', '1', '2']) {
        Some(fused) => Place {
            third: part.chars().last().and_then(|digit| digit.to_digit(10)).map(|d| d as usize),
            ..plain(&format!("transformer.resblocks.{layer}.{fused}{kind}"))
        },
        None => plain(&format!("transformer.resblocks.{layer}.{part}{kind}")),
    }
}
