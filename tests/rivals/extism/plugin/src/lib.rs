//! The two hooks that are measured.

use extism_pdk::{FnResult, plugin_fn};

/// A hook that is told where it is, and does nothing.
#[plugin_fn]
pub fn after_step(_frame: Vec<u8>) -> FnResult<()> {
    Ok(())
}

/// A hook that changes every byte of a picture.
#[plugin_fn]
pub fn postprocess_image(mut picture: Vec<u8>) -> FnResult<Vec<u8>> {
    for byte in &mut picture {
        *byte = 255 - *byte;
    }
    Ok(picture)
}
