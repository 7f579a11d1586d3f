//! Whole runs with the kit: noise that is repeatable, and an argument that goes before an option.

use atelier_testkit::{TestHost, Wiring, both_ways};
use latent_noise::LatentNoise;

fn host(wiring: Wiring) -> TestHost {
    TestHost::builder().linked::<LatentNoise>().wiring(wiring).build()
}

#[test]
fn noise_changes_the_picture_the_same_way_every_time() {
    both_ways(|wiring| {
        let host = host(wiring);
        let plain = host.txt2img("a cat").option("latent_noise_strength", 0.0).draw();
        let noisy = host.txt2img("a cat").option("latent_noise_strength", 0.3).draw();
        noisy.assert_other_pixels(&plain);
        noisy
            .assert_same_pixels(&host.txt2img("a cat").option("latent_noise_strength", 0.3).draw());
        assert_eq!(noisy.parameter(0, "Latent noise").as_deref(), Some("0.3"));
        assert_eq!(plain.parameter(0, "Latent noise"), None);
    });
}

#[test]
fn an_argument_goes_before_the_option() {
    let host = host(Wiring::Direct);
    let by_option = host.txt2img("a cat").option("latent_noise_strength", 0.3).draw();
    let by_argument = host.txt2img("a cat").arg("latent-noise", "strength", 0.3).draw();
    by_argument.assert_same_pixels(&by_option);
    let off = host.txt2img("a cat").option("latent_noise_strength", 0.3);
    let off = off.arg("latent-noise", "strength", 0.0).draw();
    off.assert_other_pixels(&by_option);
    assert!(
        host.txt2img("a cat").arg("latent-noise", "strength", 2.0).refused().contains("strength")
    );
}

#[test]
fn a_picture_is_the_same_alone_and_in_a_batch() {
    let host = host(Wiring::Direct);
    let noisy = || host.txt2img("a cat").option("latent_noise_strength", 0.3);
    let batch = noisy().seed(11).pictures(3, 1).draw();
    for (index, seed) in [11, 12, 13].into_iter().enumerate() {
        // A run counts the seeds of its variations too.
        let alone = noisy().seed(seed).with(|request| request.subseed += index as i64).draw();
        assert!(alone.image(0) == batch.image(index), "picture {index}");
    }
}

#[test]
fn there_is_no_noise_after_the_last_step() {
    let host = host(Wiring::Direct);
    let one = |strength: f64| {
        host.txt2img("a cat").steps(1).option("latent_noise_strength", strength).draw()
    };
    one(0.5).assert_same_pixels(&one(0.0));
}
