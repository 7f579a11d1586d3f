/* A plugin that asks its host for everything that its version of the ABI has, at every hook, and logs the
 * answers. It is built once for a version and kept: see README.md. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atelier_plugin.h"

/* It asks for what 1.GOLDEN_MINOR has. */
#ifndef GOLDEN_MINOR
#define GOLDEN_MINOR ATELIER_ABI_MINOR
#endif

#ifdef GOLDEN_SCRIPT
/* One that requests select takes no part in other runs. */
ATELIER_MANIFEST("golden-script", "Golden script", "1.0.0", run, before_image_saved, image_saved, finish);
#elif GOLDEN_MINOR >= 1
ATELIER_MANIFEST_WITH("golden-c", "Golden C", "1.1.0", "\"before\":[],\"after\":[\"somebody\"],",
                      model_loaded, before_process, process, before_process_batch,
                      after_extra_networks_activate, process_batch, before_hr,
                      process_before_every_sampling, extra_noise, cfg_denoiser, cfg_denoised,
                      cfg_combine, on_mask_blend, cfg_after_cfg, after_step, post_sample,
                      postprocess_batch, postprocess_batch_list, postprocess_image,
                      postprocess_maskoverlay, postprocess_image_after_composite,
                      before_image_saved, image_saved, image_grid, postprocess, finish);
#else
ATELIER_MANIFEST_WITH("golden-c", "Golden C", "1.0.0", "\"before\":[],\"after\":[\"somebody\"],",
                      model_loaded, before_process, process, before_process_batch, process_batch,
                      process_before_every_sampling, cfg_denoiser, cfg_denoised, cfg_combine,
                      cfg_after_cfg, after_step, post_sample, postprocess_batch,
                      postprocess_batch_list, postprocess_image, before_image_saved, image_saved,
                      image_grid, postprocess, finish);
#endif

/* Every field. */
static const uint32_t FIELDS[] = {1,  2,  3,  4,  5,  6,  10, 11, 12, 13, 14, 15, 16, 17, 18,
                                  19, 20, 21, 22, 23, 24, 25, 30, 31, 32, 33, 34, 35, 36, 37,
                                  50, 60, 61, 62, 63, 64, 65, 66, 67, 68, 70,
#if GOLDEN_MINOR >= 1
                                  26, 27, 38, 40, 41, 42, 43, 51, 69,
#endif
};
/* Every buffer. */
enum { FIRST_BUFFER = 1, LAST_BUFFER = GOLDEN_MINOR >= 1 ? 17 : 10 };

struct plugin {
  int made;
};

struct run {
  unsigned calls;
};

static void say(const AtelierCall *call, const char *line) { atelier_log(call, ATELIER_LEVEL_INFO, line); }

static void value_words(const AtelierRawValue *value, char *words, size_t size) {
  double number;
  switch (value->kind) {
  case ATELIER_VALUE_KIND_NULL:
    snprintf(words, size, "null");
    break;
  case ATELIER_VALUE_KIND_BOOL:
    snprintf(words, size, "bool %d", (int)value->bits);
    break;
  case ATELIER_VALUE_KIND_INT:
    snprintf(words, size, "int %" PRId64, (int64_t)value->bits);
    break;
  case ATELIER_VALUE_KIND_FLOAT:
    memcpy(&number, &value->bits, sizeof number);
    snprintf(words, size, "float %.6g", number);
    break;
  case ATELIER_VALUE_KIND_TEXT:
    snprintf(words, size, "text %.*s", (int)value->text.len, (const char *)value->text.ptr);
    break;
  case ATELIER_VALUE_KIND_JSON:
    snprintf(words, size, "json %.*s", (int)value->text.len, (const char *)value->text.ptr);
    break;
  default:
    snprintf(words, size, "kind %u", value->kind);
  }
}

/* A line about an answer: its status, and its value or the host's words. */
static void answer(const AtelierCall *call, const char *what, uint32_t status, AtelierRawValue value) {
  static const size_t SIZE = 4096;
  char *words = malloc(SIZE), *line = malloc(SIZE + 256);
  if (words != NULL && line != NULL) {
    if (status != ATELIER_STATUS_OK) call->table->message(call->context, &value);
    value_words(&value, words, SIZE);
    snprintf(line, SIZE + 256, "%s: %u %s", what, status, words);
    say(call, line);
  }
  free(words);
  free(line);
}

static uint64_t hash(const uint8_t *bytes, uint64_t count) {
  uint64_t value = 14695981039346656037u;
  for (uint64_t at = 0; at < count; at++) value = (value ^ bytes[at]) * 1099511628211u;
  return value;
}

static uint64_t elements(const AtelierRawBuffer *buffer) {
  uint64_t count = 1;
  for (uint32_t at = 0; at < buffer->rank; at++) count *= buffer->shape[at];
  return count;
}

static void ask_fields(const AtelierCall *call) {
  for (size_t at = 0; at < sizeof FIELDS / sizeof *FIELDS; at++) {
    AtelierRawValue value = {0, 0, 0, {NULL, 0}};
    char what[64];
    uint32_t status = call->table->get(call->context, FIELDS[at], 0, &value);
    if (status == ATELIER_STATUS_NOT_HERE) continue;
    snprintf(what, sizeof what, "field %u", FIELDS[at]);
    answer(call, what, status, value);
    status = call->table->get(call->context, FIELDS[at], UINT64_MAX, &value);
    if (status != ATELIER_STATUS_OK) continue;
    snprintf(what, sizeof what, "count of field %u", FIELDS[at]);
    answer(call, what, status, value);
  }
}

static void ask_options(const AtelierCall *call) {
  static const uint32_t SOURCES[] = {ATELIER_OPTION_SOURCE_LIVE, ATELIER_OPTION_SOURCE_SNAPSHOT};
  static const char *const KEYS[] = {"samples_format", "golden_c_number", "no such option"};
  for (size_t source = 0; source < 2; source++) {
    AtelierRawValue value = {0, 0, 0, {NULL, 0}};
    uint32_t status;
    char what[64];
    for (size_t key = 0; key < 3; key++) {
      status = call->table->read_option(call->context, SOURCES[source], atelier_str(KEYS[key]), &value);
      snprintf(what, sizeof what, "option %s of %u", KEYS[key], SOURCES[source]);
      answer(call, what, status, value);
    }
    status = call->table->read_all_options(call->context, SOURCES[source], &value);
    snprintf(what, sizeof what, "all of %u: status %u, kind %u", SOURCES[source], status,
             status == ATELIER_STATUS_OK ? value.kind : 0);
    say(call, what);
  }
}

static void ask_buffers(const AtelierCall *call) {
  for (uint32_t code = FIRST_BUFFER; code <= LAST_BUFFER; code++) {
    AtelierRawBuffer buffer;
    char line[256];
    uint64_t size;
    uint32_t status = atelier_buffer(call, code, 0, 0, &buffer), writing;
    if (status == ATELIER_STATUS_NOT_HERE) continue;
    if (status != ATELIER_STATUS_OK) {
      snprintf(line, sizeof line, "buffer %u: %u", code, status);
      say(call, line);
      continue;
    }
    size = elements(&buffer) * (buffer.element == ATELIER_ELEMENT_F32 ? 4 : 1);
    snprintf(line, sizeof line, "buffer %u: element %u, rank %u, %" PRIu64 "x%" PRIu64 ", hash %016" PRIx64,
             code, buffer.element, buffer.rank, buffer.shape[0], buffer.shape[1],
             hash(buffer.data, size));
    say(call, line);
    writing = atelier_buffer(call, code, 0, 1, &buffer);
    snprintf(line, sizeof line, "buffer %u to write: %u", code, writing);
    say(call, line);
    if (writing != ATELIER_STATUS_OK || elements(&buffer) == 0) continue;
    if (buffer.element == ATELIER_ELEMENT_F32) {
      ((float *)buffer.data)[0] *= 0.5f;
    } else {
      ((uint8_t *)buffer.data)[0] ^= 0x10;
    }
  }
}

/* What is only asked for at some hooks. */
static uint32_t ask_more(const AtelierCall *call) {
  AtelierRawValue value = {0, 0, 0, {NULL, 0}};
  AtelierRawBuffer buffer = {NULL, 0, 0, {0}, {0}};
  AtelierRawValue eight = atelier_int(8);
  uint32_t status;
  switch (call->frame->hook) {
  case ATELIER_HOOK_BEFORE_PROCESS:
    status = atelier_write_option(call, ATELIER_OPTION_TARGET_OVERRIDE, "golden_c_number", atelier_float(0.5));
    answer(call, "override", status, value);
    break;
  case ATELIER_HOOK_PROCESS:
    answer(call, "set steps",
           call->table->set(call->context, ATELIER_FIELD_STEPS, 0, &eight), value);
    eight = atelier_int(2);
    answer(call, "set steps", call->table->set(call->context, ATELIER_FIELD_STEPS, 0, &eight), value);
    status = atelier_write_option(call, ATELIER_OPTION_TARGET_RUN, "golden_c_text", atelier_text("run"));
    answer(call, "write for the run", status, value);
    status = atelier_write_option(call, ATELIER_OPTION_TARGET_LIVE, "golden_c_list", atelier_text("no list"));
    answer(call, "write live", status, value);
    break;
  case ATELIER_HOOK_PROCESS_BATCH:
    status = call->table->service(call->context, ATELIER_SERVICE_ENCODE_TEXT, atelier_str("a cat"),
                                  NULL, &buffer, &value);
    answer(call, "encode text", status, value);
    if (status == ATELIER_STATUS_OK) {
      answer(call, "its tokens", status, atelier_int((int64_t)buffer.shape[1]));
    }
    break;
  case ATELIER_HOOK_PROCESS_BEFORE_EVERY_SAMPLING:
    status = call->table->resize(call->context, ATELIER_BUFFER_COND, ATELIER_LIST_OP_REPLACE, 0, 77, 0);
    answer(call, "replace conditioning", status, value);
    break;
  case ATELIER_HOOK_POSTPROCESS_BATCH_LIST:
    status = call->table->resize(call->context, ATELIER_BUFFER_IMAGE, ATELIER_LIST_OP_REPLACE, 0, 16, 24);
    answer(call, "replace a picture", status, value);
    status = call->table->resize(call->context, ATELIER_BUFFER_IMAGE, ATELIER_LIST_OP_REMOVE, 99, 0, 0);
    answer(call, "remove no picture", status, value);
    break;
  case ATELIER_HOOK_POSTPROCESS_IMAGE:
    if (atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 0, &buffer) == ATELIER_STATUS_OK) {
      AtelierRawBuffer out = {NULL, 0, 0, {0}, {0}};
      status = call->table->service(call->context, ATELIER_SERVICE_SAVE_PICTURE, atelier_str("-golden"),
                                    &buffer, &out, &value);
      answer(call, "save a picture", status, value);
    }
    break;
  case ATELIER_HOOK_IMAGE_GRID:
    return atelier_fail(call, "golden fails here");
  default:
    break;
  }
  return ATELIER_STATUS_OK;
}

static uint32_t here(const AtelierCall *call) {
  const AtelierFrame *frame = call->frame;
  char line[256];
  snprintf(line, sizeof line, "hook %u: iteration %u, image %u, step %u of %u, sigma %.6g", frame->hook,
           frame->iteration, frame->image, frame->step, frame->total_steps, frame->sigma);
  say(call, line);
  snprintf(line, sizeof line, "cancelled: %u", call->table->cancelled(call->context));
  say(call, line);
  ask_fields(call);
  ask_options(call);
  ask_buffers(call);
  if (frame->hook == ATELIER_HOOK_POSTPROCESS_IMAGE) {
    uint32_t status = atelier_infotext(call, "Golden C", atelier_bool(1));
    snprintf(line, sizeof line, "infotext: %u", status);
    say(call, line);
  }
  return ask_more(call);
}

static uint32_t describe(const AtelierSink *sink) {
  return atelier_declare(
      sink, "{\"options\":["
            "{\"key\":\"golden_c_text\",\"kind\":\"text\",\"default\":\"a\"},"
            "{\"key\":\"golden_c_number\",\"kind\":\"float\",\"default\":1.0,\"min\":0.0,\"max\":2.0},"
            "{\"key\":\"golden_c_list\",\"kind\":\"list\",\"default\":[\"a\"]}],"
            "\"args\":[{\"name\":\"word\",\"kind\":\"text\",\"default\":\"none\"}]}");
}

static uint32_t create(const AtelierHost *host, const AtelierCall *call, void **out) {
  struct plugin *plugin = malloc(sizeof *plugin);
  (void)host;
  if (plugin == NULL) return atelier_fail(call, "out of memory");
  plugin->made = 1;
  *out = plugin;
  return ATELIER_STATUS_OK;
}

static uint32_t call_plugin(const void *plugin, const AtelierCall *call) {
  if (((const struct plugin *)plugin)->made != 1) return atelier_fail(call, "another plugin");
  return here(call);
}

static uint32_t start(const void *plugin, const AtelierCall *call, void **out) {
  struct run *run = calloc(1, sizeof *run);
  (void)plugin;
  if (run == NULL) return atelier_fail(call, "out of memory");
  *out = run;
  return here(call);
}

/* A run that is made out of a child run. */
static uint32_t script(const AtelierCall *call) {
  AtelierRawValue value = {0, 0, 0, {NULL, 0}};
  AtelierRawBuffer buffer, own;
  uint32_t status = call->table->service(call->context, ATELIER_SERVICE_CHILD,
                                         atelier_str("{\"prompt\":\"a child\"}"), NULL, &buffer, &value);
  char line[64];
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  snprintf(line, sizeof line, "child: kind %u", value.kind);
  say(call, line);
  status = atelier_buffer(call, ATELIER_BUFFER_CHILD_IMAGE, 0, 0, &buffer);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  status = call->table->resize(call->context, ATELIER_BUFFER_IMAGE, ATELIER_LIST_OP_PUSH, 0,
                               buffer.shape[1], buffer.shape[0]);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  status = atelier_buffer(call, ATELIER_BUFFER_CHILD_IMAGE, 0, 0, &buffer);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  status = atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 1, &own);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  memcpy(own.data, buffer.data, (size_t)elements(&own));
  return ATELIER_STATUS_OK;
}

static uint32_t call_run(void *run, const AtelierCall *call) {
  ((struct run *)run)->calls++;
  return call->frame->hook == ATELIER_HOOK_RUN ? script(call) : here(call);
}

static uint32_t drop_run(void *run, const AtelierCall *call) {
  char line[64];
  snprintf(line, sizeof line, "dropped after %u calls", ((struct run *)run)->calls);
  say(call, line);
  free(run);
  return ATELIER_STATUS_OK;
}

static uint32_t drop_plugin(void *plugin, const AtelierCall *call) {
  (void)call;
  free(plugin);
  return ATELIER_STATUS_OK;
}

static const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, atelier_manifest, describe,
                                         create,             call_plugin,      start,
                                         call_run,           drop_run,         drop_plugin};

const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
