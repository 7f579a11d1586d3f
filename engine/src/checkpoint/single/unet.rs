//! The denoising network of a single file.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Shapes, count, size, text::SD1_WIDTH};
use crate::weights::Place;

/// What diffusers calls the layers of a resnet, and what the file does.
const RESNET: [(&str, &str); 6] = [
    ("norm1", "in_layers.0"),
    ("conv1", "in_layers.2"),
    ("norm2", "out_layers.0"),
    ("conv2", "out_layers.3"),
    ("time_emb_proj", "emb_layers.1"),
    ("conv_shortcut", "skip_connection"),
];

/// One resolution.
#[derive(Clone, Debug, Default)]
struct Level {
    channels: usize,
    /// The resnets' places in the file's list.
    resnets: Vec<usize>,
    /// Transformer blocks behind each resnet.
    depth: usize,
    /// Where the change of the resolution follows, with its place within the item.
    change: Option<String>,
}

/// How a file's network is built.
#[derive(Debug)]
pub(crate) struct Plan {
    prefix: String,
    down: Vec<Level>,
    up: Vec<Level>,
    channels: (usize, usize),
    text_width: usize,
    linear_projection: bool,
    /// Transformer blocks in the middle.
    middle_depth: usize,
    /// Width of the vector that SDXL is told beside the text.
    added: Option<usize>,
}

/// What the original code calls the layers of a network that diffusers has: `down` and `up` tell for
/// each resolution how many resnets it has and whether attention follows them. LoRAs for SDXL use
/// these names.
pub(crate) fn original_names(
    down: &[(usize, bool)],
    up: &[(usize, bool)],
) -> impl Fn(&str) -> String + use<> {
    let list = |levels: &[(usize, bool)], first: usize, place: fn(usize, bool) -> String| {
        let mut next = first;
        let mut list = Vec::new();
        for (at, (resnets, attends)) in levels.iter().enumerate() {
            let mut level = Level { resnets: (next..next + resnets).collect(), ..Level::default() };
            next += resnets;
            if at + 1 < levels.len() {
                level.change = Some(place(next, *attends));
            }
            // Going down the change is an item of its own.
            next += first;
            list.push(level);
        }
        list
    };
    let plan = Plan {
        prefix: String::new(),
        down: list(down, 1, |next, _| format!("{next}.0.op")),
        up: list(up, 0, |next, attends| {
            format!("{}.{}.conv", next.saturating_sub(1), if attends { 2 } else { 1 })
        }),
        channels: (0, 0),
        text_width: 0,
        linear_projection: false,
        middle_depth: 0,
        added: None,
    };
    let names = plan.names();
    move |layer| {
        let key = names(&format!("{layer}.weight")).key;
        key.strip_suffix(".weight").unwrap_or(&key).to_owned()
    }
}

impl Plan {
    /// Reads it off the tensors below `prefix`; the error is what is missing.
    pub(crate) fn of(shapes: &Shapes, prefix: &str) -> Result<Self, String> {
        let down = levels(shapes, &format!("{prefix}input_blocks."), 1)?;
        let up = levels(shapes, &format!("{prefix}output_blocks."), 0)?;
        if down.len() != up.len() {
            return Err(format!(
                "its network has {} resolutions on the way down and {} on the way up",
                down.len(),
                up.len()
            ));
        }
        let attention = format!("{prefix}middle_block.1.");
        let projection = shapes
            .get(&format!("{attention}proj_in.weight"))
            .ok_or_else(|| format!("{attention}proj_in.weight is missing"))?;
        let to_key = format!("{attention}transformer_blocks.0.attn2.to_k.weight");
        Ok(Self {
            channels: (
                size(shapes, &format!("{prefix}input_blocks.0.0.weight"), 1)?,
                size(shapes, &format!("{prefix}out.2.weight"), 0)?,
            ),
            text_width: size(shapes, &to_key, 1)?,
            linear_projection: projection.len() == 2,
            middle_depth: count(shapes, &format!("{attention}transformer_blocks.")),
            added: size(shapes, &format!("{prefix}label_emb.0.0.weight"), 1).ok(),
            prefix: prefix.to_owned(),
            down,
            up,
        })
    }

    /// Values per token of the text.
    pub(crate) fn text_width(&self) -> usize {
        self.text_width
    }

    /// Whether it is told a vector beside the text, as SDXL and its refiner are.
    pub(crate) fn is_xl(&self) -> bool {
        self.added.is_some()
    }

    /// As diffusers would write it.
    pub(crate) fn config(&self) -> Value {
        let channels: Vec<_> = self.down.iter().map(|level| level.channels).collect();
        let sd1 = self.text_width == SD1_WIDTH;
        let heads: Vec<_> =
            channels.iter().map(|c| if sd1 { 8 } else { (c / 64).max(1) }).collect();
        let kinds = |levels: &[Level], cross: &str, plain: &str| {
            let kind = |level: &Level| if level.depth > 0 { cross } else { plain }.to_owned();
            levels.iter().map(kind).collect::<Vec<String>>()
        };
        let last = channels.len().saturating_sub(1);
        let mut depths: Vec<_> =
            (0..=last).map(|at| self.down[at].depth.max(self.up[last - at].depth).max(1)).collect();
        // The middle's is the last, which need not attend itself.
        depths[last] = depths[last].max(self.middle_depth);
        let mut config = json!({
            "in_channels": self.channels.0,
            "out_channels": self.channels.1,
            "sample_size": if self.is_xl() { 128 } else { 64 },
            "block_out_channels": channels,
            "layers_per_block": self.down.iter().map(|it| it.resnets.len()).collect::<Vec<_>>(),
            "down_block_types": kinds(&self.down, "CrossAttnDownBlock2D", "DownBlock2D"),
            "up_block_types": kinds(&self.up, "CrossAttnUpBlock2D", "UpBlock2D"),
            "cross_attention_dim": self.text_width,
            "attention_head_dim": heads,
            "transformer_layers_per_block": depths,
            "norm_num_groups": 32,
            "use_linear_projection": self.linear_projection,
        });
        if let (Some(added), Some(config)) = (self.added, config.as_object_mut()) {
            config.insert("addition_embed_type".to_owned(), "text_time".into());
            config.insert("addition_time_embed_dim".to_owned(), 256.into());
            config.insert("projection_class_embeddings_input_dim".to_owned(), added.into());
        }
        config
    }

    /// Where the file has what diffusers has under a name.
    pub(crate) fn names(&self) -> impl Fn(&str) -> Place + Send + Sync + use<> {
        let prefix = self.prefix.clone();
        let places = self.places();
        move |name| {
            // The longest known beginning that ends at a dot.
            let mut ends = name.rmatch_indices('.').map(|(at, _)| at + 1);
            let known = ends.find_map(|end| Some((&name[end..], places.get(&name[..end])?)));
            let Some((rest, place)) = known else { return format!("{prefix}{name}").into() };
            let renamed = RESNET.iter().filter(|_| name.contains("resnets.")).find_map(|(d, l)| {
                let rest = rest.strip_prefix(d)?.strip_prefix('.')?;
                Some(format!("{prefix}{place}{l}.{rest}"))
            });
            renamed.unwrap_or_else(|| format!("{prefix}{place}{rest}")).into()
        }
    }

    fn places(&self) -> HashMap<String, String> {
        let fixed = [
            ("time_embedding.linear_1.", "time_embed.0."),
            ("time_embedding.linear_2.", "time_embed.2."),
            ("add_embedding.linear_1.", "label_emb.0.0."),
            ("add_embedding.linear_2.", "label_emb.0.2."),
            ("conv_in.", "input_blocks.0.0."),
            ("conv_norm_out.", "out.0."),
            ("conv_out.", "out.2."),
            ("mid_block.resnets.0.", "middle_block.0."),
            ("mid_block.attentions.0.", "middle_block.1."),
            ("mid_block.resnets.1.", "middle_block.2."),
        ];
        let mut places: HashMap<String, String> =
            fixed.into_iter().map(|(d, l)| (d.to_owned(), l.to_owned())).collect();
        for (way, list, change, levels) in [
            ("down_blocks", "input_blocks", "downsamplers.0.conv", &self.down),
            ("up_blocks", "output_blocks", "upsamplers.0.conv", &self.up),
        ] {
            for (i, level) in levels.iter().enumerate() {
                for (j, n) in level.resnets.iter().enumerate() {
                    places.insert(format!("{way}.{i}.resnets.{j}."), format!("{list}.{n}.0."));
                    places.insert(format!("{way}.{i}.attentions.{j}."), format!("{list}.{n}.1."));
                }
                if let Some(place) = &level.change {
                    places.insert(format!("{way}.{i}.{change}."), format!("{list}.{place}."));
                }
            }
        }
        places
    }
}

/// The resolutions of a list of items: each ends with the item that changes it.
fn levels(shapes: &Shapes, list: &str, first: usize) -> Result<Vec<Level>, String> {
    let items = count(shapes, list);
    let (mut levels, mut open) = (Vec::new(), Level::default());
    for n in first..items {
        let item = format!("{list}{n}.");
        let has = |name: &str| shapes.contains_key(&format!("{item}{name}.weight"));
        if let Ok(channels) = size(shapes, &format!("{item}0.out_layers.3.weight"), 0) {
            open.channels = channels;
            open.resnets.push(n);
            open.depth = open.depth.max(count(shapes, &format!("{item}1.transformer_blocks.")));
        }
        let change = ["0.op", "1.conv", "2.conv"].into_iter().find(|name| has(name));
        if let Some(change) = change {
            open.change = Some(format!("{n}.{change}"));
            levels.push(std::mem::take(&mut open));
        }
    }
    levels.push(open);
    match levels.iter().position(|level| level.resnets.is_empty()) {
        Some(at) => Err(format!("{list}* has no resnet at resolution {at}")),
        None => Ok(levels),
    }
}
