//! Lets what is drawn and what stays of a picture flow into each other, by a mask that is grey at its
//! edges and by how far the picture came from what it was.
//!
//! It does what A1111 v1.10.1's built-in extension `soft-inpainting` does, at the hooks that were made for
//! it, and needs a host of ABI 1.1.

#![deny(missing_docs, unsafe_code)]

mod blend;
mod filter;
mod overlay;

use atelier_plugin_api::prelude::*;
use blend::{blend, share};
use overlay::{Change, mask_of};

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
struct Settings {
    /// How much more the first steps keep of the picture than the last (`mask_blend_power`).
    power: f64,
    /// How much of the picture is kept in all steps (`mask_blend_scale`).
    scale: f64,
    /// How much the larger contrast counts where both are mixed (`inpaint_detail_preservation`).
    detail: f64,
    /// How much the mask counts for what is laid over (`composite_mask_influence`).
    influence: f64,
    /// How far a place has to have changed for half of it to be seen (`composite_difference_threshold`).
    threshold: f64,
    /// How sharp that limit is (`composite_difference_contrast`).
    contrast: f64,
}

/// The run of a request: `None` where it did not ask for anything.
#[derive(Debug)]
pub struct SoftInpainting {
    settings: Option<Settings>,
    /// What became of each picture of the batch that was drawn last.
    changes: Vec<Change>,
}

#[plugin(id = "soft-inpainting", name = "Soft Inpainting")]
impl Run for SoftInpainting {
    /// Names, order, defaults and limits are the extension's.
    fn args() -> Vec<ArgSpec> {
        vec![
            ArgSpec::bool("enabled", false).label("Soft inpainting"),
            ArgSpec::float("mask_blend_power", 1.0).range(0.0, 8.0).label("Schedule bias"),
            ArgSpec::float("mask_blend_scale", 0.5).range(0.0, 8.0).label("Preservation strength"),
            ArgSpec::float("inpaint_detail_preservation", 4.0)
                .range(1.0, 32.0)
                .label("Transition contrast boost"),
            ArgSpec::float("composite_mask_influence", 0.0).range(0.0, 1.0).label("Mask influence"),
            ArgSpec::float("composite_difference_threshold", 0.5)
                .range(0.0, 8.0)
                .label("Difference threshold"),
            ArgSpec::float("composite_difference_contrast", 2.0)
                .range(0.0, 8.0)
                .label("Difference contrast"),
        ]
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        let args = cx.args();
        let enabled: bool = args.get("enabled")?;
        let settings = Settings {
            power: args.get("mask_blend_power")?,
            scale: args.get("mask_blend_scale")?,
            detail: args.get("inpaint_detail_preservation")?,
            influence: args.get("composite_mask_influence")?,
            threshold: args.get("composite_difference_threshold")?,
            contrast: args.get("composite_difference_contrast")?,
        };
        Ok(Self { settings: enabled.then_some(settings), changes: Vec::new() })
    }

    /// The mask is to keep its greys.
    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        let Some(settings) = self.settings else { return Ok(()) };
        if cx.mask_round().is_none() {
            // Nothing is masked, or the host knows no such hooks.
            self.settings = None;
            return Ok(());
        }
        cx.set_mask_round(false)?;
        cx.infotext("Soft inpainting enabled", true)?;
        cx.infotext("Soft inpainting schedule bias", settings.power)?;
        cx.infotext("Soft inpainting preservation strength", settings.scale)?;
        cx.infotext("Soft inpainting transition contrast boost", settings.detail)?;
        cx.infotext("Soft inpainting mask influence", settings.influence)?;
        cx.infotext("Soft inpainting difference threshold", settings.threshold)?;
        cx.infotext("Soft inpainting difference contrast", settings.contrast)
    }

    fn on_mask_blend(&mut self, cx: &mut MaskBlendCx<'_>) -> HookResult {
        let Some(settings) = self.settings else { return Ok(()) };
        let (sigma, last) = (cx.sigma(), cx.is_final_blend());
        let BlendParts { current, init, mask, mut blended } = cx.parts();
        if last {
            // What is drawn stays as it is: the picture is laid over it by how far it came.
            blended.data.copy_from_slice(current.data);
            self.changes = Change::of_batch(&current, &init, &mask);
            return Ok(());
        }
        let power = sigma.powf(settings.power) * settings.scale;
        let shares: Vec<f32> = mask.data.iter().map(|stays| share(1.0 - stays, power)).collect();
        blend(&mut blended, &init, &current, &shares, settings.detail);
        Ok(())
    }

    /// Puts another mask in place of the run's, and lays the picture over by it.
    fn postprocess_maskoverlay(&mut self, cx: &mut MaskoverlayCx<'_>) -> HookResult {
        let index = cx.batch_index().unwrap_or(0) as usize;
        let (Some(settings), Some(change)) = (self.settings, self.changes.get(index)) else {
            return Ok(());
        };
        let Some(first) = cx.init_image() else { return Ok(()) };
        let (whole, size) = ((first.width, first.height), (cx.width(), cx.height()));
        let mask = mask_of(change, &settings, size, whole, cx.paste_to());
        let first = first.data.to_vec();
        if let Some(to) = cx.mask_mut() {
            to.data.copy_from_slice(&mask);
        }
        if let Some(to) = cx.overlay_mut() {
            let pixels = first.chunks_exact(3).zip(&mask);
            for (to, (pixel, drawn)) in to.data.chunks_exact_mut(4).zip(pixels) {
                to[..3].copy_from_slice(pixel);
                to[3] = 255 - drawn;
            }
        }
        Ok(())
    }
}
