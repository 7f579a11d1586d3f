//! What is frozen: sizes and offsets of every struct that crosses the boundary, and every code.
//!
//! A failing test here is an ABI break, unless it is a line appended to a table of codes or a function
//! appended behind a table's prefix in a new minor version: then append it here too.

use std::mem::{align_of, offset_of, size_of};

use atelier_plugin_abi::{
    Buffer, Field, Hook, Level,
    codes::{COUNT, Element, ListOp, OptionSource, OptionTarget, Service, Status, ValueKind},
    frame::{Call, Frame, Opaque, RawBuffer, RawValue, Str},
    manifest,
    tables::{ContextTable, Host, HostTable, PluginModule, PluginModuleRef, PluginTable, Sink},
};

macro_rules! offsets {
    ($type:ident: $($field:ident)+) => { [ $( offset_of!($type, $field) ),+ ] };
}

#[cfg(target_pointer_width = "64")]
#[test]
fn structs_keep_their_sizes_and_offsets() {
    assert_eq!(size_of::<Opaque>(), 0);
    assert_eq!((size_of::<Str>(), align_of::<Str>()), (16, 8));
    assert_eq!(offsets!(Str: ptr len), [0, 8]);
    assert_eq!((size_of::<RawValue>(), align_of::<RawValue>()), (32, 8));
    assert_eq!(offsets!(RawValue: kind reserved bits text), [0, 4, 8, 16]);
    assert_eq!((size_of::<RawBuffer>(), align_of::<RawBuffer>()), (80, 8));
    assert_eq!(offsets!(RawBuffer: data element rank shape reserved), [0, 8, 12, 16, 64]);
    assert_eq!((size_of::<Frame>(), align_of::<Frame>()), (72, 8));
    assert_eq!(
        offsets!(Frame: hook iteration image step total_steps model_call sigma cfg_scale reserved),
        [0, 4, 8, 12, 16, 20, 24, 32, 40]
    );
    assert_eq!((size_of::<Call>(), align_of::<Call>()), (40, 8));
    assert_eq!(offsets!(Call: frame context table reserved), [0, 8, 16, 24]);
    assert_eq!((size_of::<Host>(), align_of::<Host>()), (32, 8));
    assert_eq!(offsets!(Host: context table reserved), [0, 8, 16]);
    assert_eq!((size_of::<Sink>(), align_of::<Sink>()), (32, 8));
    assert_eq!(offsets!(Sink: context write reserved), [0, 8, 16]);
    assert_eq!(size_of::<PluginModuleRef>(), 8);
}

/// Functions keep their places; new ones come behind, and these lists grow.
#[cfg(target_pointer_width = "64")]
#[test]
fn tables_keep_the_places_of_their_functions() {
    let places = |count: usize| (0..count).map(|at| at * 8).collect::<Vec<_>>();
    // In front of the functions: the table's size, then the two numbers of the ABI's version.
    assert_eq!(offsets!(ContextTable: size abi_major abi_minor), [0, 8, 12]);
    assert_eq!(offsets!(HostTable: size abi_major abi_minor), [0, 8, 12]);
    let context = offsets!(ContextTable: get set read_option read_all_options write_option buffer
        resize infotext service cancelled log message fail);
    assert_eq!(context.to_vec(), places(15)[2..]);
    assert!(size_of::<ContextTable>() >= 15 * 8);
    assert_eq!(offsets!(HostTable: log_enabled log).to_vec(), places(4)[2..]);
    assert_eq!(offsets!(PluginTable: size abi_major abi_minor), [0, 8, 12]);
    let plugin = offsets!(PluginTable: manifest describe create call_plugin start call_run drop_run
        drop_plugin);
    assert_eq!(plugin.to_vec(), places(10)[2..]);
    assert_eq!(offsets!(PluginModule: plugin), [0]);
}

#[test]
fn a_manifest_keeps_its_layout() {
    type Manifest = manifest::Manifest<2>;
    assert_eq!(offsets!(Manifest: magic format length json), [0, 8, 12, 16]);
    assert_eq!((&manifest::MAGIC, manifest::FORMAT), (b"ATELIERM", 1));
    assert_eq!((manifest::SECTION, manifest::SYMBOL), (".atelier", "ATELIER_PLUGIN_MANIFEST"));
}

macro_rules! frozen {
    ($test:ident, $type:ident: $($code:literal $name:literal,)+) => {
        #[test]
        fn $test() {
            let frozen: &[(u32, &str)] = &[ $( ($code, $name) ),+ ];
            let found: Vec<_> = $type::ALL.iter().map(|code| (code.code(), code.name())).collect();
            assert_eq!(found, frozen);
            for (code, name) in frozen {
                let known = $type::from_code(*code);
                assert_eq!(known, $type::from_name(name));
                assert_eq!(known.map($type::name), Some(*name));
            }
            assert_eq!($type::from_code(u32::MAX), None);
            assert_eq!($type::from_name("no such name"), None);
        }
    };
}

#[test]
fn the_index_of_a_length_is_the_last() {
    assert_eq!(COUNT, u64::MAX);
}

frozen! { codes_of_hook, Hook:
    1 "model_loaded",
    2 "before_process",
    3 "start",
    4 "process",
    5 "before_process_batch",
    6 "process_batch",
    7 "process_before_every_sampling",
    8 "cfg_denoiser",
    9 "cfg_denoised",
    10 "cfg_combine",
    11 "cfg_after_cfg",
    12 "after_step",
    13 "post_sample",
    14 "postprocess_batch",
    15 "postprocess_batch_list",
    16 "postprocess_image",
    17 "before_image_saved",
    18 "image_saved",
    19 "image_grid",
    20 "postprocess",
    21 "finish",
    22 "run",
    23 "after_extra_networks_activate",
    24 "before_hr",
    25 "extra_noise",
    26 "on_mask_blend",
    27 "postprocess_maskoverlay",
    28 "postprocess_image_after_composite",
}

#[test]
fn every_hook_has_its_place_in_a_run() {
    let mut in_order = Hook::IN_ORDER.to_vec();
    in_order.sort();
    assert_eq!(in_order, Hook::ALL);
}

frozen! { codes_of_field, Field:
    1 "run_id",
    2 "is_img2img",
    3 "model_name",
    4 "model_hash",
    5 "args",
    6 "outcome",
    10 "prompt",
    11 "negative_prompt",
    12 "seed",
    13 "subseed",
    14 "subseed_strength",
    15 "steps",
    16 "cfg_scale",
    17 "width",
    18 "height",
    19 "sampler",
    20 "scheduler",
    21 "batch_size",
    22 "n_iter",
    23 "denoising_strength",
    24 "do_not_save_samples",
    25 "do_not_save_grid",
    26 "mask_round",
    27 "paste_to",
    30 "all_prompts",
    31 "all_negative_prompts",
    32 "all_seeds",
    33 "all_subseeds",
    34 "prompts",
    35 "negative_prompts",
    36 "seeds",
    37 "subseeds",
    38 "extra_networks",
    40 "hr_width",
    41 "hr_height",
    42 "hr_steps",
    43 "is_second_pass",
    50 "sigma",
    51 "is_final_blend",
    60 "file_name",
    61 "infotext",
    62 "path",
    63 "columns",
    64 "rows",
    65 "infotexts",
    66 "picture_count",
    67 "data_folder",
    68 "library_path",
    69 "batch_index",
    70 "overrides",
}

frozen! { codes_of_buffer, Buffer:
    1 "latents",
    2 "noise",
    3 "cond",
    4 "uncond",
    5 "denoised_cond",
    6 "denoised_uncond",
    7 "denoised",
    8 "pixels",
    9 "image",
    10 "child_image",
    11 "noised",
    12 "init_latents",
    13 "mask",
    14 "blended_latents",
    15 "mask_for_overlay",
    16 "overlay_image",
    17 "init_image",
}

frozen! { codes_of_list_op, ListOp:
    1 "push",
    2 "remove",
    3 "replace",
}

frozen! { codes_of_option_source, OptionSource:
    1 "live",
    2 "snapshot",
}

frozen! { codes_of_option_target, OptionTarget:
    1 "live",
    2 "run",
    3 "override",
}

frozen! { codes_of_service, Service:
    1 "encode_text",
    2 "decode",
    3 "encode",
    4 "save_picture",
    5 "child",
}

frozen! { codes_of_status, Status:
    0 "ok",
    1 "failed",
    2 "panicked",
    3 "stop_run",
    4 "died",
    10 "not_here",
    11 "unknown_key",
    12 "wrong_type",
    13 "bad_value",
    14 "no_snapshot",
    15 "read_only",
    16 "host_failed",
}

frozen! { codes_of_level, Level:
    1 "error",
    2 "warn",
    3 "info",
    4 "debug",
    5 "trace",
}

frozen! { codes_of_value_kind, ValueKind:
    0 "null",
    1 "bool",
    2 "int",
    3 "float",
    4 "text",
    5 "json",
}

frozen! { codes_of_element, Element:
    1 "f32",
    2 "u8",
}
