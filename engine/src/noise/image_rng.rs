//! Noise for a batch of pictures, A1111 v1.10.1's `ImageRNG`.

use super::brownian::BrownianTree;
use super::mt19937::CpuGenerator;
use super::philox::NvGenerator;
use crate::tensor::Tensor;

/// Whose random numbers are drawn (A1111's option `randn_source`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NoiseSource {
    /// torch on a CPU.
    #[default]
    Cpu,
    /// torch on an NVIDIA GPU, computed here.
    Nv,
}

/// The noise of a batch, each picture from a generator of its own: seed `i` gives the same noise
/// alone and in a batch.
#[derive(Clone)]
pub struct ImageRng {
    shape: [usize; 3],
    seeds: Vec<i64>,
    subseeds: Vec<i64>,
    subseed_strength: f64,
    resize_from: Option<[usize; 2]>,
    source: NoiseSource,
    ensd: i64,
    generators: Vec<Generator>,
    fresh: bool,
}

impl std::fmt::Debug for ImageRng {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImageRng")
            .field("shape", &self.shape)
            .field("seeds", &self.seeds)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl ImageRng {
    /// A generator for one picture of latent `shape` (channels, height, width) per seed.
    ///
    /// `subseed_strength` above 0 turns the first noise towards that of the subseed (a missing one
    /// counts as 0). `ensd` is A1111's `eta_noise_seed_delta`: if not 0, the noise of the steps
    /// comes from `seed + ensd`.
    pub fn new(
        shape: [usize; 3],
        seeds: &[i64],
        subseeds: &[i64],
        subseed_strength: f64,
        source: NoiseSource,
        ensd: i64,
    ) -> Self {
        Self {
            shape,
            seeds: seeds.to_vec(),
            subseeds: subseeds.to_vec(),
            subseed_strength,
            resize_from: None,
            source,
            ensd,
            generators: seeds.iter().map(|seed| Generator::new(source, *seed)).collect(),
            fresh: true,
        }
    }

    /// Draws the first noise at another latent size (height, width) and puts it in the middle of
    /// noise of the full size, as A1111's "resize seed from".
    pub fn with_resize_from(mut self, size: [usize; 2]) -> Self {
        self.resize_from = (size != self.shape[1..]).then_some(size);
        self
    }

    /// Channels, height and width of one picture's latents.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The number of pictures.
    pub fn batch(&self) -> usize {
        self.seeds.len()
    }

    /// The noise that the sampling starts from: `[seeds, channels, height, width]`, unit normal.
    /// It begins anew from the seeds.
    pub fn first(&mut self) -> Tensor {
        let mut data = Vec::with_capacity(self.len() * self.seeds.len());
        for (i, seed) in self.seeds.iter().enumerate() {
            let mut generator = Generator::new(self.source, *seed);
            let mut noise = match self.resize_from {
                None => generator.randn(self.len()),
                Some([h, w]) => Generator::new(self.source, *seed).randn(self.shape[0] * h * w),
            };
            if self.subseed_strength != 0.0 {
                let subseed = self.subseeds.get(i).copied().unwrap_or(0);
                let other = Generator::new(self.source, subseed).randn(noise.len());
                let [_, h, w] = self.shape;
                let [h, w] = self.resize_from.unwrap_or([h, w]);
                noise = slerp(self.subseed_strength, &noise, &other, [h, w]);
            }
            if let Some(size) = self.resize_from {
                let mut full = generator.randn(self.len());
                paste(&noise, size, &mut full, [self.shape[1], self.shape[2]]);
                noise = full;
            }
            data.extend(noise);
            self.generators[i] = match self.ensd {
                0 => generator,
                delta => Generator::new(self.source, seed.wrapping_add(delta)),
            };
        }
        self.fresh = false;
        self.tensor(&data)
    }

    /// Each picture's motion between the lowest and the highest noise level.
    pub(crate) fn brownian(&self, lowest: f64, highest: f64) -> Vec<BrownianTree> {
        let tree = |seed: &i64| BrownianTree::new(*seed, self.source, self.len(), lowest, highest);
        self.seeds.iter().map(tree).collect()
    }

    /// The noise of one more step, unit normal. Before [`first`](Self::first) it is the first
    /// noise.
    #[expect(clippy::should_implement_trait, reason = "named as in A1111; it never ends")]
    pub fn next(&mut self) -> Tensor {
        if self.fresh {
            return self.first();
        }
        let len = self.len();
        let data: Vec<f32> = self.generators.iter_mut().flat_map(|g| g.randn(len)).collect();
        self.tensor(&data)
    }

    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn tensor(&self, data: &[f32]) -> Tensor {
        let [c, h, w] = self.shape;
        let mut tensor = Tensor::zeros([self.seeds.len(), c, h, w]);
        tensor.data_mut().copy_from_slice(data);
        tensor
    }
}

#[derive(Clone)]
pub(super) enum Generator {
    Cpu(Box<CpuGenerator>),
    Nv(NvGenerator),
}

impl Generator {
    pub(super) fn new(source: NoiseSource, seed: i64) -> Self {
        match source {
            NoiseSource::Cpu => Self::Cpu(Box::new(CpuGenerator::new(seed as u64))),
            NoiseSource::Nv => Self::Nv(NvGenerator::new(seed as u64)),
        }
    }

    pub(super) fn randn(&mut self, count: usize) -> Vec<f32> {
        match self {
            Self::Cpu(generator) => generator.randn(count),
            Self::Nv(generator) => generator.randn(count),
        }
    }
}

/// Spherical interpolation as A1111 has it: angles are taken column by column of each channel, and
/// noises that nearly agree are mixed the other way round.
fn slerp(strength: f64, low: &[f32], high: &[f32], [height, width]: [usize; 2]) -> Vec<f32> {
    let columns = low.len() / height.max(1);
    let at = |column: usize, y: usize| (column / width * height + y) * width + column % width;
    let norm = |values: &[f32], column: usize| -> f64 {
        (0..height).map(|y| f64::from(values[at(column, y)]).powi(2)).sum::<f64>().sqrt()
    };
    let dots: Vec<f64> = (0..columns)
        .map(|column| {
            let product: f64 = (0..height)
                .map(|y| f64::from(low[at(column, y)]) * f64::from(high[at(column, y)]))
                .sum();
            product / (norm(low, column) * norm(high, column))
        })
        .collect();
    let mean = dots.iter().sum::<f64>() / dots.len().max(1) as f64;
    let mix = |a: f64, b: f64, i: usize| (a * f64::from(low[i]) + b * f64::from(high[i])) as f32;
    if mean > 0.9995 {
        return (0..low.len()).map(|i| mix(strength, 1.0 - strength, i)).collect();
    }
    let mut out = vec![0.0; low.len()];
    for (column, dot) in dots.iter().enumerate() {
        let omega = dot.acos();
        let a = ((1.0 - strength) * omega).sin() / omega.sin();
        let b = (strength * omega).sin() / omega.sin();
        for y in 0..height {
            out[at(column, y)] = mix(a, b, at(column, y));
        }
    }
    out
}

/// Puts the middle of `noise` into the middle of `full`, channel by channel.
fn paste(noise: &[f32], [nh, nw]: [usize; 2], full: &mut [f32], [fh, fw]: [usize; 2]) {
    // Python's floor division, which A1111 uses for both offsets.
    let offset = |full: usize, noise: usize| (full as isize - noise as isize).div_euclid(2);
    let (dx, dy) = (offset(fw, nw), offset(fh, nh));
    let span = |noise: usize, d: isize| (noise as isize + 2 * d.min(0)).max(0) as usize;
    let (w, h) = (span(nw, dx).min(fw), span(nh, dy).min(fh));
    let (tx, ty) = (dx.max(0) as usize, dy.max(0) as usize);
    let (sx, sy) = ((-dx).max(0) as usize, (-dy).max(0) as usize);
    let planes = full.chunks_exact_mut(fh * fw).zip(noise.chunks_exact(nh * nw));
    for (full, noise) in planes {
        for y in 0..h {
            full[(ty + y) * fw + tx..][..w].copy_from_slice(&noise[(sy + y) * nw + sx..][..w]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: [usize; 3] = [4, 6, 5];

    fn rng(seeds: &[i64], strength: f64, ensd: i64) -> ImageRng {
        ImageRng::new(SHAPE, seeds, &[77, 78], strength, NoiseSource::Cpu, ensd)
    }

    #[test]
    fn a_seed_gives_the_same_noise_alone_and_in_a_batch() {
        for source in [NoiseSource::Cpu, NoiseSource::Nv] {
            let mut batch = ImageRng::new(SHAPE, &[3, 4], &[], 0.0, source, 0);
            let mut alone = ImageRng::new(SHAPE, &[4], &[], 0.0, source, 0);
            for _ in 0..3 {
                assert_eq!(batch.next().item(1), alone.next().item(0));
            }
        }
    }

    #[test]
    fn the_first_noise_does_not_depend_on_the_delta_but_the_steps_do() {
        let (mut plain, mut shifted) = (rng(&[3], 0.0, 0), rng(&[3], 0.0, 31_337));
        assert_eq!(plain.first(), shifted.first());
        let mut other = rng(&[3 + 31_337], 0.0, 0);
        assert_eq!(shifted.next(), other.first());
        assert_ne!(plain.next(), other.first());
    }

    #[test]
    fn a_subseed_of_full_strength_is_a_seed() {
        let turned = rng(&[3], 1.0, 0).first();
        let seed = rng(&[77], 0.0, 0).first();
        for (a, b) in turned.data().iter().zip(seed.data()) {
            assert!((a - b).abs() < 1e-5);
        }
        assert_ne!(rng(&[3], 0.3, 0).first(), rng(&[3], 0.0, 0).first());
    }

    #[test]
    fn a_smaller_seed_size_lies_in_the_middle() {
        let small = ImageRng::new([1, 2, 2], &[3], &[], 0.0, NoiseSource::Nv, 0).first();
        let mut large = ImageRng::new([1, 6, 4], &[3], &[], 0.0, NoiseSource::Nv, 0);
        let plain = large.clone().first();
        let pasted = large.with_resize_from([2, 2]).first();
        for y in 0..6 {
            for x in 0..4 {
                let i = y * 4 + x;
                let inside = (2..4).contains(&y) && (1..3).contains(&x);
                let expected =
                    if inside { small.data()[(y - 2) * 2 + x - 1] } else { plain.data()[i] };
                assert!((pasted.data()[i] - expected).abs() < f32::EPSILON);
            }
        }
        large =
            ImageRng::new([1, 2, 2], &[3], &[], 0.0, NoiseSource::Nv, 0).with_resize_from([6, 4]);
        assert!((large.first().data()[0] - plain.data()[9]).abs() < f32::EPSILON);
    }
}
