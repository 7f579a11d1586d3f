//! `torch.randn` on a CPU: MT19937 and Box–Muller, as in torch 2.

use std::f64::consts::TAU;

const N: usize = 624;
const M: usize = 397;
/// From this size on torch fills whole blocks of this size.
const BLOCK: usize = 16;

/// `torch.Generator("cpu")`.
#[derive(Clone)]
pub(super) struct CpuGenerator {
    state: [u32; N],
    next: usize,
    /// The second value of a pair that the scalar path has not handed out.
    spare: Option<f64>,
}

impl CpuGenerator {
    /// `torch.Generator("cpu").manual_seed(seed)`; the twister takes the low 32 bits.
    pub(super) fn new(seed: u64) -> Self {
        let mut state = [0; N];
        state[0] = seed as u32;
        for i in 1..N {
            let before = state[i - 1];
            state[i] =
                1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(i as u32);
        }
        Self { state, next: N, spare: None }
    }

    /// `torch.randn(count, generator=self)`. Below 16 values equal bit for bit; above within 5e-7,
    /// since torch's vectorised logarithm and cosine round differently.
    pub(super) fn randn(&mut self, count: usize) -> Vec<f32> {
        if count < BLOCK {
            return (0..count).map(|_| self.scalar()).collect();
        }
        let mut values: Vec<f32> = (0..count).map(|_| self.uniform()).collect();
        for block in values.chunks_exact_mut(BLOCK) {
            fill(block);
        }
        if !count.is_multiple_of(BLOCK) {
            // torch draws the last sixteen values anew when they do not fill a block.
            let tail = &mut values[count - BLOCK..];
            for value in &mut *tail {
                *value = self.uniform();
            }
            fill(tail);
        }
        values
    }

    fn scalar(&mut self) -> f32 {
        if let Some(spare) = self.spare.take() {
            return spare as f32;
        }
        let (angle, radius) = (self.uniform64(), self.uniform64());
        let radius = (-2.0 * (-radius).ln_1p()).sqrt();
        let (sin, cos) = (TAU * angle).sin_cos();
        self.spare = Some(radius * sin);
        (radius * cos) as f32
    }

    /// 24 random bits in 0..1.
    fn uniform(&mut self) -> f32 {
        (self.word() & 0x00ff_ffff) as f32 / 16_777_216.0
    }

    /// 53 random bits in 0..1.
    fn uniform64(&mut self) -> f64 {
        let (high, low) = (u64::from(self.word()), u64::from(self.word()));
        ((high << 32 | low) & ((1 << 53) - 1)) as f64 / (1u64 << 53) as f64
    }

    fn word(&mut self) -> u32 {
        if self.next == N {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }
}

/// Box–Muller over sixteen uniform values: the first eight are radii, the others angles.
fn fill(block: &mut [f32]) {
    let (radii, angles) = block.split_at_mut(BLOCK / 2);
    for (a, b) in radii.iter_mut().zip(angles) {
        let radius = (-2.0 * (1.0 - *a).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * *b).sin_cos();
        *a = radius * cos;
        *b = radius * sin;
    }
}
