//! The autoencoder of a single file.

use serde_json::{Value, json};

use super::{Shapes, count, size};
use crate::weights::Place;

/// What diffusers calls the layers of the middle's attention, and what the file does.
const ATTENTION: [(&str, &str); 5] = [
    ("group_norm.", "norm."),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
];

/// As diffusers would write it, read off the tensors below `prefix`; the error is what is missing.
pub(crate) fn config(shapes: &Shapes, prefix: &str, scaling: f64) -> Result<Value, String> {
    let levels = count(shapes, &format!("{prefix}encoder.down."));
    let channels = (0..levels)
        .map(|i| size(shapes, &format!("{prefix}encoder.down.{i}.block.0.conv1.weight"), 0))
        .collect::<Result<Vec<_>, _>>()?;
    let has = |name: &str| shapes.contains_key(&format!("{prefix}{name}.weight"));
    Ok(json!({
        "in_channels": size(shapes, &format!("{prefix}encoder.conv_in.weight"), 1)?,
        "out_channels": size(shapes, &format!("{prefix}decoder.conv_out.weight"), 0)?,
        "latent_channels": size(shapes, &format!("{prefix}decoder.conv_in.weight"), 1)?,
        "block_out_channels": channels,
        "layers_per_block": count(shapes, &format!("{prefix}encoder.down.0.block.")),
        "norm_num_groups": 32,
        "scaling_factor": scaling,
        "use_quant_conv": has("quant_conv"),
        "use_post_quant_conv": has("post_quant_conv"),
        "mid_block_add_attention": has("encoder.mid.attn_1.q"),
        "down_block_types": vec!["DownEncoderBlock2D"; levels],
        "up_block_types": vec!["UpDecoderBlock2D"; levels],
    }))
}

/// Where the file has what diffusers has under a name.
pub(crate) fn names(shapes: &Shapes, prefix: &str) -> impl Fn(&str) -> Place + Send + Sync + use<> {
    let levels = count(shapes, &format!("{prefix}encoder.down."));
    let prefix = prefix.to_owned();
    move |name| format!("{prefix}{}", file_name(name, levels)).into()
}

fn file_name(name: &str, levels: usize) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let level = |text: &str| text.parse::<usize>().unwrap_or(0);
    let (begin, rest) = match parts[..] {
        ["encoder", "down_blocks", i, "resnets", j, ..] => {
            (format!("encoder.down.{i}.block.{j}"), 5)
        }
        ["encoder", "down_blocks", i, "downsamplers", "0", ..] => {
            (format!("encoder.down.{i}.downsample"), 5)
        }
        ["decoder", "up_blocks", i, "resnets", j, ..] => {
            let i = levels.saturating_sub(level(i) + 1);
            (format!("decoder.up.{i}.block.{j}"), 5)
        }
        ["decoder", "up_blocks", i, "upsamplers", "0", ..] => {
            (format!("decoder.up.{}.upsample", levels.saturating_sub(level(i) + 1)), 5)
        }
        [coder, "mid_block", "resnets", i, ..] => {
            (format!("{coder}.mid.block_{}", level(i) + 1), 4)
        }
        [coder, "mid_block", "attentions", "0", ..] => {
            let rest = parts[4..].join(".");
            let renamed =
                ATTENTION.iter().find_map(|(d, l)| Some(format!("{l}{}", rest.strip_prefix(d)?)));
            return format!("{coder}.mid.attn_1.{}", renamed.unwrap_or(rest));
        }
        _ => return name.replace("conv_norm_out", "norm_out"),
    };
    let rest = parts[rest..].join(".");
    format!("{begin}.{}", rest.replace("conv_shortcut", "nin_shortcut"))
}
