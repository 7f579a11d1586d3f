//! `vae/config.json`.

use serde::Deserialize;

use crate::checkpoint::{Config, ConfigFile, LoadError};

/// The sizes of an autoencoder.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct VaeConfig {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) latent_channels: usize,
    pub(super) block_out_channels: Vec<usize>,
    #[serde(default = "one")]
    pub(super) layers_per_block: usize,
    #[serde(default = "groups")]
    pub(super) norm_num_groups: usize,
    #[serde(default = "scaling")]
    pub(super) scaling_factor: f64,
    pub(super) shift_factor: Option<f64>,
    #[serde(default = "yes")]
    pub(super) use_quant_conv: bool,
    #[serde(default = "yes")]
    pub(super) use_post_quant_conv: bool,
    #[serde(default = "yes")]
    pub(super) mid_block_add_attention: bool,
    act_fn: Option<String>,
    down_block_types: Vec<String>,
    up_block_types: Vec<String>,
}

fn one() -> usize {
    1
}

fn groups() -> usize {
    32
}

/// Stable Diffusion 1 and 2; their oldest configurations leave it out.
fn scaling() -> f64 {
    0.18215
}

fn yes() -> bool {
    true
}

impl VaeConfig {
    /// Checks the file.
    pub(super) fn of(config: &Config) -> Result<Self, LoadError> {
        let (source, config): (ConfigFile, Self) = config.parse(&["AutoencoderKL"])?;
        let act = config.act_fn.as_deref().unwrap_or("silu");
        source.require(matches!(act, "silu" | "swish"), "act_fn", act, "silu")?;
        let blocks = config.block_out_channels.len();
        source.require(
            blocks > 0,
            "block_out_channels",
            "[]",
            "a list with one number per block",
        )?;
        let types = [
            ("down_block_types", &config.down_block_types, "DownEncoderBlock2D"),
            ("up_block_types", &config.up_block_types, "UpDecoderBlock2D"),
        ];
        for (key, list, kind) in types {
            let ok = list.len() == blocks && list.iter().all(|t| t == kind);
            source.require(ok, key, format!("{list:?}"), &format!("{blocks} times {kind}"))?;
        }
        let groups = config.norm_num_groups;
        let divides =
            groups > 0 && config.block_out_channels.iter().all(|c| c.is_multiple_of(groups));
        source.require(
            divides,
            "norm_num_groups",
            groups,
            "a divisor of every block's channels",
        )?;
        for (key, n) in [("in_channels", config.in_channels), ("out_channels", config.out_channels)]
        {
            source.require(n == 3, key, n, "3")?;
        }
        let scale = config.scaling_factor;
        source.require(scale.is_finite() && scale > 0.0, "scaling_factor", scale, "above 0")?;
        Ok(config)
    }

    /// Pixels per latent value along one side.
    pub(super) fn factor(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }
}
