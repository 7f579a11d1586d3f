//! Whole runs with the kit: what a migrated plugin promises.

use atelier_testkit::{TestHost, Wiring, both_ways};
use watermark::Watermark;

fn host(wiring: Wiring) -> TestHost {
    TestHost::builder().linked::<Watermark>().wiring(wiring).build()
}

#[test]
fn the_text_is_in_the_picture_and_in_its_infotext() {
    both_ways(|wiring| {
        let host = host(wiring);
        let plain = host.txt2img("a cat").option("watermark_text", "").draw();
        let marked = host.txt2img("a cat").option("watermark_text", "Mine").draw();
        marked.assert_other_pixels(&plain);
        assert_eq!(marked.parameter(0, "Watermark").as_deref(), Some("Mine"));
        assert_eq!(plain.parameter(0, "Watermark"), None);
        let invisible = host.txt2img("a cat").option("watermark_opacity", 0.0).draw();
        invisible.assert_same_pixels(&plain);
    });
}

#[test]
fn only_the_corner_that_was_asked_for_is_touched() {
    let host = host(Wiring::Direct);
    let plain = host.txt2img("a cat").size(128, 128).option("watermark_text", "").draw();
    for (corner, right, bottom) in [
        ("top left", false, false),
        ("top right", true, false),
        ("bottom left", false, true),
        ("bottom right", true, true),
    ] {
        let drawing = host.txt2img("a cat").size(128, 128).option("watermark_text", "I");
        let marked = drawing.option("watermark_corner", corner).draw();
        let pixels = plain.image(0).enumerate_pixels().zip(marked.image(0).pixels());
        let touched: Vec<_> = pixels
            .filter(|((_, _, before), after)| before != after)
            .map(|((x, y, _), _)| (x, y))
            .collect();
        assert!(!touched.is_empty(), "{corner}");
        let there = |(x, y): &(u32, u32)| (*x >= 64) == right && (*y >= 64) == bottom;
        assert!(touched.iter().all(there), "{corner}: {touched:?}");
    }
}

#[test]
fn it_reads_nothing_live() {
    let host = host(Wiring::Direct);
    let drawn = host.txt2img("a cat").pictures(2, 2).draw();
    drawn.assert_reads_no_live_option("watermark");
    for option in ["watermark_text", "watermark_opacity", "watermark_corner"] {
        drawn.assert_reads_snapshot("watermark", option);
    }
}
