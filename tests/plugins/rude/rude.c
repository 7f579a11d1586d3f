/* Fails one check of `atelier plugins validate`, the one that the environment variable ATELIER_RUDE
 * names; without it passes all of them. Some checks are about the file: for those it is compiled in
 * another way (RUDE_…). */

#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "atelier_plugin.h"

#ifndef RUDE_ID
#define RUDE_ID "rude"
#endif
#ifndef RUDE_VERSION
#define RUDE_VERSION "1.1.0"
#endif

#ifdef RUDE_JSON
ATELIER_MANIFEST_OF(RUDE_JSON);
#else
ATELIER_MANIFEST(RUDE_ID, "Rude", RUDE_VERSION, before_process, process, process_batch, after_step,
                 post_sample, postprocess_image, finish);
#endif

#ifdef RUDE_NEEDS
int helper(void);
#endif

static int rude(const char *check) {
  const char *mode = getenv("ATELIER_RUDE");
  return mode != NULL && strcmp(mode, check) == 0;
}

/* Runs that are going on, and what earlier ones have left: what no plugin should have. */
static int going_on;
static int remembered;
static int64_t last_number = -1;
static pthread_mutex_t LOCK = PTHREAD_MUTEX_INITIALIZER;

static void *sleep_for_ever(void *nothing) {
  for (;;) pause();
  return nothing;
}

static void start_thread(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0) pthread_detach(thread);
}

static void write_file(const char *folder, const char *name) {
  char path[4096];
  int file;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  file = open(path, O_CREAT | O_WRONLY, 0600);
  if (file >= 0) close(file);
}

static uint32_t panicked(const AtelierCall *call, const char *words) {
  atelier_fail(call, words);
  return ATELIER_STATUS_PANICKED;
}

/* A field as text, or as a number. */
static AtelierStr text(const AtelierCall *call, uint32_t field) {
  AtelierRawValue value;
  AtelierStr none = {NULL, 0};
  if (call->table->get(call->context, field, 0, &value) != ATELIER_STATUS_OK) return none;
  return value.text;
}
static double number(const AtelierCall *call, uint32_t field) {
  AtelierRawValue value;
  double out = 0;
  int flag = 0;
  if (call->table->get(call->context, field, 0, &value) != ATELIER_STATUS_OK) return 0;
  if (atelier_as_bool(value, &flag)) return flag;
  atelier_as_float(value, &out);
  return out;
}
static int is(AtelierStr text, const char *other) {
  return text.len == strlen(other) && memcmp(text.ptr, other, text.len) == 0;
}

__attribute__((constructor)) static void on_load(void) {
  if (rude("loads-quickly")) usleep(200 * 1000);
}

static uint32_t describe(const AtelierSink *sink) {
  static int times;
  const char *more = "";
  char json[2048];
  times++;
  if (rude("option-keys-prefixed"))
    more = ",{\"key\":\"colour_of_all\",\"kind\":\"bool\",\"default\":true,\"label\":\"Colour\"}";
  if (rude("options-explained")) more = ",{\"key\":\"rude_bare\",\"kind\":\"bool\",\"default\":true}";
  if (rude("numbers-limited"))
    more = ",{\"key\":\"rude_any\",\"kind\":\"float\",\"default\":1.0,\"label\":\"Any\"}";
  if (rude("declares-the-same-twice") && times % 2 == 0)
    more = ",{\"key\":\"rude_second\",\"kind\":\"bool\",\"default\":true,\"label\":\"Second\"}";
#ifdef RUDE_OLDER
  more = ",{\"key\":\"rude_gone\",\"kind\":\"bool\",\"default\":true,\"label\":\"Gone\"}";
#endif
  snprintf(json, sizeof json,
           "{\"options\":["
           "{\"key\":\"rude_number\",\"kind\":\"int\",\"default\":3,\"min\":0,\"max\":9,\"label\":\"Number\"},"
           "{\"key\":\"rude_flag\",\"kind\":\"bool\",\"default\":false,\"label\":\"Flag\"},"
           "{\"key\":\"rude_text\",\"kind\":\"text\",\"default\":\"a\",\"label\":\"Text\"}%s],"
           "\"args\":["
#ifdef RUDE_OLDER
           "{\"name\":\"gone\",\"kind\":\"bool\",\"default\":false},"
#endif
           "{\"name\":\"strength\",\"kind\":\"float\",\"default\":0.5,\"min\":0,\"max\":1}%s]}",
           more, rude("args-distinct") ? ",{\"name\":\"strength\",\"kind\":\"bool\",\"default\":true}" : "");
  return atelier_declare(sink, json);
}

static uint32_t create(const AtelierHost *host, const AtelierCall *call, void **out) {
  AtelierRawValue all;
  char folder[4096] = "";
  AtelierStr data = text(call, ATELIER_FIELD_DATA_FOLDER), path = text(call, ATELIER_FIELD_LIBRARY_PATH);
  static int created;
  (void)host;
  *out = NULL;
  snprintf(folder, sizeof folder, "%.*s", (int)data.len, (const char *)data.ptr);
  created = getenv("RUDE_CREATED") ? atoi(getenv("RUDE_CREATED")) : 0;
  if (rude("loads")) return atelier_fail(call, "it does not want to");
  if (rude("loads-twice") || rude("many-generations")) {
    char count[16];
    if (created >= (rude("loads-twice") ? 1 : 10)) return atelier_fail(call, "once is enough");
    snprintf(count, sizeof count, "%d", created + 1);
    setenv("RUDE_CREATED", count, 1);
  }
  if (rude("loads-from-any-path") && memchr(path.ptr, ' ', path.len)) return atelier_fail(call, "a blank in its path");
  if (rude("loads-without-data-folder")) {
    struct stat there;
    if (stat(folder, &there) != 0) return atelier_fail(call, "its data folder is not there");
  }
  if (rude("quiet-on-load")) {
    puts("here I am");
    fflush(stdout);
  }
  if (rude("no-threads-on-load")) start_thread();
  if (rude("no-files-on-load")) write_file(".", "left-behind");
  if (rude("no-descriptors-on-load") && open("/dev/null", O_RDONLY) < 0) return ATELIER_STATUS_FAILED;
  if (rude("changes-nothing-on-load")) umask(0);
  if (rude("survives-stale-settings") &&
      call->table->read_all_options(call->context, ATELIER_OPTION_SOURCE_LIVE, &all) == ATELIER_STATUS_OK) {
    int64_t now = 0;
    AtelierRawValue stored;
    /* A value that did not fit was put back to the default. */
    if (call->table->read_option(call->context, ATELIER_OPTION_SOURCE_LIVE, atelier_str("rude_of_an_older_version"),
                                 &stored) == ATELIER_STATUS_OK && atelier_as_int(stored, &now))
      return atelier_fail(call, "settings of an older version");
  }
  return ATELIER_STATUS_OK;
}

static uint32_t call_plugin(const void *plugin, const AtelierCall *call) {
  (void)plugin;
  (void)call;
  return ATELIER_STATUS_OK;
}

/* One run of it. */
struct run {
  int64_t snapshot_number;
};

static uint32_t start(const void *plugin, const AtelierCall *call, void **out) {
  struct run *run = calloc(1, sizeof *run);
  AtelierRawValue value;
  uint32_t status;
  int64_t number = 3;
  (void)plugin;
  if (run == NULL) return atelier_fail(call, "out of memory");
  *out = run;
  pthread_mutex_lock(&LOCK);
  going_on++;
  pthread_mutex_unlock(&LOCK);
  if (rude("snapshot-not-live"))
    atelier_read_int(call, ATELIER_OPTION_SOURCE_SNAPSHOT, "rude_number", &run->snapshot_number);
  if (rude("without-snapshot")) {
    status = call->table->read_option(call->context, ATELIER_OPTION_SOURCE_SNAPSHOT, atelier_str("rude_number"), &value);
    if (status == ATELIER_STATUS_NO_SNAPSHOT) return panicked(call, "there is no snapshot");
  }
  atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, "rude_number", &number);
  if (rude("stored-options-count") && number != 3) return panicked(call, "another number than by default");
  return ATELIER_STATUS_OK;
}

/* What goes wrong at `process`. */
static uint32_t process(const AtelierCall *call) {
  AtelierRawValue value;
  AtelierRawBuffer none;
  AtelierStr prompt = {NULL, 0}, sampler = text(call, ATELIER_FIELD_SAMPLER), model = text(call, ATELIER_FIELD_MODEL_NAME);
  AtelierStr words = {NULL, 0};
  double width = number(call, ATELIER_FIELD_WIDTH), height = number(call, ATELIER_FIELD_HEIGHT);
  int fake = is(model, "fake") || is(model, "other"), flag = 0;
  int64_t chosen = 3;
  uint32_t status;
  if (call->table->get(call->context, ATELIER_FIELD_ALL_PROMPTS, 0, &value) == ATELIER_STATUS_OK) prompt = value.text;
  atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, "rude_number", &chosen);
  atelier_read_bool(call, ATELIER_OPTION_SOURCE_LIVE, "rude_flag", &flag);
  atelier_read_text(call, ATELIER_OPTION_SOURCE_LIVE, "rude_text", &words);
  if (rude("defaults-draw")) return atelier_fail(call, "never");
  if (rude("limits-draw") && chosen == 9) return atelier_fail(call, "nine is too much");
  if (rude("hostile-texts") && words.len > 5000) return panicked(call, "a long text");
  if (rude("knows-its-options")) atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, "rude_numbr", &chosen);
  if (rude("leaves-options-as-found"))
    atelier_write_option(call, ATELIER_OPTION_TARGET_LIVE, "samples_format", atelier_text("jpg"));
  if (rude("draws-from-text") && !fake) return atelier_fail(call, "a real checkpoint");
  if (rude("draws-from-picture") && !fake && number(call, ATELIER_FIELD_IS_IMG2IMG) != 0)
    return atelier_fail(call, "a picture and a real checkpoint");
  if (rude("smallest-pictures") && width == 8 && height == 8) return atelier_fail(call, "too small");
  if (rude("odd-sizes") && width != height) return atelier_fail(call, "no square");
  if (rude("large-pictures") && width >= 1024) return atelier_fail(call, "too large");
  if (rude("batches") && number(call, ATELIER_FIELD_BATCH_SIZE) > 2) return atelier_fail(call, "too many");
  if (rude("few-and-many-steps") && number(call, ATELIER_FIELD_STEPS) == 1) return atelier_fail(call, "one step");
  if (rude("all-samplers") && is(sampler, "DDIM")) return atelier_fail(call, "not this sampler");
  if (rude("guidance") && number(call, ATELIER_FIELD_CFG_SCALE) < 0) return atelier_fail(call, "negative guidance");
  if (rude("no-prompt") && prompt.len == 0) return atelier_fail(call, "no prompt");
  if (rude("long-prompt") && prompt.len > 50000) return panicked(call, "a long prompt");
  if (rude("odd-prompts") && prompt.len > 0 && memchr(prompt.ptr, '{', prompt.len)) return panicked(call, "a brace");
  if (rude("infotext-readable")) return atelier_infotext(call, "Size", atelier_text("12x34"));
  if (rude("does-not-stop-runs")) {
    atelier_fail(call, "not today");
    return ATELIER_STATUS_STOP_RUN;
  }
  if (rude("random-settings") && flag) return panicked(call, "the flag is set");
  if (rude("quiet-in-runs")) {
    puts("drawing");
    fflush(stdout);
  }
  if (rude("logs-no-errors")) atelier_log(call, ATELIER_LEVEL_ERROR, "all is lost");
  if (rude("memory-flat")) {
    char *kept = malloc(1 << 18);
    if (kept != NULL) memset(kept, 1, 1 << 18);
  }
  if (rude("no-threads-left")) start_thread();
  if (rude("no-descriptors-left") && open("/dev/null", O_RDONLY) < 0) return ATELIER_STATUS_FAILED;
  if (rude("changes-nothing-in-runs")) setenv("RUDE", "yes", 1);
  if (rude("writes-where-it-may")) write_file(getenv("HOME") ? getenv("HOME") : ".", "left-behind");
  if (rude("refusals-are-errors") &&
      atelier_infotext(call, "Rude", atelier_int(1)) == ATELIER_STATUS_NOT_HERE)
    return panicked(call, "no infotext");
  if (rude("without-services")) {
    status = call->table->service(call->context, ATELIER_SERVICE_ENCODE_TEXT, atelier_str("a"), NULL, &none, &value);
    if (status != ATELIER_STATUS_OK) return panicked(call, "no services");
  }
  if (rude("with-gaps") &&
      call->table->read_option(call->context, ATELIER_OPTION_SOURCE_LIVE, atelier_str("rude_number"), &value) ==
          ATELIER_STATUS_NOT_HERE)
    return panicked(call, "no options");
  if ((rude("recovers-from-gaps") || rude("same-after-failure")) &&
      atelier_infotext(call, "Rude", atelier_int(1)) == ATELIER_STATUS_NOT_HERE)
    remembered = 1;
  if (rude("another-checkpoint") && is(model, "other")) return atelier_fail(call, "another checkpoint");
  if (rude("fuzz")) {
    call->table->get(call->context, ATELIER_FIELD_ALL_SEEDS, 0, &value);
    if (value.bits % 13 == 5) return panicked(call, "an unlucky seed");
  }
  if (rude("hangs")) pause();
  if (rude("crashes")) raise(SIGSEGV);
  if (rude("exits")) exit(7);
  return ATELIER_STATUS_OK;
}

/* Changes one byte of the picture by this much. */
static uint32_t change(const AtelierCall *call, uint64_t by) {
  AtelierRawBuffer image;
  uint32_t status = atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 1, &image);
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  ((uint8_t *)image.data)[0] = (uint8_t)(((uint8_t *)image.data)[0] + by);
  return ATELIER_STATUS_OK;
}

/* What goes wrong with a picture: what should not steer it does. */
static uint32_t postprocess_image(const AtelierCall *call) {
  AtelierRawValue one, two;
  int64_t number = 3;
  static int calls;
  uint64_t by = 0;
  if (rude("same-twice")) by = (uint64_t)++calls;
  if (rude("same-anywhere")) by = (uint64_t)getpid();
  if (rude("same-in-any-order")) {
    call->table->get(call->context, ATELIER_FIELD_SEED, 0, &one);
    by = (uint64_t)remembered;
    remembered = (int)one.bits;
  }
  if (rude("same-side-by-side")) {
    usleep(2000);
    by = going_on > 1;
  }
  if (rude("sixteen-at-a-time")) {
    usleep(2000);
    by = going_on > 8;
  }
  if (rude("same-in-company") || rude("loads-beside-another")) {
    uint32_t status = call->table->read_option(call->context, ATELIER_OPTION_SOURCE_LIVE,
                                               atelier_str("validate_companion"), &one);
    by = status == ATELIER_STATUS_OK;
    if (by && rude("loads-beside-another")) return atelier_fail(call, "it is not alone");
  }
  if (rude("same-through-bytes")) {
    call->table->get(call->context, ATELIER_FIELD_RUN_ID, 0, &one);
    /* The same text in the host's memory; behind bytes, a second copy. */
    call->table->get(call->context, ATELIER_FIELD_RUN_ID, 1, &two);
    by = one.text.ptr == two.text.ptr;
  }
  if (rude("same-after-failure") || rude("recovers-from-gaps")) by = (uint64_t)remembered;
  if (rude("batch-is-its-pictures")) by = call->frame->image;
  if (rude("ignores-reserve")) by = call->frame->reserved[0];
  if (rude("snapshot-not-live") || rude("no-options-from-last-run")) {
    atelier_read_int(call, ATELIER_OPTION_SOURCE_LIVE, "rude_number", &number);
    by = (uint64_t)number;
    if (rude("no-options-from-last-run") && last_number >= 0) by = (uint64_t)last_number;
    last_number = number;
  }
  return by == 0 ? (uint32_t)ATELIER_STATUS_OK : change(call, by);
}

static uint32_t after_step(const AtelierCall *call) {
  AtelierRawBuffer latents;
  float *data;
  if (rude("hooks-succeed")) return atelier_fail(call, "no step");
  if (rude("only-its-hooks")) return ATELIER_STATUS_NOT_HERE;
  if (rude("answers-cancel")) usleep(400 * 1000);
  if (!rude("finite") && !rude("keeps-to-its-memory")) return ATELIER_STATUS_OK;
  if (atelier_buffer(call, ATELIER_BUFFER_LATENTS, 0, 1, &latents) != ATELIER_STATUS_OK) return ATELIER_STATUS_OK;
  data = latents.data;
  if (rude("finite")) data[0] = 0.0f / (data[0] - data[0]);
  else data[latents.shape[0] * latents.shape[1] * latents.shape[2] * latents.shape[3]] = 1.0f;
  return ATELIER_STATUS_OK;
}

static uint32_t call_run(void *run, const AtelierCall *call) {
  (void)run;
  switch (call->frame->hook) {
  case ATELIER_HOOK_PROCESS: return process(call);
  case ATELIER_HOOK_AFTER_STEP: return after_step(call);
  case ATELIER_HOOK_POSTPROCESS_IMAGE: return postprocess_image(call);
  case ATELIER_HOOK_PROCESS_BATCH:
  case ATELIER_HOOK_POST_SAMPLE:
  case ATELIER_HOOK_FINISH: return ATELIER_STATUS_OK;
  default: return ATELIER_STATUS_NOT_HERE;
  }
}

static uint32_t drop_run(void *run, const AtelierCall *call) {
  free(run);
  pthread_mutex_lock(&LOCK);
  going_on--;
  pthread_mutex_unlock(&LOCK);
  return rude("ends-quietly") ? atelier_fail(call, "not without a word") : (uint32_t)ATELIER_STATUS_OK;
}

static AtelierStr told(void) {
  AtelierStr manifest = atelier_manifest();
  if (rude("manifest-matches-code"))
    return atelier_str("{\"id\":\"rude\",\"name\":\"Somebody else\",\"version\":\"1.1.0\",\"abi\":\"1.0\","
                       "\"panic\":\"none\",\"hooks\":[]}");
  return manifest;
}

static const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, told, describe, create, call_plugin,
                                         start, call_run, drop_run, NULL};

const AtelierPluginTable *atelier_plugin(void) {
#ifdef RUDE_NEEDS
  if (helper() == 0) return NULL;
#endif
  return &TABLE;
}
