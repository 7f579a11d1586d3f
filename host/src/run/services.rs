//! Work that the host does for hooks.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use atelier_plugin_abi::host::{ServiceReply, ServiceRequest};
use image::RgbImage;

use super::{
    pipeline::{Pipeline, PipelineError, Tensor, TextSettings},
    seam::Seam,
};
use crate::output::{
    encode::{Format, encode},
    sequence::{Naming, Target, save_image_file},
};

/// How the options want prompts to be encoded, now.
pub(super) fn text_settings(seam: &mut Seam, size: (u32, u32)) -> TextSettings {
    let mut pixels = |key| u32::try_from(seam.host_int(key)).unwrap_or(0);
    let crop = [pixels("sdxl_crop_left"), pixels("sdxl_crop_top")];
    let clip_skip = seam.host_int("CLIP_stop_at_last_layers");
    TextSettings {
        clip_skip: u32::try_from(clip_skip).unwrap_or(1).max(1),
        emphasis: seam.host_text("emphasis").to_string(),
        comma_padding_backtrack: usize::try_from(seam.host_int("comma_padding_backtrack"))
            .unwrap_or(0),
        xl_clip_skip: seam.host_bool("sdxl_clip_l_skip"),
        size: [size.0, size.1],
        crop,
        aesthetic_score: ["sdxl_refiner_high_aesthetic_score", "sdxl_refiner_low_aesthetic_score"]
            .map(|key| seam.host_float(key)),
    }
}

/// The services of one run.
#[derive(Debug)]
pub(super) struct RunServices {
    pipeline: Arc<dyn Pipeline>,
    text: TextSettings,
    folder: PathBuf,
    at_hand: AtHand,
    saved: Mutex<Vec<PathBuf>>,
}

/// The picture that a plugin saves another one beside.
#[derive(Clone, Debug, Default)]
pub(super) struct AtHand {
    pub(super) seed: i64,
    /// None where files are to have none.
    pub(super) infotext: Option<String>,
    /// Whether anything is to be saved at all.
    pub(super) save: bool,
}

impl RunServices {
    pub(super) fn new(pipeline: Arc<dyn Pipeline>, text: TextSettings, folder: PathBuf) -> Self {
        Self { pipeline, text, folder, at_hand: AtHand::default(), saved: Mutex::default() }
    }

    /// From here on hooks encode and decode with this checkpoint.
    pub(super) fn use_pipeline(&mut self, pipeline: &Arc<dyn Pipeline>) {
        self.pipeline = pipeline.clone();
    }

    /// From here on plugins save beside this picture.
    pub(super) fn hold(&mut self, picture: AtHand) {
        self.at_hand = picture;
    }

    /// A plugin's tensor is looked at before the engine gets it.
    fn fits(
        what: &str,
        shape: [usize; 4],
        (channels, multiple): (u32, u32),
    ) -> Result<(), PipelineError> {
        let ([n, c, height, width], multiple) = (shape, multiple.max(1) as usize);
        let side = |side: usize| side > 0 && side.is_multiple_of(multiple);
        if n > 0 && c == channels as usize && side(height) && side(width) {
            return Ok(());
        }
        Err(PipelineError::Engine(format!(
            "{what} are [n, {channels}, height, width] with sides that are multiples of {multiple}, \
             not {shape:?}"
        )))
    }

    fn save(
        &self,
        suffix: &str,
        (width, height): (usize, usize),
        data: &[u8],
    ) -> Result<PathBuf, PipelineError> {
        let failed = |error: &dyn std::fmt::Display| PipelineError::Engine(error.to_string());
        let picture = RgbImage::from_raw(width as u32, height as u32, data.to_vec())
            .ok_or_else(|| failed(&"the picture's bytes do not fill its size"))?;
        let bytes = encode(&picture, Format::Png, self.at_hand.infotext.as_deref(), &[])
            .map_err(|error| failed(&error))?;
        let decoration = format!("{}{suffix}", self.at_hand.seed);
        let target = Target {
            folder: &self.folder,
            basename: "",
            decoration: &crate::output::safe_name::part(&decoration, false),
            extension: Format::Png.extension(),
            naming: Naming::Numbered,
        };
        save_image_file(&target, &bytes).map_err(|error| failed(&error))
    }

    /// Does what a hook asks for.
    ///
    /// # Errors
    /// Where the work fails.
    pub(super) fn serve(
        &self,
        request: &ServiceRequest<'_>,
    ) -> Result<ServiceReply, PipelineError> {
        let tensor = |Tensor { shape, data }| ServiceReply::Tensor { shape, rank: 4, data };
        Ok(match *request {
            ServiceRequest::EncodeText(text) => {
                let cond = self.pipeline.encode_prompts(&[text.to_owned()], &self.text)?;
                let [rows, tokens, width] = cond.shape;
                ServiceReply::Tensor { shape: [rows, tokens, width, 1], rank: 3, data: cond.data }
            }
            ServiceRequest::Decode { shape, data } => {
                Self::fits("latents", shape, (self.pipeline.model().latent_channels, 1))?;
                tensor(self.pipeline.decode(&Tensor { shape, data: data.to_vec() })?)
            }
            ServiceRequest::Encode { shape, data } => {
                Self::fits("pixels", shape, (3, self.pipeline.model().vae_factor))?;
                tensor(self.pipeline.encode(&Tensor { shape, data: data.to_vec() })?)
            }
            ServiceRequest::Child(_) => {
                return Err(PipelineError::Engine("child runs are no work of the engine".into()));
            }
            ServiceRequest::SavePicture { .. } if !self.at_hand.save => ServiceReply::Nothing,
            ServiceRequest::SavePicture { suffix, width, height, data } => {
                let path = self.save(suffix, (width, height), data)?;
                self.saved.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
                ServiceReply::Text(path.display().to_string())
            }
        })
    }

    /// The pictures that it saved for plugins.
    pub(super) fn saved(&self) -> Vec<PathBuf> {
        self.saved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
