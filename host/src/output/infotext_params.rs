//! The parameters every run writes into its infotext, in the order of A1111 v1.10.1.

use super::infotext::{ParamValue, Params};

/// The parameters of a run that have a fixed place on the infotext's last line.
///
/// `None` leaves a parameter out. So do the values that A1111 treats as "not in use": they are
/// named at their fields.
#[derive(Debug, Clone, PartialEq)]
pub struct RunParams {
    /// Sampling steps.
    pub steps: u32,
    /// Sampler label, e.g. `DPM++ 2M`.
    pub sampler: String,
    /// Scheduler label after resolution: `Automatic` only for samplers without an own default.
    pub schedule_type: Option<String>,
    /// Guidance scale.
    pub cfg_scale: f64,
    /// Guidance scale of the input picture, for checkpoints that edit by instruction.
    pub image_cfg_scale: Option<f64>,
    /// The picture's own seed.
    pub seed: i64,
    /// Name of the face restoration model.
    pub face_restoration: Option<String>,
    /// Width and height in pixels, as asked for (before a second pass enlarges it).
    pub size: (u32, u32),
    /// First 10 hex digits of the checkpoint's SHA-256.
    pub model_hash: Option<String>,
    /// Checkpoint name.
    pub model: Option<String>,
    /// Mode of 8-bit weights.
    pub fp8_weight: Option<String>,
    /// Whether 16-bit weights are kept for `LoRA` while weights are 8-bit.
    pub cache_fp16_weight_for_lora: Option<bool>,
    /// First 10 hex digits of the VAE's SHA-256.
    pub vae_hash: Option<String>,
    /// VAE name.
    pub vae: Option<String>,
    /// The picture's variation seed; left out with a strength of 0.
    pub variation_seed: Option<i64>,
    /// Strength of the variation, 0 to 1; 0 leaves it out.
    pub variation_seed_strength: f64,
    /// Width and height the noise was made for; left out if either is 0.
    pub seed_resize_from: Option<(u32, u32)>,
    /// Denoising strength, 0 to 1.
    pub denoising_strength: Option<f64>,
    /// Weight of the mask, for inpainting checkpoints.
    pub conditional_mask_weight: Option<f64>,
    /// Text encoder layers counted from the end; 1 and less is left out.
    pub clip_skip: i64,
    /// Eta noise seed delta, for samplers that use it; 0 is left out.
    pub ensd: Option<i64>,
    /// Token merging ratio of the first pass; 0 is left out.
    pub token_merging_ratio: f64,
    /// Token merging ratio of the second pass; 0 is left out.
    pub token_merging_ratio_hr: f64,
    /// Hash of the input picture.
    pub init_image_hash: Option<String>,
    /// Source of random numbers; `GPU` is left out.
    pub rng: Option<String>,
    /// Whether the picture tiles; `false` is left out.
    pub tiling: bool,
    /// Version of the program, e.g. `v1.10.1`. Printed after the extra parameters.
    pub version: Option<String>,
    /// Name of the user. Printed last.
    pub user: Option<String>,
}

impl Default for RunParams {
    fn default() -> Self {
        Self {
            steps: 20,
            sampler: "Euler a".into(),
            schedule_type: None,
            cfg_scale: 7.0,
            image_cfg_scale: None,
            seed: 0,
            face_restoration: None,
            size: (512, 512),
            model_hash: None,
            model: None,
            fp8_weight: None,
            cache_fp16_weight_for_lora: None,
            vae_hash: None,
            vae: None,
            variation_seed: None,
            variation_seed_strength: 0.0,
            seed_resize_from: None,
            denoising_strength: None,
            conditional_mask_weight: None,
            clip_skip: 1,
            ensd: None,
            token_merging_ratio: 0.0,
            token_merging_ratio_hr: 0.0,
            init_image_hash: None,
            rng: None,
            tiling: false,
            version: None,
            user: None,
        }
    }
}

impl RunParams {
    /// The whole line: the fixed parameters, then `extra` in its order, then version and user.
    ///
    /// An extra key that is a fixed one keeps the fixed place and brings its value: that is how a
    /// plugin corrects a parameter, or removes it with [`ParamValue::Null`].
    pub fn with_extra(&self, extra: impl IntoIterator<Item = (String, ParamValue)>) -> Params {
        let mut params = self.fixed();
        for (key, value) in extra {
            params.set(key, value);
        }
        params.set("Version", self.version.as_deref());
        params.set("User", self.user.as_deref());
        params
    }

    fn fixed(&self) -> Params {
        let varied = self.variation_seed_strength != 0.0;
        let text = |value: &Option<String>| ParamValue::from(value.as_deref());
        let size = |(width, height): (u32, u32)| ParamValue::from(format!("{width}x{height}"));
        [
            ("Steps", self.steps.into()),
            ("Sampler", self.sampler.as_str().into()),
            ("Schedule type", text(&self.schedule_type)),
            ("CFG scale", self.cfg_scale.into()),
            ("Image CFG scale", self.image_cfg_scale.into()),
            ("Seed", self.seed.into()),
            ("Face restoration", text(&self.face_restoration)),
            ("Size", size(self.size)),
            ("Model hash", text(&self.model_hash)),
            ("Model", text(&self.model)),
            ("FP8 weight", text(&self.fp8_weight)),
            ("Cache FP16 weight for LoRA", self.cache_fp16_weight_for_lora.into()),
            ("VAE hash", text(&self.vae_hash)),
            ("VAE", text(&self.vae)),
            ("Variation seed", self.variation_seed.filter(|_| varied).into()),
            ("Variation seed strength", non_zero(self.variation_seed_strength)),
            (
                "Seed resize from",
                self.seed_resize_from.filter(|(w, h)| *w > 0 && *h > 0).map(size).into(),
            ),
            ("Denoising strength", self.denoising_strength.into()),
            ("Conditional mask weight", self.conditional_mask_weight.into()),
            ("Clip skip", Some(self.clip_skip).filter(|skip| *skip > 1).into()),
            ("ENSD", self.ensd.filter(|delta| *delta != 0).into()),
            ("Token merging ratio", non_zero(self.token_merging_ratio)),
            ("Token merging ratio hr", non_zero(self.token_merging_ratio_hr)),
            ("Init image hash", text(&self.init_image_hash)),
            ("RNG", self.rng.as_deref().filter(|rng| *rng != "GPU").into()),
            ("Tiling", self.tiling.then_some("True").into()),
        ]
        .into_iter()
        .collect()
    }
}

fn non_zero(value: f64) -> ParamValue {
    Some(value).filter(|value| *value != 0.0).into()
}

#[cfg(test)]
mod tests {
    use super::super::infotext::Infotext;
    use super::*;

    fn cat() -> RunParams {
        RunParams {
            schedule_type: Some("Automatic".into()),
            seed: 42,
            model_hash: Some("6ce0161689".into()),
            model: Some("v1-5".into()),
            version: Some("v1.10.1".into()),
            ..RunParams::default()
        }
    }

    fn printed(params: &RunParams, extra: &[(&str, ParamValue)]) -> String {
        let extra = extra.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
        Infotext::new("a cat", "", params.with_extra(extra)).to_string()
    }

    #[test]
    fn a_plain_run_is_written_as_a1111_writes_it() {
        assert_eq!(
            printed(&cat(), &[]),
            "a cat\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, \
             Seed: 42, Size: 512x512, Model hash: 6ce0161689, Model: v1-5, Version: v1.10.1"
        );
    }

    #[test]
    fn every_parameter_stands_in_its_place() {
        let params = RunParams {
            image_cfg_scale: Some(1.5),
            face_restoration: Some("GFPGAN".into()),
            fp8_weight: Some("Enable".into()),
            cache_fp16_weight_for_lora: Some(true),
            vae_hash: Some("735e4c3a44".into()),
            vae: Some("vae.safetensors".into()),
            variation_seed: Some(7),
            variation_seed_strength: 0.5,
            seed_resize_from: Some((256, 320)),
            denoising_strength: Some(0.75),
            conditional_mask_weight: Some(1.0),
            clip_skip: 2,
            ensd: Some(31337),
            token_merging_ratio: 0.25,
            token_merging_ratio_hr: 0.5,
            init_image_hash: Some("abc".into()),
            rng: Some("CPU".into()),
            tiling: true,
            user: Some("ann".into()),
            ..cat()
        };
        assert_eq!(
            printed(&params, &[("Lora hashes", "a: 1, b: 2".into()), ("Refiner", "x".into())]),
            "a cat\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, \
             Image CFG scale: 1.5, Seed: 42, Face restoration: GFPGAN, Size: 512x512, Model hash: \
             6ce0161689, Model: v1-5, FP8 weight: Enable, Cache FP16 weight for LoRA: True, VAE \
             hash: 735e4c3a44, VAE: vae.safetensors, Variation seed: 7, Variation seed strength: \
             0.5, Seed resize from: 256x320, Denoising strength: 0.75, Conditional mask weight: \
             1.0, Clip skip: 2, ENSD: 31337, Token merging ratio: 0.25, Token merging ratio hr: \
             0.5, Init image hash: abc, RNG: CPU, Tiling: True, Lora hashes: \"a: 1, b: 2\", \
             Refiner: x, Version: v1.10.1, User: ann"
        );
    }

    #[test]
    fn values_that_mean_not_in_use_are_left_out() {
        let params = RunParams {
            variation_seed: Some(7),
            seed_resize_from: Some((0, 64)),
            ensd: Some(0),
            rng: Some("GPU".into()),
            ..cat()
        };
        assert_eq!(printed(&params, &[]), printed(&cat(), &[]));
    }

    #[test]
    fn an_extra_parameter_takes_over_the_value_but_not_the_place_of_a_fixed_one() {
        let text = printed(
            &cat(),
            &[
                ("Extra", "x".into()),
                ("Seed", 1.into()),
                ("Model", ParamValue::Null),
                ("Version", "no".into()),
            ],
        );
        assert_eq!(
            text,
            "a cat\nSteps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: \
             1, Size: 512x512, Model hash: 6ce0161689, Extra: x, Version: v1.10.1"
        );
    }
}
