//! LoRA: small networks that are added to a checkpoint's weights, as A1111 v1.10.1 adds them.

mod kronecker;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{Result, Tensor};

use crate::checkpoint::{LoadError, hash_rest};
use crate::weights::{Delta, Weights};
use kronecker::Kronecker;

/// Ends of tensors' names and what they are: kohya's, diffusers' older ones and peft's.
const KINDS: [(&str, Kind); 19] = [
    (".lora_down.weight", Kind::Down),
    (".lora_up.weight", Kind::Up),
    (".lora_mid.weight", Kind::Middle),
    (".lora.down.weight", Kind::Down),
    (".lora.up.weight", Kind::Up),
    (".lora_A.weight", Kind::Down),
    (".lora_B.weight", Kind::Up),
    (".hada_w1_a", Kind::Up),
    (".hada_w1_b", Kind::Down),
    (".hada_w2_a", Kind::SecondUp),
    (".hada_w2_b", Kind::SecondDown),
    (".lokr_w1", Kind::Kronecker(0)),
    (".lokr_w1_a", Kind::Kronecker(1)),
    (".lokr_w1_b", Kind::Kronecker(2)),
    (".lokr_w2", Kind::Kronecker(3)),
    (".lokr_w2_a", Kind::Kronecker(4)),
    (".lokr_w2_b", Kind::Kronecker(5)),
    (".lokr_t2", Kind::Kronecker(6)),
    (".alpha", Kind::Alpha),
];
/// Beginnings of modules' names and kohya's for the same network.
const NETWORKS: [(&str, &str); 4] = [
    ("unet.", "lora_unet_"),
    ("text_encoder.", "lora_te_"),
    ("text_encoder_2.", "lora_te2_"),
    ("lora_te1_", "lora_te_"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Down,
    Up,
    Middle,
    SecondDown,
    SecondUp,
    /// Which of the parts of [`Kronecker`].
    Kronecker(usize),
    Alpha,
}

/// What is added to one layer: `up · down`, for a convolution with something between them, for a
/// LoHa times a second product.
#[derive(Clone, Debug, Default)]
struct Module {
    down: Option<Tensor>,
    up: Option<Tensor>,
    middle: Option<Tensor>,
    second: [Option<Tensor>; 2],
    kronecker: Kronecker,
    alpha: Option<f64>,
}

/// A LoRA in memory: kohya's or diffusers' layout, with convolutions (LoCon) and products of two
/// (LoHa).
#[derive(Clone, Debug)]
pub struct Lora {
    file: PathBuf,
    hash: String,
    modules: BTreeMap<String, Module>,
    /// Modules of kinds that are not known here.
    unknown: usize,
}

/// How much of a LoRA is added.
#[derive(Clone, Debug)]
pub struct LoraUse {
    /// The LoRA.
    pub lora: Arc<Lora>,
    /// Weight in the text encoders.
    pub text: f64,
    /// Weight in the UNet.
    pub unet: f64,
    /// Ranks that are used, of those that there are (A1111's "dyn").
    pub ranks: Option<usize>,
}

/// What became of a LoRA's parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoraFit {
    /// Layers that it was added to.
    pub added: usize,
    /// Parts for which the checkpoint has no layer, or one of another size, or which are of an unknown
    /// kind.
    pub left_out: usize,
}

impl Lora {
    /// Reads a file.
    ///
    /// # Errors
    /// [`LoadError::NoCheckpoint`] if there is no LoRA in it, or why it cannot be read.
    pub fn load(file: &Path) -> std::result::Result<Self, LoadError> {
        let weights = Weights::open(file)?;
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let mut strangers = std::collections::BTreeSet::new();
        for key in weights.shapes().into_keys() {
            let known = KINDS.iter().find_map(|(end, kind)| Some((key.strip_suffix(end)?, *kind)));
            let Some((name, kind)) = known else {
                strangers.insert(key.split('.').next().unwrap_or_default().to_owned());
                continue;
            };
            let tensor = weights.get_any(&key)?;
            let module = modules.entry(module_name(name)).or_default();
            match kind {
                Kind::Down => module.down = Some(tensor),
                Kind::Up => module.up = Some(tensor),
                Kind::Middle => module.middle = Some(tensor),
                Kind::SecondDown => module.second[1] = Some(tensor),
                Kind::SecondUp => module.second[0] = Some(tensor),
                Kind::Kronecker(part) => module.kronecker.0[part] = Some(tensor),
                Kind::Alpha => {
                    let value = tensor.flatten_all().and_then(|t| t.to_vec1::<f32>());
                    module.alpha = value.ok().and_then(|v| v.first().copied()).map(f64::from);
                }
            }
        }
        let unknown = modules.len() + strangers.len();
        modules.retain(|_, module| {
            module.down.is_some() && module.up.is_some() || module.kronecker.is_whole()
        });
        let unknown = unknown.saturating_sub(modules.len());
        if modules.is_empty() {
            let what =
                "it is no LoRA that this engine can read: it has no pair of lora_down and lora_up";
            return Err(LoadError::NoCheckpoint { file: file.to_owned(), what: what.to_owned() });
        }
        let hash = match weights.told("sshs_model_hash") {
            Some(hash) => hash.to_owned(),
            None => hash_of_weights(file)
                .map_err(|source| LoadError::Read { file: file.to_owned(), source })?,
        };
        Ok(Self { file: file.to_owned(), hash, modules, unknown })
    }

    /// The name that a file says it was saved under, where it says one.
    pub fn alias(file: &Path) -> Option<String> {
        Weights::open(file).ok()?.told("ss_output_name").map(str::to_owned)
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// SHA-256 over the weights without the header, as hex; A1111 shows its first twelve digits. A
    /// file may say it itself.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The name of a module in kohya's way.
fn module_name(name: &str) -> String {
    let name = name.strip_prefix("base_model.model.").unwrap_or(name);
    let known = NETWORKS.iter().find_map(|(begin, kohya)| Some((kohya, name.strip_prefix(begin)?)));
    match known {
        Some((kohya, rest)) => format!("{kohya}{}", rest.replace('.', "_")),
        None => name.replace('.', "_"),
    }
}

/// A1111 calls it the "addnet hash": everything behind the header.
fn hash_of_weights(file: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(file)?;
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    file.seek(SeekFrom::Start(u64::from_le_bytes(length).saturating_add(8)))?;
    hash_rest(file)
}

/// A module with its weight.
struct Added {
    module: Module,
    weight: f64,
    ranks: Option<usize>,
}

impl Delta for Added {
    fn tensor(&self, shape: &[usize]) -> Result<Tensor> {
        self.module.product(self.ranks)?.reshape(shape)? * (self.weight * self.module.scale()?)
    }
}

fn flat(tensor: &Tensor) -> Result<Tensor> {
    tensor.reshape((tensor.dim(0)?, tensor.elem_count() / tensor.dim(0)?.max(1)))
}

/// `up · middle · down` for every place of the middle (`[n, m, height, width]`), flattened.
fn with_middle(up: &Tensor, middle: &Tensor, down: &Tensor) -> Result<Tensor> {
    let (n, m, height, width) = middle.dims4()?;
    let places = height * width;
    let inner = up.matmul(&middle.reshape((n, m * places))?)?;
    let (outputs, inputs) = (up.dim(0)?, down.dim(1)?);
    let by_place = inner.reshape((outputs, m, places))?.transpose(1, 2)?.contiguous()?;
    let product = by_place.reshape((outputs * places, m))?.matmul(down)?;
    let product = product.reshape((outputs, places, inputs))?.transpose(1, 2)?;
    flat(&product.contiguous()?)
}

impl Module {
    fn pair(&self) -> Result<(Tensor, Tensor)> {
        match (&self.up, &self.down) {
            (Some(up), Some(down)) => Ok((flat(up)?, flat(down)?)),
            _ => candle_core::bail!("a LoRA's module has no pair"),
        }
    }

    /// alpha by rank, 1 without an alpha.
    fn scale(&self) -> Result<f64> {
        if self.kronecker.is_whole() {
            let rank = self.kronecker.rank().map(|rank| rank.max(1) as f64);
            return Ok(self.alpha.zip(rank).map_or(1.0, |(alpha, rank)| alpha / rank));
        }
        let (_, down) = self.pair()?;
        Ok(self.alpha.map_or(1.0, |alpha| alpha / down.dim(0).unwrap_or(1).max(1) as f64))
    }

    /// `[outputs, the rest]`.
    fn product(&self, ranks: Option<usize>) -> Result<Tensor> {
        if self.kronecker.is_whole() {
            return self.kronecker.product();
        }
        let (up, down) = self.pair()?;
        if let [Some(second_up), Some(second_down)] = &self.second {
            return up.matmul(&down)? * flat(second_up)?.matmul(&flat(second_down)?)?;
        }
        if let Some(middle) = &self.middle {
            return with_middle(&up, middle, &down);
        }
        let all = down.dim(0)?;
        let used = ranks.map_or(all, |ranks| ranks.min(all));
        up.narrow(1, 0, used)?.contiguous()?.matmul(&down.narrow(0, 0, used)?)
    }

    /// The shape of the layer that it is for, flattened behind the outputs; none if it fits none.
    fn shape(&self) -> Option<(usize, usize)> {
        if self.kronecker.is_whole() {
            let (first, second) = self.kronecker.factors().ok()?;
            let ((a, b), (c, d)) = (first.dims2().ok()?, second.dims2().ok()?);
            return Some((a * c, b * d));
        }
        let (up, down) = self.pair().ok()?;
        let places = match &self.middle {
            Some(middle) => {
                let (n, m, height, width) = middle.dims4().ok()?;
                (n == up.dim(1).ok()? && m == down.dim(0).ok()?).then_some(height * width)?
            }
            None => (up.dim(1).ok()? == down.dim(0).ok()?).then_some(1)?,
        };
        Some((up.dim(0).ok()?, down.dim(1).ok()? * places))
    }
}

/// A layer that something can be added to.
pub(crate) struct Target {
    /// Which network, in the engine's own count.
    pub(crate) network: usize,
    pub(crate) layer: String,
    /// Outputs, and the rest.
    pub(crate) shape: (usize, usize),
    pub(crate) is_text: bool,
}

/// For each of `networks` what is added to its layers, and what became of each LoRA. `targets` are
/// the layers by kohya's names.
pub(crate) fn patches(
    uses: &[LoraUse],
    targets: &HashMap<String, Target>,
    networks: usize,
) -> (Vec<crate::weights::Patches>, Vec<LoraFit>) {
    let mut patches: Vec<crate::weights::Patches> = vec![HashMap::new(); networks];
    let fits = uses.iter().map(|used| {
        let mut fit = LoraFit { added: 0, left_out: used.lora.unknown };
        for (name, module) in &used.lora.modules {
            let target = targets.get(name).filter(|it| module.shape() == Some(it.shape));
            let Some(target) = target else {
                fit.left_out += 1;
                continue;
            };
            fit.added += 1;
            let weight = if target.is_text { used.text } else { used.unet };
            if weight != 0.0 {
                let added = Added { module: module.clone(), weight, ranks: used.ranks };
                let deltas = patches[target.network].entry(target.layer.clone()).or_default();
                deltas.push(Arc::new(added));
            }
        }
        fit
    });
    let fits = fits.collect();
    (patches, fits)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn modules_have_kohyas_names_whoever_wrote_them() {
        for (name, kohya) in [
            ("lora_unet_mid_block_x", "lora_unet_mid_block_x"),
            ("unet.down_blocks.0.attn1.to_q", "lora_unet_down_blocks_0_attn1_to_q"),
            ("text_encoder.text_model.encoder.layers.0.x", "lora_te_text_model_encoder_layers_0_x"),
            ("text_encoder_2.text_model.x", "lora_te2_text_model_x"),
            ("lora_te1_text_model_x", "lora_te_text_model_x"),
            ("base_model.model.unet.x.y", "lora_unet_x_y"),
        ] {
            assert_eq!(module_name(name), kohya);
        }
    }

    /// The product of two products, place by place.
    #[test]
    fn a_loha_is_one_product_times_another() {
        let tensor = |rows: [[f32; 2]; 2]| Tensor::new(&rows, &Device::Cpu).ok();
        let module = Module {
            up: tensor([[1.0, 0.0], [0.0, 2.0]]),
            down: tensor([[1.0, 1.0], [3.0, 1.0]]),
            second: [tensor([[1.0, 1.0], [0.0, 1.0]]), tensor([[2.0, 0.0], [1.0, 4.0]])],
            alpha: Some(1.0),
            ..Module::default()
        };
        let added = Added { module, weight: 0.5, ranks: None };
        let found = added.tensor(&[2, 2, 1, 1]).unwrap().flatten_all().unwrap();
        // [1 1; 6 2] times [3 4; 1 4], by half and alpha by rank.
        assert_eq!(found.to_vec1::<f32>().unwrap(), [0.75, 1.0, 1.5, 2.0]);
    }
}
