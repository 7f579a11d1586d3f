//! `cargo xtask parity`: how far the engine is from diffusers, k-diffusion and torch, as a table.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};

use crate::build;

const FILE: &str = "docs/parity.md";

const HEAD: &str = "\
# Parity

How far the engine is from what diffusers, transformers, k-diffusion, torchsde and PyTorch compute: the
largest difference, as a share of the largest value. The tests allow 1e-3. `cargo xtask parity` measures
anew and writes this page; [engine/tests/parity](../engine/tests/parity/README.md) has the data, tiny
checkpoints with random weights, and says how it was made.

`sd15`, `sd2`, `xl` and `refiner` are built as Stable Diffusion 1.5, 2.1, XL and XL's refiner are, `groups` as
none of them; `emoji` is the default checkpoint. Whole runs make 8 steps (Restart 20, DDIM and PLMS 10) with a prompt and a negative prompt, in
f32 here and in f64 there.
";

const TAIL: &str = "
Beside the table: single files of all four kinds draw the same values, bit for bit, as their folders; names
and sizes of the published files of SD 1.5, SD 2.1, SDXL and its refiner are read as what they are; torch's noise on the
CPU is equal within 1e-6, for fewer than 16 values bit for bit; so are the increments of torchsde's trees,
within 2e-6. A tree rounds noise levels to six digits: where A1111's levels in f32 fall on the other side of a
digit, the samplers with SDE in their names differ by about 1e-4, in `sd2` by 2e-3.
DPM adaptive chooses its steps by small differences, so that rounding changes them: it is compared on `sd15`
only, on whose network k-diffusion's run in f32 is 4e-4 off its own in f64 (on `sd2` 2e-1).
";

pub(crate) fn run() -> Result<ExitCode> {
    let output = build::cargo()
        .args(["test", "--package", "atelier-engine", "--lib", "--", "parity"])
        .args(["--nocapture", "--test-threads=1"])
        .output()
        .context("cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("the tests fail; `cargo test --package atelier-engine --lib -- parity` says where");
    }
    let mut table: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for line in text.lines() {
        // The first line of a test has the test's name before it.
        let words: Vec<&str> = line.split_whitespace().collect();
        let [.., case, key, error] = words[..] else { continue };
        if error.contains('e') && error.parse::<f64>().is_ok() {
            table.entry(key).or_default().insert(case, error);
        }
    }
    let cases: BTreeSet<&str> = table.values().flat_map(|row| row.keys().copied()).collect();
    let mut page = format!("{HEAD}\n| value |");
    for case in &cases {
        write!(page, " {case} |")?;
    }
    write!(page, "\n|---|{}\n", "---|".repeat(cases.len()))?;
    for (key, row) in &table {
        write!(page, "| `{key}` |")?;
        for case in &cases {
            write!(page, " {} |", row.get(case).copied().unwrap_or("·"))?;
        }
        page.push('\n');
    }
    page.push_str(TAIL);
    fs::write(build::root().join(FILE), page).context(FILE)?;
    println!("{} values written to {FILE}", table.len());
    Ok(ExitCode::SUCCESS)
}
