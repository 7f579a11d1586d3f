//! What the infotext tells of settings that differ from their defaults.

use super::pipeline::{Heeds, SamplerSettings, UniPcSettings};
use crate::output::infotext::Params;

/// What the passes of a run start from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Starts {
    pub(super) from_noise: bool,
    pub(super) from_latents: bool,
}

/// Settings that the run's sampler heeds and that are not what A1111 v1.10.1 leaves unsaid, under its
/// keys and in its order.
pub(super) fn tell_settings(
    to: &mut Params,
    heeds: Heeds,
    settings: &SamplerSettings,
    starts: Starts,
) {
    let s = settings;
    let is = |value: f64, default: f64| (value - default).abs() < f64::EPSILON;
    let mut number = |heeded: bool, key: &str, value: f64, default: f64| {
        if heeded && !is(value, default) {
            to.set(key, value);
        }
    };
    number(heeds.ends, "Schedule min sigma", s.sigma_min, 0.0);
    number(heeds.ends, "Schedule max sigma", s.sigma_max, 0.0);
    if let Some(rho) = heeds.rho.filter(|_| !is(s.rho, 0.0)) {
        number(true, "Schedule rho", s.rho, rho);
    }
    number(heeds.beta, "Beta scheduler alpha", s.beta_dist_alpha, f64::NAN);
    number(heeds.beta, "Beta scheduler beta", s.beta_dist_beta, f64::NAN);
    number(starts.from_latents, "Extra noise", s.img2img_extra_noise, 0.0);
    number(heeds.eta_ancestral, "Eta", s.eta_ancestral, 1.0);
    number(heeds.eta_ddim, "Eta DDIM", s.eta_ddim, 0.0);
    number(heeds.churn, "Sigma churn", s.s_churn, 0.0);
    number(heeds.churn, "Sigma tmin", s.s_tmin, 0.0);
    number(heeds.churn, "Sigma tmax", s.s_tmax, 0.0);
    number(heeds.noise, "Sigma noise", s.s_noise, 1.0);
    number(true, "Skip Early CFG", s.skip_early_cond, 0.0);
    number(true, "NGMS", s.s_min_uncond, 0.0);
    let mut flag = |told: bool, key: &str| {
        if told {
            to.set(key, true);
        }
    };
    flag(!is(s.s_min_uncond, 0.0) && s.s_min_uncond_all, "NGMS all steps");
    flag(s.always_discard_next_to_last_sigma && !heeds.discards, "Discard penultimate sigma");
    flag(s.sgm_noise_multiplier && heeds.sigmas && starts.from_noise, "SGM noise multiplier");
    flag(s.use_downcasted_alpha_bar, "Downcast alphas_cumprod");
    if s.zero_terminal_snr {
        to.set("Noise Schedule", "Zero Terminal SNR");
    }
    if heeds.uni_pc {
        tell_uni_pc(to, &s.uni_pc);
    }
}

/// What A1111 leaves unsaid too, and reads where it is said.
fn tell_uni_pc(to: &mut Params, settings: &UniPcSettings) {
    let UniPcSettings { variant, skip_type, order, lower_order_final } = settings;
    let usual = UniPcSettings::default();
    if *variant != usual.variant {
        to.set("UniPC variant", variant.as_str());
    }
    if *skip_type != usual.skip_type {
        to.set("UniPC skip type", skip_type.as_str());
    }
    if *order != usual.order {
        to.set("UniPC order", i64::from(*order));
    }
    if *lower_order_final != usual.lower_order_final {
        to.set("UniPC lower order final", *lower_order_final);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(heeds: Heeds, settings: &SamplerSettings) -> Vec<String> {
        let mut params = Params::default();
        let starts = Starts { from_noise: true, from_latents: false };
        tell_settings(&mut params, heeds, settings, starts);
        params.iter().map(|(key, value)| format!("{key}: {}", value.printed())).collect()
    }

    #[test]
    fn what_is_not_heeded_or_as_ever_is_not_told() {
        let defaults = SamplerSettings { eta_ancestral: 1.0, s_noise: 1.0, ..Default::default() };
        let all = Heeds {
            eta_ancestral: true,
            eta_ddim: true,
            churn: true,
            noise: true,
            ensd: true,
            sigmas: true,
            uni_pc: true,
            ends: true,
            rho: Some(7.0),
            beta: false,
            discards: false,
        };
        assert_eq!(told(all, &defaults), [""; 0]);
        let changed = SamplerSettings {
            eta_ancestral: 0.5,
            s_churn: 2.0,
            rho: 3.0,
            sigma_min: 0.1,
            sgm_noise_multiplier: true,
            ..defaults
        };
        let expected = [
            "Schedule min sigma: 0.1",
            "Schedule rho: 3.0",
            "Eta: 0.5",
            "Sigma churn: 2.0",
            "SGM noise multiplier: True",
        ];
        assert_eq!(told(all, &changed), expected);
        assert_eq!(told(Heeds::default(), &changed), [""; 0]);
        let own = SamplerSettings { rho: 7.0, ..changed.clone() };
        assert!(!told(all, &own).iter().any(|told| told.starts_with("Schedule rho")));
    }
}
