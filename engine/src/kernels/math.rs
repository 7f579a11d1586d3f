//! Elementary functions over slices, with the widest instructions that the processor has.

/// Declares a function that is `$inner` compiled for this processor's widest instructions; `$inner` and
/// what it calls have to be `#[inline(always)]` for that.
macro_rules! wide {
    ($visible:vis $name:ident is $inner:ident($($argument:ident: $type:ty),*)) => {
        #[allow(unsafe_code, reason = "instructions that the processor was asked for")]
        $visible fn $name($($argument: $type),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
                fn x86_64_v4($($argument: $type),*) {
                    $inner($($argument),*);
                }
                #[target_feature(enable = "avx2,fma")]
                fn x86_64_v3($($argument: $type),*) {
                    $inner($($argument),*);
                }
                let fused = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                let both = is_x86_feature_detected!("avx512vl") && is_x86_feature_detected!("avx512bw");
                if fused && both && is_x86_feature_detected!("avx512dq") {
                    // SAFETY: the processor was asked for these instructions; AVX512VL implies AVX512F.
                    return unsafe { x86_64_v4($($argument),*) };
                }
                if fused {
                    // SAFETY: the processor was asked for these instructions.
                    return unsafe { x86_64_v3($($argument),*) };
                }
            }
            $inner($($argument),*);
        }
    };
}
pub(super) use wide;

/// `eˣ`, within 2 units in the last place; Cephes' polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    let x = x.clamp(-87.0, 88.0);
    // Adding a large number rounds, and leaves the whole number in the lowest bits.
    let rounded = x.mul_add(std::f32::consts::LOG2_E, 12_582_912.0);
    let n = rounded - 12_582_912.0;
    let r = n.mul_add(2.121_944_4e-4, n.mul_add(-0.693_359_4, x));
    let mut p = 1.987_569_1e-4_f32;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p.mul_add(r, c);
    }
    let y = (p * r).mul_add(r, r) + 1.0;
    // Two to the power of that number, from -126 to 127, by the bits of an exponent.
    y * f32::from_bits((rounded.to_bits() << 23).wrapping_add(127 << 23))
}

/// The error function, within 5e-7; the rational approximation of Eigen and XLA.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-4.0, 4.0);
    let square = x * x;
    let mut above = -2.726_142_3e-10_f32;
    for c in [
        2.770_681_6e-8,
        -2.101_024e-6,
        -5.692_506_4e-5,
        -7.349_906e-4,
        -2.954_600_2e-3,
        -1.609_603_2e-2,
    ] {
        above = above.mul_add(square, c);
    }
    let mut below = -1.456_607_2e-5_f32;
    for c in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        below = below.mul_add(square, c);
    }
    x * above / below
}

/// `x · sigmoid(x)`.
#[inline(always)]
pub(super) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The exact gelu, by the error function.
#[inline(always)]
pub(super) fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// Values in one go, which fill a few of the widest registers.
const LANES: usize = 32;

/// The sum of `f` over `values`.
#[inline(always)]
pub(super) fn sum(values: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for many in whole {
        for (sum, value) in sums.iter_mut().zip(many) {
            *sum += f(*value);
        }
    }
    sums.iter().sum::<f32>() + rest.iter().map(|value| f(*value)).sum::<f32>()
}

/// Each value's share of `e` to its `scale`-fold, of a row.
#[inline(always)]
pub(super) fn softmax(row: &mut [f32], scale: f32) {
    let mut most = [f32::NEG_INFINITY; LANES];
    let (whole, rest) = row.as_chunks::<LANES>();
    for many in whole {
        for (most, value) in most.iter_mut().zip(many) {
            *most = if *value > *most { *value } else { *most };
        }
    }
    let most = most.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| a.max(*b));
    for value in &mut *row {
        *value = exp((*value - most) * scale);
    }
    let share = 1.0 / sum(row, |value| value);
    for value in row {
        *value *= share;
    }
}

/// Mean and variance. Sums run in f32 over short stretches and in f64 over those, so that large
/// pictures lose nothing.
#[inline(always)]
pub(super) fn moments(values: &[f32]) -> (f64, f64) {
    const STRETCH: usize = 1024;
    let count = values.len().max(1) as f64;
    let mut total = 0.0;
    for stretch in values.chunks(STRETCH) {
        total += f64::from(sum(stretch, |value| value));
    }
    let mean = total / count;
    let centre = mean as f32;
    let mut total = 0.0;
    for stretch in values.chunks(STRETCH) {
        total += f64::from(sum(stretch, |value| (value - centre) * (value - centre)));
    }
    (mean, total / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_agree_with_those_of_the_standard_library() {
        for at in -4000..4000_i16 {
            let x = f32::from(at) / 100.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "exp({x})");
            let exact = f64::from(x) / (1.0 + f64::from(-x).exp());
            assert!((f64::from(silu(x)) - exact).abs() < 1e-6 * exact.abs().max(1e-3), "silu({x})");
        }
        // Abramowitz and Stegun, table 7.1.
        for (x, exact) in [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3)] {
            assert!((erf(x) - exact).abs() < 5e-7 && (erf(-x) + exact).abs() < 5e-7, "erf({x})");
        }
        assert!((gelu(1.0) - 0.841_344_7).abs() < 5e-7);
    }

    #[test]
    fn extremes_stay_finite() {
        assert!(exp(1e30).is_finite() && exp(-1e30) >= 0.0);
        let mut row = vec![-1e30, 1e30, 0.0];
        softmax(&mut row, 1.0);
        assert!((row[1] - 1.0).abs() < 1e-6 && row[0] < 1e-30 && row[2] < 1e-30, "{row:?}");
    }
}
