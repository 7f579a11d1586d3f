//! Plugins whose boundary is not the host's.

use atelier_suite::variant::{edit, plugin, with_flags};

use crate::refused;

const ADVICE: &str = "build it with an unchanged atelier-plugin-api";

#[test]
fn another_major_version_is_refused_before_it_is_opened() {
    let edits = [edit("Cargo.toml", "version = \"1.1.0\"", "version = \"2.0.0\"")];
    let words = ["built for plugin ABI 2.0, this host runs 1.1", "atelier-plugin-api for ABI 1"];
    refused(&plugin("abi-major", &edits), &words);
}

/// The manifest may claim what it likes: the code says the same, and its types do not.
#[test]
fn another_major_version_that_claims_to_be_ours_is_refused_too() {
    let edits = [
        edit("Cargo.toml", "version = \"1.1.0\"", "version = \"2.0.0\""),
        edit("src/export.rs", "ABI_VERSION_TEXT, \"", "\"1.0\", \""),
        edit("src/export.rs", "    version::ABI_VERSION_TEXT,\n", ""),
    ];
    refused(&plugin("abi-liar", &edits), &["built for plugin ABI 2.0, this host runs 1.1"]);
}

#[test]
fn a_plugin_whose_panics_would_end_the_host_is_refused() {
    let library = with_flags("panic-abort", &[], &["-Cpanic=abort"]);
    refused(&library, &["panic = \"abort\"", "build it with panic = \"unwind\""]);
}

#[test]
fn a_field_of_another_type_is_named() {
    let edits = [edit("src/frame.rs", "pub model_call: u32", "pub model_call: i32")];
    refused(&plugin("abi-field-type", &edits), &["model_call", "u32", "i32", ADVICE]);
}

#[test]
fn a_renamed_field_is_named() {
    let edits = [
        edit("src/frame.rs", "reserved", "spare"),
        edit("src/host/bridge.rs", "reserved", "spare"),
    ];
    refused(&plugin("abi-field-name", &edits), &["reserved", "spare", ADVICE]);
}

#[test]
fn fields_in_another_order_are_named() {
    let from =
        "    pub element: u32,\n    /// How many entries of `shape` count.\n    pub rank: u32,";
    let to = "    pub rank: u32,\n    /// [`Element`] code.\n    pub element: u32,";
    let edits = [edit("src/frame.rs", from, to)];
    refused(&plugin("abi-field-order", &edits), &["element", "rank", ADVICE]);
}

#[test]
fn a_field_more_in_a_plain_struct_is_refused() {
    let edits = [
        edit(
            "src/frame.rs",
            "    pub cfg_scale: f64,",
            "    pub cfg_scale: f64,\n    /// New.\n    pub novelty: u64,",
        ),
        edit("src/frame.rs", "cfg_scale: 0.0,", "cfg_scale: 0.0,\n            novelty: 0,"),
    ];
    refused(
        &plugin("abi-field-more", &edits),
        &["create.param_1.frame: incompatible type size Expected: 72 Found: 80", ADVICE],
    );
}

#[test]
fn a_field_less_in_a_table_is_refused() {
    let edits = [
        edit(
            "src/tables.rs",
            "    /// 1 where the run was cancelled.\n    pub cancelled: unsafe extern \"C\" fn(context: *mut Opaque) -> u32,\n",
            "",
        ),
        edit("src/host/bridge.rs", "    cancelled,\n    log,", "    log,"),
        edit(
            "src/host/bridge.rs",
            "unsafe extern \"C\" fn cancelled",
            "/// Not there.\n///\n/// # Safety\n/// None.\npub unsafe extern \"C\" fn cancelled",
        ),
        edit("src/plugin/cx.rs", "unsafe { ask!(self, cancelled()) == 1 }", "false"),
    ];
    refused(
        &plugin("abi-field-less", &edits),
        &["create.param_1.table: incompatible type size Expected: 120 Found: 112", ADVICE],
    );
}

#[test]
fn another_signature_is_named() {
    let edits = [
        edit(
            "src/tables.rs",
            "unsafe extern \"C\" fn(context: *mut Opaque, level: u32, target: Str, message: Str) -> u32",
            "unsafe extern \"C\" fn(context: *mut Opaque, level: u64, target: Str, message: Str) -> u32",
        ),
        edit(
            "src/host/bridge.rs",
            "unsafe extern \"C\" fn log(cx: *mut Opaque, level: u32,",
            "unsafe extern \"C\" fn log(cx: *mut Opaque, level: u64,",
        ),
        edit("src/host/bridge.rs", "Level::from_code(level)", "Level::from_code(level as u32)"),
        edit(
            "src/plugin/cx.rs",
            "ask!(self, log(level.code(),",
            "ask!(self, log(level.code().into(),",
        ),
    ];
    refused(&plugin("abi-signature", &edits), &["log", "u32", "u64", ADVICE]);
}

/// What crosses is structs, numbers and functions: an enum could never get another variant.
#[test]
fn no_enum_crosses_the_boundary() {
    let folder = atelier_suite::root().join("plugin-api/abi/src");
    let mut seen = 0;
    for file in ["frame.rs", "tables.rs"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("a source");
        seen += text.matches("StableAbi)]").count();
        assert!(!text.contains("enum "), "{file}");
    }
    for file in ["codes.rs", "value.rs", "manifest.rs", "host.rs", "version.rs"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("a source");
        assert!(!text.contains("StableAbi)]"), "{file}");
    }
    assert_eq!(seen, 12, "types of the boundary were added: are they pinned?");
}
