//! How prompts are encoded.

/// What weights in prompts do to the text encoder's output (A1111's option `emphasis`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emphasis {
    /// Brackets are text like any other.
    None,
    /// Brackets are read, and weigh nothing.
    Ignore,
    /// Every token's values are multiplied by its weight, then all of them so that their mean is what
    /// it was.
    #[default]
    Original,
    /// As [`Original`](Self::Original), and the mean may change.
    NoNorm,
}

impl Emphasis {
    /// By A1111's name; what it does not know it takes for `Original`.
    pub fn from_name(name: &str) -> Self {
        match name {
            "None" => Self::None,
            "Ignore" => Self::Ignore,
            "No norm" => Self::NoNorm,
            _ => Self::Original,
        }
    }
}

/// How prompts are encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextSettings {
    /// 1 uses every layer of the text encoder, 2 leaves out the last, and so on; the final norm always
    /// follows.
    pub clip_skip: u32,
    /// What weights do.
    pub emphasis: Emphasis,
    /// A chunk of 75 tokens that would end within so many tokens after a comma ends at the comma
    /// instead; 0 cuts wherever the chunk is full.
    pub comma_backtrack: usize,
    /// SDXL's first text encoder heeds `clip_skip` (A1111's option `sdxl_clip_l_skip`).
    pub xl_clip_skip: bool,
    /// Width and height in pixels, which SDXL is told.
    pub size: [u32; 2],
    /// Left and top of the crop that SDXL is told (A1111's options `sdxl_crop_left` and
    /// `sdxl_crop_top`).
    pub crop: [u32; 2],
    /// The scores that SDXL's refiner is told with prompts and with negative prompts (A1111's options
    /// `sdxl_refiner_high_aesthetic_score` and `sdxl_refiner_low_aesthetic_score`).
    pub aesthetic_score: [f64; 2],
}

impl Default for TextSettings {
    /// A1111's defaults.
    fn default() -> Self {
        Self {
            clip_skip: 1,
            emphasis: Emphasis::default(),
            comma_backtrack: 20,
            xl_clip_skip: false,
            size: [1024, 1024],
            crop: [0, 0],
            aesthetic_score: [6.0, 2.5],
        }
    }
}
