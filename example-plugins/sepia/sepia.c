/* Sepia: gives finished pictures the tone of old photographs. A whole plugin in C.
 *
 * It is migrated: it reads its option from the run's snapshot, once, when its instance is made. */

#include <stdlib.h>

#include "atelier_plugin.h"

ATELIER_MANIFEST("sepia", "Sepia", "1.0.0", postprocess_image);

/* One run of the plugin. */
struct run {
  double strength;
};

static uint32_t describe(const AtelierSink *sink) {
  return atelier_declare(sink, "{\"options\":[{"
                               "\"key\":\"sepia_strength\",\"kind\":\"float\",\"default\":1.0,"
                               "\"min\":0.0,\"max\":1.0,\"label\":\"Strength\"}]}");
}

static uint32_t start(const void *plugin, const AtelierCall *call, void **out) {
  struct run *run = malloc(sizeof *run);
  uint32_t status;
  (void)plugin;
  if (run == NULL) return atelier_fail(call, "out of memory");
  status = atelier_read_float(call, ATELIER_OPTION_SOURCE_SNAPSHOT, "sepia_strength", &run->strength);
  if (status != ATELIER_STATUS_OK) {
    free(run);
    return atelier_refused(call, status);
  }
  *out = run;
  return ATELIER_STATUS_OK;
}

static uint8_t mixed(uint8_t from, double to, double strength) {
  double value = from + (to - from) * strength;
  return value >= 255.0 ? 255 : (uint8_t)(value + 0.5);
}

static uint32_t postprocess_image(const struct run *run, const AtelierCall *call) {
  AtelierRawBuffer image;
  uint32_t status = atelier_buffer(call, ATELIER_BUFFER_IMAGE, 0, 1, &image);
  uint64_t count, at;
  uint8_t *pixel;
  if (status != ATELIER_STATUS_OK) return atelier_refused(call, status);
  count = image.shape[0] * image.shape[1];
  pixel = image.data;
  for (at = 0; at < count; at++, pixel += 3) {
    double r = pixel[0], g = pixel[1], b = pixel[2];
    pixel[0] = mixed(pixel[0], 0.393 * r + 0.769 * g + 0.189 * b, run->strength);
    pixel[1] = mixed(pixel[1], 0.349 * r + 0.686 * g + 0.168 * b, run->strength);
    pixel[2] = mixed(pixel[2], 0.272 * r + 0.534 * g + 0.131 * b, run->strength);
  }
  return atelier_infotext(call, "Sepia", atelier_float(run->strength));
}

static uint32_t call_run(void *run, const AtelierCall *call) {
  switch (call->frame->hook) {
  case ATELIER_HOOK_POSTPROCESS_IMAGE:
    return postprocess_image(run, call);
  default:
    return ATELIER_STATUS_NOT_HERE;
  }
}

static uint32_t drop_run(void *run, const AtelierCall *call) {
  (void)call;
  free(run);
  return ATELIER_STATUS_OK;
}

/* Functions that have nothing to do are null: this plugin keeps nothing between runs. */
static const AtelierPluginTable TABLE = {ATELIER_TABLE_HEAD, atelier_manifest, describe, NULL, NULL,
                                         start, call_run, drop_run, NULL};

const AtelierPluginTable *atelier_plugin(void) { return &TABLE; }
