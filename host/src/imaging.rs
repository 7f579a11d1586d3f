//! Pictures made fit for a run and put back together: sizes and masks, as A1111 v1.10.1 does it with
//! Pillow and OpenCV: masks, fills and overlays to the last bit, other sizes within two steps of 256.

mod blend;
mod mask;
mod resize;
#[cfg(test)]
mod tests;

pub(crate) use blend::{filled, laid_over, overlay, uncropped};
pub use mask::{Region, binary_mask};
pub(crate) use mask::{blurred, crop_region, expanded, kept, strengthened};
pub use resize::ResizeMode;
pub(crate) use resize::{bicubic, resized};
