//! `atelier plugins compat`: every verdict is reached by a plugin that deserves it.

#![allow(clippy::expect_used, reason = "a test that cannot go on panics")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use atelier_suite::{atelier, plugin, root, variant};
use atelier_testkit::build;
use serde_json::Value;

fn compat(library: &Path, flags: &[&str]) -> Output {
    let output = Command::new(atelier())
        .args(["plugins", "compat", "--fake"])
        .arg(library)
        .args(flags)
        .env_remove("RUST_LOG")
        .env_remove("ATELIER_DATA")
        .output()
        .expect("the atelier command");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{flags:?}: {errors}");
    output
}

fn document(library: &Path, flags: &[&str]) -> Value {
    let output = compat(library, &[flags, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// A plugin that adds a number to a byte of every picture; where it gets the number from is given.
fn adding(folder: &Path, name: &str, number: &str, more: &str) -> PathBuf {
    let source = format!(
        r#"#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>
#include "atelier_plugin.h"
ATELIER_MANIFEST("adding", "Adding", "1.0.0", process, postprocess_image);
static uint32_t describe(const AtelierSink *sink) {{
  return atelier_declare(sink, "{{\"options\":["
    "{{\"key\":\"adding_number\",\"kind\":\"int\",\"default\":1,\"min\":0,\"max\":9,\"label\":\"Number\"}},"
    "{{\"key\":\"adding_kind\",\"kind\":\"text\",\"default\":\"a\",\"choices\":[\"a\",\"b\",\"c\"],\"label\":\"Kind\"}}"
    {more}"]}}");
}}
static uint32_t start(const void *plugin, const AtelierCall *call, void **out) {{
  int64_t *kept = malloc(sizeof *kept);
  (void)plugin;
  if (kept == NULL) return atelier_fail(call, "out of memory");
  *kept = 1;
  atelier_read_int(call, ATELIER_OPTION_SOURCE_SNAPSHOT, "adding_number", kept);
  *out = kept;
  return ATELIER_STATUS_OK;
}}
static uint32_t call_run(void *run, const AtelierCall *call) {{
  int64_t kept = *(int64_t *)run, number = kept;
  AtelierRawBuffer image;
  if (call->frame->hook != ATELIER_HOOK_POSTPROCESS_IMAGE) return ATELIER_STATUS_OK;
  {number}
  if (atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 1, &image) != ATELIER_STATUS_OK) return ATELIER_STATUS_FAILED;
  ((uint8_t *)image.data)[0] = (uint8_t)(((uint8_t *)image.data)[0] / 2 + number);
  return ATELIER_STATUS_OK;
}}
static uint32_t drop_run(void *run, const AtelierCall *call) {{
  (void)call;
  free(run);
  return ATELIER_STATUS_OK;
}}
static const AtelierPluginTable TABLE = {{ATELIER_TABLE_HEAD, atelier_manifest, describe, NULL, NULL, start, call_run, drop_run, NULL}};
const AtelierPluginTable *atelier_plugin(void) {{ return &TABLE; }}
"#
    );
    let own = folder.join(name);
    std::fs::create_dir_all(&own).expect("a folder");
    let file = own.join("adding.c");
    std::fs::write(&file, source).expect("a source");
    build::with_cc(&file, &root().join("plugin-api/include"), &own)
}

const LIVE: &str =
    "atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, \"adding_number\", &number);";

#[test]
fn every_verdict_is_reached_by_a_plugin_that_deserves_it() {
    let folder = variant::folder();
    let folder = folder.path();
    let unused = "int64_t seen; atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, \"adding_number\", &seen); (void)seen;";
    let variable = format!(
        "atelier_write_option(call, ATELIER_OPTION_TARGET_LIVE, \"adding_number\", atelier_int(4)); {LIVE} \
         atelier_write_option(call, ATELIER_OPTION_TARGET_LIVE, \"adding_number\", atelier_int(1));"
    );
    for (name, code, verdict) in [
        ("ready", "", "ready"),
        ("never", unused, "never-differs"),
        ("migrate", LIVE, "migrate"),
        ("variable", &variable, "variable"),
        ("chance", "static int runs; number += ++runs;", "not-repeatable"),
    ] {
        let library = adding(folder, name, code, "");
        let document = document(&library, &[]);
        assert_eq!(document["compat"]["verdict"], verdict, "{name}: {document:#}");
        assert!(!document["advice"].as_str().expect("advice").is_empty());
    }
}

/// Every way to change the option was tried, at every hook that reads it, and the words say which.
#[test]
fn a_plugin_to_migrate_is_told_option_hook_and_pixels() {
    let folder = variant::folder();
    let number = format!(
        "AtelierRawValue kind; {LIVE} call->table->read_option(call->context, ATELIER_OPTION_SOURCE_LIVE, \
         atelier_str(\"adding_kind\"), &kind); number += kind.text.ptr[0] == 'c' ? 50 : 0;"
    );
    let library = adding(folder.path(), "both", &number, "");
    let document = document(&library, &[]);
    let options = document["compat"]["options"].as_array().expect("options");
    let of = |key: &str| options.iter().find(|option| option["key"] == key).expect("an option");
    let tried = |key: &str| -> Vec<(String, String, u64)> {
        let shifts = of(key)["shifts"].as_array().expect("shifts").clone();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        shifts
            .iter()
            .map(|it| {
                (text(&it["value"]), text(&it["before"]), it["pixels"].as_u64().expect("pixels"))
            })
            .collect()
    };
    // To both limits, and before `start` and the hook: three pictures are drawn, a pixel of each differs.
    let case = |value: &str, before: &str, pixels| (value.to_owned(), before.to_owned(), pixels);
    assert_eq!(
        tried("adding_number"),
        [
            case("0", "start", 3),
            case("0", "postprocess_image", 3),
            case("9", "start", 3),
            case("9", "postprocess_image", 3),
        ]
    );
    // To every other choice; only one of them matters.
    let kinds = tried("adding_kind");
    assert!(kinds.iter().all(|(kind, _, pixels)| (*pixels > 0) == (kind == "c")), "{kinds:?}");
    assert!(kinds.iter().any(|(kind, _, _)| kind == "b"));
    let text = String::from_utf8(compat(&library, &[]).stdout).expect("text");
    assert!(
        text.contains("migrate: adding_number, read at postprocess_image, changes 3 pixels"),
        "{text}"
    );
    assert!(text.contains("pinned to the snapshot it draws the same"), "{text}");
}

#[test]
fn behaviour_is_preserved_with_and_without_recording_and_pinned() {
    let folder = variant::folder();
    let document = document(&plugin("prompt-styles"), &["-o", "prompt_styles_prefix=sketch of "]);
    let compat = &document["compat"];
    assert_eq!((&compat["without_recording"], &compat["pinned"]), (&0.into(), &0.into()));
    assert_eq!(compat["verdict"], "migrate");
    let migrated = self::document(&plugin("watermark"), &[]);
    assert_eq!(migrated["compat"]["verdict"], "ready");
    assert_eq!(migrated["compat"]["without_recording"], Value::Null);
    drop(folder);
}

#[test]
fn an_older_build_is_compared_with() {
    let folder = variant::folder();
    let extra = ",{\\\"key\\\":\\\"adding_extra\\\",\\\"kind\\\":\\\"bool\\\",\\\"default\\\":true,\\\"label\\\":\\\"Extra\\\"}";
    let new = adding(folder.path(), "new", LIVE, "");
    let old = adding(folder.path(), "old", "", &format!("\"{extra}\""));
    let source = folder.path().join("old/adding.c");
    let text = std::fs::read_to_string(&source).expect("a source");
    let text = text
        .replace("process, postprocess_image);", "postprocess_image, finish);")
        .replace("\\\"max\\\":9", "\\\"max\\\":5")
        .replace("/ 2 +", "/ 3 +");
    std::fs::write(&source, text).expect("a source");
    build::with_cc_as(&source, &root().join("plugin-api/include"), &old, &[]);
    let document = document(&new, &["--against", old.to_str().expect("a path")]);
    let changes = document["against"]["changes"].as_array().expect("changes");
    let has = |what: &str, kind: &str, name: &str| {
        changes.iter().any(|it| it["what"] == what && it["kind"] == kind && it["name"] == name)
    };
    assert!(has("added", "hook", "process") && has("removed", "hook", "finish"), "{changes:#?}");
    assert!(has("removed", "option", "adding_extra"));
    assert!(has("changed", "option", "adding_number"));
    assert_eq!(document["against"]["pixels"], 3);
    assert_eq!(document["against"]["verdict"], "ready");
}

#[test]
fn the_report_is_one_file_with_pictures_and_the_ledger() {
    let folder = variant::folder();
    let library = adding(folder.path(), "html", LIVE, "");
    let file = folder.path().join("report.html");
    compat(&library, &["--html", file.to_str().expect("a path")]);
    let page = std::fs::read_to_string(&file).expect("a page");
    assert!(page.starts_with("<!doctype html>"));
    // The undisturbed pictures, and one with its difference for the option.
    assert_eq!(page.matches("data:image/png;base64,").count(), 6, "{page}");
    for words in ["adding_number", "where they differ", "Ledger of the undisturbed runs", "migrate"]
    {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"), "nothing is fetched");
}

#[test]
fn a_plugin_that_cannot_be_examined_is_told_why() {
    let folder = variant::folder();
    let library =
        adding(folder.path(), "fails", "if (kept) return atelier_fail(call, \"not today\");", "");
    for (library, words) in [
        (library.as_path(), "not today"),
        (Path::new("/no/such.so"), "there is no file /no/such.so"),
    ] {
        let output = Command::new(atelier())
            .args(["plugins", "compat", "--fake"])
            .arg(library)
            .output()
            .expect("the atelier command");
        assert!(!output.status.success());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.contains(words), "{errors}");
    }
}
