//! Brownian motion that is the same whatever steps are made of it, as torchsde 0.2.6's `BrownianTree`
//! makes it: the samplers with "SDE" in their names draw their noise from it.

use super::NoiseSource;
use super::image_rng::Generator;

/// Times are rounded to so many digits (torchsde's `tol` of 1e-6).
const DIGITS: usize = 6;
/// Words of numpy's `SeedSequence` pool (torchsde's `pool_size`).
const POOL: usize = 24;
/// Halving an interval that often leaves nothing of it.
const DEEPEST: u32 = 128;

/// The motion of one picture over noise levels.
#[derive(Clone, Debug)]
pub(crate) struct BrownianTree {
    seed: u64,
    source: NoiseSource,
    start: f64,
    end: f64,
    /// The motion over the whole.
    whole: Vec<f32>,
}

impl BrownianTree {
    /// A motion of `count` values from `start` to `end`.
    pub(crate) fn new(seed: i64, source: NoiseSource, count: usize, start: f64, end: f64) -> Self {
        let (start, end) = (rounded(start), rounded(end));
        let seed = seed.unsigned_abs();
        let [first, ..] = seeds(&words(seed));
        let scale = (end - start).max(0.0).sqrt() as f32;
        let whole = normal(source, first, count).into_iter().map(|v| v * scale).collect();
        Self { seed, source, start, end, whole }
    }

    /// How far it moves between two times.
    pub(crate) fn between(&self, from: f64, to: f64) -> Vec<f32> {
        let (low, high) = (self.until(from), self.until(to));
        high.into_iter().zip(low).map(|(high, low)| high - low).collect()
    }

    /// How far it has moved at a time.
    fn until(&self, time: f64) -> Vec<f32> {
        let time = rounded(time.clamp(self.start, self.end));
        let (mut start, mut end, mut moved) = (self.start, self.end, self.whole.clone());
        let mut before = vec![0.0; moved.len()];
        let (mut key, mut depth) = (0_u128, 0);
        while time < end && depth < DEEPEST {
            if time <= start {
                return before;
            }
            let half = rounded(0.5 * (end + start));
            let left = self.left_half(&moved, [start, half, end], key, depth);
            if time <= half {
                (end, moved, key) = (half, left, 2 * key);
            } else {
                for ((before, moved), left) in before.iter_mut().zip(&mut moved).zip(left) {
                    *before += left;
                    *moved -= left;
                }
                (start, key) = (half, 2 * key + 1);
            }
            depth += 1;
        }
        before.iter_mut().zip(moved).for_each(|(before, moved)| *before += moved);
        before
    }

    /// The motion over the first half of an interval, given that over the whole.
    fn left_half(&self, moved: &[f32], at: [f64; 3], key: u128, depth: u32) -> Vec<f32> {
        let [start, half, end] = at;
        let (left, right, by_length) = (half - start, end - half, 1.0 / (end - start));
        // numpy fills the seed's words up before it adds a key.
        let mut entropy = words(self.seed);
        entropy.resize(POOL, 0);
        entropy.extend(words_of_key(key));
        entropy.push(depth);
        let [seed, ..] = seeds(&entropy);
        let spread = (left * right * by_length).sqrt() as f32;
        let noise = normal(self.source, seed, moved.len());
        let (left, by_length) = (left as f32, by_length as f32);
        moved.iter().zip(noise).map(|(w, noise)| left * w * by_length + spread * noise).collect()
    }
}

fn normal(source: NoiseSource, seed: u32, count: usize) -> Vec<f32> {
    Generator::new(source, i64::from(seed)).randn(count)
}

/// As Python rounds: by the decimal digits.
fn rounded(time: f64) -> f64 {
    format!("{time:.DIGITS$}").parse().unwrap_or(time)
}

/// A number's words, the lowest first, at least one.
fn words(number: u64) -> Vec<u32> {
    words_of_key(u128::from(number))
}

fn words_of_key(mut number: u128) -> Vec<u32> {
    let mut words = vec![number as u32];
    number >>= 32;
    while number > 0 {
        words.push(number as u32);
        number >>= 32;
    }
    words
}

/// The first words of numpy's `SeedSequence(…, pool_size=24).generate_state`.
fn seeds(entropy: &[u32]) -> [u32; 4] {
    let mut hash = 0x43b0_d7e5_u32;
    let mut hashed = |value: u32| {
        let value = value ^ hash;
        hash = hash.wrapping_mul(0x931e_8875);
        let value = value.wrapping_mul(hash);
        value ^ (value >> 16)
    };
    let mix = |x: u32, y: u32| {
        let mixed = x.wrapping_mul(0xca01_f9dd).wrapping_sub(y.wrapping_mul(0x4973_f715));
        mixed ^ (mixed >> 16)
    };
    let mut pool = [0; POOL];
    for (at, word) in pool.iter_mut().enumerate() {
        *word = hashed(entropy.get(at).copied().unwrap_or(0));
    }
    for from in 0..POOL {
        for to in (0..POOL).filter(|to| *to != from) {
            pool[to] = mix(pool[to], hashed(pool[from]));
        }
    }
    for word in entropy.iter().skip(POOL) {
        for to in &mut pool {
            *to = mix(*to, hashed(*word));
        }
    }
    let mut hash = 0x8b51_f9dd_u32;
    std::array::from_fn(|at| {
        let value = pool[at] ^ hash;
        hash = hash.wrapping_mul(0x58f3_8ded);
        let value = value.wrapping_mul(hash);
        value ^ (value >> 16)
    })
}
