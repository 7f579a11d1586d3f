//! The kit, as an author uses it: on a plugin of this very file.

use atelier_plugin_api::prelude::*;
use atelier_testkit::{Buffer, Field, Hook, HookCall, TestHost, Wiring, both_ways, logs};
use image::{Rgb, RgbImage};

/// Brightens pictures by an option from the snapshot, and by another that it reads live.
#[derive(Debug)]
pub struct Brighten {
    by: i64,
}

#[plugin(id = "brighten", name = "Brighten")]
impl Run for Brighten {
    fn options() -> Vec<OptionSpec> {
        vec![
            OptionSpec::int("brighten_by", 10).range(0.0, 255.0),
            OptionSpec::int("brighten_more", 0).range(0.0, 255.0),
        ]
    }

    fn args() -> Vec<ArgSpec> {
        vec![ArgSpec::text("suffix", "")]
    }

    fn start(cx: &RunStart<'_>) -> Result<Self, PluginError> {
        Ok(Self { by: cx.snapshot().get("brighten_by")? })
    }

    fn process(&mut self, cx: &mut RunCx<'_>) -> HookResult {
        let suffix: String = cx.args().get("suffix")?;
        if suffix == "fail" {
            return Err(PluginError::new("no such suffix"));
        }
        for (index, prompt) in cx.all_prompts().iter().enumerate() {
            cx.set_prompt(index, &format!("{prompt}{suffix}"))?;
        }
        cx.log(Level::Info, "prompts have their suffix");
        if suffix == "log at every level" {
            for level in [Level::Error, Level::Warn, Level::Debug, Level::Trace] {
                cx.log(level, "and this is logged");
            }
        }
        Ok(())
    }

    fn after_step(&mut self, cx: &mut AfterStepCx<'_>) -> HookResult {
        if cx.step() == 0 {
            for value in cx.x_mut().data {
                *value *= 0.5;
            }
        }
        Ok(())
    }

    fn postprocess_image(&mut self, cx: &mut ImageCx<'_>) -> HookResult {
        let more: i64 = if self.by > 0 { cx.live().get("brighten_more")? } else { 0 };
        for byte in cx.image_mut().data {
            *byte = byte.saturating_add(u8::try_from(self.by + more).unwrap_or(u8::MAX));
        }
        Ok(())
    }
}

fn host(wiring: Wiring) -> TestHost {
    TestHost::builder().linked::<Brighten>().wiring(wiring).build()
}

#[test]
fn a_linked_plugin_takes_part_in_whole_runs() {
    both_ways(|wiring| {
        let host = host(wiring);
        let plain = host.txt2img("a cat").option("brighten_by", 0).draw();
        let bright = host.txt2img("a cat").draw();
        bright.assert_other_pixels(&plain);
        assert!(bright.image(0).get_pixel(3, 3).0[0] >= plain.image(0).get_pixel(3, 3).0[0]);
        bright.assert_same_pixels(&host.txt2img("a cat").draw());
        assert_eq!(bright.parameter(0, "Seed").as_deref(), Some("7"));
    });
}

#[test]
fn prompts_are_those_of_the_run_with_its_hooks() {
    let host = host(Wiring::Direct);
    let drawn = host.txt2img("a cat").arg("brighten", "suffix", " in rain").pictures(2, 1).draw();
    assert_eq!(drawn.prompts(), ["a cat in rain", "a cat in rain"]);
    assert_eq!(drawn.images().len(), 2);
}

#[test]
fn the_ledger_tells_who_reads_how() {
    let host = host(Wiring::Direct);
    let migrated = host.txt2img("a cat").option("brighten_by", 0).draw();
    migrated.assert_reads_no_live_option("brighten");
    migrated.assert_reads_snapshot("brighten", "brighten_by");
    let live = host.txt2img("a cat").draw();
    live.assert_reads_live("brighten", "brighten_more");
    assert_eq!(live.ledger("brighten").len(), 2);
}

#[test]
#[should_panic(expected = "brighten reads brighten_more live at postprocess_image")]
fn a_live_read_is_found_where_there_should_be_none() {
    host(Wiring::Direct).txt2img("a cat").draw().assert_reads_no_live_option("brighten");
}

#[test]
fn failures_and_refusals_have_words() {
    let host = host(Wiring::Direct);
    let drawn = host.txt2img("a cat").arg("brighten", "suffix", "fail").run();
    drawn.assert_done();
    drawn.assert_failed("brighten", "process", "no such suffix");
    assert!(host.txt2img("a cat").steps(0).refused().contains("steps: 0"));
    assert!(host.txt2img("a cat").option("brighten_by", 999).refused().contains("brighten_by"));
}

#[test]
fn what_a_plugin_logs_is_data() {
    let (_, lines) = logs::of(|| host(Wiring::Direct).txt2img("a cat").draw());
    let [line] = &lines[..] else { panic!("one line: {lines:?}") };
    assert_eq!((&*line.plugin, &*line.message), ("brighten", "prompts have their suffix"));
    assert_eq!((line.hook.as_deref(), line.level), (Some("process"), tracing::Level::INFO));
}

/// The host's own events must not come back to it through the plugin.
#[test]
fn a_line_that_nobody_listens_to_ends_there() {
    let host = host(Wiring::Loopback);
    host.txt2img("a cat").arg("brighten", "suffix", "log at every level").draw();
}

#[test]
fn a_picture_is_the_start_of_a_run() {
    let host = host(Wiring::Loopback);
    let picture = RgbImage::from_pixel(64, 64, Rgb([200, 10, 10]));
    let drawn = host.img2img(picture.clone(), "a cat").draw();
    drawn.assert_other_pixels(&host.txt2img("a cat").draw());
    drawn.assert_same_pixels(&host.txt2img("a cat").from_picture(picture, 0.75).draw());
}

#[test]
fn one_hook_is_called_alone() {
    let grey = RgbImage::from_pixel(2, 1, Rgb([100, 250, 0]));
    let called = HookCall::of::<Brighten>(Hook::PostprocessImage)
        .option("brighten_more", 2)
        .image(grey)
        .call();
    called.assert_ok();
    assert_eq!(called.images[0].get_pixel(1, 0).0, [112, 255, 12]);
    assert_eq!(called.snapshot_reads, ["brighten_by"]);
    assert_eq!(called.live_reads, ["brighten_more"]);

    let called = HookCall::of::<Brighten>(Hook::AfterStep)
        .tensor(Buffer::Latents, &[1, 1, 1, 3], vec![1.0, -2.0, 4.0])
        .step(0, 4, 1.0, 7.0)
        .call();
    assert_eq!(called.tensors[&Buffer::Latents].1, [0.5, -1.0, 2.0]);

    let called = HookCall::of::<Brighten>(Hook::Process)
        .list(Field::AllPrompts, ["a", "b"])
        .arg("suffix", "!")
        .call();
    called.assert_ok();
    let prompts: Vec<_> =
        called.set.iter().map(|(_, index, text)| (*index, text.clone())).collect();
    assert_eq!(prompts, [(0, "a!".into()), (1, "b!".into())]);
    assert_eq!(called.logs, ["prompts have their suffix"]);
}

#[test]
fn a_hook_that_asks_for_what_the_test_does_not_give_says_so() {
    let called = HookCall::of::<Brighten>(Hook::PostprocessImage).call();
    called.assert_fails("the test gives no picture 0");
    let called = HookCall::of::<Brighten>(Hook::Process).arg("suffix", "fail").call();
    called.assert_fails("no such suffix");
}

#[cfg(feature = "checkpoint")]
#[test]
fn it_draws_on_the_default_checkpoint_too() {
    let host = TestHost::builder().linked::<Brighten>().checkpoint().build();
    let drawn = host.txt2img("red heart").steps(2).draw();
    assert_eq!(drawn.image(0).dimensions(), (64, 64));
    drawn.assert_other_pixels(&host.txt2img("red heart").steps(2).option("brighten_by", 0).draw());
}
