//! `torch.randn` on an NVIDIA GPU: Philox4x32-10 and Box–Muller, as in A1111 v1.10.1's "NV".

/// A generator whose first call equals `torch.randn(n, device="cuda")` for tensors within one grid.
#[derive(Clone)]
pub(super) struct NvGenerator {
    seed: u64,
    offset: u32,
}

impl NvGenerator {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, offset: 0 }
    }

    pub(super) fn randn(&mut self, count: usize) -> Vec<f32> {
        let key = [self.seed as u32, (self.seed >> 32) as u32];
        let offset = self.offset;
        self.offset = self.offset.wrapping_add(1);
        (0..count as u32)
            .map(|i| {
                let [a, b, ..] = philox([offset, 0, i, 0], key);
                box_muller(a, b)
            })
            .collect()
    }
}

/// The first of the two normals that a pair of random words makes. The factors are rounded to f32
/// and the rest is f64, as numpy has it in A1111.
fn box_muller(a: u32, b: u32) -> f32 {
    const INVERSE: f64 = 2.328_306_4e-10_f32 as f64;
    const INVERSE_TAU: f64 = (2.328_306_4e-10_f64 * 6.283_185_5_f64) as f32 as f64;
    let u = f64::from(a) * INVERSE + INVERSE / 2.0;
    let v = f64::from(b) * INVERSE_TAU + INVERSE_TAU / 2.0;
    ((-2.0 * u.ln()).sqrt() * v.sin()) as f32
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9e37_79b9);
            key[1] = key[1].wrapping_add(0xbb67_ae85);
        }
        let a = u64::from(counter[0]) * 0xd251_1f53;
        let b = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of Random123 1.14 (`kat_vectors`, philox4x32 10).
    #[test]
    fn words_are_those_of_random123() {
        let zeros = philox([0; 4], [0; 2]);
        assert_eq!(zeros, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
        );
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    /// What A1111 v1.10.1 documents for seed 0 (`modules/rng_philox.py`).
    #[test]
    fn normals_are_those_of_the_web_ui() {
        let expected = [
            -0.924_662_6,
            -0.425_344_15,
            -2.643_845_7,
            0.145_183_88,
            -0.120_866_47,
            -0.579_725_64,
            -0.622_851_2,
            -0.328_387_1,
            -1.074_542_3,
            -0.363_144_07,
            -1.671_050_7,
            2.265_505,
        ];
        for (value, expected) in NvGenerator::new(0).randn(12).into_iter().zip(expected) {
            assert!((value - expected as f32).abs() < 1e-6, "{value} {expected}");
        }
    }
}
