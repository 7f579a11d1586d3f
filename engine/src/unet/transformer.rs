//! Cross-attention over the picture's places.

use candle_core::{Result, Tensor};

use super::merging::Merging;
use super::text::Text;
use crate::checkpoint::LoadError;
use crate::kernels::{GroupNorm, LayerNorm, Linear, Mask, Then, attention, gated};
use crate::weights::Weights;

/// Sizes of a [`Transformer`].
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) channels: usize,
    pub(super) heads: usize,
    pub(super) depth: usize,
    pub(super) text_width: usize,
    pub(super) groups: usize,
    pub(super) linear_projection: bool,
    /// The number of its first block in the network.
    pub(super) first_block: usize,
}

/// What a call of the network brings beside the latents.
#[derive(Clone, Copy)]
pub(super) struct Told<'a> {
    /// As many as pictures, or several for each: pictures are repeated where texts first count.
    pub(super) text: &'a Text,
    pub(super) merging: Option<Merging>,
}

/// diffusers' `Transformer2DModel`.
#[derive(Clone)]
pub(super) struct Transformer {
    norm: GroupNorm,
    into: Linear,
    blocks: Vec<Block>,
    out: Linear,
}

impl Transformer {
    pub(super) fn load(w: &Weights, shape: Shape) -> std::result::Result<Self, LoadError> {
        let c = shape.channels;
        let projection = |name: &str| {
            if shape.linear_projection {
                Linear::load(&w.at(name), c, c)
            } else {
                Linear::load_convolution(&w.at(name), c, c)
            }
        };
        let blocks = w.at("transformer_blocks");
        Ok(Self {
            norm: GroupNorm::load(&w.at("norm"), shape.groups, c, 1e-6)?,
            into: projection("proj_in")?,
            blocks: (0..shape.depth)
                .map(|i| Block::load(&blocks.at(i), shape, shape.first_block + i))
                .collect::<std::result::Result<_, _>>()?,
            out: projection("proj_out")?,
        })
    }

    /// `x`: `[n, c, h, w]`. Gives as many pictures as there are texts.
    pub(super) fn forward(&self, x: &Tensor, told: Told<'_>) -> Result<Tensor> {
        let (_, _, height, width) = x.dims4()?;
        let mut t = self.into.forward_pixels(&self.norm.forward(x, Then::Nothing)?)?;
        for block in &self.blocks {
            t = block.forward(&t, (height, width), told)?;
        }
        self.out.forward_onto_pixels(&t, &repeated(x, told.text.rows()?)?)
    }
}

/// The pictures of `x` over and over, in their order, until there are so many.
pub(super) fn repeated(x: &Tensor, rows: usize) -> Result<Tensor> {
    let times = rows / x.dim(0)?.max(1);
    if times > 1 { Tensor::cat(&vec![x; times], 0) } else { Ok(x.clone()) }
}

/// Self-attention, attention to the text, and a gated linear map.
#[derive(Clone)]
struct Block {
    /// Its number in the network.
    number: usize,
    norm1: LayerNorm,
    itself: Attention,
    norm2: LayerNorm,
    text: Attention,
    norm3: LayerNorm,
    gated: Linear,
    narrow: Linear,
}

impl Block {
    fn load(w: &Weights, shape: Shape, number: usize) -> std::result::Result<Self, LoadError> {
        let c = shape.channels;
        let norm = |name: &str| LayerNorm::load(&w.at(name), c, 1e-5);
        Ok(Self {
            number,
            norm1: norm("norm1")?,
            itself: Attention::load(&w.at("attn1"), c, c, shape.heads)?,
            norm2: norm("norm2")?,
            text: Attention::load(&w.at("attn2"), c, shape.text_width, shape.heads)?,
            norm3: norm("norm3")?,
            gated: Linear::load(&w.at("ff.net.0.proj"), c, 8 * c)?,
            narrow: Linear::load(&w.at("ff.net.2"), 4 * c, c)?,
        })
    }

    fn forward(
        &self,
        x: &Tensor,
        (height, width): (usize, usize),
        told: Told<'_>,
    ) -> Result<Tensor> {
        let h = self.norm1.forward(x)?;
        let merge = told.merging.map(|merging| merging.of(x, height, width)).transpose()?;
        let x = match merge.flatten() {
            Some(merge) => {
                let h = merge.merged(&h)?;
                (x + merge.parted(&self.itself.forward(&h, &h, None)?)?)?
            }
            None => self.itself.forward(&h, &h, Some(x))?,
        };
        let x = repeated(&x, told.text.rows()?)?;
        let keys = told.text.of_block(self.number, |text| self.text.keys(text))?;
        let x = self.text.find(&self.norm2.forward(&x)?, &keys, Some(&x))?;
        let h = gated(&self.gated.forward(&self.norm3.forward(&x)?)?)?;
        self.narrow.forward_onto(&h, &x)
    }
}

#[derive(Clone)]
struct Attention {
    heads: usize,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    fn load(
        w: &Weights,
        channels: usize,
        source: usize,
        heads: usize,
    ) -> std::result::Result<Self, LoadError> {
        Ok(Self {
            heads,
            q: Linear::load_without_bias(&w.at("to_q"), channels, channels)?,
            k: Linear::load_without_bias(&w.at("to_k"), source, channels)?,
            v: Linear::load_without_bias(&w.at("to_v"), source, channels)?,
            out: Linear::load(&w.at("to_out.0"), channels, channels)?,
        })
    }

    /// What `x` finds in `source`, added to `base`.
    fn forward(&self, x: &Tensor, source: &Tensor, base: Option<&Tensor>) -> Result<Tensor> {
        self.find(x, &self.keys(source)?, base)
    }

    /// Keys and values of `source`.
    fn keys(&self, source: &Tensor) -> Result<[Tensor; 2]> {
        Ok([self.k.forward(source)?, self.v.forward(source)?])
    }

    fn find(&self, x: &Tensor, [k, v]: &[Tensor; 2], base: Option<&Tensor>) -> Result<Tensor> {
        let precision = self.q.precision();
        let found = attention(&self.q.forward(x)?, [k, v], self.heads, Mask::None, precision)?;
        match base {
            Some(base) => self.out.forward_onto(&found, base),
            None => self.out.forward(&found),
        }
    }
}
