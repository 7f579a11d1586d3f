//! What a run says about prompts, and what it gets for them.

use super::UsedEmbedding;

/// How prompts are encoded; each field is the option of that name in A1111 v1.10.1.
#[derive(Clone, Debug, PartialEq)]
pub struct TextSettings {
    /// `CLIP_stop_at_last_layers`: 1 uses every layer of the text encoder.
    pub clip_skip: u32,
    /// `emphasis`: what weights in prompts do.
    pub emphasis: String,
    /// `comma_padding_backtrack`: tokens to go back for a comma at a chunk's end.
    pub comma_padding_backtrack: usize,
    /// `sdxl_clip_l_skip`: SDXL's first text encoder heeds `clip_skip`.
    pub xl_clip_skip: bool,
    /// Width and height of the run's pictures, which SDXL is told.
    pub size: [u32; 2],
    /// `sdxl_crop_left` and `sdxl_crop_top`, which SDXL is told.
    pub crop: [u32; 2],
    /// `sdxl_refiner_high_aesthetic_score` and `sdxl_refiner_low_aesthetic_score`, which SDXL's refiner is
    /// told with prompts and with negative prompts.
    pub aesthetic_score: [f64; 2],
}

/// The prompts or negative prompts of one batch, and the pass that they are for.
#[derive(Clone, Copy, Debug)]
pub struct PromptBatch<'a> {
    /// One per picture.
    pub prompts: &'a [String],
    /// Whether they are negative prompts, which have no parts.
    pub negative: bool,
    /// How they are encoded.
    pub settings: &'a TextSettings,
    /// Sampler, by A1111's name: steps of schedules are counted in its model calls.
    pub sampler: &'a str,
    /// Steps asked for.
    pub steps: u32,
    /// For a second pass, the sampler and the steps of the first, behind which its own are counted.
    pub behind: Option<(&'a str, u32)>,
    /// The option `use_old_scheduling`.
    pub old_scheduling: bool,
}

/// What is done where prompt and negative prompt have different numbers of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// The model is called for each on its own.
    #[default]
    Apart,
    /// `pad_cond_uncond`: the shorter one is filled with the empty prompt.
    Empty,
    /// `pad_cond_uncond_v0`: the negative prompt repeats its last token, or is cut off.
    LastToken,
}

/// Text conditioning, contiguous, `[rows, tokens, width]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Conditioning {
    /// Rows, tokens, width.
    pub shape: [usize; 3],
    /// As many elements as the product of the sizes.
    pub data: Vec<f32>,
    /// A vector for each row, SDXL's; otherwise empty. Plugins are not lent it.
    pub vectors: Vec<f32>,
}

/// The conditioning of a batch in the course of sampling.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledConditioning {
    /// For each picture the weights of its prompt's parts.
    pub weights: Vec<Vec<f64>>,
    /// The texts, each with a row for every part of every picture; the first one is what sampling
    /// begins with, and stands for that only.
    pub texts: Vec<Conditioning>,
    /// In their order, the last step of each text and its index.
    pub entries: Vec<(usize, usize)>,
    /// Whether `use_old_scheduling` made a difference.
    pub old_timelines: bool,
    /// The embeddings that are in the texts.
    pub embeddings: Vec<UsedEmbedding>,
}

impl ScheduledConditioning {
    /// Tokens of all texts.
    pub fn tokens(&self) -> usize {
        self.texts.first().map_or(0, |text| text.shape[1])
    }
}

impl From<Conditioning> for ScheduledConditioning {
    fn from(text: Conditioning) -> Self {
        let weights = vec![vec![1.0]; text.shape[0]];
        let (texts, entries) = (vec![text], vec![(usize::MAX, 0)]);
        Self { weights, texts, entries, old_timelines: false, embeddings: Vec::new() }
    }
}
