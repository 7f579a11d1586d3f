//! `unet/config.json`.

use serde::Deserialize;
use serde_json::Value;

use super::time::WAVES;
use crate::checkpoint::{Config, ConfigFile, LoadError, PerBlock};

/// The file as written.
#[derive(Debug, Deserialize)]
struct Raw {
    in_channels: usize,
    out_channels: usize,
    sample_size: Option<PerBlock>,
    block_out_channels: Vec<usize>,
    layers_per_block: PerBlock,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
    mid_block_type: Option<String>,
    cross_attention_dim: PerBlock,
    attention_head_dim: PerBlock,
    num_attention_heads: Option<PerBlock>,
    transformer_layers_per_block: Option<PerBlock>,
    norm_num_groups: Option<usize>,
    norm_eps: Option<f64>,
    act_fn: Option<String>,
    flip_sin_to_cos: Option<bool>,
    freq_shift: Option<f64>,
    downsample_padding: Option<usize>,
    mid_block_scale_factor: Option<f64>,
    use_linear_projection: Option<bool>,
    center_input_sample: Option<bool>,
    addition_embed_type: Option<String>,
    addition_time_embed_dim: Option<usize>,
    projection_class_embeddings_input_dim: Option<usize>,
    #[serde(flatten)]
    other: serde_json::Map<String, Value>,
}

/// Switches of diffusers that change the network and that no Stable Diffusion 1, 2 or XL model sets,
/// with the value that leaves the network as it is (besides being absent or null).
const PLAIN: &[(&str, &str)] = &[
    ("attention_type", "default"),
    ("class_embed_type", ""),
    ("class_embeddings_concat", "false"),
    ("conv_in_kernel", "3"),
    ("conv_out_kernel", "3"),
    ("cross_attention_norm", ""),
    ("dual_cross_attention", "false"),
    ("encoder_hid_dim", ""),
    ("encoder_hid_dim_type", ""),
    ("mid_block_only_cross_attention", "false"),
    ("num_class_embeds", ""),
    ("only_cross_attention", "false"),
    ("resnet_out_scale_factor", "1.0"),
    ("resnet_skip_time_act", "false"),
    ("resnet_time_scale_shift", "default"),
    ("reverse_transformer_layers_per_block", ""),
    ("time_cond_proj_dim", ""),
    ("time_embedding_act_fn", ""),
    ("time_embedding_dim", ""),
    ("time_embedding_type", "positional"),
    ("timestep_post_act", ""),
];

/// One resolution of the network.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) channels: usize,
    pub(super) layers: usize,
    pub(super) heads: usize,
    /// Transformer blocks behind each resnet; 0 where the level has no cross-attention.
    pub(super) depth_down: usize,
    pub(super) depth_up: usize,
}

/// The sizes of a UNet, checked.
#[derive(Clone, Debug)]
pub(super) struct UnetConfig {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    /// Height and width of the latents it was trained at.
    pub(super) sample_size: [usize; 2],
    pub(super) levels: Vec<Level>,
    pub(super) mid_depth: usize,
    pub(super) text_width: usize,
    pub(super) groups: usize,
    pub(super) eps: f64,
    pub(super) flip_sin_to_cos: bool,
    pub(super) freq_shift: f64,
    pub(super) downsample_padding: usize,
    pub(super) linear_projection: bool,
    pub(super) center_input: bool,
    /// Values of the vector beside the text, 0 without one.
    pub(super) vector_width: usize,
}

impl UnetConfig {
    /// Checks the file.
    pub(super) fn of(config: &Config) -> Result<Self, LoadError> {
        let (source, raw): (_, Raw) = config.parse(&["UNet2DConditionModel"])?;
        for (key, plain) in PLAIN {
            check_plain(&source, &raw.other, key, plain)?;
        }
        let act = raw.act_fn.as_deref().unwrap_or("silu");
        source.require(matches!(act, "silu" | "swish"), "act_fn", act, "silu")?;
        let scale = raw.mid_block_scale_factor.unwrap_or(1.0);
        source.require((scale - 1.0).abs() < f64::EPSILON, "mid_block_scale_factor", scale, "1")?;
        let mid = raw.mid_block_type.as_deref().unwrap_or("UNetMidBlock2DCrossAttn");
        let ok = mid == "UNetMidBlock2DCrossAttn";
        source.require(ok, "mid_block_type", mid, "UNetMidBlock2DCrossAttn")?;
        let padding = raw.downsample_padding.unwrap_or(1);
        source.require(padding == 1, "downsample_padding", padding, "1")?;
        let PerBlock::Same(text_width) = raw.cross_attention_dim else {
            let value = &raw.cross_attention_dim;
            return Err(source.wrong("cross_attention_dim", value, "one number"));
        };
        let sample_size = match &raw.sample_size {
            None => [64, 64],
            Some(PerBlock::Same(n)) => [*n, *n],
            Some(PerBlock::Each(list)) if list.len() == 2 => [list[0], list[1]],
            Some(other) => {
                let expected = "one number, or height and width";
                return Err(source.wrong("sample_size", other, expected));
            }
        };
        let levels = levels(&source, &raw)?;
        let groups = raw.norm_num_groups.unwrap_or(32);
        let divides = groups > 0 && levels.iter().all(|l| l.channels.is_multiple_of(groups));
        source.require(
            divides,
            "norm_num_groups",
            groups,
            "a divisor of every block's channels",
        )?;
        let vector_width = match raw.addition_embed_type.as_deref() {
            None => 0,
            Some("text_time") => {
                let waves = raw.addition_time_embed_dim.unwrap_or(0);
                source.require(waves == WAVES, "addition_time_embed_dim", waves, "256")?;
                raw.projection_class_embeddings_input_dim.unwrap_or(0)
            }
            Some(other) => {
                return Err(source.wrong("addition_embed_type", other, "text_time or null"));
            }
        };
        let depth = raw.transformer_layers_per_block.unwrap_or(PerBlock::Same(1));
        let mid_depth = depth.spread(levels.len()).and_then(|d| d.last().copied()).unwrap_or(1);
        Ok(Self {
            in_channels: raw.in_channels,
            out_channels: raw.out_channels,
            sample_size,
            levels,
            mid_depth,
            text_width,
            groups,
            eps: raw.norm_eps.unwrap_or(1e-5),
            flip_sin_to_cos: raw.flip_sin_to_cos.unwrap_or(true),
            freq_shift: raw.freq_shift.unwrap_or(0.0),
            downsample_padding: padding,
            linear_projection: raw.use_linear_projection.unwrap_or(false),
            center_input: raw.center_input_sample.unwrap_or(false),
            vector_width,
        })
    }
}

fn check_plain(
    source: &ConfigFile,
    other: &serde_json::Map<String, Value>,
    key: &str,
    plain: &str,
) -> Result<(), LoadError> {
    let value = match other.get(key) {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(n)) if n.as_f64() == plain.parse().ok() => return Ok(()),
        Some(value) => value.to_string(),
    };
    let expected = if plain.is_empty() { "null" } else { plain };
    source.require(
        value == plain,
        key,
        &value,
        &format!("{expected}: this engine runs Stable Diffusion 1, 2 and XL"),
    )
}

fn levels(source: &ConfigFile, raw: &Raw) -> Result<Vec<Level>, LoadError> {
    let channels = &raw.block_out_channels;
    let count = channels.len();
    source.require(count > 0, "block_out_channels", "[]", "a list with one number per block")?;
    let per_block = |key: &str, value: &PerBlock| {
        let expected = format!("one number, or one for each of {count} blocks");
        value.spread(count).ok_or_else(|| source.wrong(key, value, expected))
    };
    let layers = per_block("layers_per_block", &raw.layers_per_block)?;
    // diffusers calls the number of heads `attention_head_dim`; the other name wins where it is set.
    let (key, heads) = match &raw.num_attention_heads {
        Some(heads) => ("num_attention_heads", heads),
        None => ("attention_head_dim", &raw.attention_head_dim),
    };
    let heads_list = per_block(key, heads)?;
    let one = PerBlock::Same(1);
    let depth = raw.transformer_layers_per_block.as_ref().unwrap_or(&one);
    let depth = per_block("transformer_layers_per_block", depth)?;
    let attends = |key: &str, types: &[String], plain: &str, cross: &str| {
        if types.len() != count {
            let expected = format!("a list of {count} block types");
            return Err(source.wrong(key, format!("{types:?}"), expected));
        }
        types
            .iter()
            .map(|t| match t.as_str() {
                t if t == cross => Ok(true),
                t if t == plain => Ok(false),
                t => Err(source.wrong(key, t, format!("{cross} or {plain}"))),
            })
            .collect::<Result<Vec<bool>, _>>()
    };
    let down =
        attends("down_block_types", &raw.down_block_types, "DownBlock2D", "CrossAttnDownBlock2D")?;
    let up = attends("up_block_types", &raw.up_block_types, "UpBlock2D", "CrossAttnUpBlock2D")?;
    let levels: Vec<Level> = (0..count)
        .map(|i| Level {
            channels: channels[i],
            layers: layers[i],
            heads: heads_list[i],
            depth_down: if down[i] { depth[i] } else { 0 },
            depth_up: if up[count - 1 - i] { depth[i] } else { 0 },
        })
        .collect();
    for (i, level) in levels.iter().enumerate() {
        let attended = level.depth_down + level.depth_up > 0 || i + 1 == count;
        let fits = level.heads > 0 && level.channels.is_multiple_of(level.heads);
        source.require(!attended || fits, key, heads, "a divisor of its block's channels")?;
        source.require(level.layers > 0, "layers_per_block", 0, "at least 1")?;
    }
    Ok(levels)
}
