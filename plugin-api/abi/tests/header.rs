//! The boundary as C sees it, against what it was when each version was frozen: structs, tables,
//! signatures, codes.

use std::{fs, path::Path};

use atelier_plugin_abi::{C_HEADER, version::ABI_VERSION, version::AbiVersion};

/// What the compiler sees, line by line: no comments, no version, not the part written by hand.
fn declarations(header: &str) -> Vec<String> {
    let generated = header.split("/* ---- From here on written by hand").next().unwrap_or_default();
    let body = generated.split_once("#include <string.h>").map_or("", |(_, body)| body);
    let code = body.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
    let ours =
        |line: &&str| !line.starts_with("#define ATELIER_ABI_") && !line.starts_with("#endif");
    code.filter(|line| !line.is_empty()).filter(ours).map(str::to_owned).collect()
}

#[test]
fn a_frozen_version_is_as_it_was_and_a_later_one_only_adds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("frozen");
    let now = declarations(C_HEADER);
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let frozen = AbiVersion::parse(path.file_stem().unwrap().to_str().unwrap()).unwrap();
        if frozen.major != ABI_VERSION.major {
            continue;
        }
        seen += 1;
        let text = fs::read_to_string(&path).unwrap();
        let mut rest = now.iter();
        for line in text.lines() {
            assert!(
                rest.any(|now| now == line),
                "“{line}” of ABI {frozen} is gone or has moved: that takes a new major version"
            );
        }
        if frozen == ABI_VERSION {
            let more: Vec<&String> =
                now.iter().filter(|now| !text.contains(now.as_str())).collect();
            assert!(
                now.len() == text.lines().count(),
                "{more:?} came after ABI {frozen} was frozen: step the minor version in Cargo.toml"
            );
        }
    }
    assert!(seen > 0, "nothing of major version {} is frozen", ABI_VERSION.major);
}
