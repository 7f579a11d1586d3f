//! Memory of the host as plugins see it.

use atelier_plugin_abi::plugin::{Shape, View, ViewMut};

fn sizes<const N: usize>(shape: &Shape) -> [usize; N] {
    let mut all = [1; N];
    for (to, from) in all.iter_mut().zip(shape.sizes()) {
        *to = *from;
    }
    all
}

/// Floats to look at, `[n, channels, height, width]`, contiguous, width fastest.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Sizes.
    pub shape: [usize; 4],
    /// Elements.
    pub data: &'a [f32],
}

/// Floats to change, `[n, channels, height, width]`, contiguous, width fastest. The shape stays.
#[derive(Debug)]
pub struct TensorMut<'a> {
    /// Sizes.
    pub shape: [usize; 4],
    /// Elements.
    pub data: &'a mut [f32],
}

/// Floats of the plugin's own, `[n, channels, height, width]`: what a host service answered.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedTensor {
    /// Sizes.
    pub shape: [usize; 4],
    /// Elements.
    pub data: Vec<f32>,
}

/// Text conditioning of the plugin's own, `[n, tokens, width]`: what a host service answered.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedConditioning {
    /// Sizes.
    pub shape: [usize; 3],
    /// Elements.
    pub data: Vec<f32>,
}

/// Text conditioning to look at, `[n, tokens, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Conditioning<'a> {
    /// Sizes.
    pub shape: [usize; 3],
    /// Elements.
    pub data: &'a [f32],
}

/// Text conditioning to change, `[n, tokens, width]`.
#[derive(Debug)]
pub struct ConditioningMut<'a> {
    /// Sizes.
    pub shape: [usize; 3],
    /// Elements.
    pub data: &'a mut [f32],
}

/// A picture to look at: RGB bytes, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width × 3` bytes.
    pub data: &'a [u8],
}

/// A picture to change: RGB bytes, row by row.
#[derive(Debug)]
pub struct ImageMut<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width × 3` bytes.
    pub data: &'a mut [u8],
}

impl ImageMut<'_> {
    /// The pixel at column `x` and row `y`, or `None` outside of the picture.
    pub fn pixel_mut(&mut self, x: usize, y: usize) -> Option<&mut [u8; 3]> {
        if x >= self.width || y >= self.height {
            return None;
        }
        let at = (y * self.width + x) * 3;
        self.data.get_mut(at..at + 3)?.try_into().ok()
    }
}

/// A mask to look at: a byte for each pixel, row by row; 255 is drawn anew, 0 stays.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width` bytes.
    pub data: &'a [u8],
}

/// A mask to change.
#[derive(Debug)]
pub struct MaskMut<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width` bytes.
    pub data: &'a mut [u8],
}

/// What is laid over a picture, to look at: RGBA bytes, row by row; transparent where the picture below
/// is seen.
#[derive(Clone, Copy, Debug)]
pub struct Overlay<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width × 4` bytes.
    pub data: &'a [u8],
}

/// What is laid over a picture, to change.
#[derive(Debug)]
pub struct OverlayMut<'a> {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height × width × 4` bytes.
    pub data: &'a mut [u8],
}

macro_rules! from_view {
    ($name:ident, $name_mut:ident) => {
        impl<'a> From<View<'a, f32>> for $name<'a> {
            fn from(view: View<'a, f32>) -> Self {
                Self { shape: sizes(&view.shape), data: view.data }
            }
        }
        impl<'a> From<ViewMut<'a, f32>> for $name_mut<'a> {
            fn from(view: ViewMut<'a, f32>) -> Self {
                Self { shape: sizes(&view.shape), data: view.data }
            }
        }
    };
}
from_view!(Tensor, TensorMut);
from_view!(Conditioning, ConditioningMut);

macro_rules! from_bytes {
    ($($name:ident, $name_mut:ident;)+) => { $(
        impl<'a> From<View<'a, u8>> for $name<'a> {
            fn from(view: View<'a, u8>) -> Self {
                let [height, width] = sizes(&view.shape);
                Self { width, height, data: view.data }
            }
        }
        impl<'a> From<ViewMut<'a, u8>> for $name_mut<'a> {
            fn from(view: ViewMut<'a, u8>) -> Self {
                let [height, width] = sizes(&view.shape);
                Self { width, height, data: view.data }
            }
        }
    )+ };
}
from_bytes! {
    Image, ImageMut;
    Mask, MaskMut;
    Overlay, OverlayMut;
}
