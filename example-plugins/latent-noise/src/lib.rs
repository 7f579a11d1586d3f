//! Adds a little noise to the latents after every step: pictures get more varied detail.
//!
//! It teaches how to change tensors, how an argument of the request goes before an option, and how a
//! plugin that needs chance stays repeatable.

#![deny(missing_docs, unsafe_code)]

mod noise;

use atelier_plugin_api::prelude::*;
use noise::Noise;

/// How much, and for which pictures.
#[derive(Debug)]
pub struct LatentNoise {
    strength: f64,
    /// Seeds of the pictures that are being sampled.
    seeds: Vec<i64>,
}

#[plugin(id = "latent-noise", name = "Latent noise")]
impl Run for LatentNoise {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::float("latent_noise_strength", 0.02)
                .range(0.0, 1.0)
                .label("Strength")
                .doc("Noise added after every step, as a share of the step's own noise level."),
        ]
    }

    fn args() -> Vec<ArgSpec> {
        // An argument always has a value; a negative one stands for “as in the settings”.
        vec![ArgSpec::float("strength", -1.0).range(-1.0, 1.0).label("Strength (−1: settings)")]
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        let asked: f64 = cx.args().get("strength")?;
        let strength =
            if asked < 0.0 { cx.snapshot().get("latent_noise_strength")? } else { asked };
        Ok(Self { strength, seeds: Vec::new() })
    }

    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        if self.strength > 0.0 {
            cx.infotext("Latent noise", self.strength)?;
        }
        Ok(())
    }

    /// Other plugins may have changed the seeds until here, so this is where they are asked for.
    fn process_batch(&mut self, cx: &mut BatchCx<'_>) -> HookResult {
        self.seeds = cx.seeds();
        Ok(())
    }

    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        // After the last step no model call would be left to turn the noise into detail.
        if self.strength <= 0.0 || cx.step() + 1 >= cx.total_steps() {
            return Ok(());
        }
        let (scale, step) = (self.strength * cx.sigma(), cx.step());
        let latents = cx.x_mut();
        add_noise(latents.data, latents.shape[0], &self.seeds, step, scale)
    }
}

/// Adds noise to `pictures` latents that lie one behind the other. Each has the stream of its own
/// seed: a picture does not depend on the batch it is drawn in.
fn add_noise(
    latents: &mut [f32],
    pictures: usize,
    seeds: &[i64],
    step: u32,
    scale: f64,
) -> HookResult {
    if pictures != seeds.len() {
        let message = format!("there are {pictures} latents and {} seeds", seeds.len());
        return Err(PluginError::new(message));
    }
    let each = latents.len() / pictures.max(1);
    for (latent, seed) in latents.chunks_exact_mut(each.max(1)).zip(seeds) {
        Noise::new(*seed, step).add_to(latent, scale);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_gets_the_same_noise_alone_and_in_a_batch() -> Result<(), PluginError> {
        let mut alone = vec![0.0; 48];
        add_noise(&mut alone, 1, &[11], 2, 0.1)?;
        let mut batch = vec![0.0; 96];
        add_noise(&mut batch, 2, &[10, 11], 2, 0.1)?;
        assert_eq!(batch[48..], alone);
        assert_ne!(batch[..48], alone);
        Ok(())
    }

    #[test]
    fn latents_without_a_seed_are_an_error_and_stay_as_they_are() {
        let mut latents = vec![1.0; 96];
        let Err(error) = add_noise(&mut latents, 2, &[10], 0, 0.1) else { panic!("no error") };
        assert_eq!(error.message(), "there are 2 latents and 1 seeds");
        assert_eq!(latents, vec![1.0; 96]);
    }
}
