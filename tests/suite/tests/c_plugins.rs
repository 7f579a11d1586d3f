//! Plugins in C and C++: the same boundary, the same ledger, the same seam.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};

use atelier_host::{
    plugins::manifest::PanicStrategy,
    run::{RunRequest, seam::SeamMode},
};
use atelier_suite::{every_way, root};
use atelier_testkit::{TestHost, Wiring, build};
use serde_json::json;

/// The example plugin in that file, compiled.
fn example(folder: &Path, file: &str) -> PathBuf {
    let root = root();
    let include = root.join("plugin-api/include");
    build::with_cc(&root.join("example-plugins").join(file), &include, folder)
}

/// A plugin whose source is written here, compiled.
fn written(folder: &Path, name: &str, source: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, source).expect("a source");
    build::with_cc(&file, &root().join("plugin-api/include"), folder)
}

fn loaded(libraries: &[PathBuf], wiring: Wiring) -> TestHost {
    let host = TestHost::new(libraries, wiring);
    for entry in host.atelier().plugins() {
        assert_eq!(entry.state.reason(), None, "{}", entry.path.display());
    }
    host
}

/// Why the one library of a host is not loaded.
fn reason(library: &Path) -> String {
    let host = TestHost::new(&[library.to_owned()], Wiring::Direct);
    host.atelier().plugins()[0].state.reason().expect("a reason")
}

#[test]
fn a_plugin_in_c_reads_the_snapshot_and_changes_the_picture() {
    let folder = tempfile::tempdir().expect("a folder");
    let sepia = example(folder.path(), "sepia/sepia.c");
    every_way(|wiring| {
        let host = loaded(std::slice::from_ref(&sepia), wiring);
        let manifest = host.atelier().plugins()[0].manifest.as_ref().expect("a manifest");
        assert_eq!((manifest.id.as_str(), manifest.panic), ("sepia", PanicStrategy::None));
        assert_eq!(manifest.hooks, ["postprocess_image"]);
        assert_eq!(host.option("sepia_strength"), 1.0);

        let with = |strength: f64| {
            let mut request = host.request();
            request.override_settings.insert("sepia_strength".to_owned(), json!(strength));
            host.draw(request)
        };
        let (plain, toned) = (with(0.0), with(1.0));
        assert_eq!(toned.record.failures, []);
        for (before, after) in
            plain.pictures[0].image.pixels().zip(toned.pictures[0].image.pixels())
        {
            let [r, g, b] = before.0.map(f64::from);
            let red = (0.393 * r + 0.769 * g + 0.189 * b).min(255.0);
            assert!((red - f64::from(after.0[0])).abs() <= 1.0, "{before:?} {after:?} {wiring:?}");
        }
        assert!(toned.pictures[0].infotext.contains("Sepia: 1.0"), "{wiring:?}");
        let [row] =
            &toned.record.ledger.iter().filter(|row| row.reader == "sepia").collect::<Vec<_>>()[..]
        else {
            panic!("one row")
        };
        assert_eq!((&*row.hook, row.snapshot, row.live), ("start", 1, 0));
    });
}

#[test]
fn a_plugin_in_cpp_reads_live_and_is_counted_and_pinned() {
    let folder = tempfile::tempdir().expect("a folder");
    let pixelate = example(folder.path(), "pixelate/pixelate.cpp");
    every_way(|wiring| {
        let host = loaded(std::slice::from_ref(&pixelate), wiring);
        for seam in [SeamMode::Record, SeamMode::Pin] {
            let mut request = RunRequest { n_iter: 2, seam, ..host.request() };
            request.override_settings.insert("pixelate_block".to_owned(), json!(32));
            let finished = host.draw(request);
            assert_eq!(finished.record.failures, []);
            let image = &finished.pictures.last().expect("a picture").image;
            for (x, y, pixel) in image.enumerate_pixels() {
                assert_eq!(pixel, image.get_pixel(x / 32 * 32, y / 32 * 32), "{wiring:?}");
            }
            let rows = finished.record.ledger.iter().filter(|row| row.reader == "pixelate");
            let live: u64 = rows.map(|row| row.live).sum();
            assert_eq!(live, 2, "{seam:?} {wiring:?}");
        }
    });
}

/// One hook of every kind: fields, lists, options, buffers, services, log; and refusals with words.
const EVERYTHING: &str = r#"
#include <stdio.h>
#include "atelier_plugin.h"
ATELIER_MANIFEST_WITH("everything", "Everything", "1.2.3", "\"after\":[\"sepia\"],", before_process,
                      process, post_sample, postprocess_image, finish);

static uint32_t describe(const AtelierSink *sink) {
  return atelier_declare(sink, "{\"options\":[{\"key\":\"everything_text\",\"kind\":\"text\",\"default\":\"a\"}],"
                               "\"args\":[{\"name\":\"fail\",\"kind\":\"bool\",\"default\":false}]}");
}

static uint32_t call_plugin(const void *plugin, const AtelierCall *call) {
  AtelierRawValue value = atelier_int(3);
  (void)plugin;
  if (call->frame->hook != ATELIER_HOOK_BEFORE_PROCESS) return ATELIER_STATUS_NOT_HERE;
  return call->table->set(call->context, ATELIER_FIELD_STEPS, 0, &value);
}

static uint32_t process(const AtelierCall *call) {
  AtelierRawValue count, seed, prompt = atelier_text("written in C");
  int64_t seeds = 0, first = 0;
  char words[96];
  uint32_t status = call->table->get(call->context, ATELIER_FIELD_ALL_SEEDS, ATELIER_COUNT, &count);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  atelier_as_int(count, &seeds);
  call->table->get(call->context, ATELIER_FIELD_ALL_SEEDS, 0, &seed);
  atelier_as_int(seed, &first);
  call->table->set(call->context, ATELIER_FIELD_ALL_PROMPTS, 0, &prompt);
  atelier_write_option(call, ATELIER_OPTION_TARGET_RUN, "everything_text", atelier_text("b"));
  snprintf(words, sizeof words, "%d seeds from %d", (int)seeds, (int)first);
  return atelier_infotext(call, "Everything", atelier_text(words));
}

static uint32_t post_sample(const AtelierCall *call) {
  AtelierRawBuffer latents, pixels;
  AtelierRawValue nothing;
  uint32_t status = atelier_buffer(call, ATELIER_BUFFER_LATENTS, 0, 0, &latents);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  status = call->table->service(call->context, ATELIER_SERVICE_DECODE, atelier_str(""), &latents,
                                &pixels, &nothing);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  if (pixels.rank != 4 || pixels.shape[1] != 3) return atelier_fail(call, "no pixels");
  return ATELIER_STATUS_OK;
}

static uint32_t call_run(void *run, const AtelierCall *call) {
  double none;
  (void)run;
  switch (call->frame->hook) {
  case ATELIER_HOOK_PROCESS: return process(call);
  case ATELIER_HOOK_POST_SAMPLE: return post_sample(call);
  case ATELIER_HOOK_POSTPROCESS_IMAGE:
    return atelier_refused(call, atelier_read_float(call, ATELIER_OPTION_SOURCE_LIVE, "everything_txt", &none));
  case ATELIER_HOOK_FINISH: return ATELIER_STATUS_OK;
  default: return ATELIER_STATUS_NOT_HERE;
  }
}

static const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, atelier_manifest, describe, NULL,
                                         call_plugin, NULL, call_run, NULL, NULL};
const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
"#;

#[test]
fn c_reaches_fields_lists_options_buffers_and_services() {
    let folder = tempfile::tempdir().expect("a folder");
    let library = written(folder.path(), "everything.c", EVERYTHING);
    every_way(|wiring| {
        let host = loaded(std::slice::from_ref(&library), wiring);
        let manifest = host.atelier().plugins()[0].manifest.as_ref().expect("a manifest");
        assert_eq!((&*manifest.version, &manifest.after[..]), ("1.2.3", &["sepia".to_owned()][..]));
        let finished = host.draw(RunRequest { n_iter: 2, ..host.request() });
        let prepared = finished.record.prepared.expect("a prepared run");
        assert_eq!(prepared.params.steps, 3);
        let infotext = &finished.pictures[1].infotext;
        assert!(infotext.starts_with("written in C\n"), "{infotext}");
        assert!(infotext.contains("Everything: 2 seeds from 7"), "{infotext}");
        assert_eq!(host.option("everything_text"), "a");
        // A refusal's words are the host's: they name the nearest key.
        let [failure] = &finished.record.failures[..] else {
            panic!("{:?}", finished.record.failures)
        };
        assert_eq!(
            (&*failure.hook, &*failure.status, failure.times),
            ("postprocess_image", "failed", 2)
        );
        assert!(failure.message.contains("everything_text"), "{}", failure.message);
    });
}

#[test]
fn a_library_in_c_that_is_no_plugin_of_ours_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = |name: &str, table: &str| {
        let source = format!(
            "#include \"atelier_plugin.h\"\nATELIER_MANIFEST(\"odd\", \"Odd\", \"1.0.0\", finish);\n{table}\n"
        );
        reason(&written(folder.path(), name, &source))
    };
    let none = plugin(
        "none.c",
        "const AtelierStr *use(void);\nconst AtelierStr *use(void) { static AtelierStr text; text = atelier_manifest(); return &text; }",
    );
    assert!(none.contains("does not export a plugin"), "{none}");
    let null = plugin(
        "null.c",
        "const AtelierPluginTable *atelier_plugin(void) { (void)atelier_manifest; return NULL; }",
    );
    assert!(null.contains("does not export a plugin"), "{null}");
    let newer = plugin(
        "newer.c",
        "static const AtelierPluginTable TABLE = {sizeof TABLE, 2, 0, atelier_manifest, NULL, NULL, NULL, NULL, NULL, NULL, NULL};\n\
         const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }",
    );
    assert!(newer.contains("built for plugin ABI 2.0, this host runs 1.1"), "{newer}");
    // A table that ends before `manifest` tells none.
    let short = plugin(
        "short.c",
        "static const AtelierPluginTable TABLE = {offsetof(AtelierPluginTable, manifest), 1, 0, atelier_manifest, NULL, NULL, NULL, NULL, NULL, NULL, NULL};\n\
         const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }",
    );
    assert!(short.contains("manifest"), "{short}");
}
