//! What there is to be changed and to be spoiled at each stage.

use atelier_plugin_api::prelude::*;

/// A stage of a run, to somebody who means harm.
pub(crate) trait Stage {
    /// Changes something of every kind that the stage lets a plugin change.
    fn change(&mut self) -> HookResult {
        Ok(())
    }

    /// Writes NaN into the stage's floats.
    fn poison(&mut self) -> HookResult {
        Err(PluginError::new("misbehaving: this hook has no floats to write NaN into"))
    }
}

const GARBAGE: &str = "changed by a plugin that then failed";

/// Where nothing can be changed.
pub(crate) struct Nothing;

impl Stage for Nothing {}
impl Stage for ModelCx<'_> {}
impl Stage for SavedCx<'_> {}

impl Stage for FinishCx<'_> {
    fn change(&mut self) -> HookResult {
        self.run_options().set("samples_format", "webp").map_err(Into::into)
    }
}

impl Stage for RequestCx<'_> {
    fn change(&mut self) -> HookResult {
        self.set_prompt(GARBAGE)?;
        self.set_seed(1)?;
        self.set_steps(1)?;
        self.set_width(self.width() / 2)?;
        self.overrides().set("samples_format", "webp")?;
        Ok(())
    }
}

impl Stage for RunCx<'_> {
    fn change(&mut self) -> HookResult {
        self.set_prompt(0, GARBAGE)?;
        self.set_seed(0, 1)?;
        self.set_steps(1)?;
        self.infotext("Misbehaving", GARBAGE)?;
        self.run_options().set("samples_format", "webp")?;
        Ok(())
    }
}

impl Stage for BatchCx<'_> {
    fn change(&mut self) -> HookResult {
        self.set_prompt(0, GARBAGE)?;
        self.set_seed(0, 1)?;
        self.infotext("Misbehaving", GARBAGE)
    }
}

impl Stage for NetworksCx<'_> {
    fn change(&mut self) -> HookResult {
        self.infotext("Misbehaving", GARBAGE)
    }
}

impl Stage for HiresCx<'_> {
    fn change(&mut self) -> HookResult {
        self.set_cfg_scale(1.0)?;
        self.set_denoising_strength(0.1)?;
        self.infotext("Misbehaving", GARBAGE)
    }
}

impl Stage for SamplingCx<'_> {
    fn change(&mut self) -> HookResult {
        self.x_mut().data.fill(9.0);
        self.noise_mut().data.fill(9.0);
        let tokens = self.cond().shape[1];
        self.replace_cond(tokens + 1)?;
        self.uncond_mut().data.fill(9.0);
        Ok(())
    }
    fn poison(&mut self) -> HookResult {
        self.x_mut().data.fill(f32::NAN);
        Ok(())
    }
}

impl Stage for DenoiserCx<'_> {
    fn change(&mut self) -> HookResult {
        self.x_mut().data.fill(9.0);
        self.cond_mut().data.fill(9.0);
        self.set_sigma(self.sigma() * 2.0)
    }
    fn poison(&mut self) -> HookResult {
        self.x_mut().data.fill(f32::NAN);
        Ok(())
    }
}

/// Stages whose memory is all there is to change.
macro_rules! memory {
    ($($context:ident: $($buffer:ident)+;)+) => { $(
        impl Stage for $context<'_> {
            fn change(&mut self) -> HookResult {
                $( self.$buffer().data.fill(9.0); )+
                Ok(())
            }
            fn poison(&mut self) -> HookResult {
                $( self.$buffer().data.fill(f32::NAN); )+
                Ok(())
            }
        }
    )+ };
}

memory! {
    ExtraNoiseCx: noise_mut;
    MaskBlendCx: blended_mut;
    DenoisedCx: cond_mut uncond_mut;
    CombineCx: combined_mut;
    AfterCfgCx: denoised_mut;
    AfterStepCx: x_mut;
    LatentsCx: samples_mut;
    PixelsCx: pixels_mut;
}

impl Stage for ImagesCx<'_> {
    fn change(&mut self) -> HookResult {
        if let Some(picture) = self.image_mut(0) {
            picture.data.fill(255);
        }
        self.push(8, 8, 0)?;
        self.replace(0, 16, 16)?;
        self.set_prompt(0, GARBAGE)
    }
}

impl Stage for ImageCx<'_> {
    fn change(&mut self) -> HookResult {
        self.image_mut().data.fill(255);
        self.infotext("Misbehaving", GARBAGE)?;
        self.replace(8, 8)
    }
}

impl Stage for MaskoverlayCx<'_> {
    fn change(&mut self) -> HookResult {
        if let Some(mask) = self.mask_mut() {
            mask.data.fill(255);
        }
        if let Some(overlay) = self.overlay_mut() {
            overlay.data.fill(255);
        }
        self.infotext("Misbehaving", GARBAGE)
    }
}

impl Stage for SaveCx<'_> {
    fn change(&mut self) -> HookResult {
        self.image_mut().data.fill(255);
        self.set_file_name("misbehaving")?;
        self.set_picture_infotext(GARBAGE)
    }
}

impl Stage for GridCx<'_> {
    fn change(&mut self) -> HookResult {
        self.set_columns(1)?;
        self.set_rows(self.len() as u32)
    }
}

impl Stage for ResultCx<'_> {
    fn change(&mut self) -> HookResult {
        if let Some(picture) = self.image_mut(0) {
            picture.data.fill(255);
        }
        self.set_infotext(0, GARBAGE)
    }
}
