//! The texts that travel inside a picture's file.

use super::caption::Caption;
use crate::{
    options::Snapshot,
    output::{
        infotext::{Infotext, ParamValue},
        infotext_params::RunParams,
    },
    run::active::ActiveRun,
};

impl ActiveRun<'_> {
    /// The infotext of a picture in A1111's layout; behind A1111's own keys come the plugins', then
    /// which options and plugins made the picture.
    pub(super) fn infotext(&mut self, caption: &Caption<'_>) -> String {
        let seam = &mut self.hooks.seam;
        let flag = |on: bool, text: String| on.then_some(text);
        let (with_hash, with_name) =
            (seam.host_bool("add_model_hash_to_info"), seam.host_bool("add_model_name_to_info"));
        let version = flag(
            seam.host_bool("add_version_to_infotext"),
            format!("Atelier {}", env!("CARGO_PKG_VERSION")),
        );
        let clip_skip = seam.host_int("CLIP_stop_at_last_layers");
        let ensd = Some(seam.host_int("eta_noise_seed_delta"));
        let rng = Some(seam.host_text("randn_source").to_string());
        let model = self.hooks.model.as_ref();
        let inpaints = model.is_some_and(|model| model.inpaints);
        let conditional_mask_weight = inpaints.then(|| seam.host_float("inpainting_mask_weight"));
        let vae = self.hooks.model.as_ref().and_then(|model| model.vae.as_ref());
        let vae_hash = vae.filter(|_| seam.host_bool("add_vae_hash_to_info"));
        let vae_name = vae.filter(|_| seam.host_bool("add_vae_name_to_info"));
        let catalogue = self.runner.provider().catalogue();
        let names = (self.params.scheduler.as_str(), self.params.sampler.as_str());
        let schedule = (catalogue.scheduler)(names.0, names.1);
        let heeds = (catalogue.heeds)(names.1, names.0);
        let eta = self.settings.eta_ancestral;
        let params = RunParams {
            steps: self.params.steps,
            sampler: self.params.sampler.clone(),
            schedule_type: schedule.map(str::to_owned),
            cfg_scale: self.params.cfg_scale,
            seed: caption.seed,
            size: (self.params.width, self.params.height),
            model_hash: model.and_then(|m| flag(with_hash, m.short_hash().to_owned())),
            model: model.and_then(|m| flag(with_name, m.name.clone())),
            vae_hash: vae_hash.map(|vae| vae.sha256.get(..10).unwrap_or(&vae.sha256).to_owned()),
            vae: vae_name.map(|vae| vae.name.clone()),
            variation_seed: Some(caption.subseed),
            variation_seed_strength: self.params.subseed_strength,
            denoising_strength: self.denoising(),
            token_merging_ratio: self.settings.token_merging_ratio,
            token_merging_ratio_hr: self.settings.token_merging_ratio_hr,
            tiling: self.params.tiling,
            conditional_mask_weight,
            seed_resize_from: self.params.seed_resize(),
            clip_skip,
            ensd: ensd.filter(|_| heeds.ensd && eta != 0.0),
            rng,
            version,
            ..RunParams::default()
        };
        let own = self.hooks.infotext.iter();
        let mut extra: Vec<(String, ParamValue)> =
            own.map(|(key, value)| (key.to_owned(), value.clone())).collect();
        if let Some(snapshot) = self.hooks.seam.snapshot() {
            let digest = ParamValue::Text(snapshot.digest().short());
            extra.push(("Options snapshot".to_owned(), digest));
        }
        let plugins = self.hooks.plugins();
        let plugins: Vec<String> =
            plugins.map(|p| format!("{} {}", p.manifest.id, p.manifest.version)).collect();
        if !plugins.is_empty() {
            extra.push(("Plugins".to_owned(), ParamValue::Text(plugins.join(", "))));
        }
        let mut failed: Vec<String> = Vec::new();
        for failure in &self.hooks.failures {
            let place = format!("{} at {}", failure.plugin, failure.hook);
            if !failed.contains(&place) {
                failed.push(place);
            }
        }
        if !failed.is_empty() {
            extra.push(("Plugin failures".to_owned(), ParamValue::Text(failed.join(", "))));
        }
        Infotext::new(caption.prompt, caption.negative_prompt, params.with_extra(extra))
            .render(caption.number as usize)
    }

    /// What only Atelier can say of a picture, as JSON: a chunk of its own in the file.
    pub(super) fn own_metadata(&self) -> String {
        let plugins = self.hooks.plugins().map(|plugin| {
            serde_json::json!({
                "id": plugin.manifest.id,
                "version": plugin.manifest.version,
                "hash": plugin.hash,
            })
        });
        serde_json::json!({
            "run": self.record.id,
            "snapshot": self.hooks.seam.snapshot().map(Snapshot::digest),
            "plugins": plugins.collect::<Vec<_>>(),
            "failures": self.hooks.failures,
        })
        .to_string()
    }
}
