//! What pixels depend on beside the run: the engine's version, the machine's instruction sets, and what
//! networks compute in.

use atelier_engine::{Compute, Device, Precision};

/// Version, architecture and the vector instructions that kernels choose by, such as
/// `atelier-engine 0.1.0, x86_64 avx512f avx2 fma`, with `in bf16` or `on cuda:0` where that is so. The compiler is not
/// part of it, nor which card that is.
pub(super) fn describe(compute: Compute) -> String {
    let mut text =
        format!("atelier-engine {}, {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    for feature in features() {
        text.push(' ');
        text.push_str(feature);
    }
    if compute.precision == Precision::Bf16 {
        text.push_str(", in bf16");
    }
    if compute.device != Device::Cpu {
        text.push_str(", on ");
        text.push_str(&compute.device.to_string());
    }
    text
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<&'static str> {
    let known = [
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
    ];
    known.into_iter().filter_map(|(name, there)| there.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn features() -> Vec<&'static str> {
    // Elsewhere the kernels use what the architecture always has.
    Vec::new()
}
